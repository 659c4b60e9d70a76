package runner

import (
	"fmt"
	"slices"
	"time"

	"github.com/egressplay/egressplay/redact"
)

// A ClusterRun is the part of a run in several clusters that takes place in one of them.
type ClusterRun struct {
	// Context names the cluster to a reader. No two parts have the same.
	Context   string
	Target    Target
	Playbooks []PlaybookInfo // see [Infos]
}

// Merge returns a sink for each part of a run in several clusters. The parts run one
// after the other, and sink takes them as one run: one RunStarted with all targets, a
// ClusterStarted where each part begins, and one RunFinished with the sum of all. Each
// playbook has the context of its cluster.
func Merge(sink Sink, secrets *redact.Redactor, parts []ClusterRun) []Sink {
	m := &merged{sink: sink, secrets: secrets, open: len(parts)}
	sinks := make([]Sink, len(parts))
	for i, part := range parts {
		part.Context = shower{secrets}.text(part.Context)
		part.Target.Context = part.Context
		m.targets = append(m.targets, part.Target)
		for _, info := range part.Playbooks {
			info.Context = part.Context
			m.playbooks = append(m.playbooks, info)
		}
		sinks[i] = &clusterSink{m, part.Context}
	}
	return sinks
}

// merged is the whole of a run in several clusters.
type merged struct {
	sink      Sink
	secrets   *redact.Redactor
	targets   []Target
	playbooks []PlaybookInfo
	started   time.Time
	open      int // how many parts have not ended
	statuses  []Status
	summary   Summary
	left      []string
}

// A clusterSink takes the events of one part.
type clusterSink struct {
	*merged
	context string
}

// Send implements [Sink].
func (s *clusterSink) Send(e Event) {
	if e.Playbook != nil {
		info := *e.Playbook
		info.Context = s.context
		e.Playbook = &info
	}
	switch e.Kind {
	case RunStarted:
		if s.started.IsZero() {
			s.started = e.Time
			s.sink.Send(shown(Event{Kind: RunStarted, Time: e.Time, Targets: s.targets, Playbooks: s.playbooks}, s.secrets))
		}
		target := *e.Target
		target.Context = s.context
		e = Event{Kind: ClusterStarted, Time: e.Time, Target: &target}
	case RunFinished:
		s.finished(e)
		return
	}
	s.sink.Send(e)
}

// finished adds how a part ended. The last one ends the run.
func (s *clusterSink) finished(e Event) {
	s.statuses = append(s.statuses, e.Status)
	s.summary = s.summary.And(*e.Summary)
	for _, what := range e.Left {
		s.left = append(s.left, fmt.Sprintf("%s, in context %q", what, s.context))
	}
	if s.open--; s.open == 0 {
		s.sink.Send(Event{
			Kind: RunFinished, Time: e.Time, Status: worstCluster(s.statuses), Took: e.Time.Sub(s.started), Summary: &s.summary, Left: s.left,
		})
	}
}

// worstCluster returns how a run ended whose parts ended so. A cluster in which
// everything was skipped keeps the run from having passed.
func worstCluster(statuses []Status) Status {
	for _, status := range []Status{Failed, Errored, Skipped} {
		if slices.Contains(statuses, status) {
			return status
		}
	}
	return Passed
}
