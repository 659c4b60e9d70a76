package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Delete deletes objects, as kubectl delete does, and waits until they are
// gone. At the end they are there again as they were, unless the playbook
// itself had made them.
type Delete struct {
	// Objects are KIND/NAME each, such as serviceentry/httpbin-ext.
	Objects   []string `yaml:"objects,list,scalar,required"`
	Namespace string   `yaml:"namespace"`
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

// Command implements [runner.Action].
func (d *Delete) Command(s *runner.Scope) string {
	return kubectl(cmp.Or(d.Namespace, s.Namespace), append([]string{"delete"}, d.Objects...)...)
}

// Repeats implements [runner.Action].
func (d *Delete) Repeats() bool { return false }

// Try implements [runner.Action].
func (d *Delete) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	attempt := new(evidence.Attempt)
	for _, object := range d.Objects {
		ref, err := resolve(ctx, s, object, d.Namespace)
		if err != nil {
			return attempt, err
		}
		attempt.Changes = append(attempt.Changes, changeOf(ref)) // what fails may have been done all the same
		if err := d.delete(ctx, s, ref); err != nil {
			return attempt, err
		}
		attempt.Text += ref.Long() + " deleted\n"
	}
	return attempt, nil
}

// delete deletes one object. What it was is looked at only where the playbook
// has not changed it before.
func (d *Delete) delete(ctx context.Context, s *runner.Scope, ref cluster.Ref) error {
	absent := func(err error) error {
		if apierrors.IsNotFound(err) {
			return &runner.Mismatch{What: ref.String(), Want: "there, to be deleted", Got: "none"}
		}
		return err
	}
	if !s.Undoes(key(ref)) {
		before, err := s.Cluster.Get(ctx, ref)
		if err != nil {
			return absent(err)
		}
		s.Undo(key(ref), ref.String(), "as it was", restore(s.Cluster, before))
	}
	return absent(s.Cluster.Delete(ctx, ref))
}

// checkObject says what is wrong with a text that is to be KIND/NAME.
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
