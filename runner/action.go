package runner

import (
	"context"
	"errors"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// An Action is the verb of a step with its values put in.
type Action interface {
	// Command returns the command that a person would type for the same, as
	// the tutorial prints it. It may have several lines.
	Command(s *Scope) string

	// Try does the step's work once and returns what it showed.
	//
	// An error reports that the attempt showed nothing that could be judged. It
	// ends the step, unless [Retryable] marks it. A [*Mismatch] says that what
	// the step promises by itself did not hold, such as "the object is
	// accepted".
	Try(ctx context.Context, s *Scope) (*evidence.Attempt, error)

	// Repeats reports whether an attempt that did not hold may be made again:
	// true for a step that looks, false for one that changes.
	Repeats() bool
}

// A PodAction is an [Action] that may run a command in a pod, or look at its
// sidecar.
type PodAction interface {
	Action

	// Pod returns the pod that an attempt would be about now; nil for none.
	Pod(ctx context.Context, s *Scope) (*cluster.Pod, error)
}

// An Expectation judges what one attempt showed. It is a function of the
// evidence alone.
type Expectation interface {
	// Needs returns the facts that Judge looks at, beyond those that the action
	// itself shows.
	Needs() evidence.Needs
	// Judge returns a verdict for each claim that the expectation makes, or one
	// for all of them. A verdict's Field is the path below the expectation.
	Judge(a *evidence.Attempt) evidence.Verdicts
}

// A Binder is an [Expectation] that compares values which vary. What stood for them
// in one step must stand for them in later ones.
type Binder interface {
	// Binds returns the output of an attempt that held; ok is false for none.
	Binds(a *evidence.Attempt) (o evidence.Output, ok bool)
}

// A Check is an expectation at its place in the playbook.
type Check struct {
	// Key is the expectation's key below expect, such as "log".
	Key string
	Expectation
	// Position returns where a field of the expectation is in the playbook; nil
	// where it is not written there.
	Position func(field []string) evidence.Position
}

// judge returns the verdicts of a check with their keys and places.
func (c *Check) judge(a *evidence.Attempt, step *StepInfo) evidence.Verdicts {
	verdicts := c.Judge(a)
	for i := range verdicts {
		v := &verdicts[i]
		v.Key = evidence.Path(append([]string{"expect", c.Key}, v.Field...)...)
		v.At = evidence.Position{File: step.File, Line: step.Line, Column: 1}
		if c.Position != nil {
			v.At = c.Position(v.Field)
		}
	}
	return verdicts
}

// A Collector gathers facts from one kind of witness.
type Collector interface {
	// Watch is called before each attempt of an action, with what all its
	// expectations need and the pod in which it will run a command, nil for
	// none. The function that it returns is called after the attempt and adds
	// to it; it is nil where there is nothing to add. What a witness cannot
	// tell is a fact like any other and stands in the attempt; the error is
	// that of a context that ended, or one that [Retryable] marks.
	Watch(ctx context.Context, needs evidence.Needs, pod *cluster.Pod) (func(context.Context, *evidence.Attempt) error, error)
}

// A Mismatch says that what a step promises by itself did not hold.
type Mismatch struct {
	What string // what was looked at: "deploy/sleep", "outbound traffic policy"
	Want string
	Got  string
	Why  string // more about it; "" for nothing
	Hint string // what to do; "" when nothing useful can be said
}

func (m *Mismatch) Error() string {
	v := evidence.Verdict{What: m.What, Outcome: evidence.NotHeld, Want: m.Want, Got: m.Got, Why: m.Why}
	return v.String()
}

// verdict returns the mismatch as a verdict on a step.
func (m *Mismatch) verdict(step *StepInfo) evidence.Verdict {
	v := evidence.Verdict{
		Key: step.Kind, At: evidence.Position{File: step.File, Line: step.Line, Column: 1},
		What: m.What, Outcome: evidence.NotHeld, Want: m.Want, Got: m.Got, Why: m.Why, Hint: m.Hint,
	}
	return v
}

// A judgement is the error of an attempt that was judged and did not pass.
type judgement struct{ evidence.Verdicts }

func (j *judgement) Error() string { return j.String() }

// Hint returns the first advice that a verdict has.
func (j *judgement) Hint() string {
	for _, v := range j.Verdicts {
		if v.Hint != "" {
			return v.Hint
		}
	}
	return ""
}

// failed reports whether an expectation did not hold, rather than could not be
// judged.
func (j *judgement) failed() bool { return len(j.Of(evidence.NotHeld)) > 0 }

// Retryable marks an error as one that time may cure: no pod is ready yet, an
// object does not exist yet. The attempt is made again until the step's
// deadline, even if the step does not repeat otherwise.
func Retryable(err error) error { return &retryable{err} }

type retryable struct{ error }

func (r *retryable) Unwrap() error { return r.error }

func isRetryable(err error) bool {
	_, ok := errors.AsType[*retryable](err)
	return ok
}
