package cri

import (
	"os"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// resizeTerminal sets the terminal to each size that comes, until sizes is closed. A
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
