package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nobody is the user of the image's program.
const nobody = 65532

// image writes an OCI archive with an image for each program, which has that program
// and nothing else.
func (r *release) image(programs []program) error {
	// The layout's only entry is the index of the platforms, so that a client takes the
	// one for its machine.
	platforms := v1.ImageIndex(empty.Index)
	for _, p := range programs {
		one, err := r.imageOf(p)
		if err != nil {
			return fmt.Errorf("for %s: %w", p.platform, err)
		}
		platforms = mutate.AppendManifests(platforms, mutate.IndexAddendum{
			Add:        one,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: p.os, Architecture: p.arch}},
		})
	}
	platforms = mutate.IndexMediaType(platforms, types.OCIImageIndex)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: platforms,
		Descriptor: v1.Descriptor{Annotations: map[string]string{
			"org.opencontainers.image.ref.name": r.version,
			"io.containerd.image.name":          "localhost/egressplay:" + r.version, // the name that docker and ctr give it
		}},
	})
	dir := filepath.Join(r.work, "image")
	if _, err := layout.Write(dir, index); err != nil {
		return err
	}
	return toFile(filepath.Join(r.out, "egressplay_"+r.version+"_image.tar"), func(w io.Writer) error {
		return tarredContent(w, dir, r.date)
	})
}

// imageOf makes the image of a program.
func (r *release) imageOf(p program) (v1.Image, error) {
	layer, err := r.layer(p.path)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:     layer,
		History:   v1.History{Created: v1.Time{Time: r.date}, CreatedBy: "make release"},
		MediaType: types.OCILayer,
	})
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = p.os, p.arch, v1.Time{Time: r.date}
	file.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/egressplay"},
		Env:        []string{"PATH=/usr/bin", "HOME=/home/egressplay"},
		User:       fmt.Sprint(nobody),
		WorkingDir: "/home/egressplay",
		Labels: map[string]string{
			"org.opencontainers.image.title":    "egressplay",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/egressplay/egressplay",
		},
	}
	return mutate.ConfigFile(image, file)
}

// A layer is the content of a layer, which is compressed when it is written.
type layer struct {
	content []byte
	id      v1.Hash
}

func (l *layer) DiffID() (v1.Hash, error) { return l.id, nil }
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.content)), nil
}
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// layer makes the layer of a program, with its licences, a home folder and a folder for
// temporary files.
func (r *release) layer(program string) (v1.Layer, error) {
	var content bytes.Buffer
	t := tar.NewWriter(&content)
	folder := func(name string, mode int64, owner int) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner, ModTime: r.date, Format: tar.FormatPAX})
	}
	file := func(name, path string, mode int64) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: r.date, Format: tar.FormatPAX}
		if err := t.WriteHeader(&header); err != nil {
			return err
		}
		_, err = t.Write(data)
		return err
	}
	top := fmt.Sprintf("%s_%s_linux_", plain, r.version) // any architecture: the licences are the same
	trees, err := filepath.Glob(filepath.Join(r.work, "trees", top+"*", "share", "doc", "egressplay"))
	if err != nil || len(trees) == 0 {
		return nil, errors.Join(err, errors.New("there is no archive for Linux, whose licences the image has"))
	}
	err = errors.Join(
		folder("home/", 0o755, 0),
		folder("home/egressplay/", 0o755, nobody),
		folder("tmp/", 0o1777, 0),
		folder("usr/", 0o755, 0),
		folder("usr/bin/", 0o755, 0),
		file("usr/bin/egressplay", program, 0o755),
		folder("usr/share/", 0o755, 0),
		folder("usr/share/doc/", 0o755, 0),
		folder("usr/share/doc/egressplay/", 0o755, 0),
		file("usr/share/doc/egressplay/LICENSE", filepath.Join(trees[0], "LICENSE"), 0o644),
		file("usr/share/doc/egressplay/THIRD-PARTY-LICENSES.txt", filepath.Join(trees[0], "THIRD-PARTY-LICENSES.txt"), 0o644),
		t.Close(),
	)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content.Bytes())
	return partial.UncompressedToLayer(&layer{content.Bytes(), v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}})
}

// tarredContent writes the contents of a folder, without the folder itself.
func tarredContent(w io.Writer, dir string, date time.Time) error {
	t := tar.NewWriter(w)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := addTree(t, dir, e.Name(), date); err != nil {
			return err
		}
	}
	return t.Close()
}
