package transcript

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// A Report is a run as one JSON document. It is a [runner.Sink], and its
// document is whole at any time: what has not been run yet is skipped, what was
// begun and has not ended is an error. Its methods may be called from several
// goroutines.
type Report struct {
	mu   sync.Mutex
	doc  document // without its cleanup and summary
	next int      // the playbook that comes next

	open    bool     // a playbook was begun that has not ended
	failed  bool     // something could not be put back
	pending []string // what the open playbook still has to put back
	left    []string // what the others left
}

var _ runner.Sink = (*Report)(nil)

// document is the format of a report, version 2. A name that ends in Ms is that of
// a number of milliseconds, in the evidence too.
type document struct {
	Version   int               `json:"version"`
	Target    string            `json:"target"`
	Versions  map[string]string `json:"versions"`
	Playbooks []*playbookReport `json:"playbooks"`
	Summary   runner.Summary    `json:"summary"`
	Cleanup   cleanupReport     `json:"cleanup"`
}

type playbookReport struct {
	Name       string        `json:"name"`
	Title      string        `json:"title"`
	Topic      int           `json:"topic"`
	File       string        `json:"file"`
	Round      int           `json:"round,omitempty"` // of several, from 1
	Status     runner.Status `json:"status"`
	DurationMS int64         `json:"durationMs"`
	// Error says why the playbook has not passed, where no step does.
	Error *string       `json:"error"`
	Steps []*stepReport `json:"steps"`
}

type stepReport struct {
	Index      int           `json:"index"` // from 1
	ID         string        `json:"id"`
	Title      string        `json:"title"`
	Kind       string        `json:"kind"`
	File       string        `json:"file"`
	Line       int           `json:"line"` // from 1
	Status     runner.Status `json:"status"`
	DurationMS int64         `json:"durationMs"`
	Attempts   int           `json:"attempts"`
	ExitCode   *int          `json:"exitCode"` // null where no command was run
	Error      *string       `json:"error"`    // null where there is none
	Hint       string        `json:"hint,omitempty"`
	Command    string        `json:"command,omitempty"`
	Output     string        `json:"output,omitempty"`
	// Verdicts are how each claim was judged, those not checked here among them.
	Verdicts evidence.Verdicts `json:"verdicts"`
	// Findings are the causes of a failure, as far as they are known.
	Findings []evidence.Finding `json:"findings,omitempty"`
	// Evidence is what the verdicts rest on, null where there is none.
	Evidence *evidence.Attempt `json:"evidence"`
}

// cleanupReport says whether everything was put back: passed, failed, skipped
// (--keep), or error while it is not known.
type cleanupReport struct {
	Status runner.Status `json:"status"`
	Left   []string      `json:"left"`
}

// NewReport returns the report of a run of these playbooks that has not begun.
func NewReport(playbooks []*runner.Playbook) *Report {
	r := &Report{doc: document{Version: 2, Versions: map[string]string{}, Playbooks: []*playbookReport{}}}
	for _, p := range playbooks {
		pr := &playbookReport{Name: p.Name, Title: p.Title, Topic: p.Topic, File: p.File, Status: runner.Skipped, Steps: []*stepReport{}}
		for i := range p.Steps {
			pr.step(&p.Steps[i].StepInfo)
		}
		r.doc.Playbooks = append(r.doc.Playbooks, pr)
	}
	return r
}

// Fail says why the playbooks that have not begun could not be run.
func (r *Report) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.doc.Playbooks[r.next:] {
		p.Status, p.Error = runner.Errored, reason(err)
	}
	r.next = len(r.doc.Playbooks)
}

