package transcript

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// A Report collects a run for the [Formats]. It is a [runner.Sink], and what it has
// is whole at any time: what has not been run yet is skipped, what was begun and has
// not ended is an error. Its methods may be called from several goroutines.
type Report struct {
	// Workspace is the folder to which the files of annotations are relative; ""
	// leaves their names as they are.
	Workspace string

	mu   sync.Mutex
	doc  document // without its cleanup and summary
	next int      // the playbook that comes next

	open    bool     // a playbook was begun that has not ended
	failed  bool     // something could not be put back
	context string   // of the cluster in which a run in several goes on
	pending []string // what the open playbook still has to put back
	left    []string // what the others left
}

var _ runner.Sink = (*Report)(nil)

// document is what a report says, and as JSON its version 2. A name that ends in Ms
// is that of a number of milliseconds, in the evidence too.
type document struct {
	Version    int               `json:"version"`
	Started    time.Time         `json:"started,omitzero"`
	DurationMS int64             `json:"durationMs"`
	Target     string            `json:"target"`
	Versions   map[string]string `json:"versions"`
	// Targets are the clusters of a run in several, Target says then how many there
	// are, and Versions has what is the same in all of them.
	Targets []targetReport `json:"targets,omitempty"`
	// Mistakes are what kept the playbooks from being read.
	Mistakes  []Mistake         `json:"mistakes,omitempty"`
	Notes     []string          `json:"notes,omitempty"`
	Playbooks []*playbookReport `json:"playbooks"`
	Summary   runner.Summary    `json:"summary"`
	Cleanup   cleanupReport     `json:"cleanup"`

	workspace string
}

// A Mistake is something in a playbook that keeps it from being run.
type Mistake struct {
	At   evidence.Position `json:"at"` // its line is 0 where it is about no place in a file
	Text string            `json:"text"`
	Hint string            `json:"hint,omitempty"`
}

// A targetReport is one of several clusters.
type targetReport struct {
	Context  string            `json:"context"`
	Target   string            `json:"target"`
	Versions map[string]string `json:"versions"`
}

type playbookReport struct {
	Name       string        `json:"name"`
	Title      string        `json:"title"`
	Topic      int           `json:"topic"`
	Text       string        `json:"text,omitempty"`   // Markdown
	Part       string        `json:"part,omitempty"`   // which part of it is run; "" for all of it
	Source     string        `json:"source,omitempty"` // a URL
	File       string        `json:"file"`
	Context    string        `json:"context,omitempty"` // of one of several clusters
	Round      int           `json:"round,omitempty"`   // of several, from 1
	Status     runner.Status `json:"status"`
	Started    time.Time     `json:"started,omitzero"`
	DurationMS int64         `json:"durationMs"`
	// Error is why the playbook has not passed, where no step does.
	Error *string       `json:"error"`
	Steps []*stepReport `json:"steps"`
	// Cleanup is what was put back, or was to be, in that order.
	Cleanup []undoReport `json:"cleanup"`
	// Left is what has not been put back.
	Left []string `json:"left,omitempty"`
}

type stepReport struct {
	Index      int           `json:"index"` // from 1
	ID         string        `json:"id"`
	Title      string        `json:"title"`
	Text       string        `json:"text,omitempty"` // Markdown
	Kind       string        `json:"kind"`
	File       string        `json:"file"`
	Line       int           `json:"line"` // from 1
	Choice     runner.Choice `json:"choice,omitempty"`
	Status     runner.Status `json:"status"`
	Started    time.Time     `json:"started,omitzero"`
	DurationMS int64         `json:"durationMs"`
	Attempts   int           `json:"attempts"`
	ExitCode   *int          `json:"exitCode"` // null where no command was run
	Error      *string       `json:"error"`    // null where there is none
	Hint       string        `json:"hint,omitempty"`
	Command    string        `json:"command,omitempty"`
	Output     string        `json:"output,omitempty"`
	// Verdicts are how each claim was judged, those not checked here among them.
	Verdicts []verdictReport `json:"verdicts"`
	// Findings are the causes of a failure, as far as they are known.
	Findings []evidence.Finding `json:"findings,omitempty"`
	// Evidence is what the verdicts rest on, null where there is none.
	Evidence *evidence.Attempt `json:"evidence"`
}

// A verdictReport is a verdict with what was wanted and what came as data, too.
type verdictReport struct {
	evidence.Verdict
	WantValue any `json:"wantValue,omitempty"`
	GotValue  any `json:"gotValue,omitempty"`
}

