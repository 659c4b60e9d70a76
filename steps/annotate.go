package steps

import (
	"cmp"
	"context"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Annotate sets or removes annotations of an object, as kubectl annotate
// --overwrite does. At the end they are as they were.
type Annotate struct {
	// Object is KIND/NAME, such as deploy/sleep.
	Object    string            `yaml:"object,required"`
	Namespace string            `yaml:"namespace"`
	Set       map[string]string `yaml:"set"`
	Remove    []string          `yaml:"remove"`
}

var (
	_ runner.Action = (*Annotate)(nil)
	_ Defaulter     = (*Annotate)(nil)
	_ Validator     = (*Annotate)(nil)
)

// SetDefaults implements [Defaulter].
func (a *Annotate) SetDefaults(d Defaults) { a.Namespace = cmp.Or(a.Namespace, d.Namespace) }

// Validate implements [Validator].
func (a *Annotate) Validate() error { return annotationsField.check(a.Object, a.Set, a.Remove) }

// Targets implements [Changer].
func (a *Annotate) Targets() []changes.Target {
	return []changes.Target{target(a.Object, a.Namespace, "object")}
}

// Command implements [runner.Action].
func (a *Annotate) Command(s *runner.Scope) string {
	return annotationsField.command("annotate", a.Object, cmp.Or(a.Namespace, s.Namespace), wantedOf(a.Set, a.Remove))
}

// Repeats implements [runner.Action].
func (a *Annotate) Repeats() bool { return false }

// Try implements [runner.Action].
func (a *Annotate) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	return annotationsField.change(ctx, s, a.Object, a.Namespace, wantedOf(a.Set, a.Remove))
}
