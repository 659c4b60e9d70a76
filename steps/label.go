package steps

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/cluster"
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
func (l *Label) Validate() error {
	if err := checkObject(l.Object); err != nil {
		return &runner.FieldError{Field: []string{"object"}, Err: err}
	}
	if len(l.Set) == 0 && len(l.Remove) == 0 {
		return &runner.FieldError{Err: errors.New("no label to set or remove"), Hint: "write set: {NAME: VALUE}, or remove: [NAME]"}
	}
	for i, name := range l.Remove {
		if _, both := l.Set[name]; both {
			return &runner.FieldError{Field: []string{"remove", fmt.Sprint(i)}, Err: fmt.Errorf("the label %s is set and removed", name)}
		}
	}
	return nil
}

// labels returns what the labels are to be, nil for one that is to go.
func (l *Label) labels(revision string) map[string]*string {
	wanted := map[string]*string{}
	for name, value := range l.Set {
		if revision != "" && name == "istio-injection" && value == "enabled" {
			name, value = "istio.io/rev", revision
			wanted["istio-injection"] = nil // it would win
		}
		wanted[name] = &value
	}
	for _, name := range l.Remove {
		wanted[name] = nil
	}
	return wanted
}

// Command implements [runner.Action].
func (l *Label) Command(s *runner.Scope) string {
	args := []string{"label", "--overwrite"}
	kind, name, _ := strings.Cut(l.Object, "/")
	args = append(args, kind, name)
	wanted := l.labels(s.Revision)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if value := wanted[name]; value != nil {
			args = append(args, name+"="+*value)
		} else {
			args = append(args, name+"-")
		}
	}
	namespace := cmp.Or(l.Namespace, s.Namespace)
	if kind == "namespace" || kind == "ns" {
		namespace = ""
	}
	return kubectl(namespace, args...)
}

// Repeats implements [runner.Action].
func (l *Label) Repeats() bool { return false }

// Try implements [runner.Action].
func (l *Label) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	ref, err := resolve(ctx, s, l.Object, l.Namespace)
	if err != nil {
		return nil, err
	}
	obj, err := s.Cluster.Get(ctx, ref)
	if apierrors.IsNotFound(err) {
		return nil, &runner.Mismatch{What: ref.String(), Want: "there, to be labelled", Got: "none"}
	}
	if err != nil {
		return nil, err
	}
	before, had := map[string]*string{}, obj.GetLabels()
	changed := false
	wanted := l.labels(s.Revision)
	for name, value := range wanted {
		old, is := had[name]
		if is {
			before[name] = &old
		} else {
			before[name] = nil
		}
		changed = changed || is != (value != nil) || is && old != *value
	}
	if !changed {
		return &evidence.Attempt{Text: ref.Long() + " not labeled\n"}, nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(wanted)), ", ")
	s.Undo(key(ref)+" labels "+names, "labels of "+ref.String(), "as they were", func(ctx context.Context) error {
		err := patchLabels(ctx, s.Cluster, ref, before)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	attempt := &evidence.Attempt{Changes: []evidence.Change{changeOf(ref)}}
	if err := patchLabels(ctx, s.Cluster, ref, wanted); err != nil {
		return attempt, accepted(ref, err)
	}
	attempt.Text = ref.Long() + " labeled\n"
	return attempt, nil
}

func patchLabels(ctx context.Context, c cluster.Interface, ref cluster.Ref, labels map[string]*string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	_, err = c.MergePatch(ctx, ref, patch)
	return err
}
