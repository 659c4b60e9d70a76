package steps

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// A claim says what an object, nil for none, is instead of what is waited for;
// "" when it is that. never reports that time does not change it.
type claim func(obj *unstructured.Unstructured) (got string, never bool)

// claims are the words with which `for` can begin.
var claims = []string{"condition", "create", "delete", "jsonpath", "rollout"}

// splitFor splits what `for` says as kubectl wait splits what stands behind
// --for: the kind of claim, and of a JSON path the path, in its full form, and
// the value. A JSON path of several expressions in braces is one that kubectl
// get takes; quotes are those of a shell.
// Source: k8s.io/kubectl/pkg/cmd/wait/wait.go, conditionFuncsFor and
// processJSONPathInput.
func splitFor(text string) (what, arg, value string) {
	text = unquoted(text)
	what, arg, _ = strings.Cut(text, "=")
	switch lower := strings.ToLower(text); {
	case lower == "create" || lower == "delete":
		return lower, "", ""
	case what == "condition":
		arg, value, _ = strings.Cut(arg, "=")
	case what == "jsonpath":
		if parts := splitOnce(arg); len(parts) == 2 {
			arg, value = parts[0], strings.Trim(parts[1], `'"`)
		}
		arg = unquoted(arg)
		if m := relaxed.FindStringSubmatch(arg); m != nil {
			arg = "{." + m[1] + m[2] + "}"
		}
	}
	return what, arg, value
}

// relaxed are the forms of a JSON path that kubectl wait takes: with or without
// braces, with or without the dot in front.
// Source: k8s.io/kubectl/pkg/cmd/get/customcolumn.go, RelaxedJSONPathExpression.
var relaxed = regexp.MustCompile(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

// several are two or more expressions in braces. Each leads somewhere: a text
// of its own would be found in any object.
var several = regexp.MustCompile(`^(\{[.$@\[][^{}]*\}){2,}$`)

// unquoted removes a pair of quotes around text.
func unquoted(text string) string {
	for _, q := range []string{"'", `"`} {
		if len(text) > 1 && strings.HasPrefix(text, q) && strings.HasSuffix(text, q) && strings.Count(text, q) == 2 {
			return text[1 : len(text)-1]
		}
	}
	return text
}

// splitOnce splits text at each "=" that is not one of "==".
func splitOnce(text string) []string {
	const equals = "\x00"
	parts := strings.Split(strings.ReplaceAll(text, "==", equals), "=")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], equals, "==")
	}
	return parts
}

// claim reads what the step waits for. Its error says what kubectl wait would
// not take either.
func (w *Wait) claim() (claim, error) {
	if strings.HasPrefix(w.For, "${") {
		return nil, nil // read again once the value is in place
	}
	text, err := variables.Expand(w.For, func(string) (string, bool) { return "0", true })
	if err != nil {
		text = w.For
	}
	what, arg, value := splitFor(text)
	compares := w.Contains != nil || w.Not != nil || w.Length != nil
	switch what {
	case "create":
		return existing(func(*unstructured.Unstructured) (string, bool) { return "", false }), w.comparesNothing(compares)
	case "delete":
		return func(obj *unstructured.Unstructured) (string, bool) {
			if obj != nil {
				return "still there", false
			}
			return "", false
		}, w.comparesNothing(compares)
	case "rollout":
		return existing(rolledOut), w.comparesNothing(compares)
	case "condition":
		if arg == "" || strings.HasSuffix(text, "=") {
			return nil, fmt.Errorf("%q names no condition: write condition=NAME or condition=NAME=VALUE", w.For)
		}
		if value == "" {
			value = "True"
		}
		return existing(unlessEnded(func(obj *unstructured.Unstructured) (string, bool) { return condition(obj, arg, value), false })), w.comparesNothing(compares)
	case "jsonpath":
		if err := w.checkPath(text, compares); err != nil {
			return nil, err
		}
		return w.pathClaim(arg, value)
	}
	return nil, unknownClaim(w.For)
}

