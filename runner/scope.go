package runner

import (
	"context"
	"strings"
	"time"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/variables"
)

// A Scope is what the steps of one playbook share: the cluster, the variables
// and what has to be put back.
type Scope struct {
	// AfterFailure reports whether an earlier step has ended the playbook, so that the step
	// runs because it cleans up.
	AfterFailure bool

	Cluster cluster.Interface

	// Namespace is where objects and pods are that name no namespace.
	Namespace string
	// IstioNamespace is where istiod and its ConfigMap are, "istio-system" by
	// default.
	IstioNamespace string
	// Revision is the name of istiod's revision; "" for the default one.
	Revision string
	// Secrets are what no reader is to see.
	Secrets *redact.Redactor
	// Started is when the playbook began, by this machine's clock.
	Started time.Time

	// Changes makes all changes of the cluster, and remembers what has to be put
	// back.
	Changes *changes.Journal

	// LastPod is the pod in which the last command ran; its zero value before
	// there was one.
	LastPod evidence.Pod
	// LastCommand is when the last command began that may have made a request, by
	// this machine's clock.
	LastCommand time.Time
	// LastRequest is what that command showed; nil before there was one.
	LastRequest *evidence.Attempt

	// Analyze is that of the [Runner].
	Analyze func(ctx context.Context, args []string) (*Analysis, error)

	// Outputs are those of steps that passed, with the values that stood in them for
	// those that the playbook shows.
	Outputs []evidence.Output

	vars map[string]string
	// set are the variables that steps have set.
	set map[string]bool
	// inForce waits until what was changed is in force for a pod; nil where nothing
	// was.
	inForce func(context.Context, *cluster.Pod) error

	// changes are all objects that were changed.
	changes   []evidence.Change
	takeHosts func(context.Context) error // see [Runner.Internet]; nil where there are none
}

// An Analysis is what istioctl analyze printed.
type Analysis struct {
	Stdout, Stderr string
	Truncated      bool // there was more than was kept
	// Found reports whether it ended with the exit code by which it tells that it has
	// found errors.
	Found bool
}

// NewScope returns a scope with a copy of vars as its variables.
func NewScope(c cluster.Interface, vars map[string]string) *Scope {
	s := &Scope{Cluster: c, Changes: changes.New(c), Secrets: redact.New(), set: map[string]bool{}, vars: make(map[string]string, len(vars))}
	for name, value := range vars {
		s.vars[name] = value
	}
	return s
}

// Ran notes the command that an attempt has run: the lines of a log from before it
// are those of earlier requests. A command that only reads files makes no request.
func (s *Scope) Ran(a *evidence.Attempt) {
	s.LastPod = a.Command.Pod
	if !a.Started.IsZero() && !a.Command.OnlyReads {
		s.LastCommand, s.LastRequest = a.Started, a
	}
}

// InForce returns once what was changed before is in force for a pod. A step calls
// it before each command in a pod other than that of [PodAction]. The error reports that
// what the command shows could not be judged.
func (s *Scope) InForce(ctx context.Context, pod *cluster.Pod) error {
	if s.inForce == nil {
		return nil
	}
	return s.inForce(ctx, pod)
}

// Set gives a variable a value for the steps that follow.
func (s *Scope) Set(name, value string) { s.vars[name], s.set[name] = value, true }

// Shown is the [Lookup] of a command for a reader: a variable that a step has set, as
// a command of that step would have, or that is not known yet stands for itself.
func (s *Scope) Shown(name string) (string, bool) {
	value, known := s.vars[name]
	if known && !s.set[name] {
		return value, true
	}
	return variables.Stand(name, strings.Contains(strings.TrimRight(value, "\n"), "\n")), true
}

// command returns the command of a step that is shown: with the names of variables that
// steps have set, so that it can be pasted behind the commands of those.
func (s *Scope) command(step *Step, action Action) string {
	if shown, _, err := step.Bind(s.Shown); err == nil { // else a value is needed to know what is meant
		return shown.Command(s)
	}
	return action.Command(s)
}

// Lookup returns the value of a variable, and whether it is set.
func (s *Scope) Lookup(name string) (string, bool) {
	value, set := s.vars[name]
	return value, set
}
