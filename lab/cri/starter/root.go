package starter

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// The root of a container is a tmpfs, so everything it writes disappears with it:
//
//	/usr          the machine's, read-only; or an overlay of the image's layers
//	              over it, whose changes go to a second tmpfs
//	/usr/local    empty, or the image's: what the machine has installed there is
//	              no part of an image
//	/bin, ...     links into /usr, as the machine has them
//	/etc          a few files that are the same on every machine; see etc.go
//	/dev          null, zero, full, random, urandom and tty of the machine; a
//	              devpts of its own; /dev/shm of the pod
//	/proc, /sys   of its own pid and network namespace, /sys read-only
//	other         empty folders that programs expect
//
// and then the image's files and the pod's mounts. Everything but the devices is
// mounted nodev: a container that makes a device node cannot use it.
//
// An image with a root file system of its own is different: rootfs.go.

// buildRoot makes the container's root in sp.Root, as seen from the machine's.
func (sp *Spec) buildRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	steps := []func() error{
		sp.emptyRoot, sp.layers, sp.usr, sp.folders, sp.etc, sp.dev, sp.kernelFiles, sp.imageFiles, sp.podMounts,
	}
	if sp.RootFS != "" {
		steps = []func() error{sp.ownRoot, sp.ownEtc, sp.dev, sp.kernelFiles, sp.podMounts}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (sp *Spec) emptyRoot() error { return tmpfs(sp.Root, "mode=755") }

func tmpfs(dir, options string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount a tmpfs at %s: %w", dir, err)
	}
	return nil
}

// bind mounts a file or folder of the machine at target, with what is mounted
// below it: a bind without MS_REC is refused in a user namespace.
func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

// setMount adds attributes to a mount and leaves the others as they are: in a user
// namespace, the kernel refuses to change them.
func setMount(target string, attributes uint64, recursive bool) error {
	flags := uint(0)
	if recursive {
		flags = unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, target, flags, &unix.MountAttr{Attr_set: attributes}); err != nil {
		return fmt.Errorf("set what %s is mounted with: %w", target, err)
	}
	return nil
}

// layers makes the top folders of the image's layers: usr over the machine's /usr, the
// others over nothing.
func (sp *Spec) layers() error {
	lower := map[string][]string{} // by path in the container
	for _, layer := range sp.Layers {
		entries, err := os.ReadDir(layer)
		if err != nil {
			return fmt.Errorf("layer of the image: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() { // the machine's links bin, lib, ... replace those of a layer
				lower[e.Name()] = append(lower[e.Name()], filepath.Join(layer, e.Name()))
			}
		}
		if local := filepath.Join(layer, "usr/local"); isDir(local) {
			lower["usr/local"] = append(lower["usr/local"], local)
		}
	}
	if len(lower) == 0 {
		return nil
	}
	if err := tmpfs(sp.Scratch, "mode=755"); err != nil {
		return err
	}
	if len(lower["usr"]) > 0 {
		lower["usr"] = append(lower["usr"], "/usr")
	}
	for i, name := range slices.Sorted(maps.Keys(lower)) { // usr before usr/local
		if err := sp.overlay(filepath.Join(sp.Root, name), fmt.Sprint(i), lower[name]); err != nil {
			return err
		}
		sp.overlays = append(sp.overlays, "/"+name)
	}
	return nil
}

// overlay mounts folders at target, the first on top. Changes go to a folder in
// scratch.
func (sp *Spec) overlay(target, scratch string, lower []string) error {
	upper := filepath.Join(sp.Scratch, scratch, "upper")
	work := filepath.Join(sp.Scratch, scratch, "work")
	for _, dir := range []string{upper, work, target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", target, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("lay the image over %s (%s): %w", target, options, err)
	}
	return nil
}

