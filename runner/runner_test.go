package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder is a Sink that keeps what it gets.
type recorder []Event

func (r *recorder) Send(e Event) { *r = append(*r, e) }

func (r recorder) kinds() string {
	var kinds []string
	for _, e := range r {
		k := string(e.Kind)
		if e.Kind == StepFinished || e.Kind == PlaybookFinished {
			k += "=" + string(e.Status)
		}
		kinds = append(kinds, k)
	}
	return strings.Join(kinds, " ")
}

func (r recorder) last(kind EventKind) Event {
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].Kind == kind {
			return r[i]
		}
	}
	return Event{}
}

// action is an Action whose attempts a test scripts.
type action struct {
	try     func(ctx context.Context, s *Scope) (*Observation, error)
	repeats bool
}

func (a action) Command(*Scope) string { return "do it" }
func (a action) Repeats() bool         { return a.repeats }
func (a action) Try(ctx context.Context, s *Scope) (*Observation, error) {
	return a.try(ctx, s)
}

type expectation func(*Observation) error

func (e expectation) Check(o *Observation) error { return e(o) }

func step(a Action, es ...Expectation) Step {
	return Step{
		StepInfo: StepInfo{Index: 1, Title: "a step", Kind: "do", File: "p.yaml", Line: 7},
		Within:   30 * time.Second, Holds: 1, Timeout: 5 * time.Minute,
		Bind: func(Lookup) (Action, []Expectation, error) { return a, es, nil },
	}
}

// run runs steps as one playbook.
func run(t *testing.T, r *Runner, ctx context.Context, steps ...Step) (Result, recorder) {
	t.Helper()
	var got recorder
	r.Sink = &got
	result := r.Run(ctx, []*Playbook{{Name: "p", File: "p.yaml", Steps: steps}})
	return result, got
}

func passing() action {
	return action{try: func(context.Context, *Scope) (*Observation, error) { return &Observation{}, nil }}
}

var mismatch = &Mismatch{What: "exit code", Want: "35", Got: "0"}

func TestStepsRunInOrderUpToTheFirstThatFails(t *testing.T) {
	failing := action{try: func(context.Context, *Scope) (*Observation, error) { return &Observation{Text: "out"}, mismatch }}
	result, events := run(t, &Runner{}, t.Context(), step(passing()), step(failing), step(passing()))
	assert.Equal(t, "run.started playbook.started "+
		"step.started step.finished=passed step.started step.finished=failed step.finished=skipped "+
		"playbook.finished=failed run.finished", events.kinds())
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	e := events.last(PlaybookFinished).Err
	failure, ok := errors.AsType[*StepError](e)
	require.True(t, ok)
	assert.Equal(t, `p.yaml:7: step 1, "a step": exit code: want 35, got 0`, failure.Error())
	assert.Equal(t, Mismatches{mismatch}, failure.Mismatches)
}

func TestAnAttemptIsMadeAgainUntilItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		a := action{repeats: true, try: func(context.Context, *Scope) (*Observation, error) {
			if tries++; tries < 4 {
				return &Observation{}, mismatch
			}
			return &Observation{}, nil
		}}
		result, events := run(t, &Runner{}, t.Context(), step(a))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 4, events.last(StepFinished).Attempts)
	})
}

func TestAnExpectationThatDoesNotHoldInTimeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{repeats: true, try: func(context.Context, *Scope) (*Observation, error) { return &Observation{}, nil }}
		never := expectation(func(*Observation) error { return mismatch })
		result, events := run(t, &Runner{}, t.Context(), step(a, never, never))
		assert.Equal(t, Summary{Failed: 1}, result.Summary)
		failure, _ := errors.AsType[*StepError](events.last(StepFinished).Err)
		require.NotNil(t, failure)
		assert.Len(t, failure.Mismatches, 2, "what each expectation has to say")
		assert.Greater(t, failure.Attempts, 20)
		assert.InDelta(t, 30*time.Second, failure.Took, float64(time.Second))
	})
}

func TestAStepThatChangesIsTriedOnce(t *testing.T) {
	tries := 0
	a := action{try: func(context.Context, *Scope) (*Observation, error) { tries++; return nil, mismatch }}
	result, _ := run(t, &Runner{}, t.Context(), step(a))
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	assert.Equal(t, 1, tries)
}

func TestARetryableErrorIsCuredByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		a := action{try: func(context.Context, *Scope) (*Observation, error) {
			if tries++; tries < 3 {
				return nil, Retryable(errors.New("no pod yet"))
			}
			return &Observation{}, nil
		}}
		result, _ := run(t, &Runner{}, t.Context(), step(a))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
	})
}

