package expect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// Log are the lines that the sidecar's access log has for the requests of a
// curl command, in order: as many as are listed, and an empty list for none.
// A line is known to be the command's by the address from which curl made its
// connection, which is the line's DOWNSTREAM_REMOTE_ADDRESS.
type Log []LogLine

// A LogLine is what a line of the access log is to be like, by field. What it
// does not state may be anything. A field that the line has not is "-".
type LogLine struct {
	Method       *Value `yaml:"method"`
	Path         *Value `yaml:"path"`
	Protocol     *Value `yaml:"protocol"`
	Status       *int   `yaml:"status"` // 0 for a connection that is no HTTP
	Flags        *Value `yaml:"flags"`  // response flags, joined by commas
	Details      *Value `yaml:"details"`
	Authority    *Value `yaml:"authority"`
	Cluster      *Value `yaml:"cluster"` // upstream cluster
	UpstreamHost *Value `yaml:"upstreamHost"`
	SNI          *Value `yaml:"sni"`
	Route        *Value `yaml:"route"`
}

var _ runner.Watcher = (*Log)(nil)

const (
	// patience is how long a line of the access log may take: Envoy writes
	// what it has gathered once a second unless told otherwise (Envoy's
	// option --file-flush-interval-msec).
	patience = 4 * time.Second
	// slack is how much earlier than the attempt the log is read from: its
	// server counts by the second, with a clock of its own.
	slack = 3 * time.Second
)

// Validate says what is wrong with the expectation.
func (e *LogLine) Validate() error {
	for _, f := range e.fields() {
		if *f.want != nil {
			return nil
		}
	}
	if e.Status == nil {
		return &runner.FieldError{Err: errors.New("nothing is expected of the line"), Hint: "write cluster, status, flags, ..., or log: [] for no line"}
	}
	return nil
}

// Check implements [runner.Expectation]; what the observation itself shows is
// not enough to judge.
func (e *Log) Check(*runner.Observation) error {
	return errors.New("the access log was not watched")
}

// Watch implements [runner.Watcher].
func (e *Log) Watch(_ context.Context, s *runner.Scope, _ runner.Action) (func(context.Context, *runner.Observation) error, error) {
	return func(ctx context.Context, o *runner.Observation) error { return e.judge(ctx, s.Cluster, o) }, nil
}

func (e *Log) judge(ctx context.Context, c cluster.Interface, o *runner.Observation) error {
	if err := traceable(o); err != nil {
		return err
	}
	if len(*e) == 0 {
		return e.judgeAbsence(ctx, c, o)
	}
	lines, _, err := e.read(ctx, c, o, "")
	if err != nil {
		return err
	}
	if len(lines) != len(*e) {
		got := fmt.Sprintf("%d", len(lines))
		if len(lines) == 0 {
			got = fmt.Sprintf("none within %v (is meshConfig.accessLogFile set?)", patience)
		}
		return e.miscounted(got, lines)
	}
	var ms runner.Mismatches
	for i := range lines {
		what := "access log"
		if len(lines) > 1 {
			what = fmt.Sprintf("access log, line %d", i+1)
		}
		ms = append(ms, (*e)[i].check(what, &lines[i])...)
	}
	return orNil(ms)
}

// judgeAbsence judges that there is no line: the line of a later request has
// come, and the log has all that was written since the attempt began.
func (e *Log) judgeAbsence(ctx context.Context, c cluster.Interface, o *runner.Observation) error {
	address, err := laterRequest(ctx, c, o.Pod)
	if err != nil {
		return err
	}
	answered := time.Now()
	lines, later, err := e.read(ctx, c, o, address)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		return e.miscounted(strconv.Itoa(len(lines)), lines)
	}
	if later == nil {
		return fmt.Errorf("whether the sidecar logged the request cannot be told: the line of a later one has not come within %v", patience)
	}
	begins, err := mesh.LogBegins(ctx, c, *o.Pod)
	if err != nil {
		return unread(o.Pod.Name, err)
	}
	// The node's clock is at least so much ahead of this machine's.
	ahead := later.Start.Sub(answered)
	if !begins.Before(o.Started.Add(ahead)) {
		return runner.Retryable(errors.New("whether the sidecar logged the request cannot be told: its log begins only after it, because the sidecar was started anew or its log was rotated"))
	}
	return nil
}

// miscounted says that there are not as many lines as are expected.
func (e *Log) miscounted(got string, lines []mesh.Entry) error {
	for _, line := range lines {
		got += "\n" + line.Line
	}
	want := fmt.Sprintf("%d lines of this request", len(*e))
	switch len(*e) {
	case 0:
		want = "no line of this request"
	case 1:
		want = "one line of this request"
	}
	return &runner.Mismatch{What: "access log", Want: want, Got: got}
}

