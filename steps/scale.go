package steps

import (
	"cmp"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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

// Command implements [runner.Action].
func (c *Scale) Command(s *runner.Scope) string {
	return kubectl(cmp.Or(c.Namespace, s.Namespace), "scale", c.Object, fmt.Sprintf("--replicas=%d", c.Replicas))
}

// Repeats implements [runner.Action].
func (c *Scale) Repeats() bool { return false }

// Try implements [runner.Action].
func (c *Scale) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	ref, obj, err := existingObject(ctx, s, c.Object, c.Namespace, "scaled")
	if err != nil {
		return nil, err
	}
	before, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	if !found {
		return nil, fmt.Errorf("%s cannot be scaled: it has no spec.replicas", ref)
	}
	attempt := new(evidence.Attempt)
	if before != c.Replicas {
		attempt.Changes = []evidence.Change{changeOf(ref)}
		set := func(ctx context.Context, replicas int64) error {
			_, err := s.Cluster.MergePatch(ctx, ref, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
			return err
		}
		s.Undo(key(ref)+" replicas", "replicas of "+ref.String(), fmt.Sprint(before), func(ctx context.Context) error {
			err := set(ctx, before)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
		if err := set(ctx, c.Replicas); err != nil {
			return attempt, accepted(ref, err)
		}
	}
	attempt.Text = ref.Long() + " scaled\n"
	return attempt, nil
}
