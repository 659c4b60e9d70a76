package runner

import "time"

// EventKind says what happened.
type EventKind string

// The kinds of events, in the order in which a run sends them. Attempt may
// come several times in a step; a playbook's Undone events come
// between its last StepFinished and its PlaybookFinished.
const (
	RunStarted       EventKind = "run.started"       // Target, Playbooks
	PlaybookStarted  EventKind = "playbook.started"  // Playbook
	StepStarted      EventKind = "step.started"      // Step, Command
	Attempt          EventKind = "attempt"           // Step, Attempts, Err: an attempt that did not hold (yet)
	StepFinished     EventKind = "step.finished"     // Step, Status, Took, Attempts, ExitCode, Output, Err
	CleanupStarted   EventKind = "cleanup.started"   // Playbook, Left: all that is to be put back; only where there is something
	Undone           EventKind = "undone"            // Undo, Back, Took, Err
	PlaybookFinished EventKind = "playbook.finished" // Playbook, Status, Took, Err, Left
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

// An Event is one thing that happened. A field that does not belong to the
// event's kind is zero.
type Event struct {
	Kind EventKind
	Time time.Time

	Target    Target
	Playbooks []PlaybookInfo // all of the run
	Playbook  PlaybookInfo
	Step      StepInfo

	// Command is what a person would type for the step.
	Command string
	Status  Status
	Took    time.Duration
	// Attempts counts the tries of a step so far, from 1.
	Attempts int
	// ExitCode is the exit code of the step's last command, nil without one.
	ExitCode *int
	// Output is what the step's last attempt showed: bounded, and free of
	// terminal control sequences.
	Output string
	// Err says why the status is not Passed: a [*StepError] for a step.
	Err error

	// Undo says what was put back and Back how it is now, as given to
	// [Scope.Undo].
	Undo, Back string
	// Left names what has not been put back.
	Left    []string
	Summary Summary
}

// PlaybookInfo identifies a playbook to a reader.
type PlaybookInfo struct {
	Name, Title, File string
	Topic             int
	Steps             int // how many it has
}

// Target says where a run takes place.
type Target struct {
	// Name is the lab's or the context's name.
	Name string
	// Lab says that a lab of ours serves the cluster.
	Lab bool
	// Describe is one line for a reader, such as `lab "default" (running)`.
	Describe string
	// Versions are the versions of what takes part, by name: "egressplay",
	// "kubernetes", "istio", "envoy"; one that is not known is absent.
	Versions map[string]string
}

// Summary counts playbooks by status.
type Summary struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Error   int `json:"error"`
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
