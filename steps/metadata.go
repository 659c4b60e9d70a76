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

// check says what is wrong with what a step sets and removes.
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
	ref, obj, err := existingObject(ctx, s, object, namespace, f.did)
	if err != nil {
		return nil, err
	}
	had, _, _ := unstructured.NestedStringMap(obj.Object, "metadata", f.name)
	before, changed := map[string]*string{}, false
	for name, value := range wanted {
		old, is := had[name]
		before[name] = nil
		if is {
			before[name] = &old
		}
		changed = changed || is != (value != nil) || is && old != *value
	}
	if !changed {
		return &evidence.Attempt{Text: ref.Long() + " not " + f.did + "\n"}, nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(wanted)), ", ")
	s.Undo(key(ref)+" "+f.name+" "+names, f.name+" of "+ref.String(), "as they were", func(ctx context.Context) error {
		err := f.patch(ctx, s.Cluster, ref, before)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	attempt := &evidence.Attempt{Changes: []evidence.Change{changeOf(ref)}}
	if err := f.patch(ctx, s.Cluster, ref, wanted); err != nil {
		return attempt, accepted(ref, err)
	}
	attempt.Text = ref.Long() + " " + f.did + "\n"
	return attempt, nil
}

func (f metadataField) patch(ctx context.Context, c cluster.Interface, ref cluster.Ref, values map[string]*string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{f.name: values}})
	if err != nil {
		return err
	}
	_, err = c.MergePatch(ctx, ref, patch)
	return err
}

// existingObject returns an object that a step is to change, which must be
// there; did is what would be done to it.
func existingObject(ctx context.Context, s *runner.Scope, object, namespace, did string) (cluster.Ref, *unstructured.Unstructured, error) {
	ref, err := resolve(ctx, s, object, namespace)
	if err != nil {
		return ref, nil, err
	}
	obj, err := s.Cluster.Get(ctx, ref)
	if apierrors.IsNotFound(err) {
		return ref, nil, &runner.Mismatch{What: ref.String(), Want: "there, to be " + did, Got: "no such object"}
	}
	return ref, obj, err
}
