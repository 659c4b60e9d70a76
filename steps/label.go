package steps

import (
	"cmp"
	"context"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Label sets or removes labels of an object, as kubectl label --overwrite
// does. At the end they are as they were.
//
// Where the run names a revision of istiod, the label istio-injection=enabled
// becomes istio.io/rev=REVISION, which is how a namespace asks for the sidecars
// of a revision (Istio's "Canary Upgrades").
type Label struct {
	// Object is KIND/NAME, such as namespace/default.
	Object    string            `yaml:"object,required"`
	Namespace string            `yaml:"namespace"`
	Set       map[string]string `yaml:"set"`
	Remove    []string          `yaml:"remove"`
}

var (
	_ runner.Action = (*Label)(nil)
	_ Validator     = (*Label)(nil)
)

// Validate implements [Validator].
func (l *Label) Validate() error { return labelsField.check(l.Object, l.Set, l.Remove) }

// labels returns what the labels are to be, nil for one that is to go.
func (l *Label) labels(revision string) map[string]*string {
	wanted := wantedOf(l.Set, l.Remove)
	if revision != "" && l.Set["istio-injection"] == "enabled" {
		wanted["istio-injection"] = nil // it would win
		wanted["istio.io/rev"] = &revision
	}
	return wanted
}

// Targets implements [Changer].
func (l *Label) Targets() []changes.Target {
	return []changes.Target{target(l.Object, l.Namespace, "object")}
}

// Command implements [runner.Action].
func (l *Label) Command(s *runner.Scope) string {
	return labelsField.command("label", l.Object, cmp.Or(l.Namespace, s.Namespace), l.labels(s.Revision))
}

// Repeats implements [runner.Action].
func (l *Label) Repeats() bool { return false }

// Try implements [runner.Action].
func (l *Label) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	return labelsField.change(ctx, s, l.Object, l.Namespace, l.labels(s.Revision))
}
