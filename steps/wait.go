package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Wait waits for an object, as kubectl wait does. What it waits for is its
// expectation: it may take as long as `within` says.
type Wait struct {
	// Object is KIND/NAME, such as deploy/sleep.
	Object    string `yaml:"object,required"`
	Namespace string `yaml:"namespace"`
	// For is what to wait for: condition=NAME[=VALUE], create, delete,
	// jsonpath=PATH=VALUE, or rollout, which is what kubectl rollout status
	// waits for: the Deployment as it is written now is all that runs.
	For string `yaml:"for,required"`
}

var (
	_ runner.Action = (*Wait)(nil)
	_ Defaulter     = (*Wait)(nil)
	_ Validator     = (*Wait)(nil)
)

// SetDefaults implements [Defaulter].
func (w *Wait) SetDefaults(d Defaults) { w.Namespace = cmp.Or(w.Namespace, d.Namespace) }

// Validate implements [Validator].
func (w *Wait) Validate() error {
	var errs []error
	if err := checkObject(w.Object); err != nil {
		errs = append(errs, &runner.FieldError{Field: []string{"object"}, Err: err})
	}
	if _, err := w.check(); err != nil {
		errs = append(errs, &runner.FieldError{Field: []string{"for"}, Err: err})
	}
	return errors.Join(errs...)
}

// Command implements [runner.Action].
func (w *Wait) Command(s *runner.Scope) string {
	namespace := cmp.Or(w.Namespace, s.Namespace)
	if w.For == "rollout" {
		return kubectl(namespace, "rollout", "status", w.Object)
	}
	return kubectl(namespace, "wait", "--for="+w.For, w.Object)
}

// Repeats implements [runner.Action].
func (w *Wait) Repeats() bool { return true }

// Try implements [runner.Action].
func (w *Wait) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	check, err := w.check()
	if err != nil {
		return nil, err
	}
	ref, err := resolve(ctx, s, w.Object, w.Namespace)
	if err != nil {
		return nil, err
	}
	obj, err := s.Cluster.Get(ctx, ref)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if apierrors.IsNotFound(err) {
		obj = nil
	}
	got := check(obj)
	if got == "" {
		return &evidence.Attempt{Text: ref.Long() + " " + w.met() + "\n"}, nil
	}
	if w.For == "rollout" && obj != nil && obj.GetKind() == "Deployment" {
		// What keeps its pods from being ready, where they can be seen.
		_, err := s.Cluster.Pod(ctx, cluster.PodQuery{Namespace: ref.Namespace, Owner: w.Object})
		if why, ok := errors.AsType[*cluster.NotReadyError](err); ok {
			got += "; " + why.Reason
		}
	}
	return nil, &runner.Mismatch{What: ref.String(), Want: w.For, Got: got}
}

func (w *Wait) met() string {
	switch w.For {
	case "create", "delete":
		return w.For + "d"
	case "rollout":
		return "successfully rolled out"
	}
	return "condition met"
}

// check returns a function that says what an object, nil for none, is instead
// of what is waited for; "" when it is that.
func (w *Wait) check() (func(*unstructured.Unstructured) string, error) {
	what, arg, _ := strings.Cut(w.For, "=")
	existing := func(check func(*unstructured.Unstructured) string) func(*unstructured.Unstructured) string {
		return func(obj *unstructured.Unstructured) string {
			if obj == nil {
				return "no such object"
			}
			return check(obj)
		}
	}
	switch {
	case w.For == "create":
		return existing(func(*unstructured.Unstructured) string { return "" }), nil
	case w.For == "delete":
		return func(obj *unstructured.Unstructured) string {
			if obj != nil {
				return "still there"
			}
			return ""
		}, nil
	case w.For == "rollout":
		return existing(rolledOut), nil
	case what == "condition" && arg != "":
		name, value, _ := strings.Cut(arg, "=")
		return existing(func(obj *unstructured.Unstructured) string { return condition(obj, name, cmp.Or(value, "True")) }), nil
	case what == "jsonpath" && arg != "":
		at := strings.LastIndex(arg, "=")
		if at < 0 {
			return nil, errors.New("jsonpath has no value to wait for: write jsonpath='{PATH}'=VALUE")
		}
		path, value := strings.Trim(arg[:at], "'"), arg[at+1:]
		p := jsonpath.New("for").AllowMissingKeys(true)
		if err := p.Parse(path); err != nil {
			return nil, fmt.Errorf("jsonpath %s: %w", path, err)
		}
		return existing(func(obj *unstructured.Unstructured) string {
			var b strings.Builder
			if err := p.Execute(&b, obj.Object); err != nil {
				return err.Error()
			}
			if b.String() != value {
				return fmt.Sprintf("%q", b.String())
			}
			return ""
		}), nil
	}
	return nil, fmt.Errorf("cannot wait for %q: want condition=NAME, create, delete, rollout or jsonpath='{PATH}'=VALUE", w.For)
}

// condition says what the condition of an object is, "" when it is as wanted
// for the object as it is written now.
func condition(obj *unstructured.Unstructured, name, want string) string {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		c, _ := c.(map[string]any)
		if kind, _ := c["type"].(string); !strings.EqualFold(kind, name) {
			continue
		}
		if seen, found, _ := unstructured.NestedInt64(c, "observedGeneration"); found && seen < obj.GetGeneration() {
			return "not yet of the object as it is written now"
		}
		if status, _ := c["status"].(string); !strings.EqualFold(status, want) {
			reason, _ := c["reason"].(string)
			message, _ := c["message"].(string)
			return strings.TrimRight(fmt.Sprintf("%s (%s: %s)", status, reason, message), " :()")
		}
		if seen, found, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration"); found && seen < obj.GetGeneration() {
			return "not yet of the object as it is written now"
		}
		return ""
	}
	return "no such condition yet"
}

// rolledOut says what keeps a Deployment from being all that it is to be, as
// kubectl rollout status does.
// Source: k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go.
func rolledOut(obj *unstructured.Unstructured) string {
	if obj.GetKind() != "Deployment" {
		return "a " + obj.GetKind() + ": rollout is for a Deployment"
	}
	number := func(fields ...string) int64 {
		n, _, _ := unstructured.NestedInt64(obj.Object, fields...)
		return n
	}
	replicas, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	if !found {
		replicas = 1
	}
	updated := number("status", "updatedReplicas")
	switch {
	case number("status", "observedGeneration") < obj.GetGeneration():
		return "not yet seen by its controller"
	case updated < replicas:
		return fmt.Sprintf("%d of %d pods updated", updated, replicas)
	case number("status", "replicas") > updated:
		return fmt.Sprintf("%d old pods still there", number("status", "replicas")-updated)
	case number("status", "availableReplicas") < updated:
		return fmt.Sprintf("%d of %d pods available", number("status", "availableReplicas"), updated)
	}
	return ""
}
