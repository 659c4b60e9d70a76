package runner

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
)

// of returns the events of a kind.
func (r recorder) of(kind EventKind) (of []Event) {
	for _, e := range r {
		if e.Kind == kind {
			of = append(of, e)
		}
	}
	return of
}

// inClusters runs one playbook in each of some clusters, with the steps that each has.
func inClusters(t *testing.T, ctx context.Context, clusters map[string][]Step, order ...string) recorder {
	t.Helper()
	var events recorder
	var parts []ClusterRun
	for _, name := range order {
		p := &Playbook{Name: "p", Steps: clusters[name]}
		parts = append(parts, ClusterRun{Context: name, Target: Target{Name: "lab"}, Playbooks: Infos([]*Playbook{p}, 1)})
	}
	sinks := Merge(&events, redact.New(), parts)
	for i, name := range order {
		r := &Runner{Cluster: clustertest.NewFake(), Sink: sinks[i], Target: Target{Name: "lab"}, Notes: []string{"said in " + name}, Timeout: time.Minute}
		r.Run(ctx, []*Playbook{{Name: "p", Steps: clusters[name]}})
	}
	return events
}

func TestClustersAreOneRun(t *testing.T) {
	failing := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) { return &evidence.Attempt{}, mismatch }}
	events := inClusters(t, t.Context(), map[string][]Step{
		"a": {step(passing())}, "b": {step(failing)}, "c": {step(passing())},
	}, "a", "b", "c")

	started := events.of(RunStarted)
	require.Len(t, started, 1)
	assert.Nil(t, started[0].Target)
	assert.Equal(t, []Target{{Name: "lab", Context: "a"}, {Name: "lab", Context: "b"}, {Name: "lab", Context: "c"}}, started[0].Targets)
	assert.Len(t, started[0].Playbooks, 3)
	assert.Equal(t, "b", started[0].Playbooks[1].Context)

	var order []string
	for _, e := range events {
		switch e.Kind {
		case ClusterStarted:
			order = append(order, "in "+e.Target.Context)
		case Note:
			order = append(order, e.Text)
		case PlaybookFinished:
			order = append(order, e.Playbook.Context+" "+string(e.Status))
		}
	}
	assert.Equal(t, []string{"in a", "said in a", "a passed", "in b", "said in b", "b failed", "in c", "said in c", "c passed"}, order)

	finished := events.of(RunFinished)
	require.Len(t, finished, 1)
	assert.Equal(t, RunFinished, events[len(events)-1].Kind)
	assert.Equal(t, Summary{Passed: 2, Failed: 1}, *finished[0].Summary)
	assert.Equal(t, Failed, finished[0].Status)
}

// A cluster in which nothing ran is not covered by one in which all passed.
func TestAClusterThatSkipsAllHasNotPassed(t *testing.T) {
	left := Step{StepInfo: StepInfo{Index: 1, Choice: LeftOut}}
	events := inClusters(t, t.Context(), map[string][]Step{"a": {step(passing())}, "b": {left}}, "a", "b")
	assert.Equal(t, Skipped, events.of(RunFinished)[0].Status)
	assert.Equal(t, Summary{Passed: 1, Skipped: 1}, *events.of(RunFinished)[0].Summary)

	events = inClusters(t, t.Context(), map[string][]Step{"a": {step(passing())}, "b": {step(passing())}}, "a", "b")
	assert.Equal(t, Passed, events.of(RunFinished)[0].Status)
}

func TestAnInterruptEndsTheRunInEachCluster(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupts := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		cancel(ErrInterrupted)
		return nil, errors.New("cut off")
	}}
	runs := 0
	counts := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		runs++
		return &evidence.Attempt{}, nil
	}}
	events := inClusters(t, ctx, map[string][]Step{"a": {step(interrupts)}, "b": {step(counts)}}, "a", "b")
	assert.Zero(t, runs)
	require.Len(t, events.of(RunFinished), 1)
	assert.Equal(t, Summary{Error: 1, Skipped: 1}, *events.of(RunFinished)[0].Summary)
}

// What is left says in which cluster, and no name of one brings control sequences or
// secrets into the events.
func TestClustersAreNamedSafely(t *testing.T) {
	var events recorder
	secrets := redact.New()
	secrets.AddGiven("sesame-open")
	sinks := Merge(&events, secrets, []ClusterRun{{Context: "a\x1b[31m", Playbooks: []PlaybookInfo{{Name: "p", Title: "sesame-open"}}}})
	sinks[0].Send(Event{Kind: RunStarted, Time: time.Now(), Target: &Target{}})
	sinks[0].Send(Event{Kind: RunFinished, Time: time.Now(), Summary: &Summary{Passed: 1}, Left: []string{"configmap/b"}, Status: Passed})
	assert.NotContains(t, events[0].Targets[0].Context, "\x1b")
	assert.NotContains(t, events[0].Playbooks[0].Title, "sesame-open")
	assert.NotContains(t, events[1].Target.Context, "\x1b")
	last := events.of(RunFinished)[0]
	require.Len(t, last.Left, 1)
	assert.Contains(t, last.Left[0], "configmap/b, in context ")
}
