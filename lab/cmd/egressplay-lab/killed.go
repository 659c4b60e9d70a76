package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/egressplay/egressplay/lab/cluster"
)

// removeKilled deletes the folders of this user's other labs that were killed.
// It prints a warning to out about what it cannot delete: that must not prevent this
// lab from starting.
func (i *instance) removeKilled(ctx context.Context, out io.Writer) {
	all := filepath.Dir(string(i.folder))
	entries, err := os.ReadDir(all)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "warning: look for labs that were killed:", plain(err.Error()))
	}
	for _, e := range entries {
		if !e.IsDir() || !names.MatchString(e.Name()) || e.Name() == i.name {
			continue // not a lab, or left to whoever starts it
		}
		other := &instance{e.Name(), cluster.Folder(filepath.Join(all, e.Name()))}
		err := other.removeIfKilled(ctx)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody else deletes it, too
			fmt.Fprintf(out, "warning: delete what lab %s has left, which was killed: %s\n", plain(other.name), plain(err.Error()))
		}
	}
}

// errInUse is the reason to leave a lab's folder to the process that holds its lock.
var errInUse = errors.New("somebody starts or ends the lab")

func (i *instance) removeIfKilled(ctx context.Context) error {
	if killed, err := i.killed(); err != nil || !killed {
		return err
	}
	once, cancel := context.WithCancelCause(ctx)
	cancel(errInUse) // lock still tries once
	held, err := lock(once, i.folder.Lock())
	if errors.Is(err, errInUse) {
		return nil
	}
	if err != nil {
		return err
	}
	defer held.Close()
	if killed, err := i.killed(); err != nil || !killed { // somebody has started it since
		return err
	}
	return os.RemoveAll(string(i.folder))
}

// killed reports whether all processes of a lab were killed, including those that would
// have taken it down: its file alive still exists and nobody holds it. A lab that ended
// in another way leaves at most its logs. A folder with anything but a lab's files is
// not a lab's, whatever its name is.
func (i *instance) killed() (bool, error) {
	entries, err := os.ReadDir(string(i.folder))
	if err != nil {
		return false, err
	}
	hasAlive := false
	for _, e := range entries {
		path := filepath.Join(string(i.folder), e.Name())
		if !slices.Contains(i.folder.Files(), path) {
			return false, nil
		}
		hasAlive = hasAlive || path == i.folder.Alive()
	}
	if !hasAlive {
		return false, nil
	}
	if exists, err := trusted(i.folder); err != nil || !exists {
		return false, err
	}
	alive, err := locked(i.folder.Alive())
	return !alive, err
}
