package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
)

// Wait waits for an object, or for all objects that a selector selects, as
// kubectl wait and kubectl rollout status do. What it waits for is its
// expectation: it may take as long as `within` says. It ends at once where
// waiting cannot help, such as for a Job that has failed.
type Wait struct {
	// Object is KIND/NAME, such as deploy/sleep; with a selector it is KIND.
	Object    string `yaml:"object,required"`
	Selector  string `yaml:"selector"`
	Namespace string `yaml:"namespace"`
	// For is what to wait for, as it stands behind --for of kubectl wait; or
	// rollout, which is what kubectl rollout status waits for: what is written
	// now is all that runs.
	For string `yaml:"for,required"`
	// Contains, Not and Length say more of what a JSON path without a value
	// finds: a text that is in it, a text that it is not, and how many values
	// there are.
	Contains *string `yaml:"contains"`
	Not      *string `yaml:"not"`
	Length   *int    `yaml:"length"`

	never bool // the last attempt showed that waiting cannot help
}

var (
	_ runner.Action = (*Wait)(nil)
	_ Defaulter     = (*Wait)(nil)
	_ Reader        = (*Wait)(nil)
	_ Validator     = (*Wait)(nil)
)

// SetDefaults implements [Defaulter].
func (w *Wait) SetDefaults(d Defaults) { w.Namespace = cmp.Or(w.Namespace, d.Namespace) }

// Validate implements [Validator].
func (w *Wait) Validate() error {
	var errs []error
	fail := func(field, hint, text string) {
		errs = append(errs, &runner.FieldError{Field: []string{field}, Err: errors.New(text), Hint: hint})
	}
	switch err := checkObject(w.Object); {
	case w.Selector == "" && err != nil && !strings.Contains(w.Object, "/"):
		fail("object", "write KIND/NAME, or add selector: LABELS", err.Error())
	case w.Selector == "" && err != nil:
		fail("object", "", err.Error())
	case w.Selector != "" && strings.Contains(w.Object, "/"):
		fail("selector", "", "an object is named or selected, not both")
	case w.Selector != "" && strings.EqualFold(w.For, "delete"):
		fail("selector", "name the object instead", "a selector that selects nothing by mistake would pass for deleted")
	}
	for field, text := range map[string]*string{"contains": w.Contains, "not": w.Not} {
		if text != nil && *text == "" {
			fail(field, "", field+" is empty")
		}
	}
	if w.Length != nil && *w.Length < 0 {
		fail("length", "", fmt.Sprintf("length must be 0 or more, got %d", *w.Length))
	}
	if _, err := w.claim(); err != nil {
		if fe, ok := errors.AsType[*runner.FieldError](err); !ok || len(fe.Field) == 0 {
			hint := ""
			if ok {
				hint = fe.Hint
			}
			fail("for", hint, err.Error())
		} else {
			errs = append(errs, fe)
		}
	}
	return errors.Join(errs...)
}

// Command implements [runner.Action].
func (w *Wait) Command(s *runner.Scope) string {
	w = w.masked(s)
	namespace := cmp.Or(w.Namespace, s.Namespace)
	objects := []string{w.Object}
	if w.Selector != "" {
		objects = append(objects, "-l", w.Selector)
	}
	what, path, value := splitFor(w.For)
	get := func(format string) string {
		return `"$(` + kubectl(namespace, append(append([]string{"get"}, objects...), "-o", "jsonpath="+format)...) + `)"`
	}
	until := func(condition string) string { return "until " + condition + "; do sleep 1; done" }
	switch {
	case what == "rollout":
		return kubectl(namespace, append([]string{"rollout", "status"}, objects...)...)
	case what != "jsonpath":
		return kubectl(namespace, append([]string{"wait", "--for=" + w.For}, objects...)...)
	case w.Contains != nil:
		return until("echo " + get(path) + " | grep -qF -- " + quote(*w.Contains))
	case w.Not != nil:
		return until("case " + get(path) + " in '' | " + quote(*w.Not) + ") false ;; esac")
	case w.Length != nil:
		each := "{range " + strings.Trim(path, "{}") + "}x{end}"
		return until("[ " + get(each) + " = " + quote(strings.Repeat("x", *w.Length)) + " ]")
	case strings.Count(path, "{") > 1:
		return until("[ " + get(path) + " = " + quote(value) + " ]")
	case value != "":
		return kubectl(namespace, append([]string{"wait", "--for=jsonpath=" + path + "=" + value}, objects...)...)
	}
	return kubectl(namespace, append([]string{"wait", "--for=jsonpath=" + path}, objects...)...)
}

