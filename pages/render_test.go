package pages

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

var update = flag.Bool("update", false, "write the pages of the built-in playbooks")

// TestRenderBuiltIn holds the pages of the built-in playbooks to them: docs/tutorials
// has them as they are rendered, and each is read as the same playbook.
func TestRenderBuiltIn(t *testing.T) {
	dir := filepath.Join("..", "docs", "tutorials")
	all := playbooks.List()
	require.Len(t, all, 23)
	known := map[string]bool{}
	for _, info := range all {
		known[info.Name+".md"] = true
		t.Run(info.Name, func(t *testing.T) {
			s, err := playbooks.FindSource("built-in:"+info.Name, playbooks.Options{})
			require.NoError(t, err)
			page, err := Render(s, playbooks.Options{})
			require.NoError(t, err)
			file := filepath.Join(dir, info.Name+".md")
			if *update {
				require.NoError(t, os.MkdirAll(dir, 0o755))
				require.NoError(t, os.WriteFile(file, []byte(page), 0o644))
			}
			committed, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, string(committed), page, "go test ./pages -run TestRenderBuiltIn -update writes it anew")

			playbook, err := playbooks.LoadSource(s, playbooks.Options{})
			require.NoError(t, err)
			read, err := playbooks.Load([]string{file}, playbooks.Options{Readers: map[string]playbooks.Reader{".md": NewReader(Options{}).Read}})
			require.NoError(t, err)
			assert.Empty(t, compare(headData(playbook), headData(read[0])))
			require.Len(t, read[0].Steps, len(playbook.Steps))
			for i := range playbook.Steps {
				assert.Empty(t, sameStep(&playbook.Steps[i], &read[0].Steps[i]), "step %d", i+1)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	require.NoError(t, err)
	for _, file := range files {
		assert.True(t, known[filepath.Base(file)], "%s is the page of no playbook", file)
	}
}

// TestRenderEverything renders a playbook with every verb, and with what Markdown, YAML
// and a shell would read as something else. Render itself holds the page to the playbook.
func TestRenderEverything(t *testing.T) {
	s, err := playbooks.FindSource(filepath.Join("testdata", "everything.yaml"), playbooks.Options{})
	require.NoError(t, err)
	page, err := Render(s, playbooks.Options{})
	require.NoError(t, err)
	file := filepath.Join("testdata", "everything.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(page), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), page)
}

// TestSameStep holds the comparison of steps to account: each change of a playbook makes
// it another one.
func TestSameStep(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "everything.yaml"))
	require.NoError(t, err)
	load := func(text string) *runner.Playbook {
		p, err := playbooks.LoadSource(playbooks.Source{Name: "everything", File: filepath.Join("testdata", "everything.yaml"), Data: []byte(text)}, playbooks.Options{})
		require.NoError(t, err)
		return p
	}
	original := load(string(data))
	for _, change := range [][2]string{
		{"name: everything", "name: other"},
		{"- a list", "- another list"},
		{"tags: [a, b]", "tags: [b, a]"},
		{"timeout: 5m", "timeout: 6m"},
		{"PORT: \"8080\"", "PORT: \"8081\""},
		{"istio-injection: enabled", "istio-injection: disabled"},
		{"remove: [old]}\n- title: \"Deploy", "remove: [older]}\n- title: \"Deploy"},
		{"1. Begin", "2. Begin"},
		{"id: deploy", "id: deployed"},
		{"Why it is there", "Why it is here"},
		{"$${LATER}", "${LATER}"},
		{"namespace: third", "namespace: fourth"},
		{"within: 20s", "within: 21s"},
		{"replicas: 2", "replicas: 3"},
		{"restart: [deploy/sleep]", "restart: [deploy/curl]"},
		{"condition=Ready", "condition=Available"},
		{"within: 1m", "within: 2m"},
		{"contains: \"10.\"", "contains: \"11.\""},
		{"it is ${HOST}'s", "it is $${HOST}'s"},
		{"app=sleep, jsonpath: \"{.items[0]", "app=curl, jsonpath: \"{.items[0]"},
		{"expect: ALLOW_ANY", "expect: REGISTRY_ONLY"},
		{"dnsNames: [\"${HOST}\", b.example]", "dnsNames: [\"${HOST}\"]"},
		{"exitCode: 35", "exitCode: 56"},
		{"$${HOME}'", "${HOME}'"},
		{"holds: 3", "holds: 4"},
		{"holds: 3", "holds: 3s"},
		{"continue: true", "continue: false"},
		{"timeout: 10s", "timeout: 11s"},
		{"proto: HTTP/2", "proto: HTTP/1.1"},
		{"location: https", "location: http"},
		{"path: \"{.a.Host}\"", "path: \"{.b.Host}\""},
		{"exitCode: {not: 0}", "exitCode: {not: 1}"},
		{"stdin: \"a text\"", "stdin: \"a Text\""},
		{"tail: 10", "tail: 11"},
		{"contains: outbound", "matches: outbound"},
		{"wc -w", "wc -l"},
		{"shown: \"1\"", "shown: \"2\""},
		{"exit code 6\n- title: Delete", "exit code 7\n- title: Delete"},
		{"ifThere: true", "ifThere: false"},
		{"configmap/a]", "configmap/c]"},
		{"delete: {objects: [namespace/old], forGood: true}", "delete: {objects: [configmap/old], forGood: true}"},
	} {
		require.Contains(t, string(data), change[0])
		if change[0] == "$${LATER}" || change[0] == "$${HOME}'" {
			continue // variables that nothing sets
		}
		changed := load(strings.Replace(string(data), change[0], change[1], 1))
		n := len(compare(headData(original), headData(changed)))
		for i := range original.Steps {
			n += len(sameStep(&original.Steps[i], &changed.Steps[i]))
		}
		assert.Positive(t, n, "%s", change[1])
	}
	assert.Empty(t, compare(headData(original), headData(load("# a comment\n"+string(data)))))
}

// TestMoreOfAStep has annotations with keys of a step, and what is wrong with them.
func TestMoreOfAStep(t *testing.T) {
	const head = "<!-- egressplay\nname: mine\nvars: {HOST: a.example}\n-->\n\n"
	const request = "~~~bash\n$ kubectl exec $POD -- curl -sI https://$HOST\nHTTP/2 200\n...\n~~~\n"
	const more = "<!-- egressplay\nid: one\nwithin: 5s\nexpect: {responses: [{status: 200, proto: HTTP/2}], path: direct}\n-->\n\n"
	steps, errs, _ := lint(t, head+deploySleep+more+request, Options{})
	require.Empty(t, errs)
	assert.Equal(t, bare(`{exec: {in: ${POD}, command: [curl, -sI, https://${HOST}]}} {id: one} {within: 5s} {expect: {responses: [{status: 200, proto: HTTP/2}], path: direct}}`), bare(steps[len(steps)-1]))
	for page, want := range map[string]string{
		strings.Replace(more, "200", "301", 1) + request:                                                            "page.md:20:1: the page shows the response HTTP/2 200",
		more + strings.Replace(request, "...", "location: x", 1):                                                    "page.md:21:1: the page shows the header location",
		more + strings.Replace(request, "...", "some words", 1):                                                     "page.md:21:1: the page shows this, and its annotation",
		more + strings.Replace(request, "...", "command terminated with exit code 3", 1):                            "page.md:21:1: the page shows the exit code 3",
		strings.Replace(more, "}], path", "}, {status: 200, proto: HTTP/2}], path", 1) + request:                    "page.md:20:1: the page shows 1 responses",
		strings.Replace(more, "id:", "di:", 1) + request:                                                            `page.md:13:1: unknown key "di"`,
		"<!-- egressplay\nexec: {in: deploy/sleep}\n-->\n\n" + strings.Replace(request, "HTTP/2 200\n...\n", "", 1): "page.md:13:8: exec: the command says already what in is",
		"<!-- egressplay\nid: x\n-->\n\n~~~bash\n$ sleep 1\n~~~\n":                                                  "page.md:13:1: the fence behind this annotation becomes no step",
		"<!-- egressplay\nid: x\n-->\n\n~~~bash\n$ kubectl delete svc x\n$ kubectl delete svc y\n~~~\n":             "page.md:13:1: the fence's commands become several steps",
		"<!-- egressplay\nid: x\n-->\n\n# No fence\n":                                                               "page.md:12:1: this annotation concerns no fence",
		"<!-- egressplay\nid: x\n-->\n\n<!-- egressplay\nid: y\n-->\n\n" + request:                                  "page.md:16:1: a second annotation",
		"~~~bash\n$ export HOST=b.example\n~~~\n":                                                                   "page.md:13:3: the page's header has another value for HOST",
		"<!-- egressplay\npolicy: {set: REGISTRY_ONLY}\n-->\n\n" + request:                                          "page.md:",
		"<!-- egressplay\nexec: {command: true}\n-->\n\n" + strings.Replace(request, "HTTP/2 200\n...\n", "", 1):    "page.md:13:8: exec: the command says already what command is",
	} {
		_, errs, _ := lint(t, head+deploySleep+page, Options{})
		if assert.NotEmpty(t, errs, page) {
			assert.Contains(t, strings.Join(errs, "\n"), want, page)
		}
	}
	for key, want := range map[string]string{"steps: []": "page.md:2:1: steps is not for a page", "defaults: {container: x}": "page.md:2:12: defaults: container is not for a page", "topci: 3": `page.md:2:1: unknown key "topci"`} {
		_, errs, _ := lint(t, "<!-- egressplay\n"+key+"\n-->\n\n"+deploySleep, Options{})
		assert.Contains(t, strings.Join(errs, "\n"), want)
	}
	steps, errs, _ = lint(t, head+deploySleep+"Text:\n\n~~~yaml egressplay\n- title: Block\n  policy: {set: REGISTRY_ONLY}\n~~~\n\n~~~bash\n$ kubectl delete svc x\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 5)
	assert.Equal(t, "{policy: {set: REGISTRY_ONLY}}", steps[3])
}
