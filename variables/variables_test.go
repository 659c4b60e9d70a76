package variables_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/variables"
)

func lookup(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, set := values[name]
		return value, set
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "long_NAME2": "two", "NESTED": "${A} $${A}", "EMPTY": "", "LINES": "x\ny"}
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"no variable", "curl -sI https://x", "curl -sI https://x"},
		{"alone", "${A}", "1"},
		{"among text", "<${A}|${long_NAME2}>", "<1|two>"},
		{"side by side", "${A}${A}", "11"},
		{"a value is not looked at again", "${NESTED}", "${A} $${A}"},
		{"an empty value is a value", "[${EMPTY}]", "[]"},
		{"a value of several lines", "${LINES}", "x\ny"},
		{"a dollar sign is itself", "$A $ $$ a$ $(A) $1 {A}", "$A $ $$ a$ $(A) $1 {A}"},
		{"escaped", "$${A}", "${A}"},
		{"escaped, then a variable", "$${A}${A}", "${A}1"},
		{"a dollar sign before an escape", "$$${A}", "$${A}"},
		{"escaped and not closed", "a $${ b", "a ${ b"},
		{"two escapes", "$${$${", "${${"},
		{"regular expression with an end", "^a$", "^a$"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := variables.Expand(test.text, lookup(values))
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestExpandUndefined(t *testing.T) {
	_, err := variables.Expand("ü ${B}\n${A} ${C}", lookup(map[string]string{"A": "1"}))
	var got []variables.Ref
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		undefined, ok := errors.AsType[*variables.UndefinedError](err)
		require.True(t, ok)
		got = append(got, undefined.Ref)
	}
	assert.Equal(t, []variables.Ref{
		{Name: "B", Position: variables.Position{Line: 1, Column: 3}},
		{Name: "C", Position: variables.Position{Line: 2, Column: 6}},
	}, got)
}

func TestRefs(t *testing.T) {
	got, err := variables.Refs("a\n${A} $${B}\n  ${C}${A}")
	require.NoError(t, err)
	assert.Equal(t, []variables.Ref{
		{Name: "A", Position: variables.Position{Line: 2, Column: 1}},
		{Name: "C", Position: variables.Position{Line: 3, Column: 3}},
		{Name: "A", Position: variables.Position{Line: 3, Column: 7}},
	}, got)
}

func TestSyntaxErrors(t *testing.T) {
	for _, test := range []struct {
		name, text   string
		line, column int
		msg          string
	}{
		{"not closed", "a ${", 1, 3, "${ without }"},
		{"not closed, with a name", "a\n ${NAME", 2, 2, "${ without }"},
		{"not closed on its line", "${NAME\n}", 1, 1, "${ without }"},
		{"no name", "${}", 1, 1, "${} names no variable"},
		{"begins with a digit", "${1A}", 1, 1, `"1A" is no name of a variable`},
		{"default of a shell", "${A:-x}", 1, 1, `"A:-x" is no name of a variable`},
		{"blank", "${ A }", 1, 1, `" A " is no name of a variable`},
		{"nested", "${${A}}", 1, 1, `"${A" is no name of a variable`},
		{"far from closed", "${A " + strings.Repeat("x", 100) + "}", 1, 1, "${ without }"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := variables.Refs(test.text)
			syntax, ok := errors.AsType[*variables.SyntaxError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, variables.Position{Line: test.line, Column: test.column}, syntax.Position)
			assert.Contains(t, syntax.Msg, test.msg)

			_, err = variables.Expand(test.text, lookup(map[string]string{"A": "1"}))
			require.ErrorContains(t, err, test.msg)
		})
	}
}

func TestRefsGoesOnBehindAMistake(t *testing.T) {
	refs, err := variables.Refs("${1} ${A} ${")
	assert.Equal(t, []variables.Ref{{Name: "A", Position: variables.Position{Line: 1, Column: 6}}}, refs)
	assert.Len(t, err.(interface{ Unwrap() []error }).Unwrap(), 2)
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"A", "_", "a1", "SOURCE_POD"} {
		assert.True(t, variables.ValidName(name), name)
	}
	for _, name := range []string{"", "1", "a-b", "a b", "ä", "A.crt"} {
		assert.False(t, variables.ValidName(name), name)
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"", "${A}", "$${A}", "$$${A}", "${", "${}", "a\n${B} ü${A}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		refs, refsErr := variables.Refs(text)
		for _, ref := range refs {
			assert.True(t, variables.ValidName(ref.Name))
		}
		marked, err := variables.Expand(text, func(string) (string, bool) { return "${A}", true })
		assert.Equal(t, refsErr == nil, err == nil)
		if err == nil {
			assert.GreaterOrEqual(t, strings.Count(marked, "${A}"), len(refs))
		}
	})
}
