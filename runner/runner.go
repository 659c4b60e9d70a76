package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/egressplay/egressplay/cluster"
)

// A Runner runs playbooks, one after the other.
type Runner struct {
	Cluster cluster.Interface
	Target  Target
	Sink    Sink

	Namespace      string // see [Scope]
	IstioNamespace string
	Revision       string

	// Timeout bounds each playbook, its clean-up not included.
	Timeout time.Duration
	// UndoTimeout bounds each thing that is put back: one that hangs does not
	// take the time of the others.
	UndoTimeout time.Duration
	// Keep leaves what the playbooks changed, and says what is left.
	Keep bool

	// Require says what the cluster lacks of a playbook's requirement, "" when
	// it has it.
	Require func(ctx context.Context, requirement string) (missing string, err error)
	// Arrivals is [Scope.Arrivals].
	Arrivals func(context.Context) ([]Arrival, error)
	// Pause is called before each step where it is not nil. Its error ends
	// the playbook as an interrupt does.
	Pause func(context.Context, StepInfo) error
	// Now is the clock, time.Now where it is nil.
	Now func() time.Time
}

// A Result is how a run ended.
type Result struct {
	Summary Summary
	// Left names what has not been put back, --keep aside.
	Left []string
	// Interrupted is set when the run's context was cancelled before it was
	// done.
	Interrupted bool
}

// ErrInterrupted is the cause with which a run's context is to be cancelled
// when its user stops it.
var ErrInterrupted = errors.New("interrupted")

const (
	firstPause = 50 * time.Millisecond // between two attempts, growing by half each time
	lastPause  = time.Second / 2
)

// Run runs playbooks one after the other. It returns when what they changed
// has been put back, as far as it could be. A cancelled context ends the step
// in progress and skips what follows; the clean-up has time of its own.
func (r *Runner) Run(ctx context.Context, playbooks []*Playbook) Result {
	started := r.now()
	infos := make([]PlaybookInfo, len(playbooks))
	for i, p := range playbooks {
		infos[i] = p.info()
	}
	r.send(Event{Kind: RunStarted, Target: r.Target, Playbooks: infos})
	var result Result
	for _, p := range playbooks {
		status, left := r.playbook(ctx, p)
		result.Summary.add(status)
		if !r.Keep {
			result.Left = append(result.Left, left...)
		}
	}
	result.Interrupted = ctx.Err() != nil
	r.send(Event{Kind: RunFinished, Status: result.Summary.Status(), Took: r.now().Sub(started), Summary: result.Summary, Left: result.Left})
	return result
}

// playbook runs one playbook and cleans up after it.
func (r *Runner) playbook(ctx context.Context, p *Playbook) (status Status, left []string) {
	started := r.now()
	info := p.info()
	r.send(Event{Kind: PlaybookStarted, Playbook: info})

	s := NewScope(r.Cluster, p.Vars)
	s.Namespace, s.IstioNamespace, s.Revision = r.Namespace, r.IstioNamespace, r.Revision
	s.Started, s.Arrivals = started, r.Arrivals

	status, err := r.steps(ctx, s, p)
	left = r.cleanUp(ctx, s, info)
	r.send(Event{Kind: PlaybookFinished, Playbook: info, Status: status, Took: r.now().Sub(started), Err: err, Left: left})
	return status, left
}

// steps runs a playbook's steps in order, up to the first one that does not
// pass, and says of the rest that they were skipped.
func (r *Runner) steps(ctx context.Context, s *Scope, p *Playbook) (Status, error) {
	limit := r.Timeout
	if p.Timeout > 0 && (limit == 0 || p.Timeout < limit) {
		limit = p.Timeout
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the playbook did not end within %v", limit))
		defer cancel()
	}
	steps := p.Steps
	status, stop := r.required(ctx, p)
	for i := range steps {
		step := &steps[i]
		if stop == nil && ctx.Err() != nil {
			if stop = context.Cause(ctx); i > 0 {
				status = Errored
			}
		}
		if stop != nil {
			r.send(Event{Kind: StepFinished, Step: step.StepInfo, Status: Skipped})
			continue
		}
		if r.Pause != nil {
			if err := r.Pause(ctx, step.StepInfo); err != nil {
				status, stop = Errored, err
				r.send(Event{Kind: StepFinished, Step: step.StepInfo, Status: Skipped, Err: err})
				continue
			}
		}
		var err error
		if status, err = r.step(ctx, s, step); status != Passed {
			stop = err
		}
	}
	return status, stop
}

// required says why a playbook is not to be run: it is skipped where the
// cluster lacks what it requires.
func (r *Runner) required(ctx context.Context, p *Playbook) (Status, error) {
	if ctx.Err() != nil || r.Require == nil {
		return Skipped, nil
	}
	for _, requirement := range p.Requires {
		missing, err := r.Require(ctx, requirement)
		if err != nil {
			return Errored, fmt.Errorf("look for %s: %w", requirement, err)
		}
		if missing != "" {
			return Skipped, errors.New(missing)
		}
	}
	return Skipped, nil
}

