package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/jsonpath"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
)

// Set gives variables their values.
type Set map[string]Value

// A Value is where the value of a variable comes from: YAML has the value
// itself, or an object of the cluster and a JSON path into it.
type Value struct {
	Value string `yaml:"value,scalar"`

	// Get is the kind of object, as after kubectl get, or KIND/NAME.
	Get       string `yaml:"get"`
	Name      string `yaml:"name"`
	Selector  string `yaml:"selector"`
	Namespace string `yaml:"namespace"`
	// JSONPath is a path as kubectl's -o jsonpath takes it: into the object
	// where one is named, else into a list of the objects. Without it the
	// value is the object's name.
	JSONPath string `yaml:"jsonpath"`
}

var (
	_ runner.Action = (*Set)(nil)
	_ Definer       = (*Set)(nil)
	_ Reader        = (*Set)(nil)
	_ Validator     = (*Set)(nil)
)

// Defines implements [Definer].
func (s *Set) Defines() []string { return slices.Sorted(maps.Keys(*s)) }

// Validate implements [Validator].
func (s *Set) Validate() error {
	if len(*s) == 0 {
		return &runner.FieldError{Err: errors.New("no variable to set"), Hint: "write NAME: VALUE, or NAME: {get: KIND, ...}"}
	}
	return nil
}

// Validate implements [Validator].
func (v *Value) Validate() error {
	if v.Get == "" {
		if v.Name != "" || v.Selector != "" || v.JSONPath != "" || v.Namespace != "" {
			return &runner.FieldError{Err: errors.New("get is missing: the kind of object to read the value from")}
		}
		return nil
	}
	if v.Value != "" {
		return &runner.FieldError{Field: []string{"value"}, Err: errors.New("a variable has a value or gets one, not both")}
	}
	if v.name() != "" && v.Selector != "" {
		return &runner.FieldError{Field: []string{"selector"}, Err: errors.New("an object is named or selected, not both")}
	}
	if _, err := v.path(); err != nil {
		return &runner.FieldError{Field: []string{"jsonpath"}, Err: err}
	}
	return nil
}

func (v *Value) kind() string {
	kind, _, _ := strings.Cut(v.Get, "/")
	return kind
}

func (v *Value) name() string {
	_, name, _ := strings.Cut(v.Get, "/")
	return cmp.Or(v.Name, name)
}

func (v *Value) path() (*jsonpath.JSONPath, error) {
	text := v.JSONPath
	switch {
	case text == "" && v.name() != "":
		text = "{.metadata.name}"
	case text == "":
		text = "{.items[*].metadata.name}"
	case !strings.HasPrefix(text, "{"):
		text = "{" + text + "}"
	}
	p := jsonpath.New("jsonpath")
	if err := p.Parse(text); err != nil {
		return nil, fmt.Errorf("jsonpath %s: %w", v.JSONPath, err)
	}
	return p, nil
}

// Command implements [runner.Action].
func (s *Set) Command(scope *runner.Scope) string {
	var lines []string
	for _, name := range s.Defines() {
		v := (*s)[name]
		if v.Get == "" {
			lines = append(lines, "export "+name+"="+quote(v.Value))
			continue
		}
		args := []string{"get", v.Get}
		if v.Name != "" {
			args = append(args, v.Name)
		}
		if v.Selector != "" {
			args = append(args, "-l", v.Selector)
		}
		path := v.JSONPath
		switch {
		case path == "" && v.name() != "":
			path = "{.metadata.name}"
		case path == "":
			path = "{.items[*].metadata.name}"
		}
		args = append(args, "-o", "jsonpath="+path)
		lines = append(lines, "export "+name+"=$("+kubectl(cmp.Or(v.Namespace, scope.Namespace), args...)+")")
	}
	return strings.Join(lines, "\n")
}

