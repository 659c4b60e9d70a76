package expect

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// A Text says what a text is to be like. All that it states must hold. One
// line feed at the end of the text does not count.
type Text struct {
	Equals   *string `yaml:"equals"`
	Contains *string `yaml:"contains"`
	Matches  *string `yaml:"matches"` // a regular expression (RE2) for some part of it
	Not      *Value  `yaml:"not"`
	// JSON are values in the text, which is then to be JSON.
	JSON []JSON `yaml:"json"`
}

// A JSON is an expectation about the value at a path in a JSON text.
type JSON struct {
	// Path is a JSON path as kubectl takes it, such as {.headers.Host}.
	Path string `yaml:"path,required"`
	// Absent says that there is no value at the path.
	Absent   bool    `yaml:"absent"`
	Equals   *string `yaml:"equals"`
	Contains *string `yaml:"contains"`
	Matches  *string `yaml:"matches"`
	Not      *Value  `yaml:"not"`
}

// A Value says what a short text is to be like, such as a header or a field of
// a log line. YAML has the text itself, or a mapping.
type Value struct {
	Equals   *string `yaml:"equals,scalar"`
	Contains *string `yaml:"contains"`
	Matches  *string `yaml:"matches"`
	// Absent says that there is no such thing.
	Absent bool   `yaml:"absent"`
	Not    *Value `yaml:"not"`
}

// Validate returns what is wrong with the expectation.
func (t *Text) Validate() error {
	if t.Equals == nil && t.Contains == nil && t.Matches == nil && t.Not == nil && len(t.JSON) == 0 {
		return &runner.FieldError{Err: errors.New("nothing is expected of the text"), Hint: "write equals, contains, matches, not or json"}
	}
	return errors.Join(checkContains(t.Contains), checkPattern(t.Matches))
}

// Validate returns what is wrong with the expectation.
func (j *JSON) Validate() error {
	if _, err := parsePath(j.Path); err != nil {
		return &runner.FieldError{Field: []string{"path"}, Err: err}
	}
	return j.value().Validate()
}

func (j *JSON) value() *Value {
	return &Value{Equals: j.Equals, Contains: j.Contains, Matches: j.Matches, Absent: j.Absent, Not: j.Not}
}

// Validate returns what is wrong with the expectation.
func (v *Value) Validate() error {
	if v.Absent && (v.Equals != nil || v.Contains != nil || v.Matches != nil || v.Not != nil) {
		return &runner.FieldError{Field: []string{"absent"}, Err: errors.New("what is absent has no value to look at")}
	}
	if !v.Absent && v.Equals == nil && v.Contains == nil && v.Matches == nil && v.Not == nil {
		return &runner.FieldError{Err: errors.New("nothing is expected of the value"), Hint: "write equals, contains, matches, not or absent"}
	}
	return errors.Join(checkContains(v.Contains), checkPattern(v.Matches))
}

// checkContains refuses what every text contains. A variable may have become
// an empty text.
func checkContains(text *string) error {
	if text == nil || *text != "" {
		return nil
	}
	return &runner.FieldError{Field: []string{"contains"}, Err: errors.New("contains is empty, and every text contains that"), Hint: "write the text that is to be there, or look at the variable's value"}
}

// checkPattern refuses a pattern that is not valid, or that every text matches.
func checkPattern(pattern *string) error {
	if pattern == nil {
		return nil
	}
	re, err := regexp.Compile(*pattern)
	if err != nil {
		return &runner.FieldError{Field: []string{"matches"}, Err: err}
	}
	if re.MatchString("") && re.MatchString("\x00egressplay\x00") {
		return &runner.FieldError{Field: []string{"matches"}, Err: fmt.Errorf("every text matches %q", *pattern), Hint: "write a pattern that some texts do not match"}
	}
	return nil
}

