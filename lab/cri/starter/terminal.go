package starter

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenTerminal makes a terminal in the devpts of the calling thread's root, so that the
// terminal has a name there. Its slave belongs to uid.
func OpenTerminal(uid int) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("unlock the terminal: %w", err)
	}
	peer, err := openPeer(fd)
	if err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("open the terminal: %w", err)
	}
	slave = os.NewFile(uintptr(peer), "terminal")
	if master, err = Nonblocking(fd, "terminal"); err != nil {
		slave.Close()
		return nil, nil, err
	}
	if err := slave.Chown(uid, -1); err != nil {
		master.Close()
		slave.Close()
		return nil, nil, fmt.Errorf("give the terminal to user %d: %w", uid, err)
	}
	return master, slave, nil
}

// openPeer opens the slave of a terminal without its name (ioctl_tty(2)).
func openPeer(master int) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// Nonblocking makes a file from a descriptor. A read of it ends when the file is
// closed.
func Nonblocking(fd int, name string) (*os.File, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
