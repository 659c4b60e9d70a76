package cri

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// openTerminal makes a terminal in the devpts of the calling thread's root, so
// that it has a name there. Its slave belongs to uid.
func openTerminal(uid int) (master, slave *os.File, err error) {
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
	if master, err = nonblocking(fd, "terminal"); err != nil {
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

// resizeTerminal gives the terminal each size that comes, until no more do. A
// size for a terminal that is gone is dropped.
func resizeTerminal(terminal *os.File, sizes <-chan remotecommand.TerminalSize) {
	for size := range sizes {
		raw, err := terminal.SyscallConn()
		if err != nil {
			continue
		}
		raw.Control(func(fd uintptr) {
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
		})
	}
}

// openPeer opens the slave of a terminal, of whatever name (ioctl_tty(2)).
func openPeer(master int) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
