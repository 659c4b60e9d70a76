package shell

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func isKubectl(name string) bool { return name == "kubectl" }

func problems(t *testing.T, text string) []Problem {
	file, _, problem := Parse(text)
	if problem != nil {
		return []Problem{*problem}
	}
	return Check(file, isKubectl)
}

// TestFence has what a hostile or a careless page may try.
func TestFence(t *testing.T) {
	for _, text := range []string{
		"cat < /etc/passwd", "echo x > /tmp/x", "echo x >> ~/.bashrc", "cat <(ls)", "source x", ". x", "eval ls", "exec ls", "trap x EXIT", "alias a=b",
		"type ls", "command -v ls", "ls &", "while true; do echo; done", "until false; do echo; done", "f() { echo; }", "if true; then echo; fi", "(echo)", "{ echo; }",
		"echo ~root", "echo ~", "cd /", "echo $$", "echo $?", "echo $#", "echo ${X:-y}", "echo ${X//a/b}", "echo ${#X}", "echo ${!X}", "echo $((1+1))", "((1))", "[[ a ]]", "let 1",
		"a=(1 2)", "a+=x", "a[0]=1", "declare x=1", "readonly x=1", "local x=1", "for ((;;)); do echo; done", "for i in {1..3000000}; do echo; done", "for i in $X; do echo; done", "for i in $(seq $X); do echo; done", "for i in $(seq 5000); do echo; done", "for i in $(seq 1 0 2); do echo; done", "for i in $(seq 3 | cat); do echo; done", "echo $(seq 3)",
		"for i in {1..40}{1..40}; do echo; done", "select x in a; do echo; done", "true || echo", "! true", "coproc echo", "echo a |& cat", "kubectl get pod 3>&1", "kubectl <<< x",
		"python x", "./run.sh", "/bin/ls", "$CMD x", "X=1 kubectl get pod", "cat /etc/passwd", "echo $(cat /etc/passwd)", "echo `ls`", `echo "$(ls)"`, "kubectl x <&3", "echo @(a|b)",
		"echo $'a' ; wget x", "kubectl <<EOF\n$(ls)\nEOF", "echo “x”", "time ls", "case x in x) echo;; esac", "test -f x", "printf %s x", "read x", "export -f x", "unset x", "echo $1",
	} {
		assert.NotEmpty(t, problems(t, text), "%s", text)
	}
	for _, text := range []string{
		"kubectl get pod | grep -i x | head -2", "export X=$(kubectl get pod)", "X=a", `echo "$X" '$Y' ${Z}`, "for i in {1..10}; do kubectl get pod; done", "kubectl a && kubectl b; kubectl c",
		"kubectl apply -f - <<EOF\na: $X\nEOF", "kubectl x > /dev/null 2>&1", "kubectl get -o jsonpath={.items[*].metadata.name}", "kubectl get pod -o jsonpath='{.a}' | base64 -d",
	} {
		assert.Empty(t, problems(t, text), "%s", text)
	}
}

func TestPlacesOfProblems(t *testing.T) {
	p := problems(t, "kubectl get pod |\n  frobnicate")
	require.Len(t, p, 1)
	assert.Equal(t, [2]int{2, 3}, [2]int{p[0].Line, p[0].Column})
	p = problems(t, "grep -o \"a“")
	require.Len(t, p, 1)
	assert.Equal(t, [2]int{1, 9}, [2]int{p[0].Line, p[0].Column})
}

func TestMore(t *testing.T) {
	for text, want := range map[string]bool{
		"kubectl apply -f - <<EOF\na: b": true, "echo 'a": true, "echo a |": true, "echo a &&": true, "echo $(": true, "for i in a; do": true, "echo )": false,
	} {
		_, more, problem := Parse(text)
		assert.NotNil(t, problem, text)
		assert.Equal(t, want, more, text)
	}
}

// run runs a script with a kubectl that prints its arguments and what it reads, and
// fails if its first argument is a number.
func run(t *testing.T, text string) (*Output, map[string]string, error) {
	file, _, problem := Parse(text)
	require.Nil(t, problem)
	require.Empty(t, Check(file, isKubectl), text)
	vars := map[string]string{"A": "one two"}
	s := &Script{
		Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		Set:    func(name, value string) { vars[name] = value },
		Programs: map[string]Program{"kubectl": func(_ context.Context, argv []string, stdin string) (Result, error) {
			r := Result{Stdout: strings.Join(argv[1:], "|") + "\n" + stdin}
			if _, err := fmt.Sscan(argv[1], &r.Code); err == nil && r.Code != 0 {
				r.Stdout, r.Stderr = "", "failed\n"
			}
			return r, nil
		}},
	}
	out, err := s.Run(t.Context(), file)
	return out, vars, err
}

func TestRun(t *testing.T) {
	for text, want := range map[string]string{
		`kubectl "$A" $A '$A' x`:                        "one two|one|two|$A|x\n",
		"kubectl a; kubectl b":                          "a\nb\n",
		"kubectl 3 && kubectl b":                        "failed\n",
		"kubectl 3 | grep x; kubectl b":                 "failed\nb\n",
		"kubectl a | grep -c a":                         "1\n",
		"kubectl x <<EOF\n$A\nEOF":                      "x\none two\n",
		"kubectl x <<'EOF'\n$A\nEOF":                    "x\n$A\n",
		"for i in {1..3}; do echo $i; done":             "1\n2\n3\n",
		"for i in $(seq 2); do echo $i; done":           "1\n2\n",
		"for i in x $(seq 5 -2 1); do echo $i; done":    "x\n5\n3\n1\n",
		"for i in $(seq 2 1); do echo $i; done":         "",
		"for i in a b; do kubectl $i; done | wc -l":     "2\n",
		"kubectl 3 2>&1 | grep fail":                    "failed\n",
		"kubectl 3 > /dev/null 2>&1":                    "",
		"kubectl 3 2>&1 > /dev/null":                    "failed\n",
		"echo $(kubectl a b)":                           "a|b\n",
		"kubectl -o jsonpath={.items[*].metadata.name}": "-o|jsonpath={.items[*].metadata.name}\n",
		"kubectl a && echo b && echo c":                 "a\nb\nc\n",
	} {
		out, _, err := run(t, text)
		require.NoError(t, err, text)
		assert.Equal(t, want, out.Text, text)
	}
}

func TestEveryExitCodeIsKept(t *testing.T) {
	out, _, err := run(t, "kubectl 35 | grep HTTP; kubectl a | grep a")
	require.NoError(t, err)
	var codes []int
	for _, s := range out.Stages {
		codes = append(codes, s.Code)
	}
	assert.Equal(t, []int{35, 1, 0, 0}, codes)
	assert.True(t, out.Stages[1].Behind)
}

func TestVariables(t *testing.T) {
	_, vars, err := run(t, `export B=$(kubectl x); C="$A:$B"`)
	require.NoError(t, err)
	assert.Equal(t, "one two:x", vars["C"])
	_, _, err = run(t, "echo $NONE")
	assert.ErrorContains(t, err, "NONE")
	_, _, err = run(t, "X=$(true)")
	assert.ErrorContains(t, err, "printed nothing")
	_, _, err = run(t, "X=$(kubectl 3)")
	assert.ErrorContains(t, err, "exit code 3")
}
