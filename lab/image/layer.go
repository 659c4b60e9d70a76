package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
)

// A layer is a tar of files that lies over the layers before it.
type layer struct {
	name   string // for messages
	digest string // of the tar, uncompressed
	open   func() (io.Reader, error)
	size   int64 // of the tar, uncompressed; known once it was scanned
}

// maxID is the greatest id of a user or a group that a lab has.
const maxID = 65535

// An entry is an entry of a layer, checked.
type entry struct {
	*tar.Header
	path   string // within the root, without a leading slash; "." is the root
	remove string // what it removes of the layers before it; "" for a file
	opaque bool   // it removes what is in the folder path of the layers before it
	skip   bool   // it describes no file
}

const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// checkEntry reads a header, and refuses what could lead out of an image, what would act
// on the machine, and what a lab cannot unpack.
func checkEntry(h *tar.Header) (entry, error) {
	e := entry{Header: h}
	if err := inside(h.Name); err != nil {
		return e, fmt.Errorf("%q %w", h.Name, err)
	}
	e.path = path.Clean(strings.TrimLeft(h.Name, "/"))
	if h.Name == "" || e.path == "" {
		e.path = "."
	}
	if base := path.Base(e.path); strings.HasPrefix(base, whiteout) {
		switch gone := strings.TrimPrefix(base, whiteout); {
		case base == opaqueWhiteout:
			e.opaque, e.path = true, path.Dir(e.path)
		case strings.HasPrefix(gone, whiteout):
			e.skip = true // a file that aufs keeps for itself
		case gone == "" || gone == "." || gone == "..":
			return e, fmt.Errorf("%q removes no file", h.Name)
		default:
			e.remove = path.Join(path.Dir(e.path), gone)
		}
		return e, nil
	}
	switch h.Typeflag {
	case tar.TypeGNUSparse:
		h.Typeflag = tar.TypeReg // a sparse file is read with its holes filled
	case tar.TypeXGlobalHeader:
		e.skip = true
		return e, nil
	case tar.TypeReg, tar.TypeDir, tar.TypeFifo:
	case tar.TypeSymlink:
		if h.Linkname == "" || strings.ContainsRune(h.Linkname, 0) {
			return e, fmt.Errorf("%q is a link to nothing", h.Name)
		}
		if !path.IsAbs(h.Linkname) && climbs(path.Join(path.Dir(e.path), h.Linkname)) {
			return e, fmt.Errorf("%q is a link that leads out of the image, to %q", h.Name, h.Linkname)
		}
	case tar.TypeLink:
		if err := inside(h.Linkname); err != nil {
			return e, fmt.Errorf("%q is a hard link to %q, which %w", h.Name, h.Linkname, err)
		}
	case tar.TypeChar, tar.TypeBlock:
		return e, fmt.Errorf("%q is a device; a container of a lab has the usual ones anyway: leave it out, as by tar --exclude='./dev/*'", h.Name)
	default:
		return e, fmt.Errorf("%q is neither a file nor a folder nor a link (its type is %q)", h.Name, h.Typeflag)
	}
	if e.path == "." && h.Typeflag != tar.TypeDir {
		return e, fmt.Errorf("%q is the root, and not a folder", h.Name)
	}
	if !isID(h.Uid) || !isID(h.Gid) {
		return e, fmt.Errorf("%q belongs to user %d and group %d, and a lab has ids up to %d", h.Name, h.Uid, h.Gid, maxID)
	}
	if h.Size < 0 {
		return e, fmt.Errorf("%q has a negative size", h.Name)
	}
	return e, nil
}

// inside returns an error that says why a path does not lie within an image. A path may
// begin with a slash, because the root is the image's.
func inside(name string) error {
	const longest = 4095 // PATH_MAX
	if len(name) > longest {
		return errors.New("is longer than a path may be")
	}
	if strings.ContainsRune(name, 0) {
		return errors.New("has a zero byte")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return errors.New("leads out of its folder by ..")
		}
		if len(part) > 255 { // NAME_MAX
			return errors.New("has a part that is longer than a name may be")
		}
	}
	return nil
}

// climbs reports whether a clean path leads above its beginning.
func climbs(clean string) bool { return clean == ".." || strings.HasPrefix(clean, "../") }

// budget is what is left of the limits of an image, and what was seen of its programs.
type budget struct {
	limits  Limits
	bytes   int64
	entries int
	ours    int    // programs for this machine
	other   uint16 // the machine of a program for another one; 0 if there is none
}

// take counts an entry, before its content is read.
func (b *budget) take(e entry) error {
	if b.entries++; b.entries > b.limits.Entries {
		return fmt.Errorf("the image has more than %d entries, which is more than a lab takes", b.limits.Entries)
	}
	if e.Typeflag == tar.TypeReg {
		if e.Size > b.limits.Unpacked-b.bytes {
			return fmt.Errorf("the image's files have more than %s, which is more than a lab takes", Size(b.limits.Unpacked))
		}
		b.bytes += e.Size
	}
	return nil
}

// see finds out for which machine a program is, by its first bytes.
func (b *budget) see(e entry, r io.Reader) error {
	if e.Typeflag != tar.TypeReg || e.Mode&0o111 == 0 || e.Size < elfHeader {
		return nil
	}
	var head [elfHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if string(head[:4]) != "\x7fELF" {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	if machine := order.Uint16(head[18:]); isOurs(machine) {
		b.ours++
	} else {
		b.other = machine
	}
	return nil
}

// elfHeader is how many bytes of an ELF file are needed to know its machine.
const elfHeader = 20

// scan reads the whole image, so that a mistake in it is known before anything is made.
func (im *Image) scan(ctx context.Context, limits Limits) error {
	b := &budget{limits: limits}
	for i := range im.layers {
		l := &im.layers[i]
		if err := l.scan(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	if b.ours == 0 && b.other != 0 {
		return fmt.Errorf("the image's programs are for %s, and this machine runs %s", machineName(b.other), runtime.GOARCH)
	}
	im.Size, im.Entries = b.bytes, b.entries
	return nil
}

func (l *layer) scan(ctx context.Context, b *budget) error {
	r, err := l.open()
	if err != nil {
		return err
	}
	sum := sha256.New()
	// The rest of a layer is headers, a few kilobytes for each entry.
	counted := limited(ctx, r, 2*b.limits.Unpacked, "the layer")
	all := io.TeeReader(counted, sum)
	for entries := tar.NewReader(all); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("it is not a complete tar archive: %w", err)
		}
		e, err := checkEntry(header)
		if err != nil {
			return err
		}
		if err := b.take(e); err != nil {
			return err
		}
		if err := b.see(e, entries); err != nil {
			return fmt.Errorf("%q: %w", header.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, all); err != nil { // bytes after the end of the tar belong to the digest
		return err
	}
	l.size = counted.read()
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != l.digest {
		return fmt.Errorf("the archive is damaged: the digest is %s, and the image's configuration has %s", got, l.digest)
	}
	return nil
}
