package runner

import (
	"context"
	"slices"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
)

// A Scope is what the steps of one playbook share: the cluster, the variables
// and what has to be put back.
type Scope struct {
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

	vars map[string]string
	undo []undo

	// changes are all objects that were changed.
	changes   []evidence.Change
	takeHosts func(context.Context) error // see [Runner.Internet]; nil where there are none
}

type undo struct {
	key, what, back string
	do              func(context.Context) error
}

// NewScope returns a scope with a copy of vars as its variables.
func NewScope(c cluster.Interface, vars map[string]string) *Scope {
	s := &Scope{Cluster: c, Secrets: redact.New(), vars: make(map[string]string, len(vars))}
	for name, value := range vars {
		s.vars[name] = value
	}
	return s
}

// Set gives a variable a value for the steps that follow.
func (s *Scope) Set(name, value string) { s.vars[name] = value }

// Lookup returns the value of a variable, and whether it is set.
func (s *Scope) Lookup(name string) (string, bool) {
	value, set := s.vars[name]
	return value, set
}

// Undo registers how to put back what a step is about to change. Call it
// before the change is tried: a change can half succeed. key names what is
// changed; of several undos with one key only the first counts, for it knows
// the state before the playbook. what is shown to the reader, such as
// "serviceentry/httpbin-ext", and so is how it is once it is put back, such as
// "deleted". do must be harmless when the change was never made.
func (s *Scope) Undo(key, what, back string, do func(context.Context) error) {
	if !s.Undoes(key) {
		s.undo = append(s.undo, undo{key, what, back, do})
	}
}

// Undoes says whether an undo with that key is registered, so that the state
// before the playbook is known and need not be looked at.
func (s *Scope) Undoes(key string) bool {
	return slices.ContainsFunc(s.undo, func(u undo) bool { return u.key == key })
}
