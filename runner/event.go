package runner

import (
	"errors"
	"fmt"
	"time"

	"github.com/egressplay/egressplay/evidence"
)

// An EventKind names what happened.
type EventKind string

// The kinds of events, in the order in which a run sends them. Waiting and
// Attempt may come several times in a step; a playbook's Undone events come
// between its last StepFinished and its PlaybookFinished. Each event of a
// playbook has Playbook, each event of a step has Step.
const (
	RunStarted       EventKind = "run.started"       // Target, or Targets where there are several; Playbooks
	ClusterStarted   EventKind = "cluster.started"   // Target: where the run goes on; only in a run in several clusters
	PlaybookStarted  EventKind = "playbook.started"  //
	StepStarted      EventKind = "step.started"      // Command
	Waiting          EventKind = "waiting"           // Text: what a step waits for before its attempts
	Attempt          EventKind = "attempt"           // Attempts, Problem: an attempt that did not hold (yet)
	StepFinished     EventKind = "step.finished"     // Status, Took, Attempts, Output, Evidence, Verdicts, Problem
	Note             EventKind = "note"              // Text: what a reader is to know, said once in a run
	CleanupStarted   EventKind = "cleanup.started"   // Left: all that is to be put back; only where there is something
	Undone           EventKind = "undone"            // Status, Undo, Back, Took, Problem
	PlaybookFinished EventKind = "playbook.finished" // Status, Took, Problem, Left
	RunFinished      EventKind = "run.finished"      // Status, Took, Summary, Left
)

// Status is how a step, a playbook or a run ended.
type Status string

// The statuses. A playbook without a passed step has not passed.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"  // an expectation did not hold
	Skipped Status = "skipped" // not run, with a reason
	Errored Status = "error"   // it could not be run, or could not be judged
)

// An Event is one thing that happened, as data. A field that does not belong to
// the event's kind is zero. A [Sink] gets it with each text bounded, free of
// terminal control sequences, and without secrets.
type Event struct {
	Kind EventKind `json:"kind"`
	Time time.Time `json:"time"`

	Target    *Target        `json:"target,omitempty"`
	Targets   []Target       `json:"targets,omitempty"`   // all of a run in several clusters
	Playbooks []PlaybookInfo `json:"playbooks,omitempty"` // all of the run
	Playbook  *PlaybookInfo  `json:"playbook,omitempty"`
	Step      *StepInfo      `json:"step,omitempty"`

	// Command is what a person would type for the step.
	Command string        `json:"command,omitempty"`
	Text    string        `json:"text,omitempty"`
	Status  Status        `json:"status,omitempty"`
	Took    time.Duration `json:"took,omitempty"` // in nanoseconds
	// Attempts counts the tries of a step so far, from 1.
	Attempts int `json:"attempts,omitempty"`
	// Output is what the step's last attempt showed.
	Output string `json:"output,omitempty"`
	// Evidence is what is known of the step's last attempt, each of its lists
	// bounded; nil where nothing is.
	Evidence *evidence.Attempt `json:"evidence,omitempty"`
	// Verdicts are how each claim of the step's last attempt was judged.
	Verdicts evidence.Verdicts `json:"verdicts,omitempty"`
	// Problem is the reason why the status is not Passed.
	Problem *Problem `json:"problem,omitempty"`

	// Findings are the causes of the problem, as far as they are known.
	Findings []evidence.Finding `json:"findings,omitempty"`

	// Undo names what was put back and Back how it is now, as in [changes.Change].
	// If the status is Skipped there was nothing to put back: Back is the reason,
	// and "" if nothing had been changed.
	Undo string `json:"undo,omitempty"`
	Back string `json:"back,omitempty"`
	// Left names what has not been put back.
	Left    []string `json:"left,omitempty"`
	Summary *Summary `json:"summary,omitempty"`
}

// A Problem is why something did not pass.
type Problem struct {
	Text string `json:"text"`
	// Hint returns what to do next; "" when nothing useful can be said.
	Hint string `json:"hint,omitempty"`
	// Verdicts are the claims that did not hold or could not be judged; none
	// where the step could not be run.
	Verdicts evidence.Verdicts `json:"verdicts,omitempty"`
	// Step is the step that says so; nil where none does.
	Step *StepInfo `json:"step,omitempty"`
	// Interrupted reports whether the user stopped the run.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Error returns the problem with its place.
func (p *Problem) Error() string {
	if p.Step == nil {
		return p.Text
	}
	return fmt.Sprintf("%s:%d: step %d, %q: %s", p.Step.File, p.Step.Line, p.Step.Index, p.Step.Title, p.Text)
}

// problem returns an error as a problem, nil for none.
func problem(err error) *Problem {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	p := &Problem{Text: err.Error(), Hint: hint(err), Interrupted: errors.Is(err, ErrInterrupted)}
	if j, ok := errors.AsType[*judgement](err); ok {
		p.Verdicts = j.Verdicts
	}
	return p
}

// PlaybookInfo identifies a playbook to a reader.
type PlaybookInfo struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	File  string `json:"file"`
	Topic int    `json:"topic"`
	Steps int    `json:"steps"` // how many it has
	// Text is what the playbook says of itself, in Markdown; Source the page that it
	// follows. Both are "" where it does not say.
	Text   string `json:"text,omitempty"`
	Source string `json:"source,omitempty"`
	// Part says which part of it runs; "" for all of it.
	Part string `json:"part,omitempty"`
	// Context names the cluster in which it runs; "" in a run in one cluster.
	Context string `json:"context,omitempty"`
	// Round is which repetition of it runs, from 1; 0 where it runs once.
	Round int `json:"round,omitempty"`
}

// Target is where a run takes place.
type Target struct {
	// Name is the lab's or the context's name.
	Name string `json:"name"`
	// Context names the cluster in a run in several clusters; "" in a run in one.
	Context string `json:"context,omitempty"`
	// Lab reports whether a lab of ours serves the cluster.
	Lab bool `json:"lab"`
	// Describe is one line for a reader, such as `lab "default" (running)`.
	Describe string `json:"describe"`
	// Versions are the versions of what takes part, by name: "egressplay",
	// "kubernetes", "istio", "envoy"; one that is not known is absent.
	Versions map[string]string `json:"versions"`
}

// Summary counts playbooks by status, and the claims that were not checked.
type Summary struct {
	Passed     int `json:"passed"`
	Failed     int `json:"failed"`
	Skipped    int `json:"skipped"`
	Error      int `json:"error"`
	NotChecked int `json:"notChecked"`
}

// A Sink takes events in order, one at a time.
type Sink interface {
	Send(Event)
}

// Sinks sends each event to each of them.
type Sinks []Sink

// Send implements [Sink].
func (ss Sinks) Send(e Event) {
	for _, s := range ss {
		s.Send(e)
	}
}
