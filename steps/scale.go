package steps

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Scale sets how many pods a Deployment or a StatefulSet has, as kubectl scale
// does. At the end it has as many as before.
type Scale struct {
	// Object is KIND/NAME, such as deploy/sleep.
	Object    string `yaml:"object,required"`
	Namespace string `yaml:"namespace"`
	Replicas  int64  `yaml:"replicas,required"`
}

var (
	_ runner.Action = (*Scale)(nil)
	_ Defaulter     = (*Scale)(nil)
	_ Validator     = (*Scale)(nil)
)

// SetDefaults implements [Defaulter].
func (c *Scale) SetDefaults(d Defaults) { c.Namespace = cmp.Or(c.Namespace, d.Namespace) }

// Validate implements [Validator].
func (c *Scale) Validate() error {
	if err := checkObject(c.Object); err != nil {
		return &runner.FieldError{Field: []string{"object"}, Err: err}
	}
	if c.Replicas < 0 {
		return &runner.FieldError{Field: []string{"replicas"}, Err: fmt.Errorf("replicas must be 0 or more, got %d", c.Replicas)}
	}
	return nil
}

// Targets implements [Changer].
func (c *Scale) Targets() []changes.Target {
	return []changes.Target{target(c.Object, c.Namespace, "object")}
}

// Command implements [runner.Action].
func (c *Scale) Command(s *runner.Scope) string {
	return kubectl(cmp.Or(c.Namespace, s.Namespace), "scale", c.Object, fmt.Sprintf("--replicas=%d", c.Replicas))
}

// Repeats implements [runner.Action].
func (c *Scale) Repeats() bool { return false }

// Try implements [runner.Action].
func (c *Scale) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	attempt := new(evidence.Attempt)
	ref, _, err := patchObject(ctx, s, attempt, c.Object, c.Namespace, "scaled", func(ref cluster.Ref, now *unstructured.Unstructured) ([]byte, changes.Words, error) {
		before, found, _ := unstructured.NestedInt64(now.Object, "spec", "replicas")
		if !found {
			return nil, changes.Words{}, fmt.Errorf("%s cannot be scaled: it has no spec.replicas", ref)
		}
		return fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, c.Replicas), changes.Words{What: "replicas of " + ref.String(), Back: fmt.Sprint(before)}, nil
	})
	if err != nil {
		return attempt, err
	}
	attempt.Text += ref.Long() + " scaled\n"
	return attempt, nil
}
