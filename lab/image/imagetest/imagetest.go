// Package imagetest makes archives of images, for tests.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
)

// A Source describes one image of an archive.
type Source struct {
	Names    []string
	Platform string // OS/ARCH; "" is this machine's
	Config   any    // what becomes "config" of the configuration
	Layers   [][]byte
}

// A File is an entry of a layer. Its type follows from its name and link, unless Type
// says it: a name that ends with a slash is a folder.
type File struct {
	Name, Text, Link string
	Type             byte
	Mode             int64 // 0 is 0755
	UID, GID         int
}

// Layer returns a layer, as a tar.
func Layer(files ...File) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Linkname: f.Link, Typeflag: f.Type, Mode: f.Mode, Uid: f.UID, Gid: f.GID, Size: int64(len(f.Text))}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if h.Typeflag == 0 {
			switch {
			case f.Link != "":
				h.Typeflag = tar.TypeSymlink
			case f.Name[max(0, len(f.Name)-1):] == "/":
				h.Typeflag = tar.TypeDir
			default:
				h.Typeflag = tar.TypeReg
			}
		}
		must(w.WriteHeader(h))
		_, err := w.Write([]byte(f.Text))
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// Docker returns an archive as `docker save` writes it.
func Docker(images ...Source) []byte {
	type manifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var manifests []manifest
	var files []File
	for _, im := range images {
		config := im.config()
		m := manifest{Config: hash(config) + ".json", RepoTags: im.Names}
		files = append(files, File{Name: m.Config, Text: string(config)})
		for _, layer := range im.Layers {
			name := hash(layer) + "/layer.tar"
			m.Layers = append(m.Layers, name)
			files = append(files, File{Name: name, Text: string(layer)})
		}
		manifests = append(manifests, m)
	}
	return Layer(append(files, File{Name: "manifest.json", Text: string(text(manifests))})...)
}

// OCI returns an OCI layout in a tar, with layers compressed by gzip.
func OCI(images ...Source) []byte {
	type object = map[string]any
	var index []object
	files := []File{{Name: "oci-layout", Text: `{"imageLayoutVersion": "1.0.0"}`}}
	blob := func(mediaType string, content []byte) object {
		files = append(files, File{Name: "blobs/sha256/" + hash(content), Text: string(content)})
		return object{"mediaType": mediaType, "digest": "sha256:" + hash(content), "size": len(content)}
	}
	for _, im := range images {
		const v1 = "application/vnd.oci.image."
		m := object{"schemaVersion": 2, "config": blob(v1+"config.v1+json", im.config())}
		layers := []object{}
		for _, layer := range im.Layers {
			layers = append(layers, blob(v1+"layer.v1.tar+gzip", Gzip(layer)))
		}
		m["layers"] = layers
		d := blob(v1+"manifest.v1+json", text(m))
		os, arch := im.platform()
		d["platform"] = object{"os": os, "architecture": arch}
		if len(im.Names) > 0 {
			d["annotations"] = object{"org.opencontainers.image.ref.name": im.Names[0]}
		}
		index = append(index, d)
	}
	return Layer(append(files, File{Name: "index.json", Text: string(text(map[string]any{"schemaVersion": 2, "manifests": index}))})...)
}

// Gzip returns content compressed by gzip.
func Gzip(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func (im Source) platform() (os, arch string) {
	for i := range im.Platform {
		if im.Platform[i] == '/' {
			return im.Platform[:i], im.Platform[i+1:]
		}
	}
	return "linux", runtime.GOARCH
}

func (im Source) config() []byte {
	ids := []string{}
	for _, layer := range im.Layers {
		ids = append(ids, "sha256:"+hash(layer))
	}
	os, arch := im.platform()
	return text(map[string]any{
		"os": os, "architecture": arch, "config": im.Config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	must(err)
	return b
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprint("make an image for a test: ", err))
	}
}