// An undoReport is something that was put back (passed), could not be (error), or
// had not to be (skipped).
type undoReport struct {
	What       string        `json:"what"`
	Status     runner.Status `json:"status"`
	Back       string        `json:"back,omitempty"` // how it is now
	DurationMS int64         `json:"durationMs"`
	Error      string        `json:"error,omitempty"`
}

// cleanupReport reports whether everything was put back: passed, failed, skipped
// (--keep), or error while it is not known.
type cleanupReport struct {
	Status runner.Status `json:"status"`
	Left   []string      `json:"left"`
}

// NewReport returns the report of a run of these playbooks that has not begun. A run
// in several clusters has their contexts.
func NewReport(playbooks []*runner.Playbook, contexts ...string) *Report {
	r := &Report{doc: document{Version: 2, Versions: map[string]string{}, Playbooks: []*playbookReport{}}}
	if len(contexts) == 0 {
		contexts = []string{""}
	}
	for _, context := range contexts {
		for _, p := range playbooks {
			info := p.Info()
			info.Context = context
			pr := newPlaybookReport(info)
			for i := range p.Steps {
				pr.step(&p.Steps[i].StepInfo)
			}
			r.doc.Playbooks = append(r.doc.Playbooks, pr)
		}
	}
	return r
}

func newPlaybookReport(info runner.PlaybookInfo) *playbookReport {
	p := &playbookReport{Status: runner.Skipped, Steps: []*stepReport{}, Cleanup: []undoReport{}}
	p.is(&info)
	return p
}

// is takes down which playbook it is.
func (p *playbookReport) is(info *runner.PlaybookInfo) {
	p.Name, p.Title, p.Topic, p.File, p.Round = info.Name, info.Title, info.Topic, info.File, info.Round
	p.Text, p.Source, p.Part, p.Context = info.Text, info.Source, info.Part, info.Context
}

// Fail records why the playbooks that have not begun could not be run.
func (r *Report) Fail(err error, mistakes ...Mistake) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := err.Error()
	for _, p := range r.doc.Playbooks[r.next:] {
		p.Status, p.Error = runner.Errored, &text
	}
	r.doc.Mistakes = append(r.doc.Mistakes, mistakes...)
	r.next = len(r.doc.Playbooks)
}

// Send implements [runner.Sink].
func (r *Report) Send(e runner.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case runner.RunStarted:
		r.doc.Started = e.Time
		r.doc.at(e)
	case runner.ClusterStarted:
		r.context = e.Target.Context
	case runner.Note:
		r.doc.Notes = append(r.doc.Notes, e.Text+inContext(r.context))
	case runner.PlaybookStarted:
		// A playbook that is repeated is planned once.
		if r.next == len(r.doc.Playbooks) || r.doc.Playbooks[r.next].Context != e.Playbook.Context {
			r.doc.Playbooks = slices.Insert(r.doc.Playbooks, r.next, newPlaybookReport(*e.Playbook))
		}
		p := r.doc.Playbooks[r.next]
		r.next++
		p.is(e.Playbook)
		p.Started, p.Status, p.Error = e.Time, runner.Errored, unfinished()
		r.open = true
	case runner.StepStarted:
		s := r.current().step(e.Step)
		s.Started, s.Status, s.Error = e.Time, runner.Errored, unfinished()
		s.Command = e.Command
	case runner.Attempt:
		r.current().step(e.Step).Attempts = e.Attempts
	case runner.StepFinished:
		r.current().step(e.Step).finished(e)
	case runner.CleanupStarted:
		r.pending = slices.Clone(e.Left)
	case runner.Undone:
		r.undone(e)
	case runner.PlaybookFinished:
		p := r.current()
		p.Status, p.DurationMS, p.Error, p.Left = e.Status, e.Took.Milliseconds(), nil, e.Left
		if e.Problem != nil && e.Problem.Step == nil {
			p.Error = &e.Problem.Text
		}
		r.open, r.pending = false, nil
		for _, what := range e.Left {
			r.left = append(r.left, what+inContext(p.Context))
		}
	case runner.RunFinished:
		r.doc.DurationMS = e.Took.Milliseconds()
	}
}

