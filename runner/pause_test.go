package runner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
)

// numbered gives steps indices of their own.
func numbered(steps ...Step) []Step {
	for i := range steps {
		steps[i].Index = i + 1
	}
	return steps
}

// script answers pauses with decisions in turn, and keeps what it was asked.
type script struct {
	decisions []Decision
	asked     []Paused
}

func (s *script) pause(_ context.Context, p Paused) (Decision, error) {
	s.asked = append(s.asked, p)
	if len(s.decisions) == 0 {
		return GoOn, nil
	}
	d := s.decisions[0]
	s.decisions = s.decisions[1:]
	return d, nil
}

func TestPauseEndsThePlaybook(t *testing.T) {
	stop := errors.New("stopped by its user")
	r := &Runner{StepByStep: true, Pause: func(context.Context, Paused) (Decision, error) { return 0, stop }}
	_, events := run(t, r, t.Context(), step(passing()))
	assert.EqualError(t, events.last(PlaybookFinished).Problem, stop.Error())
	assert.Equal(t, Errored, events.last(PlaybookFinished).Status)
	assert.NotContains(t, events.kinds(), "step.started")
}

// A step is announced with its command before it runs, and with how the last one
// ended.
func TestPauseAnnouncesAStep(t *testing.T) {
	s := &script{}
	result, _ := run(t, &Runner{StepByStep: true, Pause: s.pause}, t.Context(), numbered(step(passing()), step(passing()))...)
	assert.Equal(t, Summary{Passed: 1}, result.Summary)
	require.Len(t, s.asked, 2)
	assert.Nil(t, s.asked[0].Last)
	assert.Equal(t, "do it", s.asked[0].Next.Command)
	assert.Equal(t, 2, s.asked[1].Next.Step.Index)
	assert.Equal(t, 1, s.asked[1].Last.Step.Index)
	assert.Equal(t, Passed, s.asked[1].Last.Status)
}

// Where a step was skipped by hand the playbook has not passed.
func TestPauseSkips(t *testing.T) {
	s := &script{decisions: []Decision{GoOn, Skip, GoOn}}
	result, events := run(t, &Runner{StepByStep: true, Pause: s.pause}, t.Context(), numbered(step(passing()), step(passing()), step(passing()))...)
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	assert.Equal(t, "run.started playbook.started step.started step.finished=passed step.finished=skipped step.started step.finished=passed playbook.finished=error run.finished", events.kinds())
	assert.EqualError(t, events.last(PlaybookFinished).Problem, "a step was skipped by hand")
}

// A step that is run again counts as it ended last, and so do its claims.
func TestPauseRunsAgain(t *testing.T) {
	ran := 0
	counts := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		ran++
		return &evidence.Attempt{}, nil
	}}
	notChecked := says(evidence.Verdict{Outcome: evidence.NotChecked, Why: "nobody records it"})
	s := &script{decisions: []Decision{Again, GoOn, Again, Again, GoOn}} // at the first there is nothing to run again
	result, _ := run(t, &Runner{StepByStep: true, Pause: s.pause}, t.Context(), numbered(step(counts, notChecked), step(passing()))...)
	assert.Equal(t, Summary{Passed: 1, NotChecked: 1}, result.Summary)
	assert.Equal(t, 3, ran)
}

// A step that does not pass can be run again, with the cluster as it left it.
func TestPauseOnFailure(t *testing.T) {
	for _, continues := range []bool{false, true} {
		ran := 0
		second := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
			if ran++; ran < 3 {
				return nil, mismatch
			}
			return &evidence.Attempt{}, nil
		}}
		failing := step(second)
		failing.Continue = continues
		s := &script{decisions: []Decision{Again, Again}}
		result, events := run(t, &Runner{Pause: s.pause}, t.Context(), numbered(failing, step(passing()))...)
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		require.Len(t, s.asked, 2)
		assert.Nil(t, s.asked[0].Next)
		assert.Equal(t, Failed, s.asked[0].Last.Status)
		assert.Nil(t, events.last(PlaybookFinished).Problem)
	}

	s := &script{} // goes on: the playbook ends as it would have
	failing := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) { return nil, mismatch }}
	result, events := run(t, &Runner{Pause: s.pause}, t.Context(), numbered(step(failing), step(passing()))...)
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	assert.Len(t, s.asked, 1)
	assert.Contains(t, events.kinds(), "step.finished=failed step.finished=skipped")
}

// A step that passed and is run again may fail, which ends the playbook.
func TestPauseRunsAgainWhatThenFails(t *testing.T) {
	ran := 0
	once := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		if ran++; ran > 1 {
			return nil, mismatch
		}
		return &evidence.Attempt{}, nil
	}}
	s := &script{decisions: []Decision{GoOn, Again, GoOn}}
	result, events := run(t, &Runner{StepByStep: true, Pause: s.pause}, t.Context(), numbered(step(once), step(passing()))...)
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	assert.Contains(t, events.kinds(), "step.finished=failed step.finished=skipped playbook.finished=failed")
}

// No clock runs while a reader thinks, neither the flag's nor the playbook's own.
func TestNoClockRunsInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := action{try: func(ctx context.Context, _ *Scope) (*evidence.Attempt, error) {
			time.Sleep(4 * time.Second)
			return &evidence.Attempt{}, ctx.Err()
		}}
		think := func(context.Context, Paused) (Decision, error) {
			time.Sleep(time.Hour)
			return GoOn, nil
		}
		r := &Runner{Timeout: 10 * time.Second, StepByStep: true, Pause: think}
		result, _ := run(t, r, t.Context(), numbered(step(slow), step(slow))...)
		assert.Equal(t, Summary{Passed: 1}, result.Summary)

		// The time of the steps themselves counts all the same.
		result, events := run(t, r, t.Context(), numbered(step(slow), step(slow), step(slow))...)
		assert.Equal(t, Summary{Error: 1}, result.Summary)
		assert.ErrorContains(t, events.last(PlaybookFinished).Problem, "the playbook did not end within 10s")
	})
}

// A signal ends a pause.
func TestAPauseEndsWithTheRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &Runner{StepByStep: true, Pause: func(ctx context.Context, _ Paused) (Decision, error) {
		cancel(ErrInterrupted)
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}}
	result, events := run(t, r, ctx, step(passing()))
	assert.True(t, result.Interrupted)
	assert.True(t, events.last(PlaybookFinished).Problem.Interrupted)
}

// sayAction is an action with a command of its own.
type sayAction struct {
	action
	command string
}

func (a sayAction) Command(*Scope) string { return a.command }

// What is announced has no secrets and no control sequences, as all that leaves the
// runner.
func TestPauseShowsNoSecrets(t *testing.T) {
	s := &script{}
	secrets := redact.New()
	secrets.AddGiven("sesame-open")
	run(t, &Runner{StepByStep: true, Pause: s.pause, Secrets: secrets}, t.Context(), step(sayAction{passing(), "say sesame-open\x1b[31m"}))
	require.Len(t, s.asked, 1)
	assert.Equal(t, "say (secret)", s.asked[0].Next.Command)
}
