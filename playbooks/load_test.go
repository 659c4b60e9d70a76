package playbooks

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
)

const head = "apiVersion: egressplay/v1\nkind: Playbook\nname: test\n"

// write writes a playbook into a folder of its own and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func loadText(t *testing.T, text string, set ...string) *runner.Playbook {
	t.Helper()
	playbooks, err := load(noBuiltin, []string{write(t, text)}, Options{Namespace: "here", Set: set})
	require.NoError(t, err)
	require.Len(t, playbooks, 1)
	return playbooks[0]
}

func TestLoad(t *testing.T) {
	text := head + `title: A Test
description: |
  Of several
  lines.
topic: 2
requires: [accessLog]
timeout: 4m
vars: {HOST: www.example.com, URL: "https://${HOST}", CODE: 35}
defaults: {in: '${SOURCE_POD}', container: sleep, namespace: '${NAMESPACE}', within: 20s}
steps:
- title: Set SOURCE_POD
  set:
    SOURCE_POD: sleep-1
- title: Blocked
  id: blocked
  exec:
    command: curl -sI ${URL} "a ${HOST} b"
  expect: {exitCode: "${CODE}"}
  holds: 3
  within: 5s
  timeout: 1m
- title: Change it
  policy: {set: REGISTRY_ONLY}
- title: Passes
  exec: curl -sI ${URL}
  expect:
    status: 200
    headers: {server: envoy}
  continue: true
- title: It stays so
  policy: {expect: REGISTRY_ONLY}
  holds: 5s
- title: The same again
  policy: {set: ALLOW_ANY}
`
	p := loadText(t, text)
	assert.Equal(t, "test", p.Name)
	assert.Equal(t, "A Test", p.Title)
	assert.Equal(t, 2, p.Topic)
	assert.Equal(t, []string{"accessLog"}, p.Requires)
	assert.Equal(t, 4*time.Minute, p.Timeout)
	assert.Equal(t, map[string]string{
		"HOST": "www.example.com", "URL": "https://www.example.com", "CODE": "35",
		"NAMESPACE": "here", "ISTIO_NAMESPACE": "istio-system",
	}, p.Vars)
	require.Len(t, p.Steps, 6)

	blocked := p.Steps[1]
	line := strings.Count(text[:strings.Index(text, "- title: Blocked")], "\n") + 1
	assert.Equal(t, runner.StepInfo{Index: 2, ID: "blocked", Title: "Blocked", Kind: "exec", File: p.File, Line: line}, blocked.StepInfo)
	assert.Equal(t, 5*time.Second, blocked.Within)
	assert.Equal(t, 3, blocked.Holds)
	assert.Zero(t, blocked.HoldsFor)
	assert.False(t, blocked.Continue)
	assert.Equal(t, time.Minute, blocked.Timeout)
	require.Len(t, p.Steps[2].Targets, 1)
	assert.True(t, p.Steps[2].Targets[0].Mesh)

	scope := runner.NewScope(nil, p.Vars)
	scope.Set("SOURCE_POD", "sleep-2")
	action, checks, err := blocked.Bind(scope.Lookup)
	require.NoError(t, err)
	assert.Equal(t, &steps.Exec{
		In: steps.Pod{Name: "sleep-2"}, Container: "sleep", Namespace: "here",
		Argv: steps.Words{"curl", "-sI", "https://www.example.com", "a www.example.com b"},
	}, action)
	code := 35
	require.Len(t, checks, 1, "what is stated takes the place of what is implied")
	assert.Equal(t, "exitCode", checks[0].Key)
	assert.Equal(t, &expect.ExitCode{Is: &code}, checks[0].Expectation)
	line = strings.Count(text[:strings.Index(text, "expect: {exitCode")], "\n") + 1
	assert.Equal(t, evidence.Position{File: p.File, Line: line, Column: 22}, checks[0].Position(nil))

	passes := p.Steps[3]
	assert.Equal(t, 20*time.Second, passes.Within)
	assert.Equal(t, 1, passes.Holds)
	assert.Zero(t, passes.Timeout)
	assert.True(t, passes.Continue)
	_, checks, err = passes.Bind(scope.Lookup)
	require.NoError(t, err)
	server := "envoy"
	var expectations []runner.Expectation
	var keys []string
	for _, c := range checks {
		keys, expectations = append(keys, c.Key), append(expectations, c.Expectation)
	}
	assert.Equal(t, []string{"exitCode", "status", "headers"}, keys)
	assert.Equal(t, []runner.Expectation{expect.Success(), &expect.Status{Any: []int{200}}, &expect.Headers{"server": {Equals: &server}}}, expectations,
		"what the kind implies, then what is stated, in its order")
	assert.Nil(t, checks[0].Position, "it is not written there")

	again := p.Steps[4]
	assert.Equal(t, 1, again.Holds)
	assert.Equal(t, 5*time.Second, again.HoldsFor)
}

