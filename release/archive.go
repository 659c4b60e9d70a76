package main

import (
	"archive/tar"
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A kind is a kind of archive, by its contents.
type kind string

const (
	plain   kind = "egressplay"     // the program alone
	withLab kind = "egressplay-lab" // the program and the lab
)

// An asset is a file of the release.
type asset struct {
	platform
	kind kind
	top  string // the folder within it in which everything is
	path string
}

// archive makes the archive of a kind for a platform from the programs in a folder, and
// beside it the list of its parts.
func (r *release) archive(ctx context.Context, p platform, k kind, bin string) (asset, error) {
	a := asset{platform: p, kind: k, top: fmt.Sprintf("%s_%s_%s_%s", k, r.version, p.os, p.arch)}
	tree := filepath.Join(r.work, "trees", a.top)
	if err := r.install(ctx, p, k, bin, tree); err != nil {
		return a, err
	}
	programs, err := goPrograms(tree)
	if err != nil {
		return a, err
	}
	doc := filepath.Join(tree, "share", "doc", "egressplay")
	if err := writeLicences(filepath.Join(doc, "THIRD-PARTY-LICENSES.txt"), programs, k == withLab, r.top); err != nil {
		return a, err
	}
	a.path = filepath.Join(r.out, a.top+".tar.gz")
	write := tarGz
	if p.os == "windows" {
		a.path, write = filepath.Join(r.out, a.top+".zip"), zipped
	}
	if err := r.sbom(ctx, a, programs, tree); err != nil {
		return a, fmt.Errorf("list what is in it: %w", err)
	}
	return a, toFile(a.path, func(w io.Writer) error { return write(w, filepath.Dir(tree), a.top, r.date) })
}

// install lays out the contents of an archive, as make install does.
func (r *release) install(ctx context.Context, p platform, k kind, bin, tree string) error {
	from := bin
	if k == plain { // a folder with nothing of the lab
		from = filepath.Join(r.work, "plain", p.os+"_"+p.arch)
		if err := os.MkdirAll(from, 0o755); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join(bin, "egressplay"+p.exe()), filepath.Join(from, "egressplay"+p.exe())); err != nil {
			return err
		}
	}
	return r.run(ctx, []string{
		"FROM=" + from, "MAN_FROM=" + r.host(), "EXE=" + p.exe(), "DESTDIR=" + tree, "PREFIX=/",
		"NO_IMAGES=yes", // Debian's programs, which Debian distributes
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.date.Unix(), 10),
	}, "scripts/install")
}

// toFile writes a file.
func toFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

// tarGz writes an archive of the folder name in parent. Its entries are sorted, and
// have one date and no owner.
func tarGz(w io.Writer, parent, name string, date time.Time) error {
	compressed := gzip.NewWriter(w)
	t := tar.NewWriter(compressed)
	return errors.Join(addTree(t, parent, name, date), t.Close(), compressed.Close())
}

// addTree adds the file or folder name in parent, with everything in it.
func addTree(t *tar.Writer, parent, name string, date time.Time) error {
	return eachFile(parent, name, func(path, name string, info fs.FileInfo) error {
		h := &tar.Header{Name: name, Mode: int64(mode(info)), ModTime: date, Format: tar.FormatPAX}
		switch {
		case info.IsDir():
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, to, 0o777
		case info.Mode().IsRegular():
			h.Typeflag, h.Size = tar.TypeReg, info.Size()
		default:
			return fmt.Errorf("%s is neither file, link nor folder", path)
		}
		if err := t.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		return copyFile(t, path)
	})
}

// zipped is tarGz for Windows. It leaves links out, because they may not work there.
func zipped(w io.Writer, parent, name string, date time.Time) error {
	z := zip.NewWriter(w)
	err := eachFile(parent, name, func(path, name string, info fs.FileInfo) error {
		if !info.Mode().IsRegular() {
			return nil
		}
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: date}
		h.SetMode(mode(info))
		to, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		return copyFile(to, path)
	})
	return errors.Join(err, z.Close())
}

// mode returns the mode of a file in an archive, whatever the umask is here.
func mode(info fs.FileInfo) fs.FileMode {
	if info.IsDir() || info.Mode()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

// eachFile calls do for each file of a folder, in the order of their names. A name has
// slashes and begins with the folder's name.
func eachFile(parent, folder string, do func(path, name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(filepath.Join(parent, folder), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(parent, file)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return do(file, path.Clean(filepath.ToSlash(name)), info)
	})
}

func copyFile(w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}
