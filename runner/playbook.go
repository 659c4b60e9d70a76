package runner

import (
	"time"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// A Playbook is a list of steps, ready to be run.
type Playbook struct {
	Name  string // as in the file, for example "tls-origination"
	Title string
	// Text says in Markdown what the playbook is about, and Source is the URL of the
	// page that it follows; "" where it does not say.
	Text, Source string

	// Tags are words by which the playbook is chosen.
	Tags []string
	// Part says which part of the playbook is run, such as "steps 3 to 5 of 9"; ""
	// for all of it.
	Part string

	Topic int    // 1 to 7, the topic of the egress tutorial; 0 for a playbook about something else
	File  string // where it was read from; "built-in:NAME.yaml" for a built-in one

	// Requires names what the cluster must have for the playbook to make sense:
	// accessLog, egressGateway, gatewayAPI.
	Requires []string
	// Internet is the text of the playbook, if that lists hosts of its own for the
	// lab's internet; else "".
	Internet string
	// Timeout bounds the playbook where it is not 0, its clean-up not included.
	Timeout time.Duration
	// Vars are the variables that hold before the first step.
	Vars  map[string]string
	Steps []Step
}

// Info returns what identifies the playbook to a reader.
func (p *Playbook) Info() PlaybookInfo {
	return PlaybookInfo{Name: p.Name, Title: p.Title, File: p.File, Topic: p.Topic, Steps: len(p.Steps), Text: p.Text, Source: p.Source, Part: p.Part}
}

// StepInfo identifies a step to a reader.
type StepInfo struct {
	Index int    `json:"index"` // from 1
	ID    string `json:"id,omitempty"`
	Title string `json:"title"`
	Text  string `json:"text,omitempty"` // what it says of itself, in Markdown
	Kind  string `json:"kind"`           // the step's verb in YAML, such as "exec"
	File  string `json:"file"`
	Line  int    `json:"line"` // from 1; the line at which the step begins
	// Choice reports whether the step runs where a part of the playbook does.
	Choice Choice `json:"choice,omitempty"`
}

// A Choice is the reason why a step runs or not when only a part of its playbook runs.
type Choice string

// The choices. "" is a step that was chosen.
const (
	Needed  Choice = "needed"   // it was not chosen, and runs because those that were may need it
	LeftOut Choice = "left out" // it was not chosen, and does not run
)

// A Role is what a step is to the steps after it.
type Role int

const (
	// Acts is the role of a step that changes something, sets something or waits:
	// each step after it may need it.
	Acts Role = iota
	// Looks is the role of a step that no other one needs.
	Looks
	// Requests is the role of a step that looks by a request: those need it that read
	// what the request has left.
	Requests
	// ReadsTraces is the role of a step that looks at what the requests before it have
	// left, such as the lines of a log.
	ReadsTraces
)

// A Step is one step of a playbook.
type Step struct {
	StepInfo

	// Within is how long the expectations may take to hold.
	Within time.Duration
	// Holds is how many attempts in a row must hold, at least 1; HoldsFor over
	// which time they must.
	Holds    int
	HoldsFor time.Duration
	// Continue has the steps that follow run although this one did not pass;
	// the playbook has then not passed.
	Continue bool
	// CleansUp has the step run even after a step that did not pass, when nothing else
	// of the playbook runs any more.
	CleansUp bool
	// Timeout bounds the whole step, whatever its attempts do.
	Timeout time.Duration

	// Role is what the step is to those after it.
	Role Role
	// Targets are the objects that the step changes, as far as that is known
	// before the run.
	Targets []changes.Target
	// Reads is what the step itself reads of the cluster, and which commands it
	// runs in pods, as far as that is known before the run; the namespace "" is
	// the run's.
	Reads []cluster.Access
	// Needs are the facts that the step's expectations look at.
	Needs evidence.Needs

	// Bind puts in the values that the variables have when the step begins.
	// It is called once, before the first attempt. An error means that the
	// step cannot be run, for example because a variable's value is no valid
	// regular expression.
	Bind func(lookup Lookup) (Action, []Check, error)
}

// Lookup returns the value of a variable, and whether it is set.
type Lookup func(name string) (value string, set bool)
