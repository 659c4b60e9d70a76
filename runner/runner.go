package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/explain"
	"github.com/egressplay/egressplay/redact"
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
	// UndoTimeout bounds each thing that is put back, further attempts included:
	// one that hangs does not take the time of the others.
	UndoTimeout time.Duration
	// Secrets are what no event may have in it; those that the playbooks apply,
	// read and make are added. Where it is nil, Run makes one.
	Secrets *redact.Redactor
	// Keep leaves what the playbooks changed, and lists what is left.
	Keep bool

	// Require returns what the cluster lacks of a playbook's requirement; "" when it
	// has all of it.
	Require func(ctx context.Context, requirement string) (missing string, err error)
	// Collectors gather the evidence of attempts, all at the same time.
	Collectors []Collector
	// Settler knows when a change of the mesh is in force; nil where nobody
	// does.
	Settler Settler
	// Strict makes an error of each claim that is not checked.
	Strict bool
	// Repeat is how often each playbook runs, at least once.
	Repeat int
	// Internet brings a playbook's own hosts into the lab's internet, and returns
	// what takes them away again. Where it is nil, playbooks with hosts are skipped.
	Internet func(ctx context.Context, p *Playbook) (take func(context.Context) error, err error)
	// Analyze runs istioctl analyze, Istio's own program, with these arguments, and
	// returns what it prints. It is nil where that program is not there. The error
	// reports that it found out nothing.
	Analyze func(ctx context.Context, args []string) (*Analysis, error)
	// Pause asks whoever steers the run what to do, where it is not nil: behind each
	// step that did not pass, and if StepByStep is set, before each step as well. Its
	// error ends the playbook as an interrupt does.
	Pause      func(context.Context, Paused) (Decision, error)
	StepByStep bool

	// Changes makes the run's changes and remembers them; nil for one in memory.
	Changes *changes.Journal
	// Explain finds the causes of a step that did not pass; nil for nobody.
	Explain func(ctx context.Context, f explain.Failure) []evidence.Finding
	// Notes are what a reader is to know before the first playbook.
	Notes []string

	playbook    *PlaybookInfo // the one that runs
	finished    *Event        // how its last step ended, as it was sent
	saidUnknown bool
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
	firstPause = 50 * time.Millisecond // between two attempts, see pauseAfter
	lastPause  = time.Second / 2
)

// Run runs playbooks one after the other, each as often as it is to be repeated.
// It returns when what they changed has been put back, as far as it could be. A
// cancelled context ends the step in progress and skips what follows; the
// clean-up has time of its own.
func (r *Runner) Run(ctx context.Context, playbooks []*Playbook) Result {
	started := time.Now()
	r.watchSecrets(r.Changes)
	infos := Infos(playbooks, r.Repeat)
	r.send(Event{Kind: RunStarted, Target: &r.Target, Playbooks: infos})
	for _, note := range r.Notes {
		r.send(Event{Kind: Note, Text: note})
	}
	var result Result
	for i := range infos {
		status, left := r.run(ctx, playbooks[i%len(playbooks)], &infos[i], &result.Summary)
		result.Summary.Add(status)
		if !r.Keep {
			result.Left = append(result.Left, left...)
		}
	}
	r.playbook = nil
	result.Interrupted = ctx.Err() != nil
	r.send(Event{Kind: RunFinished, Status: result.Summary.Status(), Took: time.Since(started), Summary: &result.Summary, Left: result.Left})
	return result
}

// Infos returns what a run of playbooks consists of, in order, each as often as it is
// repeated.
func Infos(playbooks []*Playbook, repeat int) (infos []PlaybookInfo) {
	rounds := max(repeat, 1)
	for round := range rounds {
		for _, p := range playbooks {
			info := p.Info()
			if rounds > 1 {
				info.Round = round + 1
			}
			infos = append(infos, info)
		}
	}
	return infos
}