func TestAnErrorEndsTheStepAtOnce(t *testing.T) {
	tries := 0
	a := action{repeats: true, try: func(context.Context, *Scope) (*Observation, error) {
		tries++
		return nil, errors.New("no permission")
	}}
	result, events := run(t, &Runner{}, t.Context(), step(a))
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	assert.Equal(t, Errored, events.last(StepFinished).Status)
	assert.Equal(t, 1, tries)
}

func TestAnExpectationThatCannotBeJudgedIsNoPass(t *testing.T) {
	a := action{repeats: true, try: passing().try}
	unknown := expectation(func(*Observation) error { return errors.New("the headers are not known") })
	result, events := run(t, &Runner{}, t.Context(), step(a, unknown))
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	assert.Equal(t, 1, events.last(StepFinished).Attempts)
}

func TestHoldsAsksForAttemptsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		// It holds twice, fails once, and holds from then on.
		a := action{repeats: true, try: func(context.Context, *Scope) (*Observation, error) {
			if tries++; tries == 3 {
				return &Observation{}, mismatch
			}
			return &Observation{}, nil
		}}
		s := step(a)
		s.Holds = 3
		result, events := run(t, &Runner{}, t.Context(), s)
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 6, events.last(StepFinished).Attempts)
	})
}

func TestUndoesAreDoneNewestFirstWhateverHappens(t *testing.T) {
	var done []string
	undo := func(name string, err error) func(context.Context) error {
		return func(ctx context.Context) error {
			require.NoError(t, ctx.Err(), "an undo has time of its own")
			done = append(done, name)
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	a := action{try: func(_ context.Context, s *Scope) (*Observation, error) {
		s.Undo("a", "a", "", undo("a", nil))
		s.Undo("b", "b", "", undo("b", errors.New("refused")))
		s.Undo("a", "a again", "", undo("a again", nil))
		s.Undo("c", "c", "", undo("c", nil))
		cancel(ErrInterrupted)
		return nil, ctx.Err()
	}}
	result, events := run(t, &Runner{UndoTimeout: time.Minute}, ctx, step(a), step(passing()))
	assert.Equal(t, []string{"c", "b", "a"}, done)
	assert.Equal(t, []string{"b"}, result.Left)
	assert.True(t, result.Interrupted)
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	assert.ErrorIs(t, events.last(PlaybookFinished).Err, ErrInterrupted)
	assert.Equal(t, "run.started playbook.started step.started step.finished=error step.finished=skipped "+
		"cleanup.started undone undone undone playbook.finished=error run.finished", events.kinds())
}

func TestAnUndoThatHangsDoesNotKeepTheOthersFromTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{try: func(_ context.Context, s *Scope) (*Observation, error) {
			s.Undo("a", "a", "", func(ctx context.Context) error { return ctx.Err() })
			s.Undo("b", "b", "", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
			return &Observation{}, nil
		}}
		result, events := run(t, &Runner{UndoTimeout: time.Minute}, t.Context(), step(a))
		assert.Equal(t, []string{"b"}, result.Left)
		assert.ErrorContains(t, events[len(events)-4].Err, "it took longer than 1m0s")
	})
}

func TestKeepLeavesWhatWasChanged(t *testing.T) {
	a := action{try: func(_ context.Context, s *Scope) (*Observation, error) {
		s.Undo("a", "a", "", func(context.Context) error { t.Error("undone"); return nil })
		return &Observation{}, nil
	}}
	result, events := run(t, &Runner{Keep: true}, t.Context(), step(a))
	assert.Empty(t, result.Left, "what was asked for is no failure")
	assert.Equal(t, []string{"a"}, events.last(PlaybookFinished).Left)
}

func TestAnInterruptedRunSkipsThePlaybooksThatFollow(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrInterrupted)
	result, events := run(t, &Runner{}, ctx, step(passing()))
	assert.Equal(t, Summary{Skipped: 1}, result.Summary)
	assert.True(t, result.Interrupted)
	assert.NotContains(t, events.kinds(), "step.started")
}

func TestAPlaybookThatRequiresWhatIsNotThereIsSkipped(t *testing.T) {
	for _, c := range []struct {
		missing string
		err     error
		want    Summary
	}{
		{"", nil, Summary{Passed: 1}},
		{"there is no egress gateway", nil, Summary{Skipped: 1}},
		{"", errors.New("no permission"), Summary{Error: 1}},
	} {
		var events recorder
		r := &Runner{Sink: &events, Require: func(_ context.Context, requirement string) (string, error) {
			assert.Equal(t, "egressGateway", requirement)
			return c.missing, c.err
		}}
		p := &Playbook{Requires: []string{"egressGateway"}, Steps: []Step{step(passing())}}
		assert.Equal(t, c.want, r.Run(t.Context(), []*Playbook{p}).Summary)
		if c.missing != "" {
			assert.EqualError(t, events.last(PlaybookFinished).Err, c.missing)
		}
	}
}

func TestAPlaybookHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{repeats: true, try: func(ctx context.Context, _ *Scope) (*Observation, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		s := step(a)
		s.Timeout = time.Hour
		result, events := run(t, &Runner{Timeout: 10 * time.Minute}, t.Context(), s)
		assert.Equal(t, Summary{Error: 1}, result.Summary)
		assert.False(t, result.Interrupted)
		assert.ErrorContains(t, events.last(StepFinished).Err, "the playbook did not end within 10m0s")
	})
}

func TestAStepThatDoesNotEndFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{repeats: true, try: func(ctx context.Context, _ *Scope) (*Observation, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		result, events := run(t, &Runner{}, t.Context(), step(a))
		assert.Equal(t, Summary{Failed: 1}, result.Summary)
		assert.ErrorContains(t, events.last(StepFinished).Err, "the step's time: want at most 5m0s, got no end")
	})
}

func TestWatchersSeeEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(watcher)
		a := action{repeats: true, try: func(context.Context, *Scope) (*Observation, error) {
			w.log = append(w.log, "try")
			return &Observation{}, nil
		}}
		result, _ := run(t, &Runner{}, t.Context(), step(a, w))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, []string{"watch", "try", "judge", "watch", "try", "judge"}, w.log)
	})
}

// watcher is a Watcher that holds at its second attempt.
type watcher struct{ log []string }

func (w *watcher) Check(*Observation) error { panic("a watcher is asked by its judge") }

func (w *watcher) Watch(context.Context, *Scope, Action) (func(context.Context, *Observation) error, error) {
	w.log = append(w.log, "watch")
	return func(context.Context, *Observation) error {
		w.log = append(w.log, "judge")
		if len(w.log) < 6 {
			return mismatch
		}
		return nil
	}, nil
}

func TestPauseEndsThePlaybook(t *testing.T) {
	stop := errors.New("stopped by its user")
	r := &Runner{Pause: func(_ context.Context, s StepInfo) error { return stop }}
	_, events := run(t, r, t.Context(), step(passing()))
	assert.ErrorIs(t, events.last(PlaybookFinished).Err, stop)
	assert.NotContains(t, events.kinds(), "step.started")
}

func TestVariablesLiveAsLongAsThePlaybook(t *testing.T) {
	s := NewScope(nil, map[string]string{"A": "1"})
	s.Set("B", "2")
	a, _ := s.Lookup("A")
	b, _ := s.Lookup("B")
	_, set := s.Lookup("C")
	assert.Equal(t, "1 2", a+" "+b)
	assert.False(t, set)
}

func TestPlain(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain text", "HTTP/2 200\nserver: x\t1\n", "HTTP/2 200\nserver: x\t1\n"},
		{"line ends of HTTP", "HTTP/1.1 301\r\nlocation: /\r\n", "HTTP/1.1 301\nlocation: /\n"},
		{"colours", "\x1b[31mred\x1b[0m", "red"},
		{"moves the cursor", "a\x1b[2J\x1b[1;1Hb", "ab"},
		{"8-bit CSI", "a\u009b31mb", "ab"},
		{"sets the title", "a\x1b]0;evil\x07b", "ab"},
		{"sets the title, ended by ST", "a\x1b]0;evil\x1b\\b", "ab"},
		{"a link", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"an escape at the end", "a\x1b", "a"},
		{"a CSI at the end", "a\x1b[", "a"},
		{"charset", "a\x1b(0b", "ab"},
		{"bell, backspace, NUL", "a\a\b\x00b", "ab"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"reordered", "a\u202eb", "ab"},
		{"UTF-8", "freie Enzyklopädie – ok", "freie Enzyklopädie – ok"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, Plain(c.text)) })
	}
	assert.Less(t, len(Plain(strings.Repeat("x", 1<<20))), 70<<10)
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;t\x07")
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range Plain(text) {
			if c < 0x20 && c != '\n' && c != '\t' || 0x7f <= c && c <= 0x9f {
				t.Errorf("control character %q", c)
			}
		}
	})
}

func BenchmarkRun100Steps(b *testing.B) {
	steps := make([]Step, 100)
	for i := range steps {
		steps[i] = step(passing(), expectation(func(*Observation) error { return nil }))
	}
	r := &Runner{Sink: Sinks{}}
	b.ReportAllocs()
	for b.Loop() {
		r.Run(b.Context(), []*Playbook{{Steps: steps}})
	}
}
