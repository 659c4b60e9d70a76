package runner

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
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
	try     func(ctx context.Context, s *Scope) (*evidence.Attempt, error)
	repeats bool
}

func (a action) Command(*Scope) string { return "do it" }
func (a action) Repeats() bool         { return a.repeats }
func (a action) Try(ctx context.Context, s *Scope) (*evidence.Attempt, error) {
	return a.try(ctx, s)
}

// expectation is an Expectation whose verdicts a test scripts.
type expectation struct {
	needs evidence.Needs
	judge func(*evidence.Attempt) evidence.Verdicts
}

func (e expectation) Needs() evidence.Needs                       { return e.needs }
func (e expectation) Judge(a *evidence.Attempt) evidence.Verdicts { return e.judge(a) }

// says is an expectation whose only verdict is always the same.
func says(v evidence.Verdict) expectation {
	return expectation{judge: func(*evidence.Attempt) evidence.Verdicts { return evidence.Verdicts{v} }}
}

var (
	held    = evidence.Verdict{Outcome: evidence.Held, Want: "35", Got: "35"}
	notHeld = evidence.Verdict{Outcome: evidence.NotHeld, Want: "35", Got: "0"}
	unknown = evidence.Verdict{Outcome: evidence.NotJudged, Why: "the headers are not known"}
	later   = evidence.Verdict{Outcome: evidence.NotJudged, Why: "the line has not come yet", Again: true}
)

func step(a Action, es ...Expectation) Step {
	var checks []Check
	for _, e := range es {
		checks = append(checks, Check{Key: "exitCode", Expectation: e})
	}
	return Step{
		StepInfo: StepInfo{Index: 1, Title: "a step", Kind: "do", File: "p.yaml", Line: 7},
		Within:   30 * time.Second, Holds: 1, Timeout: 5 * time.Minute,
		Bind: func(Lookup) (Action, []Check, error) { return a, checks, nil },
	}
}

// run runs steps as one playbook.
func run(t *testing.T, r *Runner, ctx context.Context, steps ...Step) (Result, recorder) {
	t.Helper()
	var got recorder
	r.Sink = &got
	if r.Cluster == nil {
		r.Cluster = clustertest.NewFake()
	}
	result := r.Run(ctx, []*Playbook{{Name: "p", File: "p.yaml", Steps: steps}})
	return result, got
}

func passing() action {
	return action{try: func(context.Context, *Scope) (*evidence.Attempt, error) { return &evidence.Attempt{}, nil }}
}

var mismatch = &Mismatch{What: "exit code", Want: "35", Got: "0"}

func TestStepsRunInOrderUpToTheFirstThatFails(t *testing.T) {
	failing := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		return &evidence.Attempt{Text: "out"}, mismatch
	}}
	result, events := run(t, &Runner{}, t.Context(), step(passing()), step(failing), step(passing()))
	assert.Equal(t, "run.started playbook.started "+
		"step.started step.finished=passed step.started step.finished=failed step.finished=skipped "+
		"playbook.finished=failed run.finished", events.kinds())
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	p := events.last(PlaybookFinished).Problem
	require.NotNil(t, p)
	assert.EqualError(t, p, `p.yaml:7: step 1, "a step": exit code: want 35, got 0`)
	assert.Equal(t, "exit code: want 35, got 0", p.Text)
	assert.Equal(t, evidence.Verdicts{{
		Key: "do", At: evidence.Position{File: "p.yaml", Line: 7, Column: 1},
		What: "exit code", Outcome: evidence.NotHeld, Want: "35", Got: "0",
	}}, p.Verdicts, "what the step itself promises stands at its verb")
}

func TestAnAttemptIsMadeAgainUntilItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		a := action{repeats: true, try: func(context.Context, *Scope) (*evidence.Attempt, error) {
			if tries++; tries < 4 {
				return &evidence.Attempt{}, mismatch
			}
			return &evidence.Attempt{}, nil
		}}
		result, events := run(t, &Runner{}, t.Context(), step(a))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 4, events.last(StepFinished).Attempts)
		e := events.last(Attempt)
		assert.Equal(t, 3, e.Attempts)
		assert.Equal(t, "exit code: want 35, got 0", e.Problem.Text)
	})
}

func TestWhatIsWaitedForIsSeenSoon(t *testing.T) {
	for _, comes := range []time.Duration{100 * time.Millisecond, time.Second, 1700 * time.Millisecond, 4 * time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			started := time.Now()
			a := action{repeats: true, try: func(context.Context, *Scope) (*evidence.Attempt, error) {
				if time.Since(started) < comes {
					return &evidence.Attempt{}, mismatch
				}
				return &evidence.Attempt{}, nil
			}}
			_, events := run(t, &Runner{}, t.Context(), step(a))
			e := events.last(StepFinished)
			assert.Equal(t, Passed, e.Status)
			assert.Less(t, e.Took, comes+max(firstPause, comes/20)+1, comes)
			assert.Less(t, e.Attempts, 100, "nobody is asked without end")
		})
	}
}