// run runs one playbook and cleans up after it.
func (r *Runner) run(ctx context.Context, p *Playbook, info *PlaybookInfo, summary *Summary) (status Status, left []string) {
	started := time.Now()
	r.playbook = info
	r.send(Event{Kind: PlaybookStarted})

	s := NewScope(&watchedCluster{r.Cluster, r.Secrets}, p.Vars)
	s.Secrets = r.Secrets
	s.Namespace, s.IstioNamespace, s.Revision = r.Namespace, r.IstioNamespace, r.Revision
	s.Started, s.Analyze = started, r.Analyze
	if r.Changes != nil {
		s.Changes = r.Changes
	}
	s.Changes.Playbook = p.File

	status, err := r.steps(ctx, s, p, summary)
	left = r.cleanUp(ctx, s)
	left = append(left, r.takeHosts(ctx, s)...)
	r.send(Event{Kind: PlaybookFinished, Status: status, Took: time.Since(started), Problem: problem(err), Left: left})
	return status, left
}

// steps runs a playbook's steps in order, up to the first one that does not
// pass and does not let the rest continue. Of the rest it runs those that clean up,
// and says of the others that they were skipped.
func (r *Runner) steps(ctx context.Context, s *Scope, p *Playbook, summary *Summary) (Status, error) {
	limit := r.Timeout
	if p.Timeout > 0 && (limit == 0 || p.Timeout < limit) {
		limit = p.Timeout
	}
	ctx, clock, cancel := withClock(ctx, limit, fmt.Errorf("the playbook did not end within %v", limit))
	defer cancel()
	worst, stop := r.required(ctx, p)
	if stop == nil && ctx.Err() == nil {
		worst, stop = r.bringHosts(ctx, s, p)
	}
	r.finished = nil
	sequence := newSequence(r, s, p, clock)
	for i := range p.Steps {
		step := &p.Steps[i]
		if stop == nil && ctx.Err() != nil {
			if stop = context.Cause(ctx); i > 0 {
				worst = worse(worst, Errored)
			}
		}
		switch {
		case step.Choice == LeftOut:
			sequence.skip(step, errLeftOut)
		case stop != nil && step.CleansUp && sequence.last >= 0 && ctx.Err() == nil:
			sequence.cleanUp(ctx, i)
		case stop != nil:
			sequence.skip(step, nil)
		default:
			stop = sequence.next(ctx, i)
		}
	}
	worst, first := sequence.ended(worst, summary)
	if first != nil {
		stop = first
	}
	return worst, stop
}

// errLeftOut is why a step is skipped that belongs to no part that is run.
var errLeftOut = errors.New(string(LeftOut))

// worse returns the worse of two statuses, as [Summary.Status] orders them.
func worse(a, b Status) Status {
	for _, s := range []Status{Failed, Errored, Passed} {
		if a == s || b == s {
			return s
		}
	}
	return Skipped
}

// required returns whether a playbook runs. It is skipped if the cluster lacks what
// it requires.
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
func (r *Runner) step(ctx context.Context, s *Scope, step *Step) (status Status, notChecked int, err error) {
	started := time.Now()
	finished := Event{Kind: StepFinished, Step: &step.StepInfo, Status: Passed}

	var last *evidence.Attempt
	var command string // with the values of all variables
	action, checks, err := step.Bind(s.Lookup)
	if err == nil {
		command = action.Command(s)
		finished.Command = s.command(step, action)
		r.send(Event{Kind: StepStarted, Step: &step.StepInfo, Command: finished.Command})
		t := tries{runner: r, scope: s, step: step, action: action, checks: checks}
		err = t.run(ctx)
		finished.Attempts, finished.Verdicts = t.made, t.verdicts
		if last = t.last; last != nil {
			finished.Output, finished.Evidence = t.last.Text, t.last
		}
	} else {
		r.send(Event{Kind: StepStarted, Step: &step.StepInfo})
	}
	if err == nil {
		unchecked := finished.Verdicts.Of(evidence.NotChecked)
		notChecked = len(unchecked)
		if r.Strict && len(unchecked) > 0 {
			err = &judgement{unchecked}
		}
	}
	finished.Took = time.Since(started)
	if err != nil {
		finished.Problem = problem(err)
		finished.Problem.Step = &step.StepInfo
		finished.Status = Errored
		if len(finished.Problem.Verdicts.Of(evidence.NotHeld)) > 0 {
			finished.Status = Failed
		}
	}
	if finished.Problem != nil && r.Explain != nil && ctx.Err() == nil {
		finished.Findings = r.Explain(ctx, explain.Failure{
			Kind: step.Kind, Command: command, Attempt: last, Verdicts: finished.Problem.Verdicts, Error: err,
			Namespace: s.Namespace, IstioNamespace: s.IstioNamespace, Changes: s.changes,
		})
		finished.Took = time.Since(started)
	}
	r.send(finished)
	if finished.Problem == nil {
		return Passed, notChecked, nil
	}
	return finished.Status, notChecked, finished.Problem
}

