package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/lab/cri/starter"
	"github.com/egressplay/egressplay/lab/image"
)

// loaded is the part of an image that only one loaded by the user has: a root file
// system of its own.
type loaded struct {
	image.Description
	dir   string
	users *image.Users
	named string // the user's name, where the image runs as a user by name

	// Guarded by Server.mu.
	containers int  // how many are made from it
	replaced   bool // its names mean another image by now
}

// ImageInfo describes an image to a user.
type ImageInfo struct {
	Names   []string `json:"names"`
	ID      string   `json:"id"`
	Size    uint64   `json:"size"` // in bytes; for an image of the lab's own without the machine's /usr
	Loaded  bool     `json:"loaded"`
	Missing string   `json:"missing,omitempty"` // what to do to get an image whose files are not there

	// InPlaceOf is the lab's own image that this one hides: without it, pods would get
	// that image by the same name.
	InPlaceOf string `json:"inPlaceOf,omitempty"`
}

// ownParts are the images of the mesh and the cluster, which no loaded image may
// replace.
var ownParts = []string{"pilot", "proxyv2", "coredns"}

// spare is how many bytes of the machine's memory must remain free.
const spare = 512 << 20

// Load makes an image from what [image.Receive] reads. Pods can use it when Load
// returns. It is kept in memory until the server ends. Another image that has one of
// its names loses that name; an image without a name is removed once no container uses
// it.
func (s *Server) Load(ctx context.Context, r io.Reader) (info ImageInfo, err error) {
	received, err := image.Receive(ctx, r)
	if err != nil {
		return info, err
	}
	inPlaceOf, err := s.mayLoad(received.Description)
	if err != nil {
		return info, err
	}
	parent := filepath.Join(s.root, "images")
	if err := os.MkdirAll(parent, 0o711); err != nil {
		return info, err
	}
	l := &loaded{Description: received.Description, dir: filepath.Join(parent, newID())}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(l.dir))
		}
	}()
	if l.users, err = received.Unpack(ctx, l.dir); err != nil {
		return info, err
	}
	im, err := l.image()
	if err != nil {
		return info, err
	}
	if err := s.add(im); err != nil {
		return info, err
	}
	info = im.info()
	info.InPlaceOf = inPlaceOf
	return info, nil
}

// mayLoad refuses an image that would replace a part of the lab, or take memory that
// others need. It returns the lab's own image that the new one hides.
func (s *Server) mayLoad(d image.Description) (inPlaceOf string, err error) {
	for i := range s.images {
		im := &s.images[i]
		if !slices.ContainsFunc(d.Names, im.matches) {
			continue
		}
		if slices.Contains(ownParts, im.Names[0]) {
			return "", fmt.Errorf("pods of the lab's own are made of the image %s: load yours by another name, with --as", im.Names[0])
		}
		inPlaceOf = im.Names[0]
	}
	free, err := availableMemory()
	if err != nil {
		return "", err
	}
	// Each entry takes a page besides its content, which takes at most one page more
	// than its size.
	const page = 4096
	if need := d.Size + 2*page*int64(d.Entries); need+spare > free {
		return "", fmt.Errorf("the image takes %s of memory, and of this machine's %s are free, of which %s must remain", image.Size(need), image.Size(free), image.Size(spare))
	}
	return inPlaceOf, nil
}

// availableMemory returns how many bytes of memory programs can still get.
func availableMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo does not tell MemAvailable")
}

// image returns the image for what was unpacked.
func (l *loaded) image() (*Image, error) {
	uid, gid, named, err := l.users.Find(l.Config.User)
	if err != nil {
		return nil, err
	}
	l.named = named
	signal, err := l.Config.Signal()
	if err != nil {
		return nil, err
	}
	return &Image{
		Names: l.Names, Entrypoint: l.Config.Entrypoint, Cmd: l.Config.Cmd, Env: l.Config.Env,
		WorkingDir: filepath.Join("/", l.Config.WorkingDir), StopSignal: signal,
		UID: int64(uid), GID: int64(gid), size: uint64(l.Size), loaded: l,
	}, nil
}

// add makes an image known.
func (s *Server) add(im *Image) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept, gone []*Image
	for _, old := range s.loaded {
		var names []string
		for _, name := range old.Names {
			switch {
			case slices.Contains(im.Names, name):
			case old.id() == im.id(): // the same image again, with further names
				im.rename(append(im.Names, name))
			default:
				names = append(names, name)
			}
		}
		old.rename(names)
		if len(names) > 0 {
			kept = append(kept, old)
		} else {
			gone = append(gone, old)
		}
	}
	s.loaded = append(kept, im)
	var errs []error
	for _, old := range gone {
		old.loaded.replaced = true
		errs = append(errs, old.loaded.removeUnused())
	}
	return errors.Join(errs...)
}

// rename gives an image names; it needs Server.mu.
func (im *Image) rename(names []string) { im.Names, im.loaded.Names = names, names }

// acquire returns the image that a reference means, and counts one more container that
// uses it.
func (s *Server) acquire(ref string) (*Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	im, err := s.find(ref)
	if err == nil && im.loaded != nil {
		im.loaded.containers++
	}
	return im, err
}

// release undoes one acquire.
func (s *Server) release(im *Image) error {
	if im.loaded == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	im.loaded.containers--
	return im.loaded.removeUnused()
}

// removeUnused removes the files of an image that has no name and no container; it
// needs Server.mu.
func (l *loaded) removeUnused() error {
	if !l.replaced || l.containers > 0 {
		return nil
	}
	return os.RemoveAll(l.dir)
}

// AllImages describes all images, the lab's own last.
func (s *Server) AllImages() []ImageInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ImageInfo
	for _, im := range s.all() {
		list = append(list, im.info())
	}
	return list
}

func (im *Image) info() ImageInfo {
	info := ImageInfo{Names: slices.Clone(im.Names), ID: im.id(), Size: im.size, Loaded: im.loaded != nil}
	if im.absent() {
		info.Missing = im.HowToGet
	}
	return info
}

// shownNames returns the names by which users know the image.
func (im *Image) shownNames() []string {
	if im.loaded == nil {
		return im.Names
	}
	var names []string
	for _, name := range im.Names {
		names = append(names, image.Familiar(name))
	}
	return names
}

// username returns the name of the user as which the image runs; "" if it runs as a
// number.
func (im *Image) username() string {
	if im.loaded == nil {
		return ""
	}
	return im.loaded.named
}

// rootFS returns the folder of the image's root file system; "" if it has none of its
// own.
func (im *Image) rootFS() string {
	if im.loaded == nil {
		return ""
	}
	return im.loaded.dir
}

// userByID returns what a container of the image knows of a user.
func (im *Image) userByID(uid int) starter.User {
	if im.loaded == nil {
		return starter.UserByID(uid)
	}
	u := im.loaded.users.ByID(uid)
	return starter.User{Name: u.Name, UID: u.UID, GID: u.GID, Home: u.Home}
}

// groupsOf returns the further groups that the image gives a user.
func (im *Image) groupsOf(uid int) []int64 {
	if im.loaded == nil {
		return nil
	}
	var gids []int64
	for _, gid := range im.loaded.users.GroupsOf(im.loaded.users.ByID(uid).Name) {
		gids = append(gids, int64(gid))
	}
	return gids
}