// step runs one step to its end and tells about it.
func (r *Runner) step(ctx context.Context, s *Scope, step *Step) (Status, error) {
	started := r.now()
	finished := Event{Kind: StepFinished, Step: step.StepInfo, Status: Passed}

	action, expectations, err := step.Bind(s.Lookup)
	if err == nil {
		command := action.Command(s)
		finished.Command = Plain(command)
		r.send(Event{Kind: StepStarted, Step: step.StepInfo, Command: finished.Command})
		var o *Observation
		o, finished.Attempts, err = r.attempts(ctx, s, step, action, expectations)
		if o != nil {
			finished.Output, finished.ExitCode = Plain(o.Text), o.ExitCode
		}
	} else {
		r.send(Event{Kind: StepStarted, Step: step.StepInfo})
	}
	finished.Took = r.now().Sub(started)
	if err != nil {
		failure := &StepError{Step: step.StepInfo, Attempts: finished.Attempts, Took: finished.Took, Hint: hint(err), Err: err}
		finished.Status = Errored
		if ms, ok := mismatches(err); ok {
			failure.Mismatches = ms
			finished.Status = Failed
		}
		finished.Err = failure
	}
	r.send(finished)
	return finished.Status, finished.Err
}

// attempts tries a step until its expectations hold, as often in a row as the
// step asks for. It returns the last observation, also with an error.
func (r *Runner) attempts(ctx context.Context, s *Scope, step *Step, action Action, expectations []Expectation) (last *Observation, tries int, err error) {
	if step.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, step.Timeout, &Mismatch{What: "the step's time", Want: "at most " + step.Timeout.String(), Got: "no end"})
		defer cancel()
	}
	deadline := r.now().Add(step.Within)
	inARow := 0
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		o, err := r.attempt(ctx, s, action, expectations)
		tries++
		if o != nil {
			last = o
		}
		if ctx.Err() != nil {
			// What an attempt shows whose time is over may be the end of time alone.
			return last, tries, ended(ctx, err)
		}
		ms, judged := mismatches(err)
		switch {
		case err == nil:
			if inARow++; inARow >= step.Holds {
				return last, tries, nil
			}
			// The next attempt is to hold as well: there is nothing to wait for.
			pause = firstPause
		case judged && action.Repeats(), isRetryable(err):
			inARow = 0
			r.send(Event{Kind: Attempt, Step: step.StepInfo, Attempts: tries, Err: err})
			if r.now().Add(pause).After(deadline) {
				if judged {
					return last, tries, ms
				}
				return last, tries, err
			}
		default:
			return last, tries, err
		}
		select {
		case <-ctx.Done():
			return last, tries, ended(ctx, err)
		case <-time.After(pause):
		}
	}
}

// ended is the error of a step whose context ended: the reason, and what the
// step waited for, if it did.
func ended(ctx context.Context, last error) error {
	cause := context.Cause(ctx)
	ms, judged := mismatches(last)
	if timeout, ok := errors.AsType[*Mismatch](cause); ok {
		return append(Mismatches{timeout}, ms...)
	}
	if judged {
		return fmt.Errorf("%w, while: %s", cause, ms)
	}
	if last != nil && !errors.Is(last, cause) && !errors.Is(last, ctx.Err()) {
		return fmt.Errorf("%w, while: %w", cause, last)
	}
	return cause
}

// attempt tries an action once and judges what it showed.
func (r *Runner) attempt(ctx context.Context, s *Scope, action Action, expectations []Expectation) (*Observation, error) {
	judges := make([]func(context.Context, *Observation) error, len(expectations))
	for i, e := range expectations {
		if w, ok := e.(Watcher); ok {
			judge, err := w.Watch(ctx, s, action)
			if err != nil {
				return nil, err
			}
			judges[i] = judge
		} else {
			judges[i] = func(_ context.Context, o *Observation) error { return e.Check(o) }
		}
	}
	o, err := action.Try(ctx, s)
	if err != nil {
		return o, err
	}
	var all Mismatches
	for _, judge := range judges {
		err := judge(ctx, o)
		if ms, ok := mismatches(err); ok {
			all = append(all, ms...)
		} else if err != nil {
			return o, err
		}
	}
	if len(all) > 0 {
		return o, all
	}
	return o, nil
}

// cleanUp undoes what the steps did, newest first, and returns what it could
// not undo. One undo that goes wrong does not keep the others from being done.
func (r *Runner) cleanUp(ctx context.Context, s *Scope, info PlaybookInfo) (left []string) {
	if len(s.undo) == 0 {
		return nil
	}
	var all []string
	for _, u := range slices.Backward(s.undo) {
		all = append(all, u.what)
	}
	r.send(Event{Kind: CleanupStarted, Playbook: info, Left: all})
	if r.Keep {
		return all
	}
	// An interrupt has cancelled ctx: undoing needs time of its own.
	ctx = context.WithoutCancel(ctx)
	for _, u := range slices.Backward(s.undo) {
		started := r.now()
		err := r.undo(ctx, u)
		if err != nil {
			left = append(left, u.what)
		}
		r.send(Event{Kind: Undone, Playbook: info, Undo: u.what, Back: u.back, Took: r.now().Sub(started), Err: err})
	}
	return left
}

func (r *Runner) undo(ctx context.Context, u undo) error {
	if r.UndoTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.UndoTimeout, fmt.Errorf("it took longer than %v", r.UndoTimeout))
		defer cancel()
	}
	return u.do(ctx)
}

// hint returns what the error's own advice is, "" where it has none.
func hint(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

func (r *Runner) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *Runner) send(e Event) {
	e.Time = r.now()
	r.Sink.Send(e)
}

func (s *Summary) add(status Status) {
	switch status {
	case Passed:
		s.Passed++
	case Failed:
		s.Failed++
	case Skipped:
		s.Skipped++
	case Errored:
		s.Error++
	}
}

// Status returns how a run with these playbooks ended: that of the worst one.
func (s Summary) Status() Status {
	switch {
	case s.Failed > 0:
		return Failed
	case s.Error > 0:
		return Errored
	case s.Passed > 0:
		return Passed
	default:
		return Skipped
	}
}
