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
	"path/filepath"
	"strings"
	"time"
)

// A lab runs playbooks in the running lab of the default name.
type lab struct {
	program string // the path of egressplay
	log     io.Writer
}

// cleanUpTime is how long egressplay may take to end after an interrupt.
const cleanUpTime = 2 * time.Minute

// start starts the lab unless it runs. Call stop in the end: it stops a lab
// that was started here.
func (l *lab) start(ctx context.Context) (stop func() error, err error) {
	out, err := l.command(ctx, "lab", "status", "-o", "json").Output()
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
	fmt.Fprintln(l.log, "starting the lab")
	if _, err := l.command(ctx, "lab", "up").Output(); err != nil {
		return nil, fmt.Errorf("start the lab: %w", withStderr(err))
	}
	return func() error {
		ctx := context.WithoutCancel(ctx) // an interrupt has ended it
		if _, err := l.command(ctx, "lab", "down").Output(); err != nil {
			return fmt.Errorf("stop the lab: %w", withStderr(err))
		}
		return nil
	}, nil
}

// command is an egressplay that is interrupted when ctx ends, and only then.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, l.program, args...)
	ownGroup(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = cleanUpTime
	return cmd
}

// withStderr adds the last line that a command wrote to what ended it.
func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// A run is how egressplay ran one playbook.
type run struct {
	exitCode int
	steps    []stepRun
	failed   *stepRun // the one that ended the run, nil for none
	reason   string   // why it did not pass, where no step says it
	took     time.Duration
}

// A stepRun is a step in the report of egressplay.
type stepRun struct {
	Index      int
	Title      string
	Line       int
	Status     string
	DurationMS int64
	ExitCode   *int
	Error      *string
}

func (s *stepRun) took() time.Duration { return time.Duration(s.DurationMS) * time.Millisecond }

// run runs the playbook NAME.yaml of texts, which are files by their paths in
// one folder.
func (l *lab) run(ctx context.Context, name string, texts map[string]string) (*run, error) {
	dir, err := os.MkdirTemp("", "egressplay-mutate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for path, text := range texts {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	report := filepath.Join(dir, "report.json")
	started := time.Now()
	out, err := l.command(ctx, "run", filepath.Join(dir, name+".yaml"), "--color", "never", "--report", "json="+report).CombinedOutput()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := &run{took: time.Since(started)}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.exitCode = exit.ExitCode()
	} else if err != nil {
		return nil, err
	}
	if err := r.read(report); err != nil {
		return nil, fmt.Errorf("%w, while egressplay said: %s", err, out)
	}
	return r, nil
}

// read takes what the report of a run of one playbook says.
func (r *run) read(report string) error {
	data, err := os.ReadFile(report)
	if err != nil {
		return err
	}
	var doc struct {
		Playbooks []struct {
			Error *string
			Steps []stepRun
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	if len(doc.Playbooks) != 1 {
		return fmt.Errorf("%s: a report of %d playbooks, not of one", report, len(doc.Playbooks))
	}
	p := doc.Playbooks[0]
	r.steps = p.Steps
	if p.Error != nil {
		r.reason = *p.Error
	}
	for i := range r.steps {
		if s := &r.steps[i]; s.Error != nil && (s.Status == "failed" || s.Status == "error") {
			r.failed, r.reason = s, oneLine(*s.Error)
		}
	}
	return nil
}

func oneLine(text string) string {
	return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), "; ")
}
