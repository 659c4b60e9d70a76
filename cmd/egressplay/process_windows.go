package main

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup keeps the console's signals, such as that of Ctrl-C, from a child: it
// is to be there until the clean-up is done.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// outliveReaders has nothing to do: here writing to a pipe that nobody reads any
// more is an error anyway.
func outliveReaders() {}

// endings are the signals, other than SIGHUP, that end a program and that it can
// catch: Ctrl-C, and the end of the console or of the session.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM}
