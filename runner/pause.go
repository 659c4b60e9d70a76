package runner

import (
	"context"
	"errors"
)

// A Decision is what somebody who steers a run wants next.
type Decision int

// The decisions. An error instead of one ends the playbook, as an interrupt does.
const (
	GoOn  Decision = iota // run the next step; behind one that did not pass, do what the playbook says
	Skip                  // leave the next step out; the playbook has then not passed
	Again                 // run the last step again
)

// A Paused run waits for a [Decision]. The playbook's clocks stand still until then.
type Paused struct {
	// Next is the step that comes, with its command, as an event; nil behind a step
	// that did not pass.
	Next *Event
	// Last is how the last step ended; nil before the first one has.
	Last *Event
}

// errSkipped is why a playbook has not passed one of whose steps was left out by
// whoever steered it.
var errSkipped = errors.New("a step was skipped by hand")

// errByHand is why that step was skipped.
var errByHand = errors.New("by hand")

// A sequence is the steps of a playbook as they are run.
type sequence struct {
	runner   *Runner
	scope    *Scope
	playbook *Playbook
	clock    *clock

	statuses  []Status
	problems  []error
	unchecked []int // claims that were not checked
	last      int   // the index of the step that ran last, -1 for none
}

func newSequence(r *Runner, s *Scope, p *Playbook, c *clock) *sequence {
	n := len(p.Steps)
	return &sequence{runner: r, scope: s, playbook: p, clock: c, statuses: make([]Status, n), problems: make([]error, n), unchecked: make([]int, n), last: -1}
}

// next runs the step at i, or does what whoever steers the run wants instead. stop
// is why no further step is to be run.
func (q *sequence) next(ctx context.Context, i int) (stop error) {
	step := &q.playbook.Steps[i]
	for q.runner.Pause != nil && q.runner.StepByStep {
		decision, err := q.pause(ctx, &Paused{Next: q.announce(step)})
		switch {
		case err != nil:
			q.statuses[i] = Errored
			q.skip(step, err)
			return err
		case decision == Skip:
			q.statuses[i], q.problems[i] = Errored, errSkipped
			q.skip(step, errByHand)
			return nil
		case decision == Again && q.last < 0:
			continue
		case decision == Again:
			if stop := q.run(ctx, q.last); stop != nil {
				q.skip(step, nil)
				return stop
			}
			continue
		}
		break
	}
	return q.run(ctx, i)
}

// run runs the step at i, and again as often as whoever steers the run wants that
// after it did not pass.
func (q *sequence) run(ctx context.Context, i int) (stop error) {
	step := &q.playbook.Steps[i]
	for {
		q.last = i
		q.statuses[i], q.unchecked[i], q.problems[i] = q.runner.step(ctx, q.scope, step)
		if q.statuses[i] == Passed || ctx.Err() != nil || q.runner.Pause == nil {
			break
		}
		decision, err := q.pause(ctx, &Paused{})
		if err != nil {
			return err
		}
		if decision != Again {
			break
		}
	}
	if q.statuses[i] == Passed || step.Continue && ctx.Err() == nil {
		return nil
	}
	return q.problems[i]
}

// cleanUp runs the step at i although an earlier one has ended the playbook. A step
// that needs a variable which no step has set any more is skipped.
func (q *sequence) cleanUp(ctx context.Context, i int) {
	step := &q.playbook.Steps[i]
	if _, _, err := step.Bind(q.scope.Lookup); err != nil {
		q.skip(step, nil)
		return
	}
	q.last, q.scope.AfterFailure = i, true
	q.statuses[i], q.unchecked[i], q.problems[i] = q.runner.step(ctx, q.scope, step)
}

// pause asks whoever steers the run. The playbook's clock stands still until then.
func (q *sequence) pause(ctx context.Context, p *Paused) (Decision, error) {
	p.Last = q.runner.finished
	q.clock.stop()
	defer q.clock.start()
	return q.runner.Pause(ctx, *p)
}

// announce returns a step that comes, with its command as far as it is known.
func (q *sequence) announce(step *Step) *Event {
	e := Event{Step: &step.StepInfo}
	if action, _, err := step.Bind(q.scope.Lookup); err == nil { // an error comes again when it runs
		action.Command(q.scope) // for the secrets that it has
		e.Command = q.scope.command(step, action)
	}
	e = q.runner.shown(e)
	return &e
}

// skip reports that a step was not run, and why.
func (q *sequence) skip(step *Step, why error) {
	q.runner.send(Event{Kind: StepFinished, Step: &step.StepInfo, Status: Skipped, Problem: problem(why)})
}

// ended returns how the steps ended together, and the first of their problems.
func (q *sequence) ended(worst Status, summary *Summary) (Status, error) {
	var first error
	for i, status := range q.statuses {
		if status != "" {
			worst = worse(worst, status)
		}
		summary.NotChecked += q.unchecked[i]
		if first == nil {
			first = q.problems[i]
		}
	}
	return worst, first
}