// Reads implements [Reader].
func (w *Wait) Reads() []cluster.Access {
	if w.Selector != "" {
		return []cluster.Access{{Verb: "list", Ref: cluster.Ref{Kind: w.Object, Namespace: w.Namespace}}}
	}
	return []cluster.Access{{Verb: "get", Ref: target(w.Object, w.Namespace).Ref}}
}

// Repeats implements [runner.Action].
func (w *Wait) Repeats() bool { return !w.never }

// Try implements [runner.Action].
func (w *Wait) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	claim, err := w.claim()
	if err != nil {
		return nil, err
	}
	refs, objects, err := w.objects(ctx, s)
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for i, obj := range objects {
		got, never := claim(obj)
		if got != "" {
			w.never = never
			if obj != nil && redact.IsSecret(obj.Object) {
				got = withoutSecrets(claim, obj, got)
			}
			got += w.whyNotReady(ctx, s, obj)
			return &evidence.Attempt{Text: text.String()}, &runner.Mismatch{What: refs[i].String(), Want: w.masked(s).wanted(), Got: got}
		}
		fmt.Fprintf(&text, "%s %s\n", refs[i].Long(), w.met())
	}
	return &evidence.Attempt{Text: text.String()}, nil
}

// objects returns what the step waits for: the object that is named, nil where
// there is none, or those that are selected, at least one.
func (w *Wait) objects(ctx context.Context, s *runner.Scope) ([]cluster.Ref, []*unstructured.Unstructured, error) {
	ref, err := resolve(ctx, s, w.Object, w.Namespace)
	if err != nil {
		return nil, nil, err
	}
	if w.Selector == "" {
		obj, err := s.Cluster.Get(ctx, ref)
		if apierrors.IsNotFound(err) {
			obj, err = nil, nil
		}
		return []cluster.Ref{ref}, []*unstructured.Unstructured{obj}, err
	}
	all, err := s.Cluster.List(ctx, w.Object, ref.Namespace, w.Selector)
	if err != nil {
		return nil, nil, err
	}
	var refs []cluster.Ref
	var objects []*unstructured.Unstructured
	for i := range all {
		if obj := &all[i]; obj.GetDeletionTimestamp() == nil {
			one := ref
			one.Name = obj.GetName()
			refs, objects = append(refs, one), append(objects, obj)
		}
	}
	if len(objects) == 0 {
		return nil, nil, &runner.Mismatch{What: strings.ToLower(ref.Kind) + selected(w.Selector), Want: w.masked(s).wanted(), Got: "no such object"}
	}
	return refs, objects, nil
}

// whyNotReady returns what keeps the pods of a workload that is not rolled out
// from being ready, where that can be seen.
func (w *Wait) whyNotReady(ctx context.Context, s *runner.Scope, obj *unstructured.Unstructured) string {
	if w.For != "rollout" || obj == nil || !hasRollout(obj) {
		return ""
	}
	owner := strings.ToLower(obj.GetKind()) + "/" + obj.GetName()
	_, err := s.Cluster.Pod(ctx, cluster.PodQuery{Namespace: obj.GetNamespace(), Owner: owner})
	if why, ok := errors.AsType[*cluster.NotReadyError](err); ok {
		return "; " + why.Reason
	}
	return ""
}

// wanted is what the step waits for, in words.
func (w *Wait) wanted() string {
	text := w.For
	if w.Contains != nil {
		text += " to contain " + strconv.Quote(*w.Contains)
	}
	if w.Not != nil {
		text += " not to be " + strconv.Quote(*w.Not)
	}
	if w.Length != nil {
		text += fmt.Sprintf(" to have %d values", *w.Length)
	}
	return text
}

func (w *Wait) met() string {
	switch strings.ToLower(w.For) {
	case "create":
		return "created"
	case "delete":
		return "deleted"
	case "rollout":
		return "successfully rolled out"
	}
	return "condition met"
}