// A verdict leads its reader to what it is about.
func TestEachClaimHasItsPlace(t *testing.T) {
	text := head + `steps:
- title: A step
  exec: {in: p, command: curl -s http://a}
  expect:
    status: 200
    log:
    - cluster: a
    - cluster: b
      flags:
        not: {contains: UF}
`
	p := loadText(t, text)
	_, checks, err := p.Steps[0].Bind(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	require.Len(t, checks, 3)
	at := func(key string, field ...string) string {
		for _, c := range checks {
			if c.Key == key {
				return strings.TrimPrefix(c.Position(field).String(), p.File+":")
			}
		}
		return "no such check"
	}
	first := strings.Count(head, "\n")
	for _, c := range []struct {
		key   string
		field []string
		want  string // line below the head, column
	}{
		{"status", nil, "5:13"},
		{"status", []string{"any"}, "5:13"},
		{"log", nil, "7:5"},
		{"log", []string{"0"}, "7:7"},
		{"log", []string{"1", "flags"}, "10:9"},
		{"log", []string{"1", "sni"}, "8:7"},
		{"log", []string{"1", "flags", "not", "contains"}, "10:25"},
	} {
		var line, column int
		_, err := fmt.Sscanf(at(c.key, c.field...), "%d:%d", &line, &column)
		require.NoError(t, err)
		assert.Equal(t, c.want, fmt.Sprintf("%d:%d", line-first, column), "%s %v", c.key, c.field)
	}
}

// What only curl tells may be expected of a command that is curl, and of one
// that may turn out to be curl when the step begins.
func TestWhatCurlTellsMayBeExpectedOfCurl(t *testing.T) {
	for _, command := range []string{
		"curl -s http://a", "/usr/bin/curl http://a", "env A=b timeout 5 nice curl -s http://${LATER}", `sh -c 'curl -s "http://a"'`,
		`${LATER} http://a`, `env ${LATER} wget http://a`, `timeout ${LATER} 5 curl http://a`, `sh -c '${LATER} http://a'`, `sh -c 'curl -s http://a | ${LATER}'`,
		`curl ${LATER} http://a`,
	} {
		text := head + "steps:\n- {title: S, set: {LATER: b}}\n- title: T\n  exec: {in: p, command: " + fmt.Sprintf("%q", command) + "}\n" +
			"  expect: {status: 200, body: {contains: a}, log: [], path: [sidecar, passthrough], arrived: [], connection: made}\n"
		loadText(t, text)
	}
}

func TestLoadMinimal(t *testing.T) {
	p := loadText(t, head+"steps:\n- title: T\n  set: {A: b}\n")
	assert.Equal(t, "test", p.Title, "without a title, the name")
	assert.Empty(t, p.Steps[0].Targets)
	assert.Equal(t, defaultWithin, p.Steps[0].Within)
	assert.Equal(t, 1, p.Steps[0].Holds)
}

func TestSetOverridesVars(t *testing.T) {
	text := head + "vars: {A: a, B: 'b${A}', W: 1s}\nsteps:\n- title: T\n  set: {X: '${B}'}\n  within: ${W}\n"
	p := loadText(t, text, "A=${B}=", "W=3s", "W=4s")
	assert.Equal(t, "${B}=", p.Vars["A"], "a value from outside is taken as it is")
	assert.Equal(t, "b${B}=", p.Vars["B"])
	assert.Equal(t, 4*time.Second, p.Steps[0].Within, "the last one counts")
	action, _, err := p.Steps[0].Bind(runner.NewScope(nil, p.Vars).Lookup)
	require.NoError(t, err)
	assert.Equal(t, &steps.Set{"X": {Value: "b${B}="}}, action)
}

func TestSetMayBeForOneOfSeveralPlaybooks(t *testing.T) {
	a := write(t, head+"vars: {A: a}\nsteps:\n- title: T\n  set: {X: '${A}'}\n")
	b := write(t, head+"steps:\n- title: T\n  set: {X: y}\n")
	playbooks, err := load(noBuiltin, []string{a, b, a}, Options{Set: []string{"A=z"}})
	require.NoError(t, err)
	require.Len(t, playbooks, 3, "a file that is named twice is run twice")
	assert.Equal(t, "z", playbooks[0].Vars["A"])
	assert.NotContains(t, playbooks[1].Vars, "A")
	assert.Equal(t, a, playbooks[2].File)
}

func TestBindErrors(t *testing.T) {
	p := loadText(t, head+`steps:
- title: T
  set: {RE: x, OTHER: y}
- title: U
  exec: {in: p, command: 'echo ${OTHER}'}
  expect: {stdout: {matches: '${RE}'}}
`)
	_, _, err := p.Steps[1].Bind(func(name string) (string, bool) { return "a(b", name == "RE" })
	require.Error(t, err)
	assert.Contains(t, err.Error(), "exec.command.1: the variable OTHER is not defined")
	assert.Contains(t, err.Error(), "stdout.matches: error parsing regexp: missing closing ): `a(b`")
	_, _, err = p.Steps[1].Bind(func(name string) (string, bool) { return "ab", true })
	require.NoError(t, err)
}

func TestFilesAreRelativeToThePlaybook(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cm.txt"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"), 0o600))
	file := filepath.Join(dir, "p.yaml")
	require.NoError(t, os.WriteFile(file, []byte(head+"steps:\n- title: T\n  apply: {files: [cm.txt]}\n"), 0o600))
	require.NoError(t, func() error { _, err := load(noBuiltin, []string{file}, Options{}); return err }())
}