func TestAnExpectationThatDoesNotHoldInTimeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{repeats: true, try: passing().try}
		result, events := run(t, &Runner{}, t.Context(), step(a, says(notHeld), says(held), says(notHeld)))
		assert.Equal(t, Summary{Failed: 1}, result.Summary)
		e := events.last(StepFinished)
		require.NotNil(t, e.Problem)
		assert.Len(t, e.Problem.Verdicts, 2, "what each expectation has to say that did not hold")
		assert.Len(t, e.Verdicts, 3, "all of them")
		assert.Greater(t, e.Attempts, 20)
		assert.InDelta(t, 30*time.Second, e.Took, float64(time.Second))
	})
}

func TestAVerdictSaysWhichClaimOfThePlaybookItIs(t *testing.T) {
	s := step(passing())
	s.Bind = func(Lookup) (Action, []Check, error) {
		placed := func(field []string) evidence.Position {
			return evidence.Position{File: "p.yaml", Line: 10 + len(field), Column: 5}
		}
		below := expectation{judge: func(*evidence.Attempt) evidence.Verdicts {
			return evidence.Verdicts{{Field: []string{"1", "status"}, Outcome: evidence.NotHeld, Want: "200", Got: "\x1b[2J503"}}
		}}
		return passing(), []Check{{Key: "log", Expectation: below, Position: placed}, {Key: "exitCode", Expectation: says(held)}}, nil
	}
	_, events := run(t, &Runner{}, t.Context(), s)
	e := events.last(StepFinished)
	require.Len(t, e.Verdicts, 2)
	assert.Equal(t, "expect.log[1].status", e.Verdicts[0].Key)
	assert.Equal(t, "p.yaml:12:5", e.Verdicts[0].At.String())
	assert.Equal(t, "expect.exitCode", e.Verdicts[1].Key)
	assert.Equal(t, "p.yaml:7:1", e.Verdicts[1].At.String(), "one that is implied stands where the step does")
	assert.EqualError(t, e.Problem, `p.yaml:7: step 1, "a step": log[1].status: want 200, got 503`)
}

func TestAStepThatChangesIsTriedOnce(t *testing.T) {
	tries := 0
	a := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) { tries++; return nil, mismatch }}
	result, _ := run(t, &Runner{}, t.Context(), step(a))
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	assert.Equal(t, 1, tries)
}

func TestARetryableErrorIsCuredByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		a := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
			if tries++; tries < 3 {
				return nil, Retryable(errors.New("no pod yet"))
			}
			return &evidence.Attempt{}, nil
		}}
		result, _ := run(t, &Runner{}, t.Context(), step(a))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
	})
}

func TestAnErrorEndsTheStepAtOnce(t *testing.T) {
	tries := 0
	a := action{repeats: true, try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		tries++
		return nil, errors.New("no permission")
	}}
	result, events := run(t, &Runner{}, t.Context(), step(a, says(held)))
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	e := events.last(StepFinished)
	assert.Equal(t, Errored, e.Status)
	assert.Empty(t, e.Verdicts, "nothing was judged")
	assert.Equal(t, 1, tries)
}

func TestAnExpectationThatCannotBeJudgedIsNoPass(t *testing.T) {
	a := action{repeats: true, try: passing().try}
	result, events := run(t, &Runner{}, t.Context(), step(a, says(held), says(unknown)))
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	e := events.last(StepFinished)
	assert.Equal(t, Errored, e.Status)
	assert.Equal(t, 1, e.Attempts)
	assert.Equal(t, "exitCode: the headers are not known", e.Problem.Text)
}

func TestWhatALaterAttemptMayTellIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name     string
			verdicts []Expectation
			want     Status
			once     bool
		}{
			{"time may cure it, and does not", []Expectation{says(held), says(later)}, Errored, false},
			{"one of two cannot be cured", []Expectation{says(later), says(unknown)}, Errored, true},
			{"one did not hold, another cannot be judged", []Expectation{says(notHeld), says(unknown)}, Failed, false},
		} {
			result, events := run(t, &Runner{}, t.Context(), step(action{repeats: true, try: passing().try}, c.verdicts...))
			e := events.last(StepFinished)
			assert.Equal(t, c.want, e.Status, c.name)
			assert.Equal(t, c.want, result.Summary.Status(), c.name)
			assert.Equal(t, c.once, e.Attempts == 1, "%s: %d attempts", c.name, e.Attempts)
		}
		judged := 0
		cured := expectation{judge: func(*evidence.Attempt) evidence.Verdicts {
			if judged++; judged < 3 {
				return evidence.Verdicts{later}
			}
			return evidence.Verdicts{held}
		}}
		result, events := run(t, &Runner{}, t.Context(), step(action{repeats: true, try: passing().try}, cured))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 3, events.last(StepFinished).Attempts)
	})
}

// What is not checked passes and is counted; a strict run does not let it pass.
func TestWhatIsNotChecked(t *testing.T) {
	unchecked := says(evidence.Verdict{Outcome: evidence.NotChecked, Why: "nobody records here what arrives"})
	result, events := run(t, &Runner{}, t.Context(), step(passing(), says(held), unchecked))
	assert.Equal(t, Summary{Passed: 1, NotChecked: 1}, result.Summary)
	assert.Equal(t, 1, events.last(RunFinished).Summary.NotChecked)
	assert.Len(t, events.last(StepFinished).Verdicts.Of(evidence.NotChecked), 1)

	result, events = run(t, &Runner{Strict: true}, t.Context(), step(passing(), says(held), unchecked))
	assert.Equal(t, Summary{Error: 1, NotChecked: 1}, result.Summary)
	assert.EqualError(t, events.last(PlaybookFinished).Problem, `p.yaml:7: step 1, "a step": exitCode: nobody records here what arrives`)

	result, _ = run(t, &Runner{Strict: true}, t.Context(), step(passing(), says(held)))
	assert.Equal(t, Summary{Passed: 1}, result.Summary)
}

func TestHoldsAsksForAttemptsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		// It holds twice, fails once, and holds from then on.
		a := action{repeats: true, try: func(context.Context, *Scope) (*evidence.Attempt, error) {
			if tries++; tries == 3 {
				return &evidence.Attempt{}, mismatch
			}
			return &evidence.Attempt{}, nil
		}}
		s := step(a)
		s.Holds = 3
		result, events := run(t, &Runner{}, t.Context(), s)
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 6, events.last(StepFinished).Attempts)
	})
}

func TestHoldsForAsksForTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		a := action{repeats: true, try: func(context.Context, *Scope) (*evidence.Attempt, error) {
			if since := time.Since(started); since > 3*time.Second && since < 4*time.Second {
				return &evidence.Attempt{}, mismatch
			}
			return &evidence.Attempt{}, nil
		}}
		s := step(a)
		s.HoldsFor = 5 * time.Second
		result, events := run(t, &Runner{}, t.Context(), s)
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.GreaterOrEqual(t, events.last(StepFinished).Took, 9*time.Second, "5s from when it held again")
	})
}

// A world in which a claim holds now and then is another one than that in which
// it never does.
func TestAClaimThatHeldNowAndThenSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judged := 0
		flaky := expectation{judge: func(*evidence.Attempt) evidence.Verdicts {
			if judged++; judged%3 != 0 {
				return evidence.Verdicts{held}
			}
			return evidence.Verdicts{notHeld}
		}}
		s := step(action{repeats: true, try: passing().try}, flaky)
		s.Holds = 3
		result, events := run(t, &Runner{}, t.Context(), s)
		assert.Equal(t, Summary{Failed: 1}, result.Summary)
		assert.Regexp(t, `exitCode: want 35, got 0 \(held in \d+ of \d+ tries, at most 2 in a row\)$`, events.last(StepFinished).Problem.Error())
	})
}

func TestAStepMayLetTheRestContinue(t *testing.T) {
	failing := step(passing(), says(notHeld))
	failing.Title, failing.Continue = "the one that fails", true
	result, events := run(t, &Runner{}, t.Context(), failing, step(passing()))
	assert.Equal(t, "run.started playbook.started step.started step.finished=failed step.started step.finished=passed "+
		"playbook.finished=failed run.finished", events.kinds())
	assert.Equal(t, Summary{Failed: 1}, result.Summary)
	assert.ErrorContains(t, events.last(PlaybookFinished).Problem, "the one that fails")
}

func TestAStepMayCleanUpAfterAFailure(t *testing.T) {
	failing, cleans, failsToo := step(passing(), says(notHeld)), step(passing()), step(passing(), says(notHeld))
	cleans.CleansUp, failsToo.CleansUp = true, true
	result, events := run(t, &Runner{}, t.Context(), failing, step(passing()), failsToo, cleans, step(passing()))
	assert.Equal(t, "run.started playbook.started step.started step.finished=failed step.finished=skipped step.started step.finished=failed "+
		"step.started step.finished=passed step.finished=skipped playbook.finished=failed run.finished", events.kinds())
	assert.Equal(t, Summary{Failed: 1}, result.Summary)

	unbound := step(passing())
	unbound.CleansUp = true
	unbound.Bind = func(Lookup) (Action, []Check, error) { return nil, nil, errors.New("no value") }
	_, events = run(t, &Runner{}, t.Context(), failing, unbound)
	assert.Equal(t, Skipped, events.last(StepFinished).Status, "what needs a value that nothing has set")

	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := step(action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		cancel(ErrInterrupted)
		return nil, errors.New("too late")
	}})
	_, events = run(t, &Runner{}, ctx, interrupted, cleans)
	assert.Equal(t, Skipped, events.last(StepFinished).Status, "whoever interrupts a run wants its end")
}

func TestAPlaybookMayRunSeveralTimes(t *testing.T) {
	result, events := run(t, &Runner{Repeat: 3}, t.Context(), step(passing()))
	assert.Equal(t, Summary{Passed: 3}, result.Summary)
	var rounds []int
	for _, e := range events {
		if e.Kind == PlaybookStarted {
			rounds = append(rounds, e.Playbook.Round)
		}
	}
	assert.Equal(t, []int{1, 2, 3}, rounds)
	assert.Len(t, events[0].Playbooks, 3)
}

// A reader of the events, be it a program, needs nothing but them.
func TestEventsAreData(t *testing.T) {
	a := action{try: func(_ context.Context, s *Scope) (*evidence.Attempt, error) {
		make1(t, s, "a")
		return &evidence.Attempt{Text: "out"}, nil
	}}
	_, events := run(t, &Runner{Target: Target{Name: "default"}}, t.Context(), step(a), step(passing(), says(notHeld)))
	for _, e := range events {
		text, err := json.Marshal(e)
		require.NoError(t, err)
		var back Event
		require.NoError(t, json.Unmarshal(text, &back))
		e.Time, back.Time = time.Time{}, time.Time{}
		for _, vs := range []evidence.Verdicts{e.Verdicts, problemOf(e).Verdicts} {
			for i := range vs {
				vs[i].Field = nil
			}
		}
		assert.Equal(t, e, back)
		switch e.Kind {
		case RunStarted:
			assert.Equal(t, "default", e.Target.Name)
		case RunFinished:
			assert.Equal(t, &Summary{Failed: 1}, e.Summary)
		case StepStarted, StepFinished:
			assert.Equal(t, "a step", e.Step.Title)
			fallthrough
		default:
			assert.Equal(t, "p", e.Playbook.Name, e.Kind)
		}
	}
}

func problemOf(e Event) *Problem {
	if e.Problem == nil {
		return new(Problem)
	}
	return e.Problem
}

// make1 has a run make a ConfigMap.
func make1(t *testing.T, s *Scope, name string) {
	t.Helper()
	_, _, err := s.Changes.Apply(t.Context(), clustertest.Object("v1", "ConfigMap", "default", name, nil))
	require.NoError(t, err)
}

// refuses is a cluster that answers a deletion of an object with an error.
func refuses(name string, err error) *clustertest.Fake {
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "delete" && call.Ref.Name == name {
			return err
		}
		return nil
	}
	return c
}

func TestWhatCouldNotBeSeenInANamespaceIsTold(t *testing.T) {
	c := clustertest.NewFake()
	c.Unseen = []string{"Secret"}
	a := action{try: func(ctx context.Context, s *Scope) (*evidence.Attempt, error) {
		_, _, err := s.Changes.Apply(ctx, clustertest.Object("v1", "Namespace", "", "made", nil))
		return &evidence.Attempt{}, err
	}}
	result, events := run(t, &Runner{Cluster: c, UndoTimeout: time.Minute}, t.Context(), step(a))
	assert.Empty(t, result.Left)
	e := events.last(Undone)
	assert.Equal(t, Passed, e.Status, "all that the run has changed is put back")
	assert.Equal(t, "deleted; whether others had something in it was not seen for kinds that may not be listed: Secret", e.Back)
}

func TestWhatWasChangedIsPutBackWhateverHappens(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	a := action{try: func(_ context.Context, s *Scope) (*evidence.Attempt, error) {
		for _, name := range []string{"a", "b", "a", "c"} {
			make1(t, s, name)
		}
		cancel(ErrInterrupted)
		return nil, ctx.Err()
	}}
	c := refuses("b", errors.New("refused"))
	result, events := run(t, &Runner{Cluster: c, UndoTimeout: time.Minute}, ctx, step(a), step(passing()))
	assert.Equal(t, []string{"configmap/b"}, result.Left)
	assert.True(t, result.Interrupted)
	assert.Equal(t, Summary{Error: 1}, result.Summary)
	assert.True(t, events.last(PlaybookFinished).Problem.Interrupted)
	assert.Equal(t, []string{"configmap/c", "configmap/b", "configmap/a"}, events.last(CleanupStarted).Left, "what is going to be put back")
	assert.Equal(t, "run.started playbook.started step.started step.finished=error step.finished=skipped "+
		"cleanup.started undone undone undone playbook.finished=error run.finished", events.kinds())
	var undone []string
	for _, e := range events {
		if e.Kind == Undone {
			undone = append(undone, string(e.Status)+" "+e.Undo)
		}
	}
	assert.Equal(t, []string{"passed configmap/c", "error configmap/b", "passed configmap/a"}, undone, "newest first")
}

func TestWhatCannotBePutBackDoesNotKeepTheOthersFromTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{try: func(_ context.Context, s *Scope) (*evidence.Attempt, error) {
			make1(t, s, "a")
			make1(t, s, "b")
			return &evidence.Attempt{}, nil
		}}
		away := &cluster.UnreachableError{Server: "https://example.com", Err: errors.New("no answer")}
		result, events := run(t, &Runner{Cluster: refuses("b", away), UndoTimeout: time.Minute}, t.Context(), step(a))
		assert.Equal(t, []string{"configmap/b"}, result.Left)
		assert.ErrorContains(t, events[len(events)-4].Problem, "it took longer than 1m0s; last: reach https://example.com: no answer")
	})
}

func TestKeepLeavesWhatWasChanged(t *testing.T) {
	a := action{try: func(_ context.Context, s *Scope) (*evidence.Attempt, error) {
		make1(t, s, "a")
		return &evidence.Attempt{}, nil
	}}
	c := clustertest.NewFake()
	result, events := run(t, &Runner{Cluster: c, Keep: true}, t.Context(), step(a))
	assert.Empty(t, result.Left, "what was asked for is no failure")
	assert.Equal(t, []string{"configmap/a"}, events.last(PlaybookFinished).Left)
	_, err := c.Get(t.Context(), cluster.Ref{Kind: "ConfigMap", Namespace: "default", Name: "a"})
	assert.NoError(t, err)
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
			assert.EqualError(t, events.last(PlaybookFinished).Problem, c.missing)
		}
	}
}

func TestAPlaybookHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{repeats: true, try: func(ctx context.Context, _ *Scope) (*evidence.Attempt, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		s := step(a)
		s.Timeout = time.Hour
		result, events := run(t, &Runner{Timeout: 10 * time.Minute}, t.Context(), s)
		assert.Equal(t, Summary{Error: 1}, result.Summary)
		assert.False(t, result.Interrupted)
		assert.ErrorContains(t, events.last(StepFinished).Problem, "the playbook did not end within 10m0s")
	})
}

func TestAStepThatDoesNotEndFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := action{repeats: true, try: func(ctx context.Context, _ *Scope) (*evidence.Attempt, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		result, events := run(t, &Runner{}, t.Context(), step(a))
		assert.Equal(t, Summary{Failed: 1}, result.Summary)
		assert.ErrorContains(t, events.last(StepFinished).Problem, "the step's time: want at most 5m0s, got no end")
	})
}

// podAction is an action that runs a command in a pod.
type podAction struct {
	action
	pods []string // in which it would run at each attempt
	at   int
}

func (a *podAction) Pod(context.Context, *Scope) (*cluster.Pod, error) {
	name := a.pods[min(a.at, len(a.pods)-1)]
	a.at++
	return &cluster.Pod{Name: name}, nil
}

// collector is a Collector that writes down what it is asked.
type collector struct {
	log   []string
	needs evidence.Needs
	err   error // of the first attempt
}

func (c *collector) Watch(_ context.Context, needs evidence.Needs, pod *cluster.Pod) (func(context.Context, *evidence.Attempt) error, error) {
	c.needs = needs
	where := "nowhere"
	if pod != nil {
		where = pod.Name
	}
	c.log = append(c.log, "watch "+where)
	return func(_ context.Context, a *evidence.Attempt) error {
		c.log = append(c.log, "gather")
		a.Lines = append(a.Lines, evidence.Line{Text: "a line"})
		err := c.err
		c.err = nil
		return err
	}, nil
}

func TestCollectorsSeeEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(collector)
		a := &podAction{pods: []string{"pod-1"}}
		a.repeats = true
		a.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
			c.log = append(c.log, "try")
			return &evidence.Attempt{}, nil
		}
		judged := 0
		log := expectation{needs: evidence.Needs{Lines: true}, judge: func(a *evidence.Attempt) evidence.Verdicts {
			c.log = append(c.log, "judge")
			assert.Len(t, a.Lines, 1, "what was gathered for this attempt")
			if judged++; judged < 2 {
				return evidence.Verdicts{notHeld}
			}
			return evidence.Verdicts{held}
		}}
		counter := says(held)
		counter.needs = evidence.Needs{Counters: []string{"egressgateway"}}
		result, _ := run(t, &Runner{Collectors: []Collector{c, silent{}}}, t.Context(), step(a, log, counter))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, []string{"watch pod-1", "try", "gather", "judge", "watch pod-1", "try", "gather", "judge"}, c.log)
		assert.Equal(t, evidence.Needs{Lines: true, Counters: []string{"egressgateway"}}, c.needs, "of all expectations together")
	})
}

// silent is a Collector that has nothing to add.
type silent struct{}

func (silent) Watch(context.Context, evidence.Needs, *cluster.Pod) (func(context.Context, *evidence.Attempt) error, error) {
	return nil, nil
}

func TestNobodyWatchesWhatNobodyNeeds(t *testing.T) {
	c := new(collector)
	_, _ = run(t, &Runner{Collectors: []Collector{c}}, t.Context(), step(passing(), says(held)))
	assert.Empty(t, c.log)
}

func TestACollectorThatCouldNotLookIsNoPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		needy := says(held)
		needy.needs.Lines = true
		c := &collector{err: errors.New("forbidden")}
		result, _ := run(t, &Runner{Collectors: []Collector{c}}, t.Context(), step(passing(), needy))
		assert.Equal(t, Summary{Error: 1}, result.Summary)

		c = &collector{err: Retryable(errors.New("broken off"))}
		result, events := run(t, &Runner{Collectors: []Collector{c}}, t.Context(), step(action{repeats: true, try: passing().try}, needy))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 2, events.last(StepFinished).Attempts)
	})
}

// Between watching and trying, the pod may have been replaced.
func TestACommandThatRanInAnotherPodIsNotJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &podAction{pods: []string{"old", "new"}}
		a.repeats = true
		a.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
			return &evidence.Attempt{Command: &evidence.Command{Pod: evidence.Pod{Name: "new"}}}, nil
		}
		needy := says(held)
		needy.needs.Lines = true
		result, events := run(t, &Runner{}, t.Context(), step(a, needy))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 2, events.last(StepFinished).Attempts)
		assert.Equal(t, "the command ran in new, but old was watched", events.last(Attempt).Problem.Text)
	})
}

// settler is a Settler that records its calls.
type settler struct {
	log     []string
	changes []evidence.Change // those that it was told last
	pending bool
	err     error // of the first time that somebody waits
	unknown string

	outdated []int // connections, one number for each attempt
	lost     error // of reading those
}

func (s *settler) Watch() ChangeWatch { return s }

func (s *settler) Before(_ context.Context, c evidence.Change) {
	s.log = append(s.log, "before "+c.Kind)
}

func (s *settler) After(_ context.Context, changes []evidence.Change) {
	s.log, s.changes, s.pending = append(s.log, "after"), slices.Clone(changes), true
}

func (s *settler) Pending() bool { return s.pending }

func (s *settler) Wait(_ context.Context, pod *cluster.Pod, _ evidence.Needs, waits func(string)) error {
	if !s.pending {
		return nil
	}
	s.log = append(s.log, "wait for "+pod.Name)
	waits("the proxies")
	err := s.err
	s.err = nil
	return err
}

func (s *settler) Outdated(context.Context, *cluster.Pod) func(context.Context) (int, error) {
	n := 0
	if len(s.outdated) > 0 {
		n, s.outdated = s.outdated[0], s.outdated[1:]
	}
	return func(context.Context) (int, error) { return n, s.lost }
}

func (s *settler) Unknown() string { return s.unknown }

var change = evidence.Change{Kind: "ServiceEntry", Name: "a"}

// changing is an action that changes an object, and then ends with an error.
func changing(err error) action {
	return action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		return &evidence.Attempt{Changes: []evidence.Change{change}}, err
	}}
}

// A claim must not be accepted because it was true before a change.
func TestAnAttemptWaitsUntilWhatWasChangedIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(settler)
		looks := &podAction{pods: []string{"pod-1"}}
		looks.repeats = true
		looks.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
			s.log = append(s.log, "try")
			return &evidence.Attempt{}, nil
		}
		result, events := run(t, &Runner{Settler: s}, t.Context(), step(looks), step(changing(nil)), step(looks, says(held)))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, []string{"try", "after", "wait for pod-1", "try"}, s.log)
		assert.Equal(t, []evidence.Change{change}, s.changes)
		assert.Equal(t, "the proxies", events.last(Waiting).Text)

		*s = settler{err: Retryable(errors.New("not acknowledged"))}
		result, events = run(t, &Runner{Settler: s}, t.Context(), step(changing(nil)), step(looks))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, []string{"after", "wait for pod-1", "try", "wait for pod-1", "try"}, s.log)
		assert.Equal(t, "not acknowledged", events.last(Attempt).Problem.Text)

		*s = settler{err: errors.New("the proxy refuses it")}
		result, _ = run(t, &Runner{Settler: s}, t.Context(), step(changing(nil)), step(looks))
		assert.Equal(t, Summary{Error: 1}, result.Summary)
		assert.NotContains(t, s.log, "try")
	})
}

func TestAChangeCountsAlsoWhereItsStepFailed(t *testing.T) {
	s := new(settler)
	looks := &podAction{pods: []string{"pod-1"}}
	looks.repeats, looks.try = true, passing().try
	failed := step(changing(mismatch))
	failed.Continue = true
	run(t, &Runner{Settler: s}, t.Context(), failed, step(looks))
	assert.Equal(t, []string{"after", "wait for pod-1"}, s.log)
}

// The settler learns of each object before it is changed, and of nothing if nothing
// is changed.
func TestTheSettlerIsToldOfEachObject(t *testing.T) {
	s := new(settler)
	fake := clustertest.NewFake(clustertest.Object("v1", "ConfigMap", "default", "a", map[string]any{"data": map[string]any{"a": "a"}}))
	changing := action{try: func(ctx context.Context, sc *Scope) (*evidence.Attempt, error) {
		ref := cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "a"}
		patch := func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
			return []byte(`{"data": {"a": "b"}}`), changes.Words{}, nil
		}
		for range 2 { // the second time it is so already
			_, _, err := sc.Changes.Patch(ctx, ref, patch)
			require.NoError(t, err)
		}
		_, _, err := sc.Changes.Apply(ctx, clustertest.Object("v1", "Secret", "default", "b", nil))
		require.NoError(t, err)
		require.NoError(t, sc.Changes.Delete(ctx, ref, false))
		return &evidence.Attempt{}, nil
	}}
	run(t, &Runner{Settler: s, Cluster: fake}, t.Context(), step(changing))
	assert.Equal(t, []string{"before ConfigMap", "before Secret", "before ConfigMap"}, s.log)
}

// What the clean-up of a playbook puts back is a change for the next one.
func TestThePlaybookThatFollowsWaitsForTheCleanUp(t *testing.T) {
	s := new(settler)
	looks := &podAction{pods: []string{"pod-1"}}
	looks.repeats = true
	looks.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
		s.log = append(s.log, "try")
		return &evidence.Attempt{}, nil
	}
	makes := action{try: func(_ context.Context, sc *Scope) (*evidence.Attempt, error) {
		make1(t, sc, "a")
		return &evidence.Attempt{Changes: []evidence.Change{change}}, nil
	}}
	var events recorder
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "delete" {
			s.log = append(s.log, "undo")
		}
		return nil
	}
	r := &Runner{Cluster: c, Settler: s, Sink: &events}
	r.Run(t.Context(), []*Playbook{{Steps: []Step{step(makes)}}, {Steps: []Step{step(looks)}}})
	assert.Equal(t, []string{"before ConfigMap", "after", "before ServiceEntry", "undo", "after", "wait for pod-1", "try"}, s.log)
	assert.Contains(t, s.changes, change)
}

// The clean-up of each of many rounds tells of what it puts back, and not of ever
// more.
func TestChangesDoNotPileUp(t *testing.T) {
	s := new(settler)
	makes := action{try: func(_ context.Context, sc *Scope) (*evidence.Attempt, error) {
		make1(t, sc, "a")
		return &evidence.Attempt{Changes: []evidence.Change{change}}, nil
	}}
	run(t, &Runner{Settler: s, Repeat: 8}, t.Context(), step(makes))
	assert.Equal(t, []evidence.Change{change}, s.changes)
}

func TestAStepThatChangesNothingTellsNothing(t *testing.T) {
	s := new(settler)
	looks := &podAction{pods: []string{"pod-1"}}
	looks.repeats, looks.try = true, passing().try
	run(t, &Runner{Settler: s}, t.Context(), step(passing()), step(looks))
	assert.Empty(t, s.log)
}

// Where nobody knows when a change is in force, what follows it must hold for
// some time, and that is said once.
func TestAChangeOfWhichNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{unknown: "istiod cannot be asked"}
		looks := &podAction{pods: []string{"pod-1"}}
		looks.repeats, looks.try = true, passing().try
		_, events := run(t, &Runner{Settler: s}, t.Context(), step(changing(nil)), step(looks), step(looks))
		assert.Equal(t, 1, strings.Count(events.kinds(), "note"))
		assert.Equal(t, "istiod cannot be asked", events.last(Note).Text)
		assert.GreaterOrEqual(t, events.last(StepFinished).Took, 2*time.Second)

		// A claim that held before the change is in force is not accepted.
		tries := 0
		looks.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
			if tries++; tries > 3 {
				return &evidence.Attempt{}, mismatch
			}
			return &evidence.Attempt{}, nil
		}
		result, _ := run(t, &Runner{Settler: s}, t.Context(), step(changing(nil)), step(looks))
		assert.Equal(t, Summary{Failed: 1}, result.Summary)
	})
}

// A connection that was open before a change serves one more request as if nothing had
// been changed. A claim must hold more often than there are such connections.
func TestAClaimHoldsOverMoreConnectionsThanAreOutdated(t *testing.T) {
	for _, c := range []struct {
		name     string
		outdated []int // connections, before each attempt
		lost     error
		holds    []bool // what each attempt shows; then it holds
		onlyRead bool
		tries    int
		atLeast  time.Duration
	}{
		{name: "none", tries: 1},
		{name: "two, which nobody can tell from new ones", outdated: []int{2, 2, 2, 2}, tries: 3},
		{name: "one, which served the first attempt", outdated: []int{1, 0}, tries: 2},
		{name: "an old one between two new ones", outdated: []int{1, 1, 0, 0}, holds: []bool{false, true, false}, tries: 4},
		{name: "nobody knows", lost: errors.New("forbidden"), atLeast: holdsFor},
		{name: "the command makes no request", outdated: []int{3}, onlyRead: true, tries: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &settler{outdated: c.outdated, lost: c.lost}
				looks := &podAction{pods: []string{"pod-1"}}
				looks.repeats = true
				tries := 0
				looks.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
					a := &evidence.Attempt{Command: &evidence.Command{Pod: evidence.Pod{Name: "pod-1"}, OnlyReads: c.onlyRead}}
					if tries++; tries <= len(c.holds) && !c.holds[tries-1] {
						return a, mismatch
					}
					return a, nil
				}
				looking := step(looks)
				looking.Within = time.Minute
				result, events := run(t, &Runner{Settler: s}, t.Context(), step(changing(nil)), looking)
				assert.Equal(t, Summary{Passed: 1}, result.Summary)
				if c.lost == nil {
					assert.Equal(t, c.tries, tries)
				}
				assert.GreaterOrEqual(t, events.last(StepFinished).Took, c.atLeast)
			})
		})
	}
}

// The run before may just have put something back.
func TestTheFirstClaimOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{outdated: []int{2, 2, 2, 2}}
		looks := &podAction{pods: []string{"pod-1"}}
		looks.repeats = true
		tries := 0
		looks.try = func(context.Context, *Scope) (*evidence.Attempt, error) {
			tries++
			return &evidence.Attempt{Command: &evidence.Command{Pod: evidence.Pod{Name: "pod-1"}}}, nil
		}
		result, _ := run(t, &Runner{Settler: s}, t.Context(), step(looks))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, 3, tries)
		assert.Empty(t, s.log, "nothing was changed that could be waited for")
	})
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

// What pods and proxies say reaches a reader without control sequences.
func TestEvidenceThatIsShownIsPlain(t *testing.T) {
	evil, want := "a\x1b[2Jb", "ab"
	a := action{try: func(context.Context, *Scope) (*evidence.Attempt, error) {
		return &evidence.Attempt{
			Text: evil, Body: evil,
			Command:   &evidence.Command{Argv: []string{evil}, Stdout: evil, Stderr: evil},
			Responses: []evidence.Response{{Header: http.Header{"X": {evil}}}},
			Transfers: []evidence.Transfer{{URL: evil, Error: evil}},
			Lines:     []evidence.Line{{Text: evil, Path: evil, Authority: evil}},
			Unread:    []evidence.Unread{{Text: evil}},
			Counters:  []evidence.Counter{{Cluster: "quiet"}, {Cluster: "grown", Grew: 1}},
			Arrivals:  &evidence.Arrivals{All: []evidence.Arrival{{Host: evil, Path: evil, ClientCertificate: evil}}},
		}, nil
	}}
	_, events := run(t, &Runner{}, t.Context(), step(a))
	e := events.last(StepFinished)
	require.NotNil(t, e.Evidence)
	text, err := json.Marshal(e.Evidence)
	require.NoError(t, err)
	assert.NotContains(t, string(text), `\u001b`)
	assert.Equal(t, want, e.Output)
	assert.Equal(t, want, e.Evidence.Command.Stdout)
	assert.Equal(t, want, e.Evidence.Lines[0].Path)
	assert.Equal(t, want, e.Evidence.Arrivals.All[0].Host)
	assert.Len(t, e.Evidence.Counters, 1, "what did not grow is not worth its length")
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
		steps[i] = step(passing(), says(held))
	}
	r := &Runner{Sink: Sinks{}}
	b.ReportAllocs()
	for b.Loop() {
		r.Run(b.Context(), []*Playbook{{Steps: steps}})
	}
}

// A step that runs commands in several pods waits for each of them.
func TestACommandInAnotherPodWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(settler)
		looks := &podAction{pods: []string{"pod-1", "pod-1"}}
		looks.repeats = true
		looks.try = func(ctx context.Context, sc *Scope) (*evidence.Attempt, error) {
			for _, name := range []string{"pod-1", "pod-2"} {
				if err := sc.InForce(ctx, &cluster.Pod{Name: name}); err != nil {
					return nil, err
				}
				s.log = append(s.log, "run in "+name)
			}
			return &evidence.Attempt{}, nil
		}
		result, _ := run(t, &Runner{Settler: s}, t.Context(), step(looks), step(changing(nil)), step(looks))
		assert.Equal(t, Summary{Passed: 1}, result.Summary)
		assert.Equal(t, []string{"run in pod-1", "run in pod-2", "after", "wait for pod-1", "run in pod-1", "wait for pod-2", "run in pod-2"}, s.log)
	})
}

// binder is an expectation that binds a value.
type binder struct{ expectation }

func (binder) Binds(*evidence.Attempt) (evidence.Output, bool) {
	return evidence.Output{Bindings: []evidence.Binding{{Kind: "address"}}}, true
}

// What a step binds counts for later ones only where it passed, and once.
func TestOnlyAStepThatPassedBinds(t *testing.T) {
	var known []int
	looks := action{repeats: true, try: func(_ context.Context, s *Scope) (*evidence.Attempt, error) {
		known = append(known, len(s.Outputs))
		return &evidence.Attempt{}, nil
	}}
	failing := step(looks, binder{says(notHeld)})
	failing.Continue, failing.Within = true, 0
	passing := step(looks, binder{says(held)})
	passing.Holds = 3
	run(t, &Runner{}, t.Context(), failing, passing, step(looks))
	last := len(known) - 1
	assert.Equal(t, 1, known[last])
	for _, n := range known[:last] {
		assert.Zero(t, n)
	}
}
