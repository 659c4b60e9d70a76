//go:build unix

package inlab

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's signals from a child, so that Ctrl-C reaches it
// once: a second one would keep it from cleaning up.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
