package pages

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/runner"
)

// A difference is something in which two steps, or two playbooks, are not the same.
type difference struct {
	what, left, right string
}

// headData is what a playbook says beside its steps. Its file and its lines are not
// part of that.
func headData(p *runner.Playbook) map[string]string {
	data := map[string]string{}
	note(data, "title", reflect.ValueOf(p.Title))
	for what, v := range map[string]any{
		"name": p.Name, "text": p.Text, "source": p.Source, "tags": p.Tags, "topic": p.Topic,
		"requires": p.Requires, "timeout": p.Timeout, "vars": p.Vars, "internet": p.Internet,
	} {
		note(data, what, reflect.ValueOf(v))
	}
	return data
}

// stepData is all that a step says: each value by its path. Variables stand as marks,
// so that ${NAME} and the text "${NAME}" differ.
func stepData(s *runner.Step) (map[string]string, error) {
	action, checks, err := s.Bind(marked)
	if err != nil {
		return nil, err
	}
	data := map[string]string{}
	note(data, s.Kind, reflect.ValueOf(action))
	said := reflect.ValueOf(*s)
	for i := range said.NumField() {
		switch name := said.Type().Field(i).Name; name {
		case "StepInfo", "Bind", "Targets", "Reads", "Needs", "Looks": // which follow from the rest
		default:
			note(data, strings.ToLower(name), said.Field(i))
		}
	}
	for what, v := range map[string]string{"id": s.ID, "title": s.Title, "text": s.Text, "kind": s.Kind} {
		note(data, what, reflect.ValueOf(v))
	}
	for _, c := range checks {
		note(data, "expect."+c.Key, reflect.ValueOf(c.Expectation))
	}
	return data, nil
}

// marked gives each variable a value that nothing else has.
func marked(name string) (string, bool) { return "v." + name + ".v", true }

var marks = regexp.MustCompile(`v\.([A-Za-z_][A-Za-z0-9_]*)\.v`)

// note notes what a value holds, by its path. What a type keeps beside what is
// written (a parsed script, a function) is left out.
func note(into map[string]string, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Invalid, reflect.Func, reflect.Chan:
		return
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && !strings.HasPrefix(v.Elem().Type().PkgPath(), "mvdan.cc/sh") {
			note(into, path, v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[yaml.Node]() {
			into[path] = nodeText(v)
			return
		}
		if v.Type() == reflect.TypeFor[regexp.Regexp]() {
			into[path] = v.FieldByName("expr").String()
			return
		}
		for i := range v.NumField() {
			note(into, path+"."+strings.ToLower(v.Type().Field(i).Name), v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && !v.IsNil() {
			into[path] = fmt.Sprint(v.Len(), " values")
		}
		for i := range v.Len() {
			note(into, fmt.Sprintf("%s.%d", path, i), v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			note(into, path+"."+fmt.Sprint(k), v.MapIndex(k))
		}
		if !v.IsNil() {
			into[path] = fmt.Sprint(v.Len(), " values")
		}
	default:
		if !v.IsZero() {
			into[path] = fmt.Sprint(v)
		}
		if strings.HasSuffix(path, ".shown.text") || strings.HasSuffix(path, ".script.text") { // whose end means nothing
			into[path] = strings.TrimRight(into[path], "\n")
		}
	}
}

// nodeText writes a node without its places.
func nodeText(v reflect.Value) string {
	var b strings.Builder
	b.WriteString(v.FieldByName("Value").String())
	content := v.FieldByName("Content")
	for i := range content.Len() {
		b.WriteString("(" + nodeText(content.Index(i).Elem()) + ")")
	}
	return b.String()
}

// compare returns in what two flattened values differ, sorted.
func compare(left, right map[string]string) []difference {
	var all []difference
	for what, l := range left {
		if r := right[what]; r != l {
			all = append(all, difference{what, l, r})
		}
	}
	for what, r := range right {
		if _, there := left[what]; !there {
			all = append(all, difference{what, "", r})
		}
	}
	slices.SortFunc(all, func(a, b difference) int { return strings.Compare(a.what, b.what) })
	return all
}

// sameStep returns in what two steps differ.
func sameStep(left, right *runner.Step) []difference {
	l, err := stepData(left)
	if err != nil {
		return []difference{{what: "the step cannot be read", left: err.Error()}}
	}
	r, err := stepData(right)
	if err != nil {
		return []difference{{what: "the step cannot be read", right: err.Error()}}
	}
	return compare(l, r)
}
