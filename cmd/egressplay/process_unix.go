//go:build unix

package main

import (
	"os"
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

// endings are the signals, other than SIGHUP, that end a program and that it can
// catch. Those of a fault in the program itself are not among them.
var endings = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGABRT}
