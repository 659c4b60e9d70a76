package fill

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/runner"
)

type (
	code  int
	words []string
	level string
	inner struct {
		Name  string `yaml:"name,scalar,required"`
		Label string `yaml:"label"`
	}
	base struct {
		Base string `yaml:"base"`
	}
	everything struct {
		base
		Text     string            `yaml:"text"`
		Literal  string            `yaml:"literal,literal"`
		Yes      bool              `yaml:"yes"`
		Int      int               `yaml:"int"`
		Small    int8              `yaml:"small"`
		Count    uint16            `yaml:"count"`
		Float    float64           `yaml:"float"`
		Wait     time.Duration     `yaml:"wait"`
		Code     code              `yaml:"code"`
		Words    words             `yaml:"words"`
		Level    level             `yaml:"level"`
		Pointer  *int              `yaml:"pointer"`
		Labels   map[string]string `yaml:"labels"`
		Inner    inner             `yaml:"inner"`
		Inners   []inner           `yaml:"inners"`
		ByName   map[string]*inner `yaml:"byName"`
		Untagged string
	}
	short struct {
		Items []string `yaml:"items,list,scalar"`
		More  string   `yaml:"more"`
	}
)

func (w *words) UnmarshalText(text []byte) error {
	*w = strings.Fields(string(text))
	if len(*w) == 0 {
		return errors.New("no words")
	}
	return nil
}

func fillIn[T any](t *testing.T, text string) (T, error) {
	t.Helper()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &document))
	var v T
	d := &Decoder{File: "f", Root: "it", Lines: strings.Split(text, "\n"), Vars: map[string]string{"N": "7", "W": "2m", "Y": "true"}}
	d.Fill(document.Content[0], &v, "")
	d.ExplainUnset(nil)
	if errs := d.Errs.Sorted(); len(errs) > 0 {
		return v, errs
	}
	return v, nil
}

