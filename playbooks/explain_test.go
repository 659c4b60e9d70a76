package playbooks

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/steps"
)

// Each key of the header, of a step, each verb and each expectation has a text in
// the reference.
func TestExplainHasATextForEachKey(t *testing.T) {
	paths := fill.Keys(fill.Fields(reflect.TypeFor[header]()))
	for _, key := range fill.Keys(fill.Fields(reflect.TypeFor[step]())) {
		paths = append(paths, "step."+key)
	}
	paths = slices.AppendSeq(paths, maps.Keys(steps.Kinds))
	for key := range expect.Kinds {
		paths = append(paths, "expect."+key)
	}
	for _, key := range steps.Kinds["exec"].Expects {
		paths = append(paths, "exec.expect."+key)
	}
	for _, path := range paths {
		if path == "description" {
			continue // it stands with text
		}
		e, err := Explain(path)
		require.NoError(t, err)
		assert.Greater(t, len(e.Text), 10, path)
		assert.NotEmpty(t, e.Wants, path)
	}
}

func TestExplain(t *testing.T) {
	text := func(path string) string {
		e, err := Explain(path)
		require.NoError(t, err)
		return e.Text
	}
	assert.Contains(t, text("exec"), "runs a command in a pod, without a shell")
	assert.Equal(t, "changes an object by a merge patch or a JSON patch", verbSummary("patch"))
	assert.Contains(t, text("exec.in"), "deploy/NAME, or {selector: LABELS}")
	assert.Contains(t, text("scale"), "scale")
	assert.Contains(t, text("expect.log"), "access log")
	assert.Equal(t, text("expect.log"), text("exec.expect.log"))
	assert.Equal(t, text("step.within"), text("within"))
	assert.Contains(t, text("expect.path"), "passthrough", "the table of the ways")
	assert.Contains(t, text("expect.body"), "One line feed at the end")
	assert.Contains(t, text("expect.log.cluster"), "**A value**")
	assert.NotContains(t, text("exec"), "**`set`**", "what follows is another verb's")

	e, err := Explain("set.SOURCE_POD.get")
	require.NoError(t, err)
	assert.Equal(t, "a text", e.Wants)
	e, err = Explain("expect.responses[0].headers")
	require.NoError(t, err)
	assert.Equal(t, "a mapping", e.Wants)
	e, err = Explain("")
	require.NoError(t, err)
	assert.Equal(t, "apiVersion", e.Keys[0].Name)
	assert.True(t, e.Keys[0].Required)

	for path, want := range map[string]string{
		"exce":             `exce: there is no "exce"` + "\n" + `  hint: did you mean "exec"?`,
		"exec.comand":      `exec.comand: there is no "comand"` + "\n" + `  hint: did you mean "command"?`,
		"exec.expct.log":   `exec.expct.log: there is no "expct"` + "\n" + `  hint: did you mean "expect"?`,
		"logs.expect.path": `logs.expect.path: there is no "path"` + "\n" + `  hint: there are stdout`,
		"exec.command.a":   `exec.command.a: there is no "a"` + "\n" + `  hint: there is nothing below it`,
	} {
		_, err := Explain(path)
		assert.EqualError(t, err, want)
	}
}
