package expect

import (
	"context"
	"fmt"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// A loggedWay is the way of a request as the proxies' access logs have it.
type loggedWay struct {
	scope *runner.Scope
	o     *runner.Observation
}

var _ witness = (*loggedWay)(nil)

func (w *loggedWay) leaves(ctx context.Context, o *runner.Observation) (*mesh.Entry, string, error) {
	line, err := w.line(ctx, *o.Pod, func(e *mesh.Entry) bool { return e.DownstreamRemote == o.LocalAddr })
	return line, "no line of the request in the sidecar's access log (is meshConfig.accessLogFile set?)", err
}

func (w *loggedWay) passes(ctx context.Context, before *mesh.Entry, gateway *cluster.Pod) (*mesh.Entry, string, error) {
	line, err := w.line(ctx, *gateway, func(e *mesh.Entry) bool { return joins(before, e) })
	return line, "no line of the request in its access log", err
}

func (w *loggedWay) avoids(ctx context.Context, o *runner.Observation) error {
	return (&Log{}).judge(ctx, w.scope.Cluster, o)
}

// joins says whether a line of a gateway is of the same request as a line of
// the proxy before it. One HTTP/2 connection carries many requests: there
// method, path and authority must agree too, and the time must lie within.
func joins(before, e *mesh.Entry) bool {
	if before.UpstreamLocal == "" || e.DownstreamRemote != before.UpstreamLocal {
		return false
	}
	if before.Method == "" {
		return true
	}
	// The log's times have milliseconds.
	ends := before.Start.Add(before.Duration + 2*time.Millisecond)
	return e.Method == before.Method && e.Path == before.Path && e.Authority == before.Authority &&
		!e.Start.Before(before.Start.Add(-time.Millisecond)) && !e.Start.After(ends)
}

// line returns the one line of a proxy's access log that is meant; nil where
// none comes in time. Several that are meant cannot be told apart.
func (w *loggedWay) line(ctx context.Context, pod cluster.Pod, meant func(*mesh.Entry) bool) (*mesh.Entry, error) {
	since := w.o.Started.Add(-slack)
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	came := false
	for entry, err := range mesh.Entries(reading, w.scope.Cluster, pod, since) {
		if reading.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, unread(pod.Name, err)
		}
		if came = meant(&entry); came {
			break
		}
	}
	if !came {
		return nil, context.Cause(ctx)
	}
	var lines []mesh.Entry
	for entry, err := range mesh.EntriesSoFar(ctx, w.scope.Cluster, pod, since) {
		if err != nil {
			return nil, unread(pod.Name, err)
		}
		if meant(&entry) {
			lines = append(lines, entry)
		}
	}
	if len(lines) != 1 {
		return nil, &runner.Mismatch{What: "path", Want: "one line of the request in the access log of " + pod.Name, Got: fmt.Sprintf("%d, which cannot be told apart", len(lines))}
	}
	return &lines[0], nil
}