func TestFill(t *testing.T) {
	three := 3
	for _, test := range []struct {
		text string
		want everything
	}{
		{"text: a b", everything{Text: "a b"}},
		{"text: 1.10", everything{Text: "1.10"}},
		{"text: 0755", everything{Text: "0755"}},
		{"text: true", everything{Text: "true"}},
		{"text: 2024-01-01", everything{Text: "2024-01-01"}},
		{"text: ''", everything{}},
		{"text: 'null'", everything{Text: "null"}},
		{"text: |\n  a\n  b\n", everything{Text: "a\nb\n"}},
		{"text: ${N}", everything{Text: "${N}"}},
		{"yes: true", everything{Yes: true}},
		{"yes: ${Y}", everything{Yes: true}},
		{"int: -3", everything{Int: -3}},
		{"int: ${N}", everything{Int: 7}},
		{"int: '1${N}'", everything{Int: 17}},
		{"small: -128", everything{Small: -128}},
		{"count: 65535", everything{Count: 65535}},
		{"float: 2", everything{Float: 2}},
		{"float: 2.5e-1", everything{Float: .25}},
		{"wait: 1m30s", everything{Wait: 90 * time.Second}},
		{"wait: 250ms", everything{Wait: 250 * time.Millisecond}},
		{"wait: ${W}", everything{Wait: 2 * time.Minute}},
		{"code: 35", everything{Code: 35}},
		{"words: curl  -sI x", everything{Words: words{"curl", "-sI", "x"}}},
		{"words: [curl, -s I, 3]", everything{Words: words{"curl", "-s I", "3"}}},
		{"level: high", everything{Level: "high"}},
		{"pointer: 3", everything{Pointer: &three}},
		{"labels: {a: b, 1: 2, 'c d': ''}", everything{Labels: map[string]string{"a": "b", "1": "2", "c d": ""}}},
		{"labels: {}", everything{Labels: map[string]string{}}},
		{"inner: x", everything{Inner: inner{Name: "x"}}},
		{"inner: {name: x, label: y}", everything{Inner: inner{Name: "x", Label: "y"}}},
		{"inners: [x, {name: y}]", everything{Inners: []inner{{Name: "x"}, {Name: "y"}}}},
		{"byName: {a: x}", everything{ByName: map[string]*inner{"a": {Name: "x"}}}},
		{"base: x", everything{base: base{"x"}}},
		{"{}", everything{}},
		{"text: a\r\nint: 3\r\n", everything{Text: "a", Int: 3}},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, err := fillIn[everything](t, test.text)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestFillShortList(t *testing.T) {
	for text, want := range map[string]short{
		"x: [a, b]":          {Items: []string{"a", "b"}},
		"x: a":               {Items: []string{"a"}},
		"x: {items: [a, b]}": {Items: []string{"a", "b"}},
		"x: []":              {Items: []string{}},
		"x: {more: y}":       {More: "y"},
	} {
		got, err := fillIn[struct {
			X short `yaml:"x"`
		}](t, text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got.X, text)
	}
}

func TestFillErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"text: a\ntext: b", `f:2:1: duplicate key "text": it is in line 1 already` + "\n  hint: keep one of the two"},
		{"labels: {a: b, a: c}", `f:1:16: duplicate key "a": it is in line 1 already` + "\n  hint: keep one of the two"},
		{"labels: {a: }", "f:1:13: labels.a has no value: want a text\n  hint: write its value, '' for an empty text, or remove the key"},
		{"int: 08", "f:1:6: int: want a whole number, got the number 08"},
		{"int: 0x10", "f:1:6: int: want a whole number, got the number 0x10"},
		{"int: 1_000", "f:1:6: int: want a whole number, got the number 1_000"},
		{"int: 2.0", "f:1:6: int: want a whole number, got the number 2.0"},
		{"int: [3]", "f:1:6: int: want a whole number, got a list"},
		{"int: '3'", "f:1:6: int: want a whole number, got the text \"3\"\n  hint: write it without quotes"},
		{"int: ${W}", "f:1:6: int: want a whole number, got \"2m\""},
		{"int: ${M}", "f:1:6: the variable M is not defined\n  hint: did you mean \"N\"?"},
		{"int: ${", "f:1:6: ${ without }: write ${NAME} for a variable, or $${ for ${ as text"},
		{"small: 128", "f:1:8: small: 128 is out of range"},
		{"count: -1", "f:1:8: count: -1 is out of range"},
		{"float: .inf", "f:1:8: float: want a number, got the number .inf"},
		{"yes: yes", `f:1:6: yes: want true or false, got the text "yes"`},
		{"yes: True", "f:1:6: yes: want true or false, got True"},
		{"wait: 30", "f:1:7: wait: want a duration such as 30s, got the number 30\n  hint: write 30s for seconds, 30m for minutes"},
		{"wait: 1d", "f:1:7: wait: want a duration such as 30s, got the text \"1d\"\n  hint: write a number and ms, s, m or h"},
		{"wait: 1000000h", "f:1:7: wait: 1000000h is out of range"},
		{"words: ''", "f:1:8: no words"},
		{"words: {a: b}", "f:1:8: words: want a text or a list, got a mapping\n  hint: begin each item with a dash, or put the items in [ ]"},
		{"words: [[a]]", "f:1:9: words[0]: want a text, got a list\n  hint: a text that begins with [ must be in quotes"},
		{"inner: {label: x}", "f:1:8: inner has no name"},
		{"inners: [{nam: x}]", "f:1:11: unknown key \"nam\" in inners[0]\n  hint: did you mean \"name\"?"},
		{"byName: {a: [x]}", "f:1:13: byName.a: want a mapping or a text, got a list\n  hint: its keys are label, name"},
		{"untagged: x", "f:1:1: unknown key \"untagged\" in it\n  hint: known are base, byName, code, count, float, inner, inners, int, labels, level, literal, pointer, small, text, wait, words, yes"},
		{`words: {a: "\e[31m"}` + "\n" + `inners: "\e[31mx"`, "f:1:8: words: want a text or a list, got a mapping\n  hint: begin each item with a dash, or put the items in [ ]\n" +
			`f:2:9: inners: want a list, got the text "\x1b[31mx"` + "\n  hint: write [x]"},
		{"text: {a: b}\nint: x", "f:1:7: text: want a text, got a mapping\n  hint: a text that begins with { must be in quotes\n" +
			"f:2:6: int: want a whole number, got the text \"x\""},
	} {
		t.Run(test.text, func(t *testing.T) {
			_, err := fillIn[everything](t, test.text)
			require.Error(t, err)
			assert.Equal(t, test.want, err.Error())
		})
	}
}

type pattern struct {
	Text string `yaml:"text"`
	seen []string
}

