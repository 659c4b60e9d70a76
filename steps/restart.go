package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Restart replaces all pods of workloads by new ones, as kubectl rollout
// restart does: it writes the time into the template of the pods. It does not
// wait for the new pods. At the end the template is as it was, which replaces
// the pods once more.
type Restart struct {
	// Objects are KIND/NAME each, such as deploy/sleep.
	Objects   []string `yaml:"objects,list,scalar,required"`
	Namespace string   `yaml:"namespace"`
}

var (
	_ runner.Action = (*Restart)(nil)
	_ Defaulter     = (*Restart)(nil)
	_ Validator     = (*Restart)(nil)
)

// SetDefaults implements [Defaulter].
func (r *Restart) SetDefaults(d Defaults) { r.Namespace = cmp.Or(r.Namespace, d.Namespace) }

// Validate implements [Validator].
func (r *Restart) Validate() error {
	var errs []error
	if len(r.Objects) == 0 {
		errs = append(errs, &runner.FieldError{Err: errors.New("nothing to restart"), Hint: "write [KIND/NAME, ...]"})
	}
	for i, object := range r.Objects {
		if err := checkObject(object); err != nil {
			errs = append(errs, &runner.FieldError{Field: []string{"objects", fmt.Sprint(i)}, Err: err})
		}
	}
	return errors.Join(errs...)
}

// Targets implements [Changer].
func (r *Restart) Targets() (all []changes.Target) {
	for i, object := range r.Objects {
		t := target(object, r.Namespace, "objects", fmt.Sprint(i))
		all = append(all, t)
	}
	return all
}

// Command implements [runner.Action].
func (r *Restart) Command(s *runner.Scope) string {
	return kubectl(cmp.Or(r.Namespace, s.Namespace), append([]string{"rollout", "restart"}, r.Objects...)...)
}

// Repeats implements [runner.Action].
func (r *Restart) Repeats() bool { return false }

// Try implements [runner.Action].
func (r *Restart) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	attempt := new(evidence.Attempt)
	for _, object := range r.Objects {
		ref, _, err := patchObject(ctx, s, attempt, object, r.Namespace, "restarted", func(ref cluster.Ref, now *unstructured.Unstructured) ([]byte, changes.Words, error) {
			if !hasRollout(now) {
				return nil, changes.Words{}, fmt.Errorf("%s cannot be restarted: want a Deployment, a StatefulSet or a DaemonSet", ref)
			}
			patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{%q:%q}}}}}`, restartedAt, time.Now().Format(time.RFC3339Nano))
			return patch, changes.Words{What: "template of " + ref.String(), Back: "as it was"}, nil
		})
		if err != nil {
			return attempt, err
		}
		attempt.Text += ref.Long() + " restarted\n"
	}
	return attempt, nil
}

// restartedAt is the annotation in which kubectl notes the time.
// Source: k8s.io/kubectl/pkg/polymorphichelpers/objectrestarter.go.
const restartedAt = "kubectl.kubernetes.io/restartedAt"
