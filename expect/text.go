package expect

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/client-go/util/jsonpath"

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

// Validate says what is wrong with the expectation.
func (t *Text) Validate() error {
	if t.Equals == nil && t.Contains == nil && t.Matches == nil && t.Not == nil && len(t.JSON) == 0 {
		return &runner.FieldError{Err: errors.New("nothing is expected of the text"), Hint: "write equals, contains, matches, not or json"}
	}
	return checkPattern(t.Matches)
}

// Validate says what is wrong with the expectation.
func (j *JSON) Validate() error {
	if _, err := parsePath(j.Path); err != nil {
		return &runner.FieldError{Field: []string{"path"}, Err: err}
	}
	return j.value().Validate()
}

func (j *JSON) value() *Value {
	return &Value{Equals: j.Equals, Contains: j.Contains, Matches: j.Matches, Absent: j.Absent, Not: j.Not}
}

// Validate says what is wrong with the expectation.
func (v *Value) Validate() error {
	if v.Absent && (v.Equals != nil || v.Contains != nil || v.Matches != nil || v.Not != nil) {
		return &runner.FieldError{Field: []string{"absent"}, Err: errors.New("what is absent has no value to look at")}
	}
	if !v.Absent && v.Equals == nil && v.Contains == nil && v.Matches == nil && v.Not == nil {
		return &runner.FieldError{Err: errors.New("nothing is expected of the value"), Hint: "write equals, contains, matches, not or absent"}
	}
	return checkPattern(v.Matches)
}

func checkPattern(pattern *string) error {
	if pattern == nil {
		return nil
	}
	if _, err := regexp.Compile(*pattern); err != nil {
		return &runner.FieldError{Field: []string{"matches"}, Err: err}
	}
	return nil
}

// check judges a text of which more may have come than was kept.
func (t *Text) check(what, got string, truncated bool) error {
	v := Value{Equals: t.Equals, Contains: t.Contains, Matches: t.Matches, Not: t.Not}
	if truncated && (t.Equals != nil || t.Not != nil || len(t.JSON) > 0) {
		return fmt.Errorf("the %s is longer than is kept, so that it cannot be judged whole", what)
	}
	ms := v.check(what, strings.TrimSuffix(got, "\n"))
	if len(t.JSON) > 0 {
		var data any
		if err := json.Unmarshal([]byte(got), &data); err != nil {
			ms = append(ms, &runner.Mismatch{What: what, Want: "JSON", Got: show(got)})
			return ms
		}
		for i := range t.JSON {
			ms = append(ms, t.JSON[i].check(what, data)...)
		}
	}
	return orNil(ms)
}

func (j *JSON) check(what string, data any) runner.Mismatches {
	what += " at " + j.Path
	path, err := parsePath(j.Path)
	if err != nil {
		return runner.Mismatches{{What: what, Want: "a JSON path", Got: err.Error()}}
	}
	var values []string
	if results, err := path.FindResults(data); err == nil {
		for _, result := range results {
			for i := range result {
				var b strings.Builder
				if err := path.PrintResults(&b, result[i:i+1]); err == nil {
					values = append(values, b.String())
				}
			}
		}
	}
	switch {
	case j.Absent && len(values) > 0:
		return runner.Mismatches{{What: what, Want: "no value", Got: show(strings.Join(values, ", "))}}
	case j.Absent:
		return nil
	case len(values) == 0:
		return runner.Mismatches{{What: what, Want: j.value().String(), Got: "no value"}}
	case len(values) > 1:
		return runner.Mismatches{{What: what, Want: "one value", Got: fmt.Sprintf("%d values", len(values))}}
	}
	return j.value().check(what, values[0])
}

func parsePath(text string) (*jsonpath.JSONPath, error) {
	if !strings.HasPrefix(text, "{") {
		text = "{" + text + "}"
	}
	p := jsonpath.New("path")
	if err := p.Parse(text); err != nil {
		return nil, fmt.Errorf("JSON path %s: %w", text, err)
	}
	return p, nil
}

// check judges a value that is there.
func (v *Value) check(what, got string) (ms runner.Mismatches) {
	if v.Absent {
		return runner.Mismatches{{What: what, Want: "none", Got: show(got)}}
	}
	if v.Equals != nil && got != *v.Equals {
		ms = append(ms, &runner.Mismatch{What: what, Want: show(*v.Equals), Got: show(got)})
	}
	if v.Contains != nil && !strings.Contains(got, *v.Contains) {
		ms = append(ms, &runner.Mismatch{What: what, Want: "to contain " + show(*v.Contains), Got: show(got)})
	}
	if v.Matches != nil && !matches(*v.Matches, got) {
		ms = append(ms, &runner.Mismatch{What: what, Want: "to match " + *v.Matches, Got: show(got)})
	}
	if v.Not != nil && len(v.Not.check(what, got)) == 0 {
		ms = append(ms, &runner.Mismatch{What: what, Want: "not " + v.Not.String(), Got: show(got)})
	}
	return ms
}

func matches(pattern, text string) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(text) // Validate has compiled it
}

// String says in words what is expected.
func (v *Value) String() string {
	var words []string
	if v.Absent {
		words = append(words, "none")
	}
	if v.Equals != nil {
		words = append(words, show(*v.Equals))
	}
	if v.Contains != nil {
		words = append(words, "containing "+show(*v.Contains))
	}
	if v.Matches != nil {
		words = append(words, "matching "+*v.Matches)
	}
	if v.Not != nil {
		words = append(words, "not "+v.Not.String())
	}
	return strings.Join(words, ", ")
}

// maxShown is how much of a text a mismatch quotes, in bytes.
const maxShown = 400

// show quotes a text for a mismatch.
func show(text string) string {
	switch {
	case text == "":
		return "nothing"
	case len(text) > maxShown:
		text = text[:maxShown] + "…"
	}
	if strings.ContainsAny(text, "\n\t ") {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// orNil returns ms as an error, nil when there are none.
func orNil(ms runner.Mismatches) error {
	if len(ms) == 0 {
		return nil
	}
	return ms
}