// Send implements [runner.Sink].
func (r *Report) Send(e runner.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Kind {
	case runner.RunStarted:
		r.doc.Target = e.Target.Describe
		for name, version := range e.Target.Versions {
			r.doc.Versions[name] = version
		}
	case runner.PlaybookStarted:
		if r.next == len(r.doc.Playbooks) {
			r.doc.Playbooks = append(r.doc.Playbooks, &playbookReport{Steps: []*stepReport{}})
		}
		p := r.doc.Playbooks[r.next]
		r.next++
		p.Name, p.Title, p.Topic, p.File, p.Round = e.Playbook.Name, e.Playbook.Title, e.Playbook.Topic, e.Playbook.File, e.Playbook.Round
		p.Status, p.Error = runner.Errored, reason(errUnfinished)
		r.open = true
	case runner.StepStarted:
		s := r.current().step(e.Step)
		s.Status, s.Error = runner.Errored, reason(errUnfinished)
	case runner.Attempt:
		r.current().step(e.Step).Attempts = e.Attempts
	case runner.StepFinished:
		s := r.current().step(e.Step)
		s.Status, s.DurationMS, s.Attempts, s.Error = e.Status, e.Took.Milliseconds(), e.Attempts, nil
		s.Output, s.Evidence, s.Verdicts, s.Findings = e.Output, e.Evidence, e.Verdicts, e.Findings
		if e.Command != "" {
			s.Command = e.Command
		}
		if e.Evidence != nil {
			s.ExitCode = e.Evidence.Command.ExitCode
		}
		if p := e.Problem; p != nil {
			s.Error, s.Hint = &p.Text, p.Hint // file, line and title stand beside it
			if s.Verdicts == nil {
				s.Verdicts = p.Verdicts
			}
		}
	case runner.CleanupStarted:
		r.pending = slices.Clone(e.Left)
	case runner.Undone:
		if e.Problem != nil {
			r.failed = true
		} else if i := slices.Index(r.pending, e.Undo); i >= 0 {
			r.pending = slices.Delete(r.pending, i, i+1)
		}
	case runner.PlaybookFinished:
		p := r.current()
		p.Status, p.DurationMS, p.Error = e.Status, e.Took.Milliseconds(), nil
		if e.Problem != nil && e.Problem.Step == nil {
			p.Error = &e.Problem.Text
		}
		r.open, r.pending = false, nil
		r.left = append(r.left, e.Left...)
	}
}

// Left names what has not been put back so far; complete says whether that is
// known to be all.
func (r *Report) Left() (left []string, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.left, r.pending), !r.open || r.pending != nil
}

// Bytes returns the document as it is now.
func (r *Report) Bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	doc := r.doc
	for _, p := range doc.Playbooks {
		for _, s := range p.Steps {
			doc.Summary.NotChecked += len(s.Verdicts.Of(evidence.NotChecked))
		}
		switch p.Status {
		case runner.Passed:
			doc.Summary.Passed++
		case runner.Failed:
			doc.Summary.Failed++
		case runner.Skipped:
			doc.Summary.Skipped++
		default:
			doc.Summary.Error++
		}
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
	for _, p := range doc.Playbooks {
		for _, s := range p.Steps {
			if s.Verdicts == nil {
				s.Verdicts = evidence.Verdicts{}
			}
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		panic(err) // the document has nothing that JSON has not
	}
	return harmless(b.Bytes())
}

// Write writes the document to a file in one go: a reader sees the old one or
// the new one, never a part. To a stream, see [IsStream], it is appended.
func (r *Report) Write(path string) error {
	if err := write(path, r.Bytes()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

var errUnfinished = errors.New("it did not end")

func (r *Report) current() *playbookReport { return r.doc.Playbooks[r.next-1] }

// step returns the report of a step, a new one where there is none.
func (p *playbookReport) step(info *runner.StepInfo) *stepReport {
	if i := info.Index - 1; 0 <= i && i < len(p.Steps) {
		return p.Steps[i]
	}
	s := &stepReport{
		Index: info.Index, ID: info.ID, Title: info.Title, Kind: info.Kind,
		File: info.File, Line: info.Line, Status: runner.Skipped,
	}
	p.Steps = append(p.Steps, s)
	return s
}

func reason(err error) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	return &text
}
