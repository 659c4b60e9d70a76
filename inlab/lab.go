package inlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A Lab is the running lab of the default name.
type Lab struct {
	Program string // the path of egressplay
	Log     io.Writer
}

// cleanUpTime is how long egressplay may take to end after an interrupt.
const cleanUpTime = 2 * time.Minute

// Start starts the lab unless it runs. Call stop at the end; it stops the lab if Start
// started it.
func (l *Lab) Start(ctx context.Context) (stop func() error, err error) {
	out, err := l.Command(ctx, "lab", "status", "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("look for the lab: %w", withStderr(err))
	}
	var status struct{ Ready bool }
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, fmt.Errorf("read the lab's status: %w", err)
	}
	if status.Ready {
		return func() error { return nil }, nil
	}
	fmt.Fprintln(l.Log, "starting the lab")
	if _, err := l.Command(ctx, "lab", "up").Output(); err != nil {
		return nil, fmt.Errorf("start the lab: %w", withStderr(err))
	}
	return func() error {
		ctx := context.WithoutCancel(ctx) // an interrupt has ended ctx
		if _, err := l.Command(ctx, "lab", "down").Output(); err != nil {
			return fmt.Errorf("stop the lab: %w", withStderr(err))
		}
		return nil
	}, nil
}

// Command returns a command of egressplay that is interrupted when ctx ends, and only
// then.
func (l *Lab) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.Program, args...)
	ownGroup(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = cleanUpTime
	return cmd
}

// Run runs egressplay run with the arguments args and its report in the file report. It
// returns the report with the exit code.
func (l *Lab) Run(ctx context.Context, report string, args ...string) (*Report, error) {
	args = append([]string{"run", "--color", "never", "--report", "json=" + report}, args...)
	out, err := l.Command(ctx, args...).CombinedOutput()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		return nil, err
	}
	r, err := ReadReport(report)
	if err != nil {
		return nil, fmt.Errorf("%w, while egressplay said: %s", err, out)
	}
	r.ExitCode = code
	return r, nil
}

// withStderr adds what a command wrote to stderr to its error.
func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
