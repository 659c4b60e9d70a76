package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
)

// An Archive is an open archive of images.
type Archive struct {
	// Images are the images for this machine's platform. There is at least one.
	Images []*Image

	ctx     context.Context // of Open
	limits  Limits
	file    *os.File // uncompressed
	members map[string]member
}

// An Image is one image of an archive.
type Image struct {
	Description
	layers []layer
}

// A Description has everything about an image but its files.
type Description struct {
	// ID is the digest of the image's configuration. If the archive is a root file
	// system alone, it is the digest of the tar.
	ID string `json:"id"`
	// Digest is the digest of the image's manifest; "" if the archive has none.
	Digest  string   `json:"digest,omitempty"`
	Names   []string `json:"names"` // references, complete; see [Reference]
	Config  Config   `json:"config"`
	Size    int64    `json:"size"` // of its files, in bytes
	Entries int      `json:"entries"`
}

// A member is a file of an archive.
type member struct {
	offset, size int64
	link         string // the other member that this is a link to; "" for a file
}

// Open opens and checks an archive; "-" is stdin. Its images have the names in the
// archive, or the name as if that is not "". The error says what is wrong with the
// archive, or why a lab cannot take it.
func Open(ctx context.Context, file string, stdin io.Reader, as string) (*Archive, error) {
	return open(ctx, file, stdin, as, DefaultLimits)
}

func open(ctx context.Context, file string, stdin io.Reader, as string, limits Limits) (a *Archive, err error) {
	a = &Archive{ctx: ctx, limits: limits}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", file, err), a.Close())
			a = nil
		}
	}()
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return a, withoutPath(err)
		}
		defer func() {
			if f != a.file {
				f.Close()
			}
		}()
		info, err := f.Stat()
		if err != nil {
			return a, withoutPath(err)
		}
		if info.IsDir() {
			return a, errors.New("it is a folder; make an archive of it first: tar -C FOLDER -cf IMAGE.tar .")
		}
		in = f
		if info.Mode().IsRegular() {
			var magic [6]byte
			n, err := f.ReadAt(magic[:], 0)
			if err != nil && !errors.Is(err, io.EOF) {
				return a, err
			}
			if compression(magic[:n]) == "" {
				if info.Size() > limits.Archive {
					return a, limited(ctx, f, limits.Archive, "the archive").tooLarge()
				}
				a.file = f
			}
		}
	}
	if a.file == nil {
		if err := a.spool(in); err != nil {
			return a, err
		}
	}
	return a, a.read(as)
}

// withoutPath returns an error without its path, for a caller that names the path
// itself.
func withoutPath(err error) error {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		return failed.Err
	}
	return err
}

// compression returns the name of a file's compression, by its first bytes; "" if it
// has no known one.
func compression(magic []byte) string {
	for name, begins := range map[string]string{
		"gzip": "\x1f\x8b", "zstd": "\x28\xb5\x2f\xfd", "xz": "\xfd7zXZ\x00", "bzip2": "BZh",
	} {
		if bytes.HasPrefix(magic, []byte(begins)) {
			return name
		}
	}
	return ""
}

// uncompressed returns the content of a stream, which may be compressed by gzip.
func uncompressed(r io.Reader) (io.Reader, error) {
	var magic [6]byte
	n, err := io.ReadFull(r, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(magic[:n]), r)
	switch by := compression(magic[:n]); by {
	case "":
		return r, nil
	case "gzip":
		return gzip.NewReader(r)
	default:
		return nil, fmt.Errorf("it is compressed by %s, and a lab reads only gzip: unpack it, or save the image with gzip", by)
	}
}

