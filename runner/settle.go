package runner

import (
	"context"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// A Settler knows when changes of the mesh's configuration are in force. What
// follows a change is judged only then: a claim must not be accepted because it
// was true before.
type Settler interface {
	// Watch is called before an attempt that may change objects.
	Watch() ChangeWatch

	// Pending reports whether a change may not be in force everywhere.
	Pending() bool

	// Wait returns when the proxies that an attempt concerns have acknowledged
	// a configuration that contains all changes so far: those of the pod in
	// which it runs a command, and of the places that its expectations name.
	// What it waits for is said by calling waits, once, before it waits. The
	// error reports that nothing that follows can be judged, or is marked by
	// [Retryable].
	Wait(ctx context.Context, pod *cluster.Pod, needs evidence.Needs, waits func(what string)) error

	// Outdated is called before an attempt that may make requests in a pod, and what it
	// returns after it. That returns over how many connections, at most, the requests
	// may have been served as they were before the changes that are in force; 0 if
	// they went over no such connection. Each of them serves one more request. An error
	// reports that it cannot be known. A run that has changed nothing may follow one that
	// has just put something back.
	Outdated(ctx context.Context, pod *cluster.Pod) func(context.Context) (int, error)

	// Unknown returns why nobody can know here whether the changes so far are in
	// force; "" if it can be known.
	Unknown() string
}

// A ChangeWatch learns what one attempt changes.
type ChangeWatch interface {
	// Before is called before each object is changed.
	Before(ctx context.Context, c evidence.Change)

	// After is called after the attempt, with all that was changed, if something
	// was.
	After(ctx context.Context, changes []evidence.Change)
}

// watch returns who learns of the changes that an attempt makes.
func (r *Runner) watch() ChangeWatch {
	if r.Settler == nil {
		return nobody{}
	}
	return r.Settler.Watch()
}

// nobody ignores changes. It stands in where nobody waits until they are in force.
type nobody struct{}

func (nobody) Before(context.Context, evidence.Change)  {}
func (nobody) After(context.Context, []evidence.Change) {}

// change makes an attempt that changes objects, and has the settler told of what
// it changes.
func (r *Runner) change(ctx context.Context, s *Scope, try func() (*evidence.Attempt, error)) (*evidence.Attempt, error) {
	watch := r.watch()
	s.Changes.Before = func(ctx context.Context, ref cluster.Ref) {
		watch.Before(ctx, evidence.Change{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name})
	}
	defer func() { s.Changes.Before = nil }()
	a, err := try()
	if a != nil && len(a.Changes) > 0 {
		s.changes = append(s.changes, a.Changes...)
		watch.After(ctx, a.Changes)
	}
	return a, err
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

// holdsFor is how long, at least, a claim must hold after a change if it is not known
// when the change is in force, or which connections it does not concern.
const holdsFor = 2 * time.Second
