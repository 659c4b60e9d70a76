package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Delete deletes objects, as kubectl delete does, and waits until they are
// gone. At the end they are there again as they were, unless the playbook
// itself had made them, or says that they are to go for good.
type Delete struct {
	// Objects are KIND/NAME each, such as serviceentry/httpbin-ext.
	Objects   []string `yaml:"objects,list,scalar,required"`
	Namespace string   `yaml:"namespace"`
	// ForGood reports whether the objects are not to be put back at the end. Without
	// it an object that cannot be put back, such as a namespace, is not deleted.
	ForGood bool `yaml:"forGood"`
	// IfThere lets an object be there or not, as --ignore-not-found does. So does a
	// failure of an earlier step: what the object is made by may not have run.
	IfThere bool `yaml:"ifThere"`
}

var (
	_ runner.Action = (*Delete)(nil)
	_ Defaulter     = (*Delete)(nil)
	_ Validator     = (*Delete)(nil)
)

// SetDefaults implements [Defaulter].
func (d *Delete) SetDefaults(defaults Defaults) {
	d.Namespace = cmp.Or(d.Namespace, defaults.Namespace)
}

// Validate implements [Validator].
func (d *Delete) Validate() error {
	var errs []error
	if len(d.Objects) == 0 {
		errs = append(errs, &runner.FieldError{Err: errors.New("nothing to delete"), Hint: "write [KIND/NAME, ...]"})
	}
	for i, object := range d.Objects {
		if err := checkObject(object); err != nil {
			errs = append(errs, &runner.FieldError{Field: []string{"objects", fmt.Sprint(i)}, Err: err})
		}
	}
	return errors.Join(errs...)
}

// Targets implements [Changer].
func (d *Delete) Targets() (all []changes.Target) {
	for i, object := range d.Objects {
		t := target(object, d.Namespace, "objects", fmt.Sprint(i))
		t.Deletes, t.ForGood = true, d.ForGood
		all = append(all, t)
	}
	return all
}

// Command implements [runner.Action].
func (d *Delete) Command(s *runner.Scope) string {
	args := append([]string{"delete"}, d.Objects...)
	if d.IfThere {
		args = append(args, "--ignore-not-found")
	}
	return kubectl(cmp.Or(d.Namespace, s.Namespace), args...)
}

// Repeats implements [runner.Action].
func (d *Delete) Repeats() bool { return false }

// Try implements [runner.Action].
func (d *Delete) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	attempt := new(evidence.Attempt)
	ctx = showWarnings(ctx, attempt)
	for _, object := range d.Objects {
		ref, err := resolve(ctx, s, object, d.Namespace)
		if err != nil {
			return attempt, err
		}
		err = s.Changes.Delete(ctx, ref, d.ForGood)
		if apierrors.IsNotFound(err) && (d.IfThere || s.AfterFailure) {
			attempt.Text += ref.Long() + " is not there\n"
			continue
		}
		if !changes.IsRefused(err) { // what fails may have been done all the same
			attempt.Changes = append(attempt.Changes, changeOf(ref))
		}
		if apierrors.IsNotFound(err) {
			err = &runner.Mismatch{What: ref.String(), Want: "an object to delete", Got: "none", Why: namesake(s, ref)}
		}
		if err != nil {
			return attempt, err
		}
		attempt.Text += ref.Long() + " deleted\n"
	}
	return attempt, nil
}

// namesake names an object that the run made, of the same name and a kind that has the
// same name in another group: kubectl takes a short name such as gateway for one of
// these groups. It returns "" where there is none.
func namesake(s *runner.Scope, ref cluster.Ref) string {
	for _, c := range s.Changes.Open() {
		if o := c.Ref; !c.Deleted && strings.EqualFold(o.Kind, ref.Kind) && o.Name == ref.Name && o.Namespace == ref.Namespace && o.Long() != ref.Long() {
			return fmt.Sprintf("what is there is %s, and %s means another kind to this cluster", o.Long(), strings.ToLower(ref.Kind))
		}
	}
	return ""
}

// checkObject returns what is wrong with a text that is to be KIND/NAME.
func checkObject(text string) error {
	kind, name, ok := strings.Cut(text, "/")
	if !ok || kind == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%q names no object: want KIND/NAME, such as serviceentry/httpbin-ext", text)
	}
	return nil
}

// resolve returns the reference that KIND/NAME means to the cluster.
func resolve(ctx context.Context, s *runner.Scope, object, namespace string) (cluster.Ref, error) {
	kind, name, _ := strings.Cut(object, "/")
	return s.Cluster.Resolve(ctx, cluster.Ref{Kind: kind, Name: name, Namespace: namespace}, s.Namespace)
}
