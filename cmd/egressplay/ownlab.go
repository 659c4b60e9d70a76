package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	labStartTimeout = 5 * time.Minute
	labStopTimeout  = 30 * time.Second
)

// An ownLab is a lab that is there for one run. It lives in a child process
// until its stdin is closed, which also happens when this process is killed.
type ownLab struct {
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed when the process is gone
	err   error         // how it went; valid after done
	said  lastBytes     // on its stderr
}

// startLab starts a lab and returns its kubeconfig once it is ready. progress is
// told what is being started. When the error is not nil nothing runs.
func startLab(ctx context.Context, program string, progress func(what string)) (lab *ownLab, kubeconfig string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, labStartTimeout, fmt.Errorf("the lab was not ready within %v", labStartTimeout))
	defer cancel()

	ready := make(chan string, 1)
	var starting components
	up := false
	lab = &ownLab{done: make(chan struct{})}
	lab.cmd = exec.Command(program, "serve", "--name", fmt.Sprintf("run-%d", os.Getpid()))
	lab.cmd.Env = labEnv()
	lab.cmd.Stderr = &lab.said
	lab.cmd.Stdout = &lineWriter{line: func(line []byte) {
		var e labEvent
		switch {
		case up || json.Unmarshal(line, &e) != nil: // not for us
		case e.Ready:
			up = true
			ready <- e.Kubeconfig
		case e.Component != "":
			starting.note(e)
			progress(strings.Join(starting, ", "))
		}
	}}
	lab.cmd.WaitDelay = time.Second // for what the lab's processes may still hold open
	ownGroup(lab.cmd)
	if lab.stdin, err = lab.cmd.StdinPipe(); err != nil {
		return nil, "", fmt.Errorf("start the lab: %w", err)
	}
	if err := lab.cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start the lab: %w", err)
	}
	go func() {
		defer close(lab.done)
		lab.err = lab.cmd.Wait()
	}()

	select {
	case kubeconfig := <-ready:
		return lab, kubeconfig, nil
	case <-lab.done:
		return nil, "", lab.failure("the lab did not start")
	case <-ctx.Done():
		return nil, "", errors.Join(context.Cause(ctx), lab.stop())
	}
}

// A labEvent is a line that egressplay-lab serve prints.
type labEvent struct {
	Component  string `json:"component"`
	State      string `json:"state"`
	Ready      bool   `json:"ready"` // of the whole lab
	Kubeconfig string `json:"kubeconfig"`
}

// components are those that have been started and are not ready yet.
type components []string

func (cs *components) note(e labEvent) {
	i := slices.Index(*cs, e.Component)
	switch {
	case e.State == "starting" && i < 0:
		*cs = append(*cs, e.Component)
	case e.State != "starting" && i >= 0:
		*cs = slices.Delete(*cs, i, i+1)
	}
}

// stop takes the lab down and waits until it is gone.
func (l *ownLab) stop() error {
	// If the pipe is gone already, the exit of the process says why.
	_ = l.stdin.Close()
	late := time.NewTimer(labStopTimeout)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
		err := fmt.Errorf("the lab did not go within %v and was killed", labStopTimeout)
		return errors.Join(err, l.cmd.Process.Kill())
	}
	if l.err != nil && !errors.Is(l.err, exec.ErrWaitDelay) {
		return l.failure("the lab did not go well")
	}
	return nil
}

// failure returns how the lab's process ended, in its own words.
func (l *ownLab) failure(what string) error {
	return fmt.Errorf("%s: %w", what, l.said.or(l.err))
}

// A lineWriter hands on what is written to it line by line.
type lineWriter struct {
	rest []byte
	line func([]byte)
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.line(line)
		w.rest = rest
	}
}

// lastBytes keeps the last few KiB that are written to it.
type lastBytes []byte

func (b *lastBytes) Write(p []byte) (int, error) {
	const most = 8 << 10
	*b = append(*b, p...)
	if extra := len(*b) - most; extra > 0 {
		*b = (*b)[extra:]
	}
	return len(p), nil
}
