package steps

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// A real shell gets from a command that is shown what the step works with.
func TestShownTextsMeanTheSameToAShell(t *testing.T) {
	sh, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	values := map[string]string{"POD": "sleep-1", "CRT": "first\nsecond \\ $HOME\n"}
	const set = "POD=sleep-1\nCRT='first\nsecond \\ $HOME'\nset -o history -o histexpand\n"
	pod, crt := variables.Stand("POD", false), variables.Stand("CRT", true)
	run := func(t *testing.T, script string) string {
		t.Helper()
		c := exec.Command(sh, "--noprofile", "--norc", "-s")
		c.Stdin = strings.NewReader(set + script + "\n")
		out, err := c.Output()
		require.NoError(t, err, script)
		return string(out)
	}
	value := func(text string) string {
		var b strings.Builder
		for _, p := range variables.Parts(text) {
			b.WriteString(p.Text + values[p.Name])
		}
		return b.String()
	}
	for word, want := range map[string]string{
		pod:                                   `"$POD"`,
		"pod/" + pod:                          `"pod/$POD"`,
		pod + "s and _" + pod + "_":           `"${POD}s and _${POD}_"`,
		`a "b" $HOME $(id) \ ` + "`id`" + pod: `"a \"b\" \$HOME \$(id) \\ ` + "\\`id\\`" + `$POD"`,
		"it's !1 " + pod:                      `"it's !1 ""$POD"`,
		"${" + pod + "}":                      `"\${$POD}"`,
		"two\nlines " + pod:                   "\"two\nlines $POD\"",
	} {
		assert.Equal(t, value(word), run(t, "printf %s "+quote(word)), want)
		if !strings.Contains(word, "!") {
			assert.Equal(t, want, quote(word))
		}
	}
	for text, want := range map[string]string{
		"a: " + pod + "/32\nb: $x `y` \\\n":                  "a: sleep-1/32\nb: $x `y` \\\n",
		"tls.crt: " + crt + "\n":                             "tls.crt: |\n  first\n  second \\ $HOME\n",
		"data:\n  - " + crt + "\n  - k: " + crt + "\nb: c\n": "data:\n  - |\n      first\n      second \\ $HOME\n  - k: |\n      first\n      second \\ $HOME\nb: c\n",
		"EOF\n" + pod + "\n":                                 "EOF\nsleep-1\n",
		"nothing: $POD\n":                                    "nothing: $POD\n",
	} {
		assert.Equal(t, want, run(t, withInput("cat", text)), text)
	}
}

// Values of a Secret are not shown, and a variable stands for its own.
func TestShownSecret(t *testing.T) {
	m := Manifest{Text: "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  key: ${KEY}\n  password: open sesame\n"}
	scope := runner.NewScope(nil, nil)
	scope.SetSecret("KEY", "-----BEGIN\nabc\n")
	require.NoError(t, m.ExpandVars(scope.Shown))
	shown := (&Apply{Manifest: m}).Command(scope)
	assert.Contains(t, shown, "  key: |\n$(printf '%s\\n' \"$KEY\" | sed 's/^/    /')\n")
	assert.Contains(t, shown, "  password: (secret)\n")
	assert.NotContains(t, shown, "sesame")

	// What is known only at the run may be a Secret.
	m = Manifest{Text: "apiVersion: v1\nkind: ${KIND}\nmetadata: {name: a}\nstringData: {password: open sesame}\n"}
	scope.Set("KIND", "Secret")
	require.NoError(t, m.ExpandVars(scope.Shown))
	assert.NotContains(t, (&Apply{Manifest: m}).Command(scope), "sesame")
	patch := Patch{Object: variables.Stand("KIND", false) + "/a", Merge: MergePatch{"stringData: {password: open sesame}"}}
	assert.NotContains(t, patch.Command(scope), "sesame")
}