// spool copies a stream, uncompressed, to a file that has no name.
func (a *Archive) spool(in io.Reader) error {
	in, err := uncompressed(limited(a.ctx, in, a.limits.Archive, "the archive"))
	if err != nil {
		return err
	}
	if a.file, err = os.CreateTemp("", "egressplay-image-"); err != nil {
		return err
	}
	if err := os.Remove(a.file.Name()); err != nil {
		return err
	}
	if _, err := io.Copy(a.file, limited(a.ctx, in, a.limits.Archive, "the archive")); err != nil {
		return fmt.Errorf("unpack the archive: %w", err)
	}
	return nil
}

// Close closes the archive.
func (a *Archive) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// read finds the images and checks them.
func (a *Archive) read(as string) error {
	if err := a.index(); err != nil {
		return err
	}
	find := a.rootFS
	if a.isDocker() {
		find = a.docker
	} else if a.isOCI() {
		find = a.oci
	}
	if err := find(); err != nil {
		return err
	}
	if as != "" {
		name, err := Reference(as)
		if err != nil {
			return err
		}
		if len(a.Images) > 1 {
			return fmt.Errorf("it has %d images, so one name is not enough: leave --as out", len(a.Images))
		}
		a.Images[0].Names = []string{name}
	}
	for _, im := range a.Images {
		if len(im.Names) == 0 {
			return errors.New("it has no name for the image: give one with --as NAME")
		}
		if err := im.scan(a.ctx, a.limits); err != nil {
			return err
		}
	}
	return nil
}

// index finds the position of each member of the archive.
func (a *Archive) index() error {
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a.members = map[string]member{}
	for entries := tar.NewReader(a.file); ; {
		if a.ctx.Err() != nil {
			return context.Cause(a.ctx)
		}
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return notTar(err)
		}
		if len(a.members) >= a.limits.Entries {
			return fmt.Errorf("the archive has more than %d entries, which is more than a lab takes", a.limits.Entries)
		}
		name := path.Clean(strings.TrimPrefix(header.Name, "/"))
		switch header.Typeflag {
		case tar.TypeReg:
			at, err := a.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.members[name] = member{offset: at, size: header.Size}
		case tar.TypeSymlink:
			a.members[name] = member{link: path.Join(path.Dir(name), header.Linkname)}
		case tar.TypeLink:
			a.members[name] = member{link: path.Clean(header.Linkname)}
		default:
			a.members[name] = member{} // a folder: nobody opens it as a file
		}
	}
	if len(a.members) == 0 {
		return notTar(errors.New("there is nothing in it"))
	}
	return nil
}

func notTar(err error) error {
	return fmt.Errorf("it is not a complete tar archive (%w): want what docker save or podman save writes, an OCI layout in a tar, or the tar of a root file system", err)
}

// open returns the content of a member.
func (a *Archive) open(name string) (*io.SectionReader, error) {
	for range 8 { // links
		m, ok := a.members[path.Clean(name)]
		if !ok {
			return nil, fmt.Errorf("the archive is not complete: it lacks %q", name)
		}
		if m.link == "" {
			return io.NewSectionReader(a.file, m.offset, m.size), nil
		}
		name = m.link
	}
	return nil, fmt.Errorf("%q is a link that leads to no file", name)
}

// text returns the content of a small member.
func (a *Archive) text(name string) ([]byte, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(limited(a.ctx, r, a.limits.Text, fmt.Sprintf("%q", name)))
	if err != nil {
		return nil, fmt.Errorf("read %q of the archive: %w", name, err)
	}
	return text, nil
}

// rootFS reads the archive as a root file system, which has no configuration.
func (a *Archive) rootFS() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, limited(a.ctx, io.NewSectionReader(a.file, 0, 1<<62), a.limits.Archive, "the archive")); err != nil {
		return err
	}
	id := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	whole := layer{name: "the root file system", digest: id, open: func() (io.Reader, error) {
		return io.NewSectionReader(a.file, 0, 1<<62), nil
	}}
	a.Images = []*Image{{Description: Description{ID: id}, layers: []layer{whole}}}
	return nil
}

// platform returns the platform whose programs this machine runs.
func platform() string { return "linux/" + runtime.GOARCH }