// comparesNothing returns what is wrong where a claim that is no JSON path is
// compared with something.
func (w *Wait) comparesNothing(compares bool) error {
	if !compares {
		return nil
	}
	return &runner.FieldError{Err: errors.New("contains, not and length go with a JSON path"), Hint: "write for: jsonpath={PATH}"}
}

// unknownClaim returns the error that a text is none of the claims.
func unknownClaim(text string) error {
	word, _, _ := strings.Cut(text, "=")
	hint := ""
	if known, ok := nearest.Name(word, claims); ok {
		hint = "did you mean " + known + "?"
	} else if conditionName.MatchString(word) {
		hint = "did you mean condition=" + word + "?"
	}
	return &runner.FieldError{
		Err:  fmt.Errorf("cannot wait for %q: want condition=NAME, create, delete, rollout or jsonpath={PATH}=VALUE", text),
		Hint: hint,
	}
}

// conditionName is how the types of conditions are written.
var conditionName = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)

// checkPath returns what is wrong with what stands behind jsonpath=.
func (w *Wait) checkPath(text string, compares bool) error {
	parts := splitOnce(strings.TrimPrefix(unquoted(text), "jsonpath="))
	switch {
	case len(parts) > 2:
		return fmt.Errorf("%q has more than one value: write jsonpath={PATH}=VALUE", w.For)
	case len(parts) == 2 && strings.Trim(parts[1], `'" `) == "":
		return &runner.FieldError{
			Err:  errors.New("the JSON path is compared with nothing: any object that lacks it would pass"),
			Hint: "write jsonpath={PATH}=VALUE, or jsonpath={PATH} for any value",
		}
	case len(parts) == 2 && compares:
		return errors.New("the JSON path has a value already: contains, not and length go with one that has none")
	case text == "jsonpath" || unquoted(parts[0]) == "":
		return errors.New("the JSON path is missing: write jsonpath={PATH}=VALUE")
	}
	return nil
}

// existing is a claim about an object that must be there.
func existing(c claim) claim {
	return func(obj *unstructured.Unstructured) (string, bool) {
		if obj == nil {
			return "no such object", false
		}
		return c(obj)
	}
}

// unlessEnded is a claim about the status of an object, which does not change
// any more once a Job or a pod has ended.
func unlessEnded(c claim) claim {
	return func(obj *unstructured.Unstructured) (string, bool) {
		got, never := c(obj)
		if how := ended(obj); got != "" && how != "" {
			return got + "; " + how, true
		}
		return got, never
	}
}

// unlessOld is a claim about the status of an object, of which nothing is known
// until its controller has seen the object as it is written now.
func unlessOld(c claim) claim {
	return func(obj *unstructured.Unstructured) (string, bool) {
		if isOld(obj) {
			return notYet, false
		}
		return c(obj)
	}
}

// ended returns how a Job or a pod has ended; "" for what has not.
func ended(obj *unstructured.Unstructured) string {
	switch obj.GroupVersionKind().GroupKind().String() {
	case "Job.batch":
		for _, how := range []string{"Failed", "Complete"} {
			if c := conditionOf(obj, how); c != nil && c["status"] == "True" {
				return explained("the job is "+how, c["reason"], c["message"])
			}
		}
	case "Pod":
		status, _, _ := unstructured.NestedMap(obj.Object, "status")
		if phase, _ := status["phase"].(string); phase == "Failed" || phase == "Succeeded" {
			return explained("the pod is "+phase, status["reason"], status["message"])
		}
	}
	return ""
}

// explained adds the reason and the message of a status to a text.
func explained(text string, reason, message any) string {
	var parts []string
	for _, part := range []any{reason, message} {
		if s, _ := part.(string); s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return text
	}
	return text + " (" + strings.Join(parts, ": ") + ")"
}

