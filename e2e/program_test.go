//go:build lab

package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds each run of a program, and each wait for something that is to
// happen. Nothing is expected to take that long.
const patience = 2 * time.Minute

// environment is that of the programs: without what the user of these tests has
// set for egressplay and kubectl, and of a job that runs them.
func environment(dir string) []string {
	var env []string
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "EGRESSPLAY_") || strings.HasPrefix(v, "KUBECONFIG=") || strings.HasPrefix(v, "GITHUB_") {
			continue
		}
		env = append(env, v)
	}
	return append(env, "EGRESSPLAY_LAB_DIR="+dir)
}

// command returns a command of ours, with the run folder of the tests' labs.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
	cmd.Env = environment(labDir)
	cmd.WaitDelay = 10 * time.Second // for what a child may hold open
	return cmd
}

// ended is how a program ended.
type ended struct {
	code           int // 128 + the signal where one killed it
	stdout, stderr string
}

// egressplay runs egressplay to its end.
func egressplay(t *testing.T, args ...string) ended {
	t.Helper()
	return begin(t, args...).wait()
}

// A process is a running egressplay.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout output
	stderr output
	done   chan struct{}
	err    error // valid after done
}

// begin starts egressplay.
func begin(t *testing.T, args ...string) *process {
	t.Helper()
	return beginWith(t, nil, args...)
}

// beginWith starts egressplay with more in its environment.
func beginWith(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := newProcess(t, args...)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.start()
	return p
}

// beginTo starts egressplay with another stdout and stderr.
func beginTo(t *testing.T, stdout, stderr io.Writer, args ...string) *process {
	t.Helper()
	p := newProcess(t, args...)
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.start()
	return p
}

func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{})}
	p.cmd = command(context.Background(), "egressplay", args...)
	p.cmd.Dir = t.TempDir() // no file there wins over a built-in playbook
	return p
}

// start starts it. If the test ends before it does it is told to clean up and end.
func (p *process) start() {
	t := p.t
	t.Helper()
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		// An error means that it has ended.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})
}

// await waits until the transcript has a text.
func (p *process) await(text string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		select {
		case <-p.done:
			return true
		default:
			return strings.Contains(p.stdout.String(), text)
		}
	}, "no %q in the transcript", text)
	require.Contains(p.t, p.stdout.String(), text, "stderr: %s", p.stderr.String())
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s), "%s%s", p.stdout.String(), p.stderr.String())
}

// wait waits for the end.
func (p *process) wait() ended {
	p.t.Helper()
	return p.waitFor(patience)
}

// waitFor waits for an end that may take longer.
func (p *process) waitFor(most time.Duration) ended {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(most):
		require.Fail(p.t, "egressplay did not end", "after %v: %s\n%s%s", most, p.cmd, p.stdout.String(), p.stderr.String())
	}
	e := ended{stdout: p.stdout.String(), stderr: p.stderr.String()}
	exit, ok := errors.AsType[*exec.ExitError](p.err)
	switch {
	case ok && exit.ExitCode() >= 0:
		e.code = exit.ExitCode()
	case ok:
		e.code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
	default:
		require.NoError(p.t, p.err)
	}
	return e
}

// exits asserts the exit code, and shows what the program said where it is
// another one.
func (e ended) exits(t *testing.T, code int) {
	t.Helper()
	require.Equal(t, code, e.code, "the exit code of\n%s%s", e.stdout, e.stderr)
}

// An output is written by a process and read by a test.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// eventually waits until something holds.
func eventually(t *testing.T, holds func() bool, what string, args ...any) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-late.C:
			require.Failf(t, "it did not come about", what, args...)
		case <-tick.C:
		}
	}
}