// Reads implements [Reader].
func (s *Set) Reads() (all []cluster.Access) {
	for _, name := range s.Defines() {
		v := (*s)[name]
		if v.Get == "" {
			continue
		}
		a := cluster.Access{Verb: "get", Ref: cluster.Ref{Kind: v.kind(), Name: v.name(), Namespace: v.Namespace}}
		if a.Ref.Name == "" {
			a.Verb = "list"
		}
		all = append(all, a)
	}
	return all
}

// Repeats implements [runner.Action].
func (s *Set) Repeats() bool { return true }

// Try implements [runner.Action].
func (s *Set) Try(ctx context.Context, scope *runner.Scope) (*evidence.Attempt, error) {
	var text strings.Builder
	values, secret := make(map[string]string, len(*s)), map[string]bool{}
	for _, name := range s.Defines() {
		v := (*s)[name]
		value, isSecret, err := v.get(ctx, scope)
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
		values[name], secret[name] = value, isSecret
		if isSecret {
			value = redact.Mark
		}
		fmt.Fprintf(&text, "%s=%s\n", name, value)
	}
	for name, value := range values {
		if secret[name] {
			scope.SetSecret(name, value)
		} else {
			scope.Set(name, value)
		}
	}
	return &evidence.Attempt{Text: text.String()}, nil
}

// get reads the value. What is not there yet, or there twice while a pod
// replaces another, is looked for again. secret reports whether the value is one
// of a Kubernetes Secret, or was made of some.
func (v *Value) get(ctx context.Context, scope *runner.Scope) (value string, secret bool, err error) {
	if v.Get == "" {
		return v.Value, false, nil
	}
	ref, err := scope.Cluster.Resolve(ctx, cluster.Ref{Kind: v.kind(), Name: v.name(), Namespace: v.Namespace}, scope.Namespace)
	if err != nil {
		return "", false, err
	}
	var data map[string]any
	if ref.Name != "" {
		obj, err := scope.Cluster.Get(ctx, ref)
		if apierrors.IsNotFound(err) {
			err = runner.Retryable(err)
		}
		if err != nil {
			return "", false, err
		}
		data = obj.Object
	} else {
		all, err := scope.Cluster.List(ctx, ref.Kind, ref.Namespace, v.Selector)
		if err != nil {
			return "", false, err
		}
		items := make([]any, 0, len(all))
		for _, obj := range all {
			if obj.GetDeletionTimestamp() == nil {
				items = append(items, obj.Object)
			}
		}
		if len(items) == 0 {
			return "", false, runner.Retryable(fmt.Errorf("there is no %s%s", strings.ToLower(ref.Kind), selected(v.Selector)))
		}
		data = map[string]any{"items": items}
	}
	if value, err = v.find(data); err != nil {
		return "", false, err
	}
	if !isSecretKind(ref.Kind) {
		return value, false, nil
	}
	bare, err := v.find(bareOf(data))
	return value, err != nil || bare != value, nil
}

// bareOf returns the object or the list of objects without the values of Secrets.
func bareOf(data map[string]any) map[string]any {
	items, isList := data["items"].([]any)
	if !isList {
		return redact.Bare(data)
	}
	bare := make([]any, len(items))
	for i, item := range items {
		bare[i] = redact.Bare(item.(map[string]any))
	}
	return map[string]any{"items": bare}
}

// find returns what the JSON path finds in an object or in a list of objects.
func (v *Value) find(data map[string]any) (string, error) {
	path, err := v.path()
	if err != nil {
		return "", err
	}
	results, err := path.FindResults(data)
	if err != nil {
		return "", runner.Retryable(err)
	}
	var value strings.Builder
	for _, part := range results {
		if len(part) > 1 {
			return "", runner.Retryable(fmt.Errorf("%s gives %d values, want one", cmp.Or(v.JSONPath, "it"), len(part)))
		}
		if err := path.PrintResults(&value, part); err != nil {
			return "", err
		}
	}
	if value.Len() == 0 {
		return "", runner.Retryable(fmt.Errorf("%s gives nothing", cmp.Or(v.JSONPath, "it")))
	}
	return value.String(), nil
}

func selected(selector string) string {
	if selector == "" {
		return ""
	}
	return " with the labels " + selector
}
