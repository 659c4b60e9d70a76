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

// names are those of labs: they become a part of paths that must be short.
var names = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)

// folderOf is the run folder of the lab with a name. It need not exist.
func folderOf(name string) (cluster.Folder, error) {
	if !names.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a lab: want 1 to 20 of a-z, 0-9 and '-'", name)
	}
	base, err := filepath.Abs(runDir())
	if err != nil {
		return "", err
	}
	return cluster.Folder(filepath.Join(base, name)), nil
}

// runDir is the folder of all labs of this user.
func runDir() string {
	if dir := os.Getenv("EGRESSPLAY_LAB_DIR"); dir != "" {
		return dir
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "egressplay")
	}
	if os.Geteuid() == 0 {
		return "/run/egressplay"
	}
	return "/tmp/egressplay-" + strconv.Itoa(os.Geteuid())
}

// makeFolder makes the run folder. One that others may change or that belongs to
// someone else is refused: in /tmp anyone could have made it.
func makeFolder(f cluster.Folder) error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(string(f), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, dir := range []string{filepath.Dir(string(f)), string(f)} {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("%s does not belong to this user alone: remove it, or set EGRESSPLAY_LAB_DIR to another folder", dir)
		}
	}
	return nil
}

// removeFolder deletes the run folder, and with the last lab's the folder of all
// labs, unless the user has named it.
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
