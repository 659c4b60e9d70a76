package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"github.com/egressplay/egressplay/lab/cluster"
)

// names matches the names of labs, which become a part of paths that must be short.
var names = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)

// folderOf returns the folder of the lab with a name. The folder need not exist;
// [trusted] reports whether it can be trusted. Symbolic links above the folder of all
// labs are resolved here, once, so nobody can redirect them afterwards.
func folderOf(name string) (cluster.Folder, error) {
	if !names.MatchString(name) {
		return "", fmt.Errorf("%q is not a name for a lab: want 1 to 20 of a-z, 0-9 and '-'", name)
	}
	all, err := filepath.Abs(runDir())
	if err != nil {
		return "", failure{err}
	}
	above, err := resolve(filepath.Dir(all))
	if err != nil {
		return "", failure{fmt.Errorf("look for the lab's folder: %w", err)}
	}
	return cluster.Folder(filepath.Join(above, filepath.Base(all), name)), nil
}

// resolve follows the symbolic links in a path. Its last parts need not exist.
func resolve(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return resolved, err
	}
	above, err := resolve(filepath.Dir(path))
	return filepath.Join(above, filepath.Base(path)), err
}

// runDir returns the folder of all labs of this user.
func runDir() string {
	if dir := os.Getenv("EGRESSPLAY_LAB_DIR"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 { // root's XDG_RUNTIME_DIR may be that of the user who became root
		return "/run/egressplay"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "egressplay")
	}
	return "/tmp/egressplay-" + strconv.Itoa(os.Geteuid())
}

// makeFolder makes a lab's folder, or takes an existing one.
func makeFolder(f cluster.Folder) error {
	if exists, err := trusted(f); exists || err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(string(f), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	exists, err := trusted(f) // somebody else may have made it in the meantime
	if err == nil && !exists {
		return fmt.Errorf("make %s: %w", f, fs.ErrNotExist) // another process has deleted it
	}
	return err
}

// removeFolder deletes the run folder. With the last lab's it also deletes the folder
// of all labs, unless the user has named that one.
func removeFolder(f cluster.Folder) error {
	if err := os.RemoveAll(string(f)); err != nil {
		return err
	}
	if os.Getenv("EGRESSPLAY_LAB_DIR") != "" {
		return nil
	}
	err := os.Remove(filepath.Dir(string(f)))
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		return nil // another lab's, or gone with another lab
	}
	return err
}

// empty deletes what an earlier lab left in its folder, except the lock.
func empty(f cluster.Folder) error {
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(string(f), e.Name())
		if path == f.Lock() {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}