func (p *pattern) Validate() error {
	p.seen = append(p.seen, p.Text)
	if strings.Contains(p.Text, "bad") {
		return errors.Join(
			&runner.FieldError{Field: []string{"text"}, Err: errors.New("it is bad")},
			fmt.Errorf("and all of it"),
		)
	}
	return nil
}

type upper struct{ Text string }

func (u *upper) ExpandVars(lookup runner.Lookup) error {
	value, set := lookup(u.Text)
	if !set {
		return errors.New("none of " + u.Text)
	}
	u.Text = strings.ToUpper(value)
	return nil
}

type holder struct {
	Text     string             `yaml:"text"`
	Literal  string             `yaml:"literal,literal"`
	Words    words              `yaml:"words"`
	Map      map[string]pattern `yaml:"map"`
	Pointer  *pattern           `yaml:"pointer"`
	Nil      *pattern           `yaml:"nil"`
	List     []*pattern         `yaml:"list"`
	Self     upper              `yaml:"self"`
	Number   int                `yaml:"number"`
	Untagged string
	private  string
}

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "B": "${A} $${A}", "W": "two words"}
	lookup := func(name string) (string, bool) { value, set := values[name]; return value, set }
	v := &holder{
		Text:     "${A}${B}",
		Literal:  "${A}",
		Words:    words{"${W}", "x"},
		Map:      map[string]pattern{"${A}": {Text: "${A}"}},
		Pointer:  &pattern{Text: "$${A}"},
		List:     []*pattern{{Text: "$A"}, nil},
		Self:     upper{"W"},
		Number:   3,
		Untagged: "${A}",
		private:  "${A}",
	}
	got, err := Expand(v, lookup)
	require.NoError(t, err)
	assert.Equal(t, &holder{
		Text:     "1${A} $${A}",
		Literal:  "${A}",
		Words:    words{"two words", "x"},
		Map:      map[string]pattern{"${A}": {Text: "1", seen: []string{"1"}}},
		Pointer:  &pattern{Text: "${A}", seen: []string{"${A}"}},
		List:     []*pattern{{Text: "$A", seen: []string{"$A"}}, nil},
		Self:     upper{"TWO WORDS"},
		Number:   3,
		Untagged: "1",
		private:  "${A}",
	}, got)
	assert.Equal(t, words{"${W}", "x"}, v.Words, "the original stays as it is")
	assert.Equal(t, map[string]pattern{"${A}": {Text: "${A}"}}, v.Map, "the original stays as it is")
	assert.Nil(t, v.Pointer.seen, "the original stays as it is")
}

func TestExpandOfAnInterface(t *testing.T) {
	var v fmt.Stringer = &holder{Text: "${A}"}
	got, err := Expand(v, func(string) (string, bool) { return "x y", true })
	require.NoError(t, err)
	assert.Equal(t, "x y", got.String())
}

func (h *holder) String() string { return h.Text }

func TestExpandErrors(t *testing.T) {
	lookup := func(name string) (string, bool) { return "bad", name == "A" }
	_, err := Expand(&holder{Text: "${X}", Map: map[string]pattern{"k": {Text: "${Y} ${"}}, List: []*pattern{{Text: "${Z}"}}, Self: upper{"A"}}, lookup)
	var got []string
	for _, e := range Flatten(err) {
		got = append(got, strings.Join(e.Field, ".")+": "+e.Error())
	}
	assert.Equal(t, []string{
		"text: the variable X is not defined",
		"map.k.text: the variable Y is not defined",
		"map.k.text: ${ without }: write ${NAME} for a variable, or $${ for ${ as text",
		"list.0.text: the variable Z is not defined",
	}, got)

	_, err = Expand(&holder{Self: upper{"A"}, List: []*pattern{{}, {Text: "very ${A}"}}}, lookup)
	got = nil
	for _, e := range Flatten(err) {
		got = append(got, strings.Join(e.Field, ".")+": "+e.Error())
	}
	assert.Equal(t, []string{"list.1.text: it is bad", "list.1: and all of it"}, got)
}

func TestExpandIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	v := &holder{Words: words{strings.Repeat("${A}", 1000)}, Self: upper{"A"}}
	_, err := Expand(v, func(string) (string, bool) { return long, true })
	require.ErrorIs(t, err, errTooLong)
}
