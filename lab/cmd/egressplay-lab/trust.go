package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/egressplay/egressplay/lab/cluster"
)

// trusted reports whether a lab's folder exists. It returns a [*foreignError] if
// somebody else may have made the folder, or may change or replace it: its files make
// this user run programs (kubeconfig), end a process (lab.json) and believe answers
// (control). Call trusted before you read or make a lab's folder. The program
// egressplay leaves that to this one.
//
// trusted looks from / downwards and follows no symbolic link. What it has
// accepted so far lets nobody else rename or replace the next part of the path,
// so the path stays safe to use after trusted has returned.
func trusted(f cluster.Folder) (exists bool, err error) {
	folder := string(f)
	for _, dir := range pathTo(folder) {
		info, err := os.Lstat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look at the lab's folder: %w", err)
		}
		own := dir == folder || dir == filepath.Dir(folder)
		if why := distrust(info, own); why != "" {
			return false, &foreignError{dir, why}
		}
	}
	return true, nil
}

// pathTo lists the folders on the way from / to a folder, both included.
func pathTo(folder string) []string {
	if folder == "/" {
		return []string{folder}
	}
	return append(pathTo(filepath.Dir(folder)), folder)
}

// distrust returns why others could change what is in a folder, or "". A folder that
// need not be this user's own may be root's. A folder in which everybody may make
// files, such as /tmp, is safe if it is sticky: there only the owner of a file may
// rename it.
func distrust(info fs.FileInfo, own bool) string {
	if info.Mode()&fs.ModeSymlink != 0 {
		return "it is a symbolic link"
	}
	if !info.IsDir() {
		return "it is not a folder"
	}
	if why := otherOwner(info, own); why != "" {
		return why
	}
	sticky := !own && info.Mode()&fs.ModeSticky != 0
	if info.Mode().Perm()&0o022 != 0 && !sticky {
		return fmt.Sprintf("others may write to it: its mode is %04o", info.Mode().Perm())
	}
	return ""
}

func otherOwner(info fs.FileInfo, own bool) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "its owner is unknown"
	case int(stat.Uid) == os.Geteuid(), !own && stat.Uid == 0:
		return ""
	default:
		return fmt.Sprintf("it belongs to user %d", stat.Uid)
	}
}

// trustedKubeconfig returns the path of the kubeconfig in a trusted folder. The
// file must be one that a lab has written: regular, of this user, mode 0600.
func trustedKubeconfig(f cluster.Folder) (string, error) {
	path := f.Kubeconfig()
	info, err := os.Lstat(path)
	if err != nil {
		return "", fmt.Errorf("look at the lab's kubeconfig: %w", err)
	}
	why := otherOwner(info, true)
	if info.Mode() != 0o600 {
		why = fmt.Sprintf("it is not a plain file of mode 0600: %v", info.Mode())
	}
	if why != "" {
		return "", &foreignError{path, why}
	}
	return path, nil
}

// foreignError is the error for a folder or a file that this user must not trust.
type foreignError struct{ path, why string }

func (e *foreignError) Error() string {
	return fmt.Sprintf("the lab's folder does not belong to this user alone: %s (%s)\n"+
		"hint: remove or repair it if it is yours; otherwise let EGRESSPLAY_LAB_DIR name a folder that only you can change", e.path, e.why)
}
