package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// dockerManifest is one image in the manifest.json of `docker save`.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

const dockerManifests = "manifest.json"

// isDocker reports whether the archive is one that `docker save` writes. A root file
// system may have a file manifest.json, too.
func (a *Archive) isDocker() bool {
	if _, ok := a.members[dockerManifests]; !ok {
		return false
	}
	text, err := a.text(dockerManifests)
	var manifests []dockerManifest
	return err == nil && json.Unmarshal(text, &manifests) == nil && len(manifests) > 0 && manifests[0].Config != ""
}

func (a *Archive) docker() error {
	text, err := a.text(dockerManifests)
	if err != nil {
		return err
	}
	var manifests []dockerManifest
	if err := json.Unmarshal(text, &manifests); err != nil {
		return fmt.Errorf("read %s: %w", dockerManifests, err)
	}
	for _, m := range manifests {
		config, err := a.text(m.Config)
		if err != nil {
			return err
		}
		if err := a.add(config, m.Layers, m.RepoTags, ""); err != nil {
			return err
		}
	}
	return nil
}

// descriptor points to a blob of an OCI layout.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations"`
	Platform    *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// ociDocument is an index or a manifest; its fields show which.
type ociDocument struct {
	Manifests   []descriptor      `json:"manifests"`
	Config      *descriptor       `json:"config"`
	Layers      []descriptor      `json:"layers"`
	Annotations map[string]string `json:"annotations"`
}

func (a *Archive) isOCI() bool {
	_, layout := a.members["oci-layout"]
	_, index := a.members["index.json"]
	return layout && index
}

func (a *Archive) oci() error {
	text, err := a.text("index.json")
	if err != nil {
		return err
	}
	o := ociReader{archive: a}
	if err := o.document(text, "index.json", "", nil, 0); err != nil {
		return err
	}
	if len(a.Images) == 0 {
		slices.Sort(o.others)
		return fmt.Errorf("it has no image for %s, but for %s", platform(), strings.Join(slices.Compact(append(o.others, "nothing")[:max(1, len(o.others))]), ", "))
	}
	return nil
}

// ociReader walks the documents of an OCI layout.
type ociReader struct {
	archive *Archive
	others  []string // the platforms of images that were left out
	seen    int
}

// The limits of how many documents of a layout are read, and how deep.
const (
	mostDocuments = 1000
	mostDepth     = 4
)

// document reads an index or a manifest. names are those that the documents on the way
// to it give it.
func (o *ociReader) document(text []byte, what, digest string, names []string, depth int) error {
	if o.seen++; o.seen > mostDocuments || depth > mostDepth {
		return errors.New("its index has more indexes and manifests than a lab takes")
	}
	var d ociDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	names = append(names, annotated(d.Annotations)...)
	if d.Config != nil {
		return o.manifest(d, digest, names)
	}
	for _, m := range d.Manifests {
		if p := m.Platform; p != nil && p.OS+"/"+p.Architecture != platform() {
			if p.OS != "unknown" { // unknown is the platform of an attestation
				o.others = append(o.others, p.OS+"/"+p.Architecture)
			}
			continue
		}
		text, err := o.archive.blob(m.Digest)
		if err != nil {
			return err
		}
		if err := o.document(text, "the blob "+m.Digest, m.Digest, slices.Concat(names, annotated(m.Annotations)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (o *ociReader) manifest(d ociDocument, digest string, names []string) error {
	config, err := o.archive.blob(d.Config.Digest)
	if err != nil {
		return err
	}
	var layers []string
	for _, l := range d.Layers {
		name, err := blobName(l.Digest)
		if err != nil {
			return err
		}
		layers = append(layers, name)
	}
	return o.archive.add(config, layers, names, digest)
}

// annotated returns the names in the annotations of a descriptor.
func annotated(annotations map[string]string) []string {
	if name := annotations["io.containerd.image.name"]; name != "" {
		return []string{name}
	}
	// Its specification says that it is a tag; most programs write the whole reference.
	name := annotations["org.opencontainers.image.ref.name"]
	if name == "" || tagAlone.MatchString(name) {
		return nil
	}
	return []string{name}
}

var tagAlone = regexp.MustCompile(`^(latest|v?\d[^/:]*)$`)

var digests = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func blobName(digest string) (string, error) {
	if !digests.MatchString(digest) {
		return "", fmt.Errorf("it points to a blob by %q, and a lab reads only sha256", digest)
	}
	return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:"), nil
}

// blob returns a small blob of an OCI layout, and checks that it has the digest in its
// name.
func (a *Archive) blob(digest string) ([]byte, error) {
	name, err := blobName(digest)
	if err != nil {
		return nil, err
	}
	text, err := a.text(name)
	if err == nil && digestOf(text) != digest {
		err = fmt.Errorf("the archive is damaged: %q does not have the digest in its name", name)
	}
	return text, err
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// add adds an image by its configuration and the members that are its layers.
func (a *Archive) add(config []byte, layers, names []string, digest string) error {
	c, err := readConfig(config)
	if err != nil {
		return err
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return fmt.Errorf("the archive is damaged: the image's configuration has %d layers and its manifest has %d", len(c.RootFS.DiffIDs), len(layers))
	}
	if len(layers) > a.limits.Layers {
		return fmt.Errorf("the image has %d layers, and a lab takes %d", len(layers), a.limits.Layers)
	}
	im := &Image{Description: Description{ID: digestOf(config), Digest: digest, Config: c.Config}}
	for _, name := range names {
		full, err := Reference(name)
		if err != nil {
			return err
		}
		if !slices.Contains(im.Names, full) {
			im.Names = append(im.Names, full)
		}
	}
	for i, name := range layers {
		im.layers = append(im.layers, layer{name: fmt.Sprintf("layer %d", i+1), digest: c.RootFS.DiffIDs[i], open: func() (io.Reader, error) {
			r, err := a.open(name)
			if err != nil {
				return nil, err
			}
			return uncompressed(r)
		}})
	}
	a.Images = append(a.Images, im)
	return nil
}