// usr makes /usr from the machine's if no layer did, hides the machine's /usr/local,
// and makes the links that lead into /usr.
func (sp *Spec) usr() error {
	target := filepath.Join(sp.Root, "usr")
	if !slices.Contains(sp.overlays, "/usr") {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := bind("/usr", target); err != nil {
			return err
		}
		if err := setMount(target, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV, true); err != nil {
			return err
		}
	}
	local := filepath.Join(target, "local")
	if !slices.Contains(sp.overlays, "/usr/local") && isDir(local) {
		if err := tmpfs(local, "mode=755"); err != nil {
			return err
		}
		sp.overlays = append(sp.overlays, "/usr/local")
		for _, dir := range []string{"bin", "sbin", "lib", "share", "etc"} {
			if err := os.Mkdir(filepath.Join(local, dir), 0o755); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		target := filepath.Join(sp.Root, name)
		if link, err := os.Readlink("/" + name); err == nil {
			if err := os.Symlink(link, target); err != nil {
				return err
			}
		} else if isDir("/" + name) { // a machine whose /usr is not merged
			if err := os.Mkdir(target, 0o755); err != nil {
				return err
			}
			if err := bind("/"+name, target); err != nil {
				return err
			}
			if err := setMount(target, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// folders makes the folders that programs expect and those that the image wants.
func (sp *Spec) folders() error {
	dirs := []Dir{
		{Path: "/dev", Mode: 0o755}, {Path: "/proc", Mode: 0o555}, {Path: "/sys", Mode: 0o555},
		{Path: "/etc", Mode: 0o755}, {Path: "/home", Mode: 0o755}, {Path: "/media", Mode: 0o755},
		{Path: "/mnt", Mode: 0o755}, {Path: "/opt", Mode: 0o755}, {Path: "/root", Mode: 0o700},
		{Path: "/run", Mode: 0o755}, {Path: "/run/lock", Mode: 0o777 | fs.ModeSticky}, {Path: "/srv", Mode: 0o755},
		{Path: "/tmp", Mode: 0o777 | fs.ModeSticky}, {Path: "/var/cache", Mode: 0o755},
		{Path: "/var/lib", Mode: 0o755}, {Path: "/var/log", Mode: 0o755}, {Path: "/var/spool", Mode: 0o755},
		{Path: "/var/tmp", Mode: 0o777 | fs.ModeSticky},
	}
	links := map[string]string{"/var/run": "/run", "/var/lock": "/run/lock"}
	maps.Copy(links, sp.Links)
	for _, d := range append(dirs, sp.Dirs...) {
		target, err := securejoin.SecureJoin(sp.Root, d.Path)
		if err != nil {
			return fmt.Errorf("folder %s: %w", d.Path, err)
		}
		err = os.MkdirAll(target, 0o755)
		if err == nil {
			err = os.Lchown(target, int(d.UID), int(d.GID))
		}
		if err == nil {
			err = os.Chmod(target, d.Mode)
		}
		if err != nil {
			return fmt.Errorf("folder %s: %w", d.Path, err)
		}
	}
	for _, link := range slices.Sorted(maps.Keys(links)) {
		target, err := sp.parentOf(link)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(target); err != nil {
			return fmt.Errorf("link %s: %w", link, err)
		}
		if err := os.Symlink(links[link], target); err != nil {
			return fmt.Errorf("link %s: %w", link, err)
		}
	}
	return nil
}

// parentOf returns the path of a file of the container as seen from the machine, and
// makes the folder that it is in. If the file itself is a link, it is not followed.
func (sp *Spec) parentOf(path string) (string, error) {
	dir, err := securejoin.SecureJoin(sp.Root, filepath.Dir(path))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("folder of %s: %w", path, err)
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// dev makes /dev. Devices are mounted from the machine's /dev, because an ordinary user
// may not make device nodes.
func (sp *Spec) dev() error {
	dev := filepath.Join(sp.Root, "dev")
	if err := tmpfs(dev, "mode=755"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		target := filepath.Join(dev, name)
		if err := os.WriteFile(target, nil, 0o666); err != nil {
			return err
		}
		if err := bind("/dev/"+name, target); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	pts, shm := filepath.Join(dev, "pts"), filepath.Join(dev, "shm")
	for _, dir := range []string{pts, shm} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("devpts", pts, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	return bind(sp.Shm, shm)
}

// kernelFiles mounts /proc and /sys. If part of the machine's /sys is hidden, as inside
// another container, the kernel allows no new mount of /sys: then the container gets
// the lab's, which shows the lab's network interfaces.
func (sp *Spec) kernelFiles() error {
	proc, sys := filepath.Join(sp.Root, "proc"), filepath.Join(sp.Root, "sys")
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", proc, "proc", flags, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	err := unix.Mount("sysfs", sys, "sysfs", flags, "")
	if errors.Is(err, unix.EPERM) {
		err = bind("/sys", sys)
	}
	if err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	return setMount(sys, unix.MOUNT_ATTR_RDONLY, true)
}

// imageFiles mounts the single files of the image.
func (sp *Spec) imageFiles() error {
	for _, to := range slices.Sorted(maps.Keys(sp.Files)) {
		if err := sp.mount(Mount{From: sp.Files[to], To: to, Readonly: true}); err != nil {
			return err
		}
	}
	return nil
}

// podMounts mounts what the kubelet asked for in the container.
func (sp *Spec) podMounts() error {
	for _, m := range sp.Mounts {
		if err := sp.mount(m); err != nil {
			return err
		}
	}
	return nil
}

// mount mounts a file or folder of the machine. Links in the container's part of
// the path are followed within its root.
func (sp *Spec) mount(m Mount) error {
	info, err := os.Stat(m.From)
	if err != nil {
		return fmt.Errorf("mount at %s: %w", m.To, err)
	}
	target, err := securejoin.SecureJoin(sp.Root, m.To)
	if err != nil {
		return fmt.Errorf("mount at %s: %w", m.To, err)
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		err = touch(target)
	}
	if err != nil {
		return fmt.Errorf("make the place of the mount at %s: %w", m.To, err)
	}
	if err := unix.Mount(m.From, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount at %s: %w", m.To, err)
	}
	attributes := uint64(unix.MOUNT_ATTR_NODEV)
	if m.Readonly {
		attributes |= unix.MOUNT_ATTR_RDONLY
	}
	return setMount(target, attributes, m.Recursive)
}

// touch makes an empty file if nothing has that name. It succeeds for a name that
// exists even if the file cannot be written.
func touch(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// enterRoot makes root the root of this mount namespace and unmounts the machine's
// (pivot_root(2), "pivot_root(".", ".")").
func enterRoot(root string) error {
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the machine's root: %w", err)
	}
	return os.Chdir("/")
}

// finishRoot hides what a container may not see and makes read-only what it may not
// write. It works from inside the new root.
func (sp *Spec) finishRoot() error {
	for _, path := range sp.ReadonlyPaths {
		if err := bind(path, path); errors.Is(err, unix.ENOENT) {
			continue
		} else if err != nil {
			return err
		}
		if err := setMount(path, unix.MOUNT_ATTR_RDONLY, true); err != nil {
			return err
		}
	}
	for _, path := range sp.MaskedPaths {
		if err := mask(path); err != nil {
			return fmt.Errorf("hide %s: %w", path, err)
		}
	}
	if sp.ReadonlyRoot {
		for _, path := range append([]string{"/"}, sp.overlays...) {
			if err := setMount(path, unix.MOUNT_ATTR_RDONLY, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// mask puts an empty file or folder over what is at path.
func mask(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	return unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