// A step's text is two sentences at most: it is read while somebody waits to go on.
func TestTextsOfBuiltinStepsAreShort(t *testing.T) {
	for _, p := range List() {
		list, err := Load([]string{p.File}, Options{Namespace: "default", IstioNamespace: "istio-system"})
		require.NoError(t, err)
		texts := 0
		for _, s := range list[0].Steps {
			if s.Text == "" {
				continue
			}
			texts++
			ends := strings.Count(strings.Join(strings.Fields(s.Text), " ")+" ", ". ")
			assert.True(t, 0 < ends && ends <= 2, "%s, step %d: %s", p.Name, s.Index, s.Text)
		}
		assert.Positive(t, texts, "steps of %s that say why", p.Name)
	}
}

func TestBuiltins(t *testing.T) {
	list := List()
	require.NotEmpty(t, list)
	for _, info := range list {
		assert.Equal(t, builtinPrefix+info.Name+".yaml", info.File, "its name is that of its file")
		assert.NotEqual(t, info.Name, info.Title, "it has a title")
		assert.Positive(t, info.Steps)
		text, err := Show(info.Name + ".yaml")
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "copy.yaml")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		_, err = Lint([]string{file}, Options{})
		require.NoError(t, err, "a copy is as good")
	}
	_, err := Show("tls-orignation")
	require.EqualError(t, err, "tls-orignation: no built-in playbook of that name\n  hint: did you mean \"tls-origination\"?")
}

var testBuiltin = fstest.MapFS{
	"tls-origination.yaml": {Data: []byte(head)},
	"egress-gateway.yaml":  {Data: []byte(head)},
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.MkdirAll("dir/sub.yaml.d", 0o700))
	require.NoError(t, os.MkdirAll("none/deeper", 0o700))
	require.NoError(t, os.MkdirAll("yml", 0o700))
	for _, file := range []string{"egress-gateway.yaml", "dir/b.yaml", "dir/a.yaml", "dir/README.md", "none/deeper/c.yaml", "yml/x.yml"} {
		require.NoError(t, os.WriteFile(file, []byte(file), 0o600))
	}
	for _, test := range []struct {
		arg   string
		files []string
		err   string
	}{
		{arg: "dir/a.yaml", files: []string{"dir/a.yaml"}},
		{arg: "dir", files: []string{"dir/a.yaml", "dir/b.yaml"}},
		{arg: "tls-origination", files: []string{"built-in:tls-origination.yaml"}},
		{arg: "tls-origination.yaml", files: []string{"built-in:tls-origination.yaml"}},
		{arg: "egress-gateway", files: []string{"built-in:egress-gateway.yaml"}},
		{arg: "egress-gateway.yaml", files: []string{"egress-gateway.yaml"}},
		{arg: "built-in:egress-gateway.yaml", files: []string{"built-in:egress-gateway.yaml"}},
		{arg: "none", err: "none: a folder without playbooks\n  hint: playbooks in a folder end in .yaml; folders in it are not looked at"},
		{arg: "yml", err: "yml: a folder without playbooks\n  hint: a playbook in a folder ends in .yaml: rename x.yml"},
		{arg: "tls-orignation", err: "tls-orignation: no such file, and no built-in playbook of that name\n  hint: did you mean \"tls-origination\"?"},
		{arg: "tls-orignation.yaml", err: "tls-orignation.yaml: no such file, and no built-in playbook of that name\n  hint: did you mean \"tls-origination.yaml\"?"},
		{arg: "tls", err: "tls: no such file, and no built-in playbook of that name\n  hint: did you mean \"tls-origination\"?"},
		{arg: "egress-gatway", err: "egress-gatway: no such file, and no built-in playbook of that name\n  hint: did you mean \"egress-gateway\"?"},
		{arg: "coffee", err: "coffee: no such file, and no built-in playbook of that name\n  hint: egressplay list shows the built-in playbooks"},
		{arg: "built-in:coffee", err: "coffee: no built-in playbook of that name\n  hint: there are egress-gateway, tls-origination"},
		{arg: "dir/aa.yaml", err: "dir/aa.yaml: no such file\n  hint: did you mean \"dir/a.yaml\"?"},
		{arg: "dir/a", err: "dir/a: no such file\n  hint: did you mean \"dir/a.yaml\"?"},
		{arg: "dri/a.yaml", err: "dri/a.yaml: no such file: there is no folder dri"},
		{arg: "a\x00b", err: "ab: invalid argument"},
		{arg: os.DevNull, err: os.DevNull + ": no regular file but a device"},
	} {
		t.Run(test.arg, func(t *testing.T) {
			sources, errs := findIn(testBuiltin, test.arg, nil)
			if test.err != "" {
				require.EqualError(t, errs, test.err)
				return
			}
			require.Empty(t, errs)
			var files []string
			for _, s := range sources {
				files = append(files, s.File)
			}
			assert.Equal(t, test.files, files)
		})
	}
}

