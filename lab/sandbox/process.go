package sandbox

import (
	"os"
	"os/exec"
)

// Process is the first process of a lab, seen from outside.
type Process struct {
	Pid int // in the caller's pid namespace

	cmd *exec.Cmd
}

// Wait waits until the lab has ended and everything in it is gone. Call it at most
// once; its error is that of [exec.Cmd.Wait].
func (p *Process) Wait() error { return p.cmd.Wait() }

// Signal sends a signal, which the init passes on to the lab.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill has the kernel end the lab and everything in it at once.
func (p *Process) Kill() error { return p.cmd.Process.Kill() }
