//go:build unix

package main

import (
	"os/exec"
	"os/signal"
	"syscall"
)

// ownGroup keeps the terminal's signals, such as that of Ctrl-C, from a child:
// it is to be there until the clean-up is done.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// outliveReaders makes writing to a pipe that nobody reads any more an error.
// Otherwise "egressplay run | head" would die before its clean-up.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }
