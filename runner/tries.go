package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// Tries are the attempts of one step.
type tries struct {
	runner *Runner
	scope  *Scope
	step   *Step
	action Action
	checks []Check

	made     int               // how many
	last     *evidence.Attempt // nil where none showed anything
	verdicts evidence.Verdicts // of the last attempt that was judged

	held, inARow, most int       // how many held: in all, since the last that did not, and at most in a row
	since              time.Time // when the first of those in a row was made
	unknown            bool      // nobody knows whether what was changed is in force

	older           []func(context.Context) (int, error) // of the last attempt; see [Settler.Outdated]
	outdated        int                                  // what they returned
	outdatedAtFirst int                                  // what they returned for the first of those in a row
}

// run tries the step until its expectations hold as often in a row, and for as
// long, as the step asks for.
//
//	attempt ─┬─ holds, often enough ──────────────────────▶ passed
//	         ├─ holds ──────────────────────────────┐
//	         ├─ does not hold, may be cured by time ─┴─▶ again, until within is over
//	         └─ cannot be cured ──────────────────────────▶ failed, or an error
func (t *tries) run(ctx context.Context) error {
	if t.step.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.step.Timeout, &Mismatch{What: "the step's time", Want: "at most " + t.step.Timeout.String(), Got: "no end"})
		defer cancel()
	}
	deadline := time.Now().Add(t.step.Within)
	waits := time.Now() // since when, for an attempt that holds
	for {
		began := time.Now()
		err := t.attempt(ctx)
		t.made++
		if ctx.Err() != nil {
			// What an attempt shows whose time is over may be the end of time alone.
			return t.ended(ctx, err)
		}
		pause := pauseAfter(time.Since(waits))
		judged, isJudgement := errors.AsType[*judgement](err)
		switch {
		case err == nil:
			if t.holds(began) {
				t.bind()
				return nil
			}
			// The next attempt is to hold as well: there is nothing to wait for.
			pause, waits = firstPause, time.Now()
		case isJudgement && t.action.Repeats() && (judged.failed() || judged.Again()), isRetryable(err):
			t.inARow = 0
			t.runner.send(Event{Kind: Attempt, Step: &t.step.StepInfo, Attempts: t.made, Problem: problem(err)})
			// Reading the evidence may have taken the time of a second attempt.
			early := t.made == 1 && t.last != nil && t.last.Ended.Before(deadline)
			if !early && time.Now().Add(pause).After(deadline) {
				return t.missed(err)
			}
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return t.ended(ctx, err)
		case <-time.After(pause):
		}
	}
}

// pauseAfter returns how long to wait before the next attempt of a step that has
// waited so long. What it waits for is seen late by a twentieth of that time at most,
// and what takes long is not asked for often.
func pauseAfter(waited time.Duration) time.Duration {
	return min(max(firstPause, waited/20), lastPause)
}

// holds counts an attempt that held, and reports whether it was the last one
// that had to.
func (t *tries) holds(began time.Time) bool {
	t.held++
	if t.inARow++; t.inARow == 1 {
		t.since, t.outdatedAtFirst = began, t.outdated
	}
	t.most = max(t.most, t.inARow)
	often, over := t.step.Holds, t.step.HoldsFor
	if t.action.Repeats() {
		if t.outdated > 0 {
			often = max(often, t.outdatedAtFirst+1)
		}
		if t.unknown {
			over = max(over, holdsFor)
		}
	}
	return t.inARow >= often && began.Sub(t.since) >= over
}

// missed returns the error of the last attempt, and what of those before it is
// worth knowing: a world in which a claim holds now and then is another one than
// that in which it never does.
func (t *tries) missed(err error) error {
	j, ok := errors.AsType[*judgement](err)
	if !ok || t.held == 0 {
		return err
	}
	for i := range j.Verdicts {
		if v := &j.Verdicts[i]; v.Outcome == evidence.NotHeld {
			note := fmt.Sprintf("held in %d of %d tries, at most %d in a row", t.held, t.made, t.most)
			if v.Why != "" {
				note = v.Why + "; " + note
			}
			v.Why = note
		}
	}
	return err
}

// ended is the error of a step whose context ended: the reason, and what the
// step waited for, if it did.
func (t *tries) ended(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	judged, isJudgement := errors.AsType[*judgement](last)
	if timeout, ok := errors.AsType[*Mismatch](cause); ok {
		verdicts := evidence.Verdicts{timeout.verdict(&t.step.StepInfo)}
		if isJudgement {
			verdicts = append(verdicts, judged.Verdicts...)
		}
		return &judgement{verdicts}
	}
	if last != nil && !errors.Is(last, cause) && !errors.Is(last, ctx.Err()) {
		return fmt.Errorf("%w, while: %s", cause, last)
	}
	return cause
}

