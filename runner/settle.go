package runner

import (
	"context"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// A Settler knows when changes of the mesh's configuration are in force. What
// follows a change is judged only then: a claim must not be accepted because it
// was true before.
type Settler interface {
	// Before is called before objects are changed. The function that it returns
	// is called after that, with what was changed.
	Before(ctx context.Context) (after func(ctx context.Context, changes []evidence.Change))

	// Wait returns when the proxies that an attempt concerns have acknowledged
	// a configuration that contains all changes so far: those of the pod in
	// which it runs a command, and of the places that its expectations name.
	// What it waits for is said by calling waits, once, before it waits. The
	// error says that nothing that follows can be judged, or is marked by
	// [Retryable].
	Wait(ctx context.Context, pod *cluster.Pod, needs evidence.Needs, waits func(what string)) error

	// Unknown says why it cannot be known here whether the changes so far are in
	// force; "" where it can.
	Unknown() string
}

// before notes that objects are about to be changed, and returns what notes that
// they were.
func (r *Runner) before(ctx context.Context) (changed func(context.Context, *Scope, []evidence.Change)) {
	after := func(context.Context, []evidence.Change) {}
	if r.Settler != nil {
		after = r.Settler.Before(ctx)
	}
	return func(ctx context.Context, s *Scope, changes []evidence.Change) {
		if len(changes) > 0 {
			s.changes = append(s.changes, changes...)
			after(ctx, changes)
		}
	}
}

// settle waits until what was changed before is in force.
func (r *Runner) settle(ctx context.Context, step *Step, pod *cluster.Pod, needs evidence.Needs) error {
	if r.Settler == nil || pod == nil {
		return nil
	}
	err := r.Settler.Wait(ctx, pod, needs, func(what string) {
		r.send(Event{Kind: Waiting, Step: &step.StepInfo, Text: what})
	})
	if why := r.Settler.Unknown(); why != "" && !r.saidUnknown {
		r.saidUnknown = true
		r.send(Event{Kind: Note, Step: &step.StepInfo, Text: why})
	}
	return err
}

// holdsFor is over which time, at least, a claim must hold that follows a change
// of which nobody knows when it is in force.
const holdsFor = 2e9 // nanoseconds
