package runner

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
)

// A playbook's own hosts are there before its first step and until its clean-up is
// over.
func TestHostsOfAPlaybook(t *testing.T) {
	var order []string
	say := func(what string) { order = append(order, what) }
	ctx, interrupt := context.WithCancelCause(t.Context())
	step := step(action{try: func(_ context.Context, s *Scope) (*evidence.Attempt, error) {
		say("step")
		make1(t, s, "a")
		interrupt(ErrInterrupted)
		return &evidence.Attempt{}, nil
	}})
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "delete" {
			say("undo")
		}
		return nil
	}
	r := &Runner{Cluster: c, Sink: new(recorder), Internet: func(_ context.Context, p *Playbook) (func(context.Context) error, error) {
		say("bring " + p.Internet)
		return func(ctx context.Context) error {
			say("take")
			return ctx.Err()
		}, nil
	}}
	result := r.Run(ctx, []*Playbook{{Name: "p", Internet: "hosts", Steps: []Step{step, step}}})
	assert.Equal(t, []string{"bring hosts", "step", "undo", "take"}, order, "also when it is interrupted")
	assert.Empty(t, result.Left)
}

func TestHostsOfAPlaybookThatCannotCome(t *testing.T) {
	with := func(internet func(context.Context, *Playbook) (func(context.Context) error, error), p *Playbook) (Result, recorder) {
		var got recorder
		p.Steps = []Step{step(passing())}
		return (&Runner{Sink: &got, Internet: internet}).Run(t.Context(), []*Playbook{p}), got
	}
	result, got := with(nil, &Playbook{Internet: "hosts"})
	assert.Equal(t, Summary{Skipped: 1}, result.Summary, "there is no such internet")
	require.ErrorContains(t, got.last(PlaybookFinished).Problem, "can only come into a lab of this machine")
	result, _ = with(nil, &Playbook{})
	assert.Equal(t, Summary{Passed: 1}, result.Summary, "others do not need it")

	taken := errors.New("the name is taken")
	result, got = with(func(context.Context, *Playbook) (func(context.Context) error, error) { return nil, taken }, &Playbook{Internet: "hosts"})
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	require.ErrorContains(t, got.last(PlaybookFinished).Problem, taken.Error())

	stuck := errors.New("the lab does not answer")
	take := func(context.Context) error { return stuck }
	result, got = with(func(context.Context, *Playbook) (func(context.Context) error, error) { return take, nil }, &Playbook{Internet: "hosts"})
	assert.Equal(t, Summary{Passed: 1}, result.Summary)
	assert.Equal(t, []string{ownHosts}, result.Left, "which is said, and an exit code of its own")
	require.ErrorContains(t, got.last(Undone).Problem, stuck.Error())
}
