package steps

import (
	"strings"
	"time"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/runner"
)

// A Kind says how a step kind is made and what may be expected of it.
type Kind struct {
	// New returns an empty step of the kind, a pointer to a struct.
	New func() runner.Action
	// Expects are the keys of [expect.Kinds] that the kind can be asked for.
	Expects []string
	// Implied are the expectations that hold unless the playbook states the
	// same key otherwise.
	Implied map[string]func() runner.Expectation
	// Within is how long the expectations may take where neither the step nor
	// the defaults say.
	Within time.Duration
}

// Kinds maps the key of a step in YAML to its kind. Keep it sorted.
var Kinds = map[string]Kind{
	"annotate":     {New: func() runner.Action { return new(Annotate) }},
	"apply":        {New: func() runner.Action { return new(Apply) }},
	"certificates": {New: func() runner.Action { return new(Certificates) }},
	"delete":       {New: func() runner.Action { return new(Delete) }},
	"exec": {
		New:     func() runner.Action { return new(Exec) },
		Expects: []string{"arrived", "body", "connection", "counter", "elapsed", "exitCode", "grpc", "headers", "log", "path", "responses", "status", "stderr", "stdout"},
		Implied: map[string]func() runner.Expectation{"exitCode": expect.Success},
	},
	"label": {New: func() runner.Action { return new(Label) }},
	"logs": {
		New:     func() runner.Action { return new(Logs) },
		Expects: []string{"stdout"},
	},
	"patch":   {New: func() runner.Action { return new(Patch) }},
	"policy":  {New: func() runner.Action { return new(Policy) }},
	"restart": {New: func() runner.Action { return new(Restart) }},
	"scale":   {New: func() runner.Action { return new(Scale) }},
	"set":     {New: func() runner.Action { return new(Set) }},
	"shell": {
		New:     func() runner.Action { return new(Shell) },
		Expects: []string{"shown"},
		Implied: map[string]func() runner.Expectation{"shown": expect.Fine},
	},
	"wait": {New: func() runner.Action { return new(Wait) }},
}

// Defaults are what a playbook's defaults give to steps that do not say.
type Defaults struct {
	In        string `yaml:"in"`
	Container string `yaml:"container"`
	Namespace string `yaml:"namespace"`
}

// A Defaulter is a step kind to which [Defaults] mean something. SetDefaults
// is called after decoding and before Validate.
type Defaulter interface {
	SetDefaults(Defaults)
}

// A Definer is a step kind that gives variables their values.
type Definer interface {
	// Defines returns the names of the variables, sorted.
	Defines() []string
}

// A Changer is a step kind that changes objects.
type Changer interface {
	// Targets returns the objects that the step changes, as far as that is known
	// before the run.
	Targets() []changes.Target
}

// A Reader is a step kind that reads objects, or runs commands in pods.
type Reader interface {
	// Reads returns what the step reads and runs, as far as that is known before
	// the run.
	Reads() []cluster.Access
}

// A Validator is a step kind, an expectation, or a part of one, that can tell
// without a cluster whether its fields make sense. Strings may still hold
// ${NAME}; it is called again when they have been replaced.
type Validator interface {
	Validate() error
}

// A Referrer is a step kind that refers to variables by their names alone.
type Referrer interface {
	// Refs returns the names of these variables, each with its place below the verb.
	Refs() []Ref
}

// A Ref is the name of a variable that a step refers to, and the keys that lead to
// it, such as vars and 0.
type Ref struct {
	Name  string
	Field []string
}

// A Limited is a step kind that can tell without a cluster that it will never
// show what an expectation needs. It is asked when the values of the variables
// are in place that are known before the run; the others are still ${NAME}.
type Limited interface {
	// CannotShow returns why it cannot, and what to write instead; nil where it may.
	CannotShow(needs evidence.Needs) error
}

// A Looker is a step kind that may do nothing but look: change nothing, set nothing
// and wait for nothing. The role of each other kind is [runner.Acts].
type Looker interface {
	// Role returns what the step is to those after it.
	Role() runner.Role
}

// A FileReader is a step kind that names files. ReadFiles is called once,
// after decoding and before Validate; read takes a path as the playbook has
// it, relative to the playbook's folder, and returns the text and where a command finds
// the file, "" for one that is built in.
type FileReader interface {
	ReadFiles(read func(path string) (text []byte, at string, err error)) error
}

// A Manifester is a step kind that applies manifests.
type Manifester interface {
	Manifests() []ManifestText
}

// A ManifestText is the text of a manifest and where the step has it.
type ManifestText struct {
	Field     []string // as in [runner.FieldError]
	Text      string   // its variables not replaced where they get their values in the run
	Namespace string   // of the objects that name none; "" for the run's
}

// target returns what a step changes that names it as KIND/NAME.
func target(object, namespace string, field ...string) changes.Target {
	kind, name, _ := strings.Cut(object, "/")
	return changes.Target{Ref: cluster.Ref{Kind: kind, Name: name, Namespace: namespace}, Field: field}
}
