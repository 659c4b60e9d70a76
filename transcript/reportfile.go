package transcript

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// IsStream reports whether path must be appended to (a pipe, a terminal, anything
// under /dev or /proc) rather than replaced.
func IsStream(path string) bool {
	if abs, err := filepath.Abs(path); err == nil {
		for _, dir := range []string{"/dev/", "/proc/"} {
			if strings.HasPrefix(abs, dir) && !strings.HasPrefix(abs, "/dev/shm/") {
				return true
			}
		}
	}
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// WriteFile writes a report to a file in one go, where the folder allows it: a
// reader sees the old one or the new one, never a part. A file that is there keeps
// its mode; a new one gets that of the user's umask. To a stream, see [IsStream],
// the report is appended.
func WriteFile(path string, b []byte) error {
	if err := write(path, b); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func write(path string, b []byte) error {
	if IsStream(path) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		return errors.Join(err, f.Close())
	}
	old, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return err
	case old.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("it is a folder")}
	case old.Mode().Type() == fs.ModeSymlink: // else the link itself would be replaced
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
		if old, err = os.Stat(path); err != nil {
			return err
		}
	}
	err = replace(path, b, old)
	if _, ok := errors.AsType[irreplaceable](err); ok && old != nil {
		return overwrite(path, b)
	}
	return err
}

// An irreplaceable error says why a file cannot be replaced by another of the same
// owner and mode: the folder may not be written to, or the file is a mount.
type irreplaceable struct{ error }

func (e irreplaceable) Unwrap() error { return e.error }

// replace writes a file beside path and renames it to path. old is the file that
// is there, nil for none; where something goes wrong it stays as it was.
func replace(path string, b []byte, old fs.FileInfo) error {
	f, err := create(path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return irreplaceable{err}
	}
	if err != nil {
		return err
	}
	if old != nil {
		if keepErr := keep(f, old); keepErr != nil {
			err = irreplaceable{keepErr}
		}
	}
	if err == nil {
		_, err = f.Write(b)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		if err = os.Rename(f.Name(), path); err == nil {
			return nil
		}
		err = irreplaceable{err}
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// create makes a new file beside path, with the mode that the user's umask gives.
func create(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), ".egressplay-report-"+rand.Text()[:10])
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: pe.Err}
	}
	return f, err
}

// keep gives a file the owner and the mode of another, which are then the same
// for whoever reads it.
func keep(f *os.File, old fs.FileInfo) error {
	if err := f.Chmod(0o600); err != nil { // until it has its owner
		return err
	}
	if err := own(f, old); err != nil {
		return err
	}
	return f.Chmod(old.Mode().Perm())
}

// overwrite writes a file that is there in place.
func overwrite(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}