// at takes down where a run takes place.
func (d *document) at(e runner.Event) {
	if e.Target != nil {
		d.Target = e.Target.Describe
		maps.Copy(d.Versions, e.Target.Versions)
		return
	}
	d.Target = Count(len(e.Targets), "cluster", "clusters")
	for _, target := range e.Targets {
		d.Targets = append(d.Targets, targetReport{target.Context, target.Describe, target.Versions})
	}
	for name, version := range e.Targets[0].Versions {
		if !slices.ContainsFunc(e.Targets, func(target runner.Target) bool { return target.Versions[name] != version }) {
			d.Versions[name] = version
		}
	}
}

// in returns where a playbook ran, and what took part there.
func (d *document) in(p *playbookReport) (target string, versions map[string]string) {
	for _, t := range d.Targets {
		if t.Context == p.Context {
			return t.Target, t.Versions
		}
	}
	return d.Target, d.Versions
}

// finished takes down how a step ended.
func (s *stepReport) finished(e runner.Event) {
	s.Status, s.DurationMS, s.Attempts, s.Error = e.Status, e.Took.Milliseconds(), e.Attempts, nil
	s.Output, s.Evidence, s.Findings = e.Output, e.Evidence, e.Findings
	if e.Command != "" {
		s.Command = e.Command
	}
	if e.Evidence != nil {
		s.ExitCode = e.Evidence.Command.ExitCode
	}
	s.Verdicts = nil
	verdicts := e.Verdicts
	if p := e.Problem; p != nil {
		s.Error, s.Hint = &p.Text, p.Hint // file, line and title stand beside it
		if verdicts == nil {
			verdicts = p.Verdicts
		}
	}
	for _, v := range verdicts {
		s.Verdicts = append(s.Verdicts, verdictReport{v, value(v, v.Want), value(v, v.Got)})
	}
}

// of returns the verdicts of a step that have one of these outcomes.
func (s *stepReport) of(outcomes ...evidence.Outcome) []evidence.Verdict {
	var of []evidence.Verdict
	for _, v := range s.Verdicts {
		if slices.Contains(outcomes, v.Outcome) {
			of = append(of, v.Verdict)
		}
	}
	return of
}

func (r *Report) undone(e runner.Event) {
	u := undoReport{What: e.Undo, Status: e.Status, Back: e.Back, DurationMS: e.Took.Milliseconds()}
	if e.Problem != nil {
		r.failed = true
		u.Status, u.Error = runner.Errored, e.Problem.Text
	} else if i := slices.Index(r.pending, e.Undo); i >= 0 {
		r.pending = slices.Delete(r.pending, i, i+1)
	}
	if r.next > 0 {
		r.current().Cleanup = append(r.current().Cleanup, u)
	}
}

// Left names what has not been put back so far; complete reports whether that is
// known to be all.
func (r *Report) Left() (left []string, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.left, r.pending), !r.open || r.pending != nil
}

// In returns the report as it is now in one of the [Formats].
func (r *Report) In(f Format) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f.document(r.complete())
}

// complete returns the document with what is made of the rest of it.
func (r *Report) complete() *document {
	doc := r.doc
	doc.workspace = r.Workspace
	for _, p := range doc.Playbooks {
		for _, s := range p.Steps {
			doc.Summary.NotChecked += len(s.of(evidence.NotChecked))
			if s.Verdicts == nil {
				s.Verdicts = []verdictReport{}
			}
		}
		doc.Summary.Add(p.Status)
	}
	doc.Cleanup.Left = append(append([]string{}, r.left...), r.pending...)
	switch {
	case r.failed:
		doc.Cleanup.Status = runner.Failed
	case r.open:
		doc.Cleanup.Status = runner.Errored
	case len(r.left) > 0:
		doc.Cleanup.Status = runner.Skipped
	default:
		doc.Cleanup.Status = runner.Passed
	}
	return &doc
}

func unfinished() *string {
	text := "it did not end"
	return &text
}

func (r *Report) current() *playbookReport { return r.doc.Playbooks[r.next-1] }

// step returns the report of a step, a new one where there is none.
func (p *playbookReport) step(info *runner.StepInfo) *stepReport {
	if i := info.Index - 1; 0 <= i && i < len(p.Steps) {
		return p.Steps[i]
	}
	s := &stepReport{
		Index: info.Index, ID: info.ID, Title: info.Title, Text: info.Text, Kind: info.Kind,
		File: info.File, Line: info.Line, Choice: info.Choice, Status: runner.Skipped,
	}
	p.Steps = append(p.Steps, s)
	return s
}