// TestHostile loads what is made to take long or to fill the memory.
func TestHostile(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	var tags strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&tags, "%%TAG !e%d! x\n", i)
	}
	var indented strings.Builder
	for i := range 1400 {
		indented.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for _, test := range []struct{ name, text, want string }{
		{"100 MB", head + strings.Repeat("#", 100<<20), "test.yaml:1:1: the file is larger than 1 MiB"},
		{"alias bomb", head + bomb, "test.yaml:4:5: anchors (&a0) mean nothing in a playbook"},
		{"100,000 lists in each other", strings.Repeat("[", 100_000), "no valid YAML: exceeded max depth"},
		{"100,000 lists in each other, closed", head + "steps: " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), "no valid YAML: exceeded max depth"},
		{"100,000 dashes", strings.Repeat("- ", 100_000) + "x", "no valid YAML: exceeded max depth"},
		{"100,000 question marks", strings.Repeat("? ", 100_000) + "x", "no valid YAML: exceeded max depth"},
		{"9,999 lists in each other", head + "steps: " + strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999), "test.yaml:4:71: nested deeper than 64 levels"},
		{"1,400 indented mappings", head + indented.String(), "nested deeper than 64 levels"},
		{"40,000 tag directives", tags.String() + "---\n" + head, "test.yaml:1:1: directives (%YAML, %TAG) mean nothing in a playbook"},
		{"tag directives behind the document", head + "...\n" + tags.String() + "---\n", "test.yaml:5:1: directives (%YAML, %TAG) mean nothing in a playbook"},
		{"half a million list items", head + "steps: [" + strings.Repeat("1,", 500_000) + "1]", "more than 1000 mistakes: what follows was not looked at"},
		{"variables in each other", head + "vars:\n  A: " + strings.Repeat("x", 500_000) + "\n" + numbered("  V%d: ${A}${A}\n", 15_000), "test.yaml:5:3: vars: where they stand, the values of the variables are longer than 16 MiB together"},
		{"long variables in many steps", head + "vars:\n  A: " + strings.Repeat("x", 500_000) + "\nsteps:\n" + numbered("- title: %d\n  set: {B: '${A}${A}'}\n", 5_000), "test.yaml:5:3: vars: where they stand"},
		{"a hundred thousand unknown keys", head + numbered("key%d: 1\n", 60_000), `unknown key "key0" in the playbook`},
		{"a long key", head + "? " + strings.Repeat("k", 1_000_000) + "\n: x\n", "unknown key \"" + strings.Repeat("k", 59) + "…\" in the playbook"},
		{"a long number", head + "topic: " + strings.Repeat("9", 1_000_000), "topic: " + strings.Repeat("9", 59) + "… is out of range"},
		{"a long syntax error", head + strings.Repeat("a: b\n", 12_000) + "a: b: c\n", "test.yaml:12004:5: no valid YAML"},
		{"NUL", head + "description: a\x00b\n", "test.yaml:4:15: a NUL byte\n  hint: is this a text file?"},
		{"escape", head + "description: a\x1b[31mb\n", "test.yaml:4:15: the control character U+001B\n  hint: remove it, or write it in double quotes as \"\\x1b\""},
		{"invalid UTF-8", head + "title: ü\ndescription: aü\xff\n", "test.yaml:5:16: the byte 0xff is no text in UTF-8\n  hint: save the file as UTF-8"},
		{"UTF-16", "\xff\xfea\x00p\x00i\x00", "test.yaml:1:1: the byte 0xff is no text in UTF-8\n  hint: save the file as UTF-8"},
		{"a byte order mark inside", head + "title: a\ufeffb\n", "test.yaml:4:9: the control character U+FEFF"},
		{"binary", "\x7fELF\x02\x01\x01\x00", "test.yaml:1:1: the control character U+007F"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, test.text)
			t.Chdir(filepath.Dir(file))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := load(noBuiltin, []string{filepath.Base(file)}, Options{})
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<30), "bytes allocated")
		})
	}
}

