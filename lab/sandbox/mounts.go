package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mountAll mounts in this mount namespace what a lab must not share with the machine,
// and makes all other files of the machine read-only, so that no component writes to
// its usual place, such as the kubelet to /var/log/containers, which no setting changes
// and which an ordinary user may not make. The folders to keep stay where they were and
// can be written.
func mountAll(keep []string) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	kept, err := holdAll(keep) // before other mounts hide them
	if err != nil {
		return err
	}
	defer kept.close()
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := setMount("/", unix.AT_RECURSIVE, unix.MOUNT_ATTR_RDONLY, 0); err != nil {
		return err
	}
	if err := mountProc("/proc"); err != nil {
		return err
	}
	for _, m := range []struct {
		kind, target string
		flags        uintptr
		data         string
	}{
		{"tmpfs", "/run", unix.MS_NODEV, "mode=755"}, // iptables locks /run/xtables.lock, ip(8) names network namespaces in /run/netns
		{"tmpfs", "/var/log", unix.MS_NODEV, "mode=755"},
		{"tmpfs", "/dev/shm", unix.MS_NODEV, "mode=1777"},
		{"devpts", "/dev/pts", unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
	} {
		if err := mount(m.kind, m.target, m.kind, unix.MS_NOSUID|m.flags, m.data); err != nil {
			return err
		}
	}
	if err := mount("/dev/pts/ptmx", "/dev/ptmx", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := kept.bindBack(); err != nil {
		return err
	}
	return os.Chdir(dir) // the same folder by its name, which may now be a new mount
}

// mountProc mounts a new proc file system on target, for the caller's pid
// namespace. The files that act on the machine as a whole are read-only, because in a
// lab run by root they would do so: the sysctls except net, which belong to the network
// namespace, and what container engines protect (see the field ReadonlyPaths in
// github.com/moby/moby daemon/pkg/oci/defaults.go).
func mountProc(target string) error {
	if err := mount("proc", target, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	for _, name := range []string{"bus", "fs", "irq", "sys", "sysrq-trigger"} {
		path := filepath.Join(target, name)
		err := mount(path, path, "", unix.MS_BIND, "")
		if errors.Is(err, os.ErrNotExist) { // this kernel does not have it
			continue
		}
		if err != nil {
			return err
		}
		if err := setMount(path, 0, unix.MOUNT_ATTR_RDONLY, 0); err != nil {
			return err
		}
	}
	net := filepath.Join(target, "sys/net")
	if err := mount(net, net, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return setMount(net, 0, 0, unix.MOUNT_ATTR_RDONLY)
}

// held are folders that are kept open, so that they stay reachable while others are
// mounted over their path.
type held []*os.File

func holdAll(paths []string) (held, error) {
	var h held
	for _, path := range paths {
		real, err := filepath.EvalSymlinks(path) // else the way back might lead through a hidden link
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep %s: %w", path, err), h.close())
		}
		f, err := os.OpenFile(real, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		h = append(h, f)
	}
	return h, nil
}

// bindBack mounts each folder where it was, writable. Programs may run from
// there, even if the machine forbids it: Debian mounts /run noexec.
func (h held) bindBack() error {
	for _, f := range h {
		if err := os.MkdirAll(f.Name(), 0o755); err != nil {
			return err
		}
		source := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
		if err := mount(source, f.Name(), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := setMount(f.Name(), 0, 0, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOEXEC); err != nil {
			return fmt.Errorf("let programs write to the run folder and run from it: %w", err)
		}
	}
	return nil
}

func (h held) close() error {
	var errs []error
	for _, f := range h {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// setMount sets and clears attributes of a mount, not of its file system, and
// leaves the others as they are; with AT_RECURSIVE also those of all mounts
// beneath. It needs Linux 5.12.
func setMount(path string, flags uint, set, clear uint64) error {
	err := unix.MountSetattr(unix.AT_FDCWD, path, flags, &unix.MountAttr{Attr_set: set, Attr_clr: clear})
	if errors.Is(err, unix.ENOSYS) {
		err = errors.New("the kernel is too old, a lab needs Linux 5.12 or newer")
	}
	if err != nil {
		return fmt.Errorf("set what %s is mounted with: %w", path, err)
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return &os.PathError{Op: "mount", Path: target, Err: err}
	}
	return nil
}
