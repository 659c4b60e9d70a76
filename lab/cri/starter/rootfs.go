package starter

import (
	"fmt"
	"os"
)

// An image with a root file system of its own gets from the machine only what any
// container engine gives:
//
//	/             the image's; changes go to a tmpfs
//	/etc          of it hostname, hosts and resolv.conf are the pod's, and the list of
//	              certificate authorities is the lab's, under each name that it may have
//	/dev, /proc, /sys   as in every container, see root.go
//
// The image may have a link at any place. So each name is looked up within the root,
// and what is in the way of a file is removed before the file is written.

// ownRoot lays a tmpfs over the image.
func (sp *Spec) ownRoot() error {
	if err := tmpfs(sp.Scratch, "mode=755"); err != nil {
		return err
	}
	return sp.overlay(sp.Root, "root", []string{sp.RootFS})
}

// ownEtc writes the files of /etc that are not the image's.
func (sp *Spec) ownEtc() error {
	for name, text := range sp.hostFiles() {
		target, err := sp.clear("/etc/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if sp.TrustBundle == "" {
		return nil
	}
	for _, link := range caLinks {
		target, err := sp.clear(link)
		if err != nil {
			return err
		}
		if err := os.Symlink(CABundle, target); err != nil {
			return err
		}
	}
	if _, err := sp.clear(CABundle); err != nil { // last: a link above may have led there
		return err
	}
	return sp.mount(Mount{From: sp.TrustBundle, To: CABundle, Readonly: true})
}

// clear removes what is at a path of the container, and returns the path as seen from
// the machine, free of links.
func (sp *Spec) clear(path string) (string, error) {
	target, err := sp.parentOf(path)
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(target); err != nil {
		return "", fmt.Errorf("make room for %s: %w", path, err)
	}
	return target, nil
}
