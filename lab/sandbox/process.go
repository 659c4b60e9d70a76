package sandbox

import (
	"os"
	"os/exec"
)

// Process is the first process of a lab, seen from outside.
type Process struct {
	Pid int // as the caller's machine counts

	cmd *exec.Cmd
}

// Wait waits until the lab has ended and everything in it is gone. It must be
// called once at most; its error is that of [exec.Cmd.Wait].
func (p *Process) Wait() error { return p.cmd.Wait() }

// Signal sends a signal, which the init hands on to the lab.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the lab and everything in it at once, by the kernel.
func (p *Process) Kill() error { return p.cmd.Process.Kill() }
