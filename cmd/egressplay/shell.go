package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/egressplay/egressplay/cluster"
)

// shellGrace is how long a shell has to end when the run is interrupted.
const shellGrace = 5 * time.Second

// shell opens a shell at the terminal whose kubectl speaks to the run's cluster, and
// returns when it has ended. In a lab of this machine it is that of `lab shell`.
func (s *session) shell(ctx context.Context, p *place, namespace string) (failed error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("it needs a terminal, and stdin is none")
	}
	out := os.Stdout
	if !term.IsTerminal(int(out.Fd())) { // it takes a report
		out = os.Stderr
	}
	sh := exec.CommandContext(ctx, p.lab, "shell", "--name", p.target.Name)
	sh.Env = labEnv()
	if p.lab == "" {
		dir, err := os.MkdirTemp("", "egressplay-shell-")
		if err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, os.RemoveAll(dir)) }()
		config := filepath.Join(dir, "kubeconfig")
		if err := (cluster.Options{Context: s.o.context, Kubeconfig: s.o.kubeconfig}).WriteKubeconfig(config, namespace); err != nil {
			return err
		}
		sh = exec.CommandContext(ctx, cmp.Or(os.Getenv("SHELL"), os.Getenv("COMSPEC"), "/bin/sh"))
		sh.Env = append(os.Environ(), "KUBECONFIG="+config)
		fmt.Fprintf(out, "kubectl speaks to %s, namespace %s; leave with exit\n", p.target.Describe, namespace)
	}
	sh.Stdin, sh.Stdout, sh.Stderr = os.Stdin, out, os.Stderr
	sh.Cancel = func() error { return sh.Process.Signal(syscall.SIGHUP) }
	sh.WaitDelay = shellGrace
	err := sh.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.Exited() || ctx.Err() != nil {
		return nil // its exit code is that of its last command
	}
	return err
}
