package steps

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
)

// A shell takes the command that is printed for a step as it is meant: each
// word and each line gets to kubectl as it is in the playbook.
func TestCommandsCanBePasted(t *testing.T) {
	const manifest = "kind: ConfigMap\ndata:\n  nginx.conf: \"$remote_addr $(touch /tmp/x) `id` \\\\ ${HOME}\"\n"
	pod := Pod{Selector: "app in (a, b),x=y"}
	files := &Apply{Files: []string{"a.yaml", "b.yaml"}, Vars: []string{"HOST"}, texts: []string{"a: ${HOST} ${OTHER}\n", "b: 1"}}
	for _, test := range []struct {
		action runner.Action
		words  []string // that kubectl gets
		input  string
	}{
		{&Apply{Manifest: Manifest{Text: manifest}}, []string{"apply", "-f", "-"}, manifest},
		{&Apply{Manifest: Manifest{Text: "a: |\n  EOF\nEOF\nEOF_\n"}, Namespace: "x"}, []string{"-n", "x", "apply", "-f", "-"}, "a: |\n  EOF\nEOF\nEOF_\n"},
		{&Apply{Files: []string{"my file.yaml", "b.yaml"}, at: []string{"my file.yaml", "b.yaml"}}, []string{"apply", "-f", "my file.yaml", "-f", "b.yaml"}, ""},
		{files, []string{"apply", "-f", "-"}, "a: \"h ${OTHER}\"\n---\nb: 1\n"},
		{&Exec{In: Pod{Name: "p"}, Container: "c", Argv: Words{"sh", "-c", `echo "$HOME" 'x' | cat`}}, []string{"exec", "p", "-c", "c", "--", "sh", "-c", `echo "$HOME" 'x' | cat`}, ""},
		{&Exec{In: Pod{Name: "p"}, Argv: Words{"sh", "-c", "it's=1\n\techo $it\n", "tab\t"}}, []string{"exec", "p", "--", "sh", "-c", "it's=1\n\techo $it\n", "tab\t"}, ""},
		{&Exec{In: pod, Argv: Words{"curl", "-l", "x"}}, []string{"exec", "pod-1", "--", "curl", "-l", "x"}, ""},
		{&Exec{In: pod, Container: "c", Namespace: "n", Argv: Words{"cat"}, Stdin: "$a\nb\n"}, []string{"-n", "n", "exec", "-i", "pod-1", "-c", "c", "--", "cat"}, "$a\nb\n"},
		{&Exec{In: Pod{Name: "deploy/a"}, Argv: Words{"cat"}, Stdin: `it's $a`}, []string{"exec", "-i", "deploy/a", "--", "cat"}, `it's $a`},
		{&Logs{In: pod, Container: "istio-proxy", Tail: 3}, []string{"logs", "pod-1", "-c", "istio-proxy", "--tail=3"}, ""},
		{&Logs{In: Pod{Name: "job/a"}, Container: "init"}, []string{"logs", "job/a", "-c", "init"}, ""},
		{&Delete{Objects: []string{"se/a", "dr/b"}, Namespace: "n"}, []string{"-n", "n", "delete", "se/a", "dr/b"}, ""},
		{&Label{Object: "namespace/a", Set: map[string]string{"a": "it's"}, Remove: []string{"b"}}, []string{"label", "--overwrite", "namespace", "a", "a=it's", "b-"}, ""},
		{&Wait{Object: "pod/a", For: `jsonpath='{.x[?(@.y=="a b")].z}'=c d`}, []string{"wait", `--for=jsonpath={.x[?(@.y=="a b")].z}=c d`, "pod/a"}, ""},
	} {
		s := scope(nil)
		s.Set("HOST", "h")
		command := test.action.Command(s)
		t.Run(command, func(t *testing.T) {
			const between = "\n=====\n"
			script := `kubectl() {
	if [ "$1" = get ] || [ "$3" = get ]; then echo pod-1; return; fi
	for word; do printf '%s\n' "$word"; done
	echo =====
	cat
}
HOST=h
` + command + "\n"
			out, err := exec.CommandContext(t.Context(), "sh", "-e", "-c", script).Output()
			require.NoError(t, err)
			words, input, _ := strings.Cut(string(out), between)
			assert.Equal(t, strings.Join(test.words, "\n"), words)
			assert.Equal(t, test.input, input)
		})
	}
}
