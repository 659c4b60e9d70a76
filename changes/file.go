package changes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A File keeps the changes of a run in a file of the user, for a cluster in which the
// user may not make Secrets.
type File struct {
	Path   string
	Run    Run
	Server string // the URL of the cluster

	mu      sync.Mutex
	changes map[int]*Change
}

var _ Store = (*File)(nil)

// fileContent is the content of the file.
type fileContent struct {
	Run     Run       `json:"run"`
	Server  string    `json:"server"`
	Changes []*Change `json:"changes"`
}

// Save implements [Store].
func (f *File) Save(_ context.Context, all []*Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changes == nil {
		f.changes = map[int]*Change{}
	}
	for _, c := range all {
		f.changes[c.Number] = c
	}
	return f.write()
}

// Drop implements [Store].
func (f *File) Drop(_ context.Context, all []*Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range all {
		delete(f.changes, c.Number)
	}
	if len(f.changes) == 0 {
		return os.Remove(f.Path)
	}
	return f.write()
}

// write replaces the file as a whole, so a reader always finds it complete.
func (f *File) write() error {
	content := fileContent{Run: f.Run, Server: f.Server}
	for _, number := range slices.Sorted(maps.Keys(f.changes)) {
		content.Changes = append(content.Changes, f.changes[number])
	}
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return err
	}
	next := f.Path + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.Path)
}

// FindFiles returns the changes of a cluster that runs have left in the files of a
// folder, the newest run first.
func FindFiles(folder, server string) (all []*Kept, err error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var content fileContent
		err = json.Unmarshal(text, &content)
		for _, c := range content.Changes {
			err = cmp.Or(err, c.check())
		}
		if err != nil {
			all = append(all, &Kept{
				Run:    Run{ID: strings.TrimSuffix(filepath.Base(path), ".json"), Holder: "somebody"},
				Unread: []string{fmt.Sprintf("%s cannot be read: %v", path, err)},
			})
			continue
		}
		if content.Server != server || content.Run.ID != strings.TrimSuffix(filepath.Base(path), ".json") {
			continue
		}
		f := &File{Path: path, Run: content.Run, Server: server, changes: map[int]*Change{}}
		for _, c := range content.Changes {
			f.changes[c.Number] = c
		}
		all = append(all, &Kept{Run: content.Run, Changes: content.Changes, Store: f})
	}
	slices.SortFunc(all, func(a, b *Kept) int { return b.Run.Started.Compare(a.Run.Started) })
	return all, nil
}

// An Either keeps changes in the first store, or in the second one if the user may not
// use the first. Instead is called once, with the reason, when it changes to the
// second.
type Either struct {
	First, Second Store
	Instead       func(why error)

	mu     sync.Mutex
	chosen Store
}

var _ Store = (*Either)(nil)

// Save implements [Store].
func (e *Either) Save(ctx context.Context, all []*Change) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.chosen != nil {
		return e.chosen.Save(ctx, all)
	}
	err := e.First.Save(ctx, all)
	if err == nil {
		e.chosen = e.First
		return nil
	}
	if !IsRefused(err) || e.Second.Save(ctx, all) != nil {
		return err
	}
	e.chosen = e.Second
	e.Instead(err)
	return nil
}

// Drop implements [Store].
func (e *Either) Drop(ctx context.Context, all []*Change) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.chosen == nil { // an answer of the first store may have been lost
		return e.First.Drop(ctx, all)
	}
	return e.chosen.Drop(ctx, all)
}
