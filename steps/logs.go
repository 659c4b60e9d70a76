package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Logs shows a container's log, as kubectl logs does, but never a line from
// before the playbook began.
type Logs struct {
	In        Pod    `yaml:"in,scalar"`
	Container string `yaml:"container"`
	Namespace string `yaml:"namespace"`
	// Tail is how many lines are shown, the last ones; 0 shows all.
	Tail int64 `yaml:"tail"`
}

var (
	_ runner.Action = (*Logs)(nil)
	_ Defaulter     = (*Logs)(nil)
	_ Validator     = (*Logs)(nil)
)

// SetDefaults implements [Defaulter].
func (l *Logs) SetDefaults(d Defaults) {
	if l.In.IsZero() {
		l.In.Name = d.In
	}
	l.Namespace = cmp.Or(l.Namespace, d.Namespace)
}

// Validate implements [Validator].
func (l *Logs) Validate() error {
	if l.In.IsZero() {
		return &runner.FieldError{Err: errors.New("no pod whose log is to be shown"), Hint: "write in: POD, in: deploy/NAME or in: {selector: LABELS}"}
	}
	if l.Tail < 0 {
		return &runner.FieldError{Field: []string{"tail"}, Err: fmt.Errorf("tail is a number of lines, %d is none", l.Tail)}
	}
	return nil
}

// Command implements [runner.Action].
func (l *Logs) Command(s *runner.Scope) string {
	var rest []string
	if l.Container != "" {
		rest = append(rest, "-c", l.Container)
	}
	if l.Tail > 0 {
		rest = append(rest, fmt.Sprintf("--tail=%d", l.Tail))
	}
	return l.In.command(cmp.Or(l.Namespace, s.Namespace), []string{"logs"}, rest...)
}

// Repeats implements [runner.Action].
func (l *Logs) Repeats() bool { return true }

// Try implements [runner.Action].
func (l *Logs) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	pod, err := ready(s.Cluster.Pod(ctx, l.In.query(cmp.Or(l.Namespace, s.Namespace), l.Container)))
	if err != nil {
		return nil, err
	}
	log, err := s.Cluster.Logs(ctx, cluster.LogRequest{
		Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container,
		Since: s.Started, Tail: l.Tail,
	})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	text := cluster.Bounded{Max: maxOutput}
	if _, err := io.Copy(&text, log); err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", pod.Name, err)
	}
	return &evidence.Attempt{
		Command: &evidence.Command{
			Pod:    evidence.Pod{Namespace: pod.Namespace, Name: pod.Name, IP: pod.IP, Container: pod.Container},
			Stdout: text.String(), Truncated: text.Truncated,
		},
		Text: text.String(),
	}, nil
}