// conditionOf returns a condition of an object; nil where it has none of that
// type.
func conditionOf(obj *unstructured.Unstructured, name string) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		c, _ := c.(map[string]any)
		if kind, _ := c["type"].(string); strings.EqualFold(kind, name) {
			return c
		}
	}
	return nil
}

// notYet reports whether a status is that of an object as it was written before.
const notYet = "not yet of the object as it is written now"

// isOld reports whether the status of an object is that of how it was written
// before.
func isOld(obj *unstructured.Unstructured) bool {
	seen, found, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	return found && seen < obj.GetGeneration()
}

// condition returns what the condition of an object is, "" when it is as wanted
// for the object as it is written now.
// Source: k8s.io/kubectl/pkg/cmd/wait/condition.go.
func condition(obj *unstructured.Unstructured, name, want string) string {
	c := conditionOf(obj, name)
	if c == nil {
		return "no such condition yet"
	}
	seen, found, _ := unstructured.NestedInt64(c, "observedGeneration")
	if found && seen < obj.GetGeneration() || !found && isOld(obj) {
		return notYet
	}
	status, _ := c["status"].(string)
	if strings.EqualFold(status, want) {
		return ""
	}
	return explained(status, c["reason"], c["message"])
}

// pathClaim is a claim about what a JSON path finds in an object.
func (w *Wait) pathClaim(path, value string) (claim, error) {
	if !relaxed.MatchString(path) && !several.MatchString(path) {
		return nil, fmt.Errorf("jsonpath %s: want a path such as .status.phase or {.status.phase}", path)
	}
	p := jsonpath.New("for").AllowMissingKeys(true)
	if err := p.Parse(path); err != nil {
		return nil, fmt.Errorf("jsonpath %s: %w", path, err)
	}
	look := w.compare(p, path, value)
	if strings.Contains(path, ".status") {
		look = unlessEnded(look)
		if !strings.Contains(path, "bservedGeneration") {
			look = unlessOld(look)
		}
	}
	return existing(look), nil
}

// isNested reports whether a value is an object or a list.
func isNested(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// isList reports whether a value is several ones, as kubectl get prints what a
// JSON path finds that leads to several places: with a space between them.
func isList(path, value string) bool {
	many := strings.Contains(path, "[*]") || strings.Contains(path, "[?") || strings.Contains(path, "..")
	return many && strings.Contains(strings.TrimSpace(value), " ")
}

// compare compares what a JSON path finds. Nothing that it does not find is
// like anything.
func (w *Wait) compare(p *jsonpath.JSONPath, path, value string) claim {
	return func(obj *unstructured.Unstructured) (got string, never bool) {
		results, err := p.FindResults(obj.Object)
		if err != nil {
			return err.Error(), false // such as an index that the list does not have yet
		}
		var values []any
		for _, part := range results {
			for _, v := range part {
				if v.IsValid() && v.CanInterface() && v.Interface() != nil {
					values = append(values, v.Interface())
				}
			}
		}
		if len(values) == 0 {
			return "nothing at " + path, false
		}
		number := fmt.Sprintf("%d values", len(values))
		switch {
		case w.Length != nil && len(values) != *w.Length:
			return number, false
		case value == "" && w.Contains == nil && w.Not == nil:
			return "", false
		case value != "" && len(values) > 1 && !several.MatchString(path) && !isList(path, value):
			return number, false
		case slices.ContainsFunc(values, isNested):
			return "an object or a list, not a value", true
		}
		var b strings.Builder
		if err := p.Execute(&b, obj.Object); err != nil {
			return err.Error(), false
		}
		text := strings.TrimSpace(b.String())
		switch {
		case value != "" && text != strings.TrimSpace(value),
			w.Contains != nil && !strings.Contains(text, *w.Contains),
			w.Not != nil && (text == "" || text == strings.TrimSpace(*w.Not)):
			return strconv.Quote(text), false
		}
		return "", false
	}
}