// cleanUp puts back what the steps changed, and returns what it could not put
// back.
func (r *Runner) cleanUp(ctx context.Context, s *Scope) (left []string) {
	// What earlier playbooks left has been said.
	ours := func(c *changes.Change) bool { return c.Playbook == s.Changes.Playbook }
	if r.Keep {
		for _, c := range s.Changes.Open() {
			if ours(c) {
				left = append(left, c.What)
			}
		}
		if len(left) > 0 {
			r.send(Event{Kind: CleanupStarted, Left: left})
		}
		return left
	}
	if !slices.ContainsFunc(s.Changes.Open(), ours) {
		return r.PutBack(ctx, s.Changes, ours) // it forgets what was made and deleted again
	}
	watch := r.watch()
	for _, c := range s.changes {
		watch.Before(context.WithoutCancel(ctx), c)
	}
	left = r.PutBack(ctx, s.Changes, ours)
	if len(s.changes) > 0 {
		watch.After(context.WithoutCancel(ctx), s.changes)
	}
	return left
}

// PutBack puts back the changes of a journal that are meant, nil for all, and
// returns what it could not put back. It tells about it as it does at the end of
// a playbook.
func (r *Runner) PutBack(ctx context.Context, j *changes.Journal, meant func(*changes.Change) bool) (left []string) {
	r.watchSecrets(j)
	open := j.Open()
	if meant != nil {
		open = slices.DeleteFunc(open, func(c *changes.Change) bool { return !meant(c) })
	}
	if len(open) > 0 {
		var all []string
		for _, c := range open {
			all = append(all, c.What)
		}
		r.send(Event{Kind: CleanupStarted, Left: all})
	}
	// An interrupt has cancelled ctx: undoing needs time of its own.
	err := j.Undo(context.WithoutCancel(ctx), open, r.UndoTimeout, func(u changes.Undone) {
		e := Event{Kind: Undone, Status: Passed, Undo: u.Change.What, Back: u.Change.Back, Took: u.Took, Problem: problem(u.Err)}
		switch {
		case u.Err != nil:
			e.Status = Errored
			left = append(left, u.Change.What)
		case u.Nothing:
			e.Status, e.Back = Skipped, ""
		case u.Change.ForGood:
			e.Status = Skipped
		case u.Note != "":
			e.Back += "; " + u.Note
		}
		r.send(e)
	})
	if err != nil {
		left = append(left, notes)
		r.send(Event{Kind: Undone, Status: Errored, Undo: notes, Problem: problem(err)})
	}
	return left
}

// notes names what a run has noted of its changes, where it could not be removed.
const notes = "the notes of what was changed"

// Note tells the reader of a run something.
func (r *Runner) Note(text string) {
	r.send(Event{Kind: Note, Text: text})
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

func (r *Runner) send(e Event) {
	e.Time, e.Playbook = time.Now(), r.playbook
	e = r.shown(e)
	if e.Kind == StepFinished && e.Status != Skipped {
		r.finished = &e
	}
	r.Sink.Send(e)
}

// Add counts a playbook that ended so.
func (s *Summary) Add(status Status) {
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

// And returns the sum of two summaries.
func (s Summary) And(other Summary) Summary {
	return Summary{
		Passed: s.Passed + other.Passed, Failed: s.Failed + other.Failed, Skipped: s.Skipped + other.Skipped,
		Error: s.Error + other.Error, NotChecked: s.NotChecked + other.NotChecked,
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