// read reads the lines of the attempt: as many as are expected, or with until
// all that come before the line of the request from that address, later.
func (e *Log) read(ctx context.Context, c cluster.Interface, o *runner.Observation, until string) (lines []mesh.Entry, later *mesh.Entry, err error) {
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for entry, err := range mesh.Entries(reading, c, *o.Pod, o.Started.Add(-slack)) {
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case reading.Err() != nil:
			return lines, nil, nil
		case err != nil:
			return nil, nil, unread(o.Pod.Name, err)
		case until != "" && entry.DownstreamRemote == until:
			return lines, &entry, nil
		case ours(&entry, o):
			lines = append(lines, entry)
			if until == "" && len(lines) == len(*e) {
				return lines, nil, nil
			}
		}
	}
	return lines, nil, context.Cause(ctx)
}

// unread is the error of an access log that could not be read. One that breaks
// off in the middle can be read again, after another request.
func unread(pod string, err error) error {
	err = fmt.Errorf("read the access log of %s: %w", pod, err)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return runner.Retryable(err)
	}
	return err
}

// ours says whether a line is of one of the attempt's requests. curl tells the
// address of its last connection only: where it followed redirects, those
// before are known by the pod's address and by the time.
func ours(entry *mesh.Entry, o *runner.Observation) bool {
	if entry.DownstreamRemote == o.LocalAddr {
		return true
	}
	if o.Redirects == 0 {
		return false
	}
	theirs, _, _ := net.SplitHostPort(entry.DownstreamRemote)
	mine, _, _ := net.SplitHostPort(o.LocalAddr)
	// The log's times have milliseconds.
	return theirs == mine && !entry.Start.Before(o.Started.Truncate(time.Millisecond)) && !entry.Start.After(o.Ended)
}

// laterRequest makes a request to the API server's service, which a sidecar
// sees whichever addresses outside the mesh it leaves alone, and returns the
// address that it came from.
func laterRequest(ctx context.Context, c cluster.Interface, pod *cluster.Pod) (string, error) {
	out := cluster.Bounded{Max: 1 << 10}
	argv := []string{"curl", "-sk", "-o", "/dev/null", "-m", "5", "-w", "%{local_ip} %{local_port}", "https://kubernetes.default.svc/version"}
	result, err := c.Exec(ctx, cluster.ExecRequest{Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container, Command: argv, Stdout: &out})
	if err != nil {
		return "", fmt.Errorf("make a later request: %w", err)
	}
	ip, port, _ := strings.Cut(out.String(), " ")
	if result.ExitCode != 0 || port == "" || port == "0" {
		return "", fmt.Errorf("make a later request, to see what the access log has before it: curl ended with exit code %d", result.ExitCode)
	}
	return net.JoinHostPort(ip, port), nil
}

type logField struct {
	name string
	want **Value
	got  func(*mesh.Entry) string
}

func (e *LogLine) fields() []logField {
	return []logField{
		{"method", &e.Method, func(l *mesh.Entry) string { return l.Method }},
		{"path", &e.Path, func(l *mesh.Entry) string { return l.Path }},
		{"protocol", &e.Protocol, func(l *mesh.Entry) string { return l.Protocol }},
		{"flags", &e.Flags, func(l *mesh.Entry) string { return strings.Join(l.Flags, ",") }},
		{"details", &e.Details, func(l *mesh.Entry) string { return l.Details }},
		{"authority", &e.Authority, func(l *mesh.Entry) string { return l.Authority }},
		{"cluster", &e.Cluster, func(l *mesh.Entry) string { return l.Cluster }},
		{"upstreamHost", &e.UpstreamHost, func(l *mesh.Entry) string { return l.UpstreamHost }},
		{"sni", &e.SNI, func(l *mesh.Entry) string { return l.SNI }},
		{"route", &e.Route, func(l *mesh.Entry) string { return l.Route }},
	}
}

func (e *LogLine) check(what string, line *mesh.Entry) (ms runner.Mismatches) {
	if e.Status != nil && *e.Status != line.Status {
		ms = append(ms, &runner.Mismatch{What: what + ": status", Want: strconv.Itoa(*e.Status), Got: strconv.Itoa(line.Status)})
	}
	for _, f := range e.fields() {
		if *f.want == nil {
			continue
		}
		got := f.got(line)
		if got == "" {
			got = "-"
		}
		ms = append(ms, (*f.want).check(what+": "+f.name, got)...)
	}
	return ms
}
