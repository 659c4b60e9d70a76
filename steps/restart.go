package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
		ref, obj, err := existingObject(ctx, s, object, r.Namespace, "restarted")
		if err == nil && !hasRollout(obj) {
			err = fmt.Errorf("%s cannot be restarted: want a Deployment, a StatefulSet or a DaemonSet", ref)
		}
		if err == nil {
			attempt.Changes = append(attempt.Changes, changeOf(ref))
			err = restart(ctx, s, ref, obj)
		}
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

func restart(ctx context.Context, s *runner.Scope, ref cluster.Ref, obj *unstructured.Unstructured) error {
	set := func(ctx context.Context, json string) error {
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:%s}}}}}`, restartedAt, json)
		_, err := s.Cluster.MergePatch(ctx, ref, []byte(patch))
		return err
	}
	before := "null"
	if at, found, _ := unstructured.NestedString(obj.Object, "spec", "template", "metadata", "annotations", restartedAt); found {
		before = strconv.Quote(at)
	}
	if !s.Undoes(key(ref)) { // else it becomes again what it was, or goes
		s.Undo(key(ref)+" restart", "template of "+ref.String(), "as it was", func(ctx context.Context) error {
			err := set(ctx, before)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}
	if err := set(ctx, strconv.Quote(time.Now().Format(time.RFC3339Nano))); err != nil {
		return accepted(ref, err)
	}
	return nil
}
