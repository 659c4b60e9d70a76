package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// Unpack unpacks the layers into a folder, which must be empty, and which nobody else may
// use until it returns. It returns the users of the image.
func (r *Received) Unpack(ctx context.Context, dir string) (*Users, error) {
	b := &budget{limits: DefaultLimits}
	b.limits.Unpacked = r.Size
	for layers := 0; ; layers++ {
		header, err := r.in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("receive an image: %w", err)
		}
		if header.Name != layerMember || layers == b.limits.Layers {
			return nil, fmt.Errorf("receive an image: %q after %d layers", header.Name, layers)
		}
		if err := unpackLayer(ctx, dir, r.in, b); err != nil {
			return nil, fmt.Errorf("layer %d: %w", layers+1, err)
		}
	}
	if err := finish(dir, r.Config); err != nil {
		return nil, err
	}
	return usersOf(ctx, dir)
}

// An unpacking is the unpacking of one layer.
type unpacking struct {
	dir     string
	touched map[string]bool // the paths that this layer has, and the folders above them
}

func unpackLayer(ctx context.Context, dir string, r io.Reader, b *budget) error {
	u := &unpacking{dir, map[string]bool{}}
	for entries := tar.NewReader(r); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := checkEntry(header)
		if err != nil {
			return err
		}
		if err := b.take(e); err != nil {
			return err
		}
		if err := u.entry(e, entries); err != nil {
			return fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

func (u *unpacking) entry(e entry, content io.Reader) error {
	switch {
	case e.skip:
		return nil
	case e.remove != "":
		return u.removeLower(e.remove)
	case e.opaque:
		return u.removeBelow(e.path)
	}
	for p := e.path; p != "."; p = path.Dir(p) {
		u.touched[p] = true
	}
	if e.path == "." {
		return nil // the lab makes the root
	}
	target, err := u.place(e.path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return withoutPath(err)
	}
	if e.Typeflag == tar.TypeLink {
		return u.hardLink(e, target)
	}
	there, err := os.Lstat(target)
	if err == nil && (!there.IsDir() || e.Typeflag != tar.TypeDir) {
		err = os.RemoveAll(target)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return withoutPath(err)
	}
	return withoutPath(write(e, target, content))
}

// place returns the path of an image's file on the machine. Links in the folders above
// it are followed within the image, as a container would; the last part is not
// followed.
func (u *unpacking) place(p string) (string, error) {
	parent, err := securejoin.SecureJoin(u.dir, path.Dir(p))
	if err != nil {
		return "", withoutPath(err)
	}
	return filepath.Join(parent, path.Base(p)), nil
}

// write makes a file, a folder or a link, with its owner and mode.
func write(e entry, target string, content io.Reader) error {
	switch e.Typeflag {
	case tar.TypeSymlink:
		if err := os.Symlink(e.Linkname, target); err != nil {
			return err
		}
		return os.Lchown(target, e.Uid, e.Gid)
	case tar.TypeDir:
		if err := os.Mkdir(target, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case tar.TypeFifo:
		if err := unix.Mkfifo(target, 0o600); err != nil {
			return err
		}
	default:
		if err := writeFile(target, content); err != nil {
			return err
		}
	}
	if err := os.Lchown(target, e.Uid, e.Gid); err != nil {
		return err
	}
	if err := os.Chmod(target, e.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	if e.Typeflag != tar.TypeReg {
		return nil
	}
	if capability, ok := e.PAXRecords["SCHILY.xattr.security.capability"]; ok {
		if err := unix.Setxattr(target, "security.capability", []byte(capability), 0); err != nil {
			return fmt.Errorf("give it its capabilities: %w", err)
		}
	}
	return os.Chtimes(target, e.ModTime, e.ModTime)
}

func writeFile(target string, content io.Reader) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

func (u *unpacking) hardLink(e entry, target string) error {
	source, err := u.place(path.Clean(e.Linkname))
	if err != nil {
		return err
	}
	info, err := os.Lstat(source)
	if err != nil || info.IsDir() {
		return fmt.Errorf("it is a hard link to %q, which is not a file of the image", e.Linkname)
	}
	if there, err := os.Lstat(target); err == nil {
		if os.SameFile(there, info) {
			return nil
		}
		if err := os.RemoveAll(target); err != nil {
			return withoutPath(err)
		}
	}
	if err := os.Link(source, target); err != nil {
		return fmt.Errorf("link it to %q: %w", e.Linkname, errors.Unwrap(err))
	}
	return nil
}

// removeLower removes what earlier layers have at a path. What this layer has there
// stays, wherever in the tar it is.
func (u *unpacking) removeLower(p string) error {
	target, err := u.place(p)
	if err != nil {
		return err
	}
	if !u.touched[p] {
		return withoutPath(os.RemoveAll(target))
	}
	return u.removeBelow(p)
}

// removeBelow removes what earlier layers have in a folder.
func (u *unpacking) removeBelow(p string) error {
	target, err := u.place(p)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(target); err != nil || !info.IsDir() {
		return nil // nothing is below it
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return withoutPath(err)
	}
	for _, e := range entries {
		if err := u.removeLower(path.Join(p, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the folders that a container needs, and makes sure that none of them is
// a link: something is mounted there later.
func finish(dir string, c Config) error {
	for _, name := range []string{"dev", "etc", "proc", "sys"} {
		err := os.Mkdir(filepath.Join(dir, name), 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("/%s of the image is not a folder", name)
		}
	}
	for volume := range c.Volumes {
		target, err := securejoin.SecureJoin(dir, volume)
		if err == nil {
			err = os.MkdirAll(target, 0o755)
		}
		if err != nil {
			return fmt.Errorf("the image's volume %q: %w", volume, withoutPath(err))
		}
	}
	return nil
}
