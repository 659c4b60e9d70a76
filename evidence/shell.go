package evidence

import "time"

// A Shell is what a script of several commands showed.
type Shell struct {
	// Text is what a terminal would have shown, at most 1 MiB of it.
	Text string `json:"text"`
	// Truncated reports whether there was more output than was kept.
	Truncated bool    `json:"truncated,omitempty"`
	Stages    []Stage `json:"stages"`
	// LastRequest is when the last command began that may have made a request.
	LastRequest time.Time `json:"-"`
	// Earlier are the outputs of earlier steps that held.
	Earlier []Output `json:"-"`
}

// An Output is an output of a script that held, with the values that it had in place of
// those that vary.
type Output struct {
	Shown       string
	LastRequest time.Time // as that of [Shell]
	Bindings    []Binding
}

// A Binding maps a value that a tutorial shows, such as an address, to the value in the
// run. Of is the owner of the address, "" if that is not known.
type Binding struct{ Kind, Shown, Got, Of string }

// A Stage is one command of a script.
type Stage struct {
	Argv []string `json:"argv"`
	// Code is its exit code. For a command in a pod the server sent it, and if the
	// command is curl, curl agrees.
	Code int `json:"code"`
	// Exec reports whether it ran a command in a pod, Log whether it read a log.
	Exec bool `json:"exec,omitempty"`
	Log  bool `json:"log,omitempty"`
	// Older is how many lines of a log that it read belong to requests before the last
	// one; they are left out.
	Older int `json:"older,omitempty"`
	// Undated reports whether it read lines of a log without a known time.
	Undated bool `json:"undated,omitempty"`
	// Behind reports whether it read what the stage before it wrote.
	Behind bool `json:"behind,omitempty"`
	// Inner reports whether it ran within $(...).
	Inner bool `json:"inner,omitempty"`
	// Pod is the pod in which it ran a command, or whose log it read; zero for any other
	// command.
	Pod Pod `json:"-"`
	// Request is what the command showed, where it may have made a request. Of one that
	// reads a log it is the last command before that may have made one; nil for none.
	Request *Attempt `json:"-"`
}

// FoundIssues is the exit code by which istioctl analyze tells that it has found errors.
// Source: istioctl/pkg/util.ExitAnalyzerFoundIssues.
const FoundIssues = 79