// attempt tries the action once and judges what it showed. An action that changes
// objects may do so at the first of several attempts: the changes count even if the
// attempt fails.
func (t *tries) attempt(ctx context.Context) error {
	var needs evidence.Needs
	for i := range t.checks {
		needs = needs.And(t.checks[i].Needs())
	}
	pod, notInForce, err := t.settle(ctx, needs)
	if err != nil {
		return err
	}
	after, err := t.watch(ctx, needs, pod)
	if err != nil {
		return err
	}
	a, err := t.try(ctx)
	if err != nil {
		return err
	}
	if pod != nil && a.Command != nil && a.Command.Pod.Name != pod.Name {
		return Retryable(fmt.Errorf("the command ran in %s, but %s was watched", a.Command.Pod.Name, pod.Name))
	}
	if err := together(after, func(f func(context.Context, *evidence.Attempt) error) error { return f(ctx, a) }); err != nil {
		return err
	}
	evidence.Join(a)
	if err := t.judge(a, notInForce); err != nil {
		return err
	}
	t.lookBack(ctx)
	return notInForce
}

// settle waits until what was changed before is in force for the pod of an attempt, and
// returns that pod; nil if it does not matter. notInForce is why nobody knows whether it
// is: a claim that does not hold fails all the same, but one that holds may have been true
// before.
func (t *tries) settle(ctx context.Context, needs evidence.Needs) (pod *cluster.Pod, notInForce, err error) {
	t.older, t.scope.inForce = nil, nil
	settler := t.runner.Settler
	pending := settler != nil && settler.Pending()
	needed := pending || !needs.Nothing()
	if in, ok := t.action.(PodAction); ok && (needed || settler != nil) {
		pod, err = in.Pod(ctx, t.scope)
		switch {
		case err != nil && needed:
			return nil, nil, err
		case err != nil:
			return nil, nil, nil // the attempt says so itself
		case needed:
			notInForce = t.runner.settle(ctx, t.step, pod, needs)
			if notInForce != nil && !isRetryable(notInForce) {
				return nil, nil, notInForce
			}
		}
	}
	if settler != nil && pod != nil {
		t.older = append(t.older, settler.Outdated(ctx, pod))
	}
	if pending {
		t.scope.inForce = func(ctx context.Context, other *cluster.Pod) error {
			if pod != nil && other.Name == pod.Name && other.Namespace == pod.Namespace {
				return nil // it has been waited for
			}
			err := t.runner.settle(ctx, t.step, other, evidence.Needs{})
			t.older = append(t.older, settler.Outdated(ctx, other))
			return err
		}
	}
	if !needed {
		return nil, nil, nil
	}
	return pod, notInForce, nil
}

// try tries the action once, and notes what it showed.
func (t *tries) try(ctx context.Context) (a *evidence.Attempt, err error) {
	once := func() (*evidence.Attempt, error) { return t.action.Try(ctx, t.scope) }
	if t.action.Repeats() {
		a, err = once()
	} else {
		a, err = t.runner.change(ctx, t.scope, once)
	}
	if a != nil {
		t.last, t.verdicts = a, nil
		if a.Command != nil {
			t.scope.Ran(a)
		}
		t.runner.learn(a)
	}
	if m, ok := errors.AsType[*Mismatch](err); ok {
		t.verdicts = evidence.Verdicts{m.verdict(&t.step.StepInfo)}
		return a, &judgement{t.verdicts}
	}
	return a, err
}

// judge has the expectations judge what an attempt showed.
func (t *tries) judge(a *evidence.Attempt, notInForce error) error {
	t.verdicts = nil
	for i := range t.checks {
		t.verdicts = append(t.verdicts, t.checks[i].judge(a, &t.step.StepInfo)...)
	}
	// A claim that failed does not hide another that could not be judged.
	missed := append(t.verdicts.Of(evidence.NotHeld), t.verdicts.Of(evidence.NotJudged)...)
	if len(missed) == 0 {
		return nil
	}
	for i := range missed {
		if v := &missed[i]; notInForce != nil && v.Why == "" {
			v.Why = notInForce.Error()
		}
	}
	return &judgement{missed}
}

// lookBack notes whether the requests of an attempt that held were served as they were
// before the changes. Each of several pods has connections of its own.
func (t *tries) lookBack(ctx context.Context) {
	t.outdated, t.unknown = 0, t.runner.Settler != nil && t.runner.Settler.Unknown() != ""
	if t.last.Command == nil || t.last.Command.OnlyReads {
		return // it has made no request
	}
	for _, older := range t.older {
		n, err := older(ctx)
		t.outdated += n
		t.unknown = t.unknown || err != nil
	}
}

// bind keeps the values that vary in what the last attempt showed, for later steps.
func (t *tries) bind() {
	for i := range t.checks {
		b, ok := t.checks[i].Expectation.(Binder)
		if !ok {
			continue
		}
		if o, ok := b.Binds(t.last); ok {
			t.scope.Outputs = append(t.scope.Outputs, o)
		}
	}
}

// watch has the collectors look at what they need before an attempt.
func (t *tries) watch(ctx context.Context, needs evidence.Needs, pod *cluster.Pod) (after []func(context.Context, *evidence.Attempt) error, err error) {
	if needs.Nothing() {
		return nil, nil
	}
	var mu sync.Mutex
	err = together(t.runner.Collectors, func(c Collector) error {
		f, err := c.Watch(ctx, needs, pod)
		if f != nil {
			mu.Lock()
			defer mu.Unlock()
			after = append(after, f)
		}
		return err
	})
	return after, err
}

// together calls f for each item at the same time and returns the first error
// in the order of the items.
func together[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { errs[i] = f(item) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
