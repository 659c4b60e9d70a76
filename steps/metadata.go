package steps

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// A metadataField is one of the fields of an object's metadata that hold a
// value for each name.
type metadataField struct {
	name string // "labels"
	one  string // "label"
	did  string // what kubectl says: "labeled"
}

var (
	labelsField      = metadataField{"labels", "label", "labeled"}
	annotationsField = metadataField{"annotations", "annotation", "annotated"}
)

// check returns what is wrong with what a step sets and removes.
func (f metadataField) check(object string, set map[string]string, remove []string) error {
	if err := checkObject(object); err != nil {
		return &runner.FieldError{Field: []string{"object"}, Err: err}
	}
	if len(set) == 0 && len(remove) == 0 {
		return &runner.FieldError{Err: fmt.Errorf("no %s to set or remove", f.one), Hint: "write set: {NAME: VALUE}, or remove: [NAME]"}
	}
	for i, name := range remove {
		if _, both := set[name]; both {
			return &runner.FieldError{Field: []string{"remove", fmt.Sprint(i)}, Err: fmt.Errorf("the %s %s is set and removed", f.one, name)}
		}
	}
	return nil
}

// wantedOf returns what the values are to be, nil for one that is to go.
func wantedOf(set map[string]string, remove []string) map[string]*string {
	wanted := map[string]*string{}
	for name, value := range set {
		wanted[name] = &value
	}
	for _, name := range remove {
		wanted[name] = nil
	}
	return wanted
}

// command returns the kubectl command line that does the same.
func (f metadataField) command(verb, object, namespace string, wanted map[string]*string) string {
	kind, name, _ := strings.Cut(object, "/")
	args := []string{verb, "--overwrite", kind, name}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if value := wanted[name]; value != nil {
			args = append(args, name+"="+*value)
		} else {
			args = append(args, name+"-")
		}
	}
	if kind == "namespace" || kind == "ns" {
		namespace = ""
	}
	return kubectl(namespace, args...)
}

// change sets and removes values of an object. At the end they are as they
// were.
func (f metadataField) change(ctx context.Context, s *runner.Scope, object, namespace string, wanted map[string]*string) (*evidence.Attempt, error) {
	attempt := new(evidence.Attempt)
	ref, changed, err := patchObject(ctx, s, attempt, object, namespace, f.did, func(ref cluster.Ref, _ *unstructured.Unstructured) ([]byte, changes.Words, error) {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{f.name: wanted}})
		return patch, changes.Words{What: f.name + " of " + ref.String(), Back: "as they were"}, err
	})
	if err != nil {
		return attempt, err
	}
	attempt.Text += ref.Long() + " "
	if !changed {
		attempt.Text += "not "
	}
	attempt.Text += f.did + "\n"
	return attempt, nil
}

// patchObject changes an object, which must be there, by a merge patch, and
// reports whether that changed anything, which it notes in the attempt. did is
// what is done to the object, for a reader.
func patchObject(ctx context.Context, s *runner.Scope, attempt *evidence.Attempt, object, namespace, did string,
	patch func(ref cluster.Ref, now *unstructured.Unstructured) ([]byte, changes.Words, error),
) (ref cluster.Ref, changed bool, err error) {
	ref, err = resolve(ctx, s, object, namespace)
	if err != nil {
		return ref, false, err
	}
	ctx = showWarnings(ctx, attempt)
	before, after, err := s.Changes.Patch(ctx, ref, func(now *unstructured.Unstructured) ([]byte, changes.Words, error) { return patch(ref, now) })
	switch {
	case err == nil:
		changed = before.GetResourceVersion() != after.GetResourceVersion()
	case before == nil && apierrors.IsNotFound(err):
		return ref, false, &runner.Mismatch{What: ref.String(), Want: "there, to be " + did, Got: "no such object"}
	default:
		changed = before != nil && !changes.IsRefused(err) // it may have been done all the same
	}
	if changed {
		attempt.Changes = append(attempt.Changes, changeOf(ref))
	}
	if err != nil {
		err = accepted(ref, err)
	}
	return ref, changed, err
}
