package steps

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// Logs shows a container's log, as kubectl logs does, but never a line from
// before the playbook began. The container may have ended, such as that of a
// Job, and may be an init container.
type Logs struct {
	In        Pod    `yaml:"in,scalar"`
	Container string `yaml:"container"`
	Namespace string `yaml:"namespace"`
	// Tail is how many lines are shown, the last ones; 0 shows all.
	Tail int64 `yaml:"tail"`

	latest bool // from the last command on, rather than from the playbook's begin
}

var (
	_ runner.Action = (*Logs)(nil)
	_ Defaulter     = (*Logs)(nil)
	_ Reader        = (*Logs)(nil)
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
		return &runner.FieldError{
			Err:  errors.New("no pod whose log is to be shown"),
			Hint: "write in: POD, in: deploy/NAME, in: job/NAME or in: {selector: LABELS}",
		}
	}
	if l.Tail < 0 {
		return &runner.FieldError{Field: []string{"tail"}, Err: fmt.Errorf("tail must be 0 or more lines, got %d", l.Tail)}
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

// Reads implements [Reader].
func (l *Logs) Reads() []cluster.Access {
	q := l.In.query(l.Namespace, l.Container)
	log := cluster.Access{Verb: "get", Ref: cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: l.Namespace, Name: q.Name}, Subresource: "log"}
	return append(cluster.PodReads(q), log)
}

// Repeats implements [runner.Action].
func (l *Logs) Repeats() bool { return true }

// Role implements [Looker].
func (l *Logs) Role() runner.Role { return runner.ReadsTraces }

// Try implements [runner.Action].
func (l *Logs) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	pod, err := ready(s.Cluster.LogPod(ctx, l.In.query(cmp.Or(l.Namespace, s.Namespace), l.Container)))
	if err != nil {
		return nil, err
	}
	since := began(s)
	if l.latest {
		since = lastRequest(s)
	}
	log, err := s.Cluster.Logs(ctx, cluster.LogRequest{
		Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container,
		Since: since, Tail: l.Tail, Timestamps: true,
	})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	text := cluster.Bounded{Max: maxOutput}
	if err := copySince(&text, log, since, pod.Container == mesh.Sidecar); err != nil {
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

// began returns when the playbook began by the clock of the cluster, which is
// taken to be that of its nodes. Where it is certain that this clock and this
// machine's do not agree, the latest time is returned that it can have been: a
// line from before must not be taken for one of the playbook.
func began(s *runner.Scope) time.Time { return onNodes(s, s.Started) }

// lastRequest returns when the last command began that may have made a request, by
// the clock of the nodes; when the playbook began where there was none.
func lastRequest(s *runner.Scope) time.Time {
	if s.LastCommand.IsZero() {
		return began(s)
	}
	return onNodes(s, s.LastCommand)
}

// onNodes returns a time of this machine's clock by the clock of the nodes.
func onNodes(s *runner.Scope, at time.Time) time.Time {
	least, most := s.Cluster.Ahead()
	if least <= 0 && most >= 0 {
		return at
	}
	return at.Add(most)
}

// copySince copies the lines of a log whose lines begin with the time at which
// they were written, without that time and without those from before since. In the
// log of a proxy it also leaves out those of earlier requests; what any other program
// writes in front of a line is its own word.
// The server itself counts by whole seconds.
func copySince(w io.Writer, log io.Reader, since time.Time, ofProxy bool) error {
	in := bufio.NewReaderSize(log, 64<<10)
	keep, begins := true, true
	for {
		part, err := in.ReadSlice('\n')
		ends := bytes.HasSuffix(part, []byte("\n"))
		if begins {
			if stamp, rest, ok := bytes.Cut(part, []byte(" ")); ok {
				if at, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil {
					part, keep = rest, !at.Before(since) && !(ofProxy && isOlder(rest, since))
				}
			}
		}
		if keep {
			w.Write(part)
		}
		begins = ends
		switch {
		case err == io.EOF:
			return nil
		case err != nil && err != bufio.ErrBufferFull:
			return err
		}
	}
}

// startOfRequest finds the time of a request in a line of Envoy's access log,
// as text or as JSON, in the formats that Istio sets.
var startOfRequest = regexp.MustCompile(`^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)\] |^\{.*"start_time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)"`)

// isOlder reports whether a line tells of a request from before since. A proxy
// writes such a line only when the request has ended, and up to some seconds
// later.
func isOlder(line []byte, since time.Time) bool {
	m := startOfRequest.FindSubmatch(line)
	if m == nil {
		return false
	}
	start, err := time.Parse(time.RFC3339Nano, string(m[1])+string(m[2]))
	return err == nil && start.Before(since.Truncate(time.Millisecond))
}