// check judges a text of which more may have come than was kept.
func (t *Text) check(field []string, got string, truncated bool) evidence.Verdicts {
	if truncated && (t.Equals != nil || t.Not != nil || len(t.JSON) > 0) {
		return unjudged(field, false, "the text is longer than is kept, so that it cannot be judged whole", "")
	}
	if truncated && t.Matches != nil && matchesAtEnd(*t.Matches, got) {
		return unjudged(field, false, "the text is longer than is kept, so that nobody knows how it ends", "")
	}
	v := Value{Equals: t.Equals, Contains: t.Contains, Matches: t.Matches, Not: t.Not}
	vs := v.check(field, strings.TrimSuffix(got, "\n"), true)
	for i := range vs {
		if vs[i].Outcome == evidence.NotHeld {
			vs[i].Got = flow(mapping{{"equals", short(strings.TrimSuffix(got, "\n"))}})
		}
		if truncated && vs[i].Outcome == evidence.NotHeld {
			return unjudged(field, false, "the text is longer than is kept, and what is wanted is not in what was kept", "")
		}
	}
	if len(t.JSON) == 0 {
		return vs
	}
	var data any
	if err := json.Unmarshal([]byte(got), &data); err != nil {
		miss := judge(at(field, "json"), false, "JSON", scalar(got))
		miss.Why = err.Error()
		return append(vs, miss)
	}
	for i := range t.JSON {
		of := t.JSON[i].check(at(field, "json", index(i)), data)
		for j := range of {
			of[j].JSONPath = t.JSON[i].Path
		}
		vs = append(vs, of...)
	}
	return vs
}

func (j *JSON) check(field []string, data any) evidence.Verdicts {
	path, err := parsePath(j.Path)
	if err != nil {
		return unjudged(field, false, err.Error(), "")
	}
	results, err := path.FindResults(data)
	if err != nil {
		return unjudged(field, false, fmt.Sprintf("the JSON path %s cannot be followed: %v", j.Path, err), "")
	}
	var values []string
	for _, result := range results {
		for i := range result {
			var b strings.Builder
			if err := path.PrintResults(&b, result[i:i+1]); err != nil {
				return unjudged(field, false, fmt.Sprintf("the value at %s cannot be shown: %v", j.Path, err), "")
			}
			values = append(values, b.String())
		}
	}
	switch {
	case len(values) > 1 && j.Absent:
		return evidence.Verdicts{judge(field, false, j.value().String(), flow(values))}
	case len(values) > 1:
		miss := judge(field, false, j.value().String(), flow(values))
		miss.Why = "the path leads to several values"
		return evidence.Verdicts{miss}
	case len(values) == 1:
		return j.value().check(field, values[0], true)
	}
	return j.value().check(field, "", false)
}

func parsePath(text string) (*jsonpath.JSONPath, error) {
	if !strings.HasPrefix(text, "{") {
		text = "{" + text + "}"
	}
	p := jsonpath.New("path").AllowMissingKeys(true)
	if err := p.Parse(text); err != nil {
		return nil, fmt.Errorf("JSON path %s: %w", text, err)
	}
	return p, nil
}

// check judges a value; there reports whether there is one. Nothing but absent,
// and not absent, can be said of one that is not there.
func (v *Value) check(field []string, got string, there bool) evidence.Verdicts {
	shown := scalar(got)
	if !there {
		shown = "{absent: true}"
	}
	return evidence.Verdicts{judge(field, v.holds(got, there), v.String(), shown)}
}

func (v *Value) holds(got string, there bool) bool {
	if v.Absent {
		return !there
	}
	if !there {
		return false
	}
	return (v.Equals == nil || got == *v.Equals) &&
		(v.Contains == nil || strings.Contains(got, *v.Contains)) &&
		(v.Matches == nil || matches(*v.Matches, got)) &&
		(v.Not == nil || !v.Not.holds(got, there))
}

func matches(pattern, text string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(text) // Validate has compiled it
}

// matchesAtEnd reports whether a pattern is for the end of a text, or for all that
// stands there, so that it may not be for a longer text.
func matchesAtEnd(pattern, text string) bool {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return false // Validate has compiled it
	}
	at := re.FindStringIndex(text)
	return at != nil && at[1] == len(text)
}

// String returns what is expected as YAML has it.
func (v *Value) String() string { return flow(v.yaml()) }

func (v *Value) yaml() any {
	if v.Equals != nil && v.Contains == nil && v.Matches == nil && v.Not == nil {
		return *v.Equals
	}
	var m mapping
	for _, p := range []struct {
		key  string
		text *string
	}{{"equals", v.Equals}, {"contains", v.Contains}, {"matches", v.Matches}} {
		if p.text != nil {
			m = append(m, pair{p.key, *p.text})
		}
	}
	if v.Absent {
		m = append(m, pair{"absent", true})
	}
	if v.Not != nil {
		m = append(m, pair{"not", v.Not.yaml()})
	}
	return m
}