// numbered returns a text in n copies, each with its number in it.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func BenchmarkLoad500Steps(b *testing.B) {
	var text strings.Builder
	text.WriteString(head + "vars: {HOST: www.example.com}\ndefaults: {in: deploy/sleep, container: sleep}\nsteps:\n")
	for i := range 500 {
		fmt.Fprintf(&text, "- title: Step %d\n  exec: curl -sI https://${HOST}/%d\n  expect:\n    status: 200\n    headers: {server: envoy}\n", i, i)
	}
	s := Source{File: "bench.yaml", Data: []byte(text.String())}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		l := &loader{decoder: fill.Decoder{File: s.File}, source: s}
		l.playbook(s.reader(noBuiltin))
		require.Empty(b, l.decoder.Errs)
	}
}

func TestSecretSettings(t *testing.T) {
	file := write(t, head+"vars: {A: a, B: '${A}-b'}\nsteps:\n- title: T\n  set: {X: y}\n")
	got, err := load(noBuiltin, []string{file}, Options{Set: []string{"A=z"}, SetSecret: []string{"A=planted"}})
	require.NoError(t, err)
	assert.Equal(t, "planted-b", got[0].Vars["B"])
	for _, set := range []string{"planted", "NAMESPACE=planted", "planted-=planted", "planted=", "=planted", "C=planted"} {
		_, err := load(noBuiltin, []string{file}, Options{SetSecret: []string{set}})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "planted")
		assert.Contains(t, err.Error(), "--set-secret")
	}
}

// Each built-in playbook says in a few sentences why, which page it follows, and by
// which words it is found.
func TestBuiltinPlaybooksSayWhatTheyAreFor(t *testing.T) {
	const pages = "https://istio.io/latest/docs/tasks/traffic-management/egress/"
	for _, i := range List() {
		list, err := Load([]string{i.File}, Options{})
		require.NoError(t, err)
		p := list[0]
		sentences := strings.Count(p.Text+" ", ". ") + strings.Count(p.Text, ".\n")
		assert.True(t, 2 <= sentences && sentences <= 4, "%s has %d sentences", i.Name, sentences)
		assert.True(t, strings.HasPrefix(p.Source, pages) && strings.HasSuffix(p.Source, "/"), "%s follows %q", i.Name, p.Source)
		assert.NotEmpty(t, p.Tags, i.Name)
	}
}

func TestText(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yaml")
	load := func(header string) (*runner.Playbook, error) {
		text := "apiVersion: egressplay/v1\nkind: Playbook\nname: a\n" + header + "steps:\n- {title: A, text: \" why \", set: {A: b}}\n"
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		list, err := Load([]string{file}, Options{})
		if err != nil {
			return nil, err
		}
		return list[0], nil
	}
	p, err := load("text: |\n  One.\n\n  Two.\nsource: https://istio.io/x\ntags: [a-b]\n")
	require.NoError(t, err)
	assert.Equal(t, "One.\n\nTwo.", p.Text)
	assert.Equal(t, "https://istio.io/x", p.Source)
	assert.Equal(t, []string{"a-b"}, p.Tags)
	assert.Equal(t, "why", p.Steps[0].Text)
	p, err = load("description: as before\n")
	require.NoError(t, err)
	assert.Equal(t, "as before", p.Text)
	for header, want := range map[string]string{
		"text: a\ndescription: b\n": "description is an older name of text, and both are there",
		"source: istio.io\n":        `source: "istio.io" is no URL of a page`,
		"source: javascript:x\n":    `is no URL of a page`,
		"tags: [A b]\n":             `tags: "A b" is no tag`,
	} {
		_, err := load(header)
		assert.ErrorContains(t, err, want)
	}
}
