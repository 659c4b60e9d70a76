package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

func TestDrifted(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "everything.yaml"))
	require.NoError(t, err)
	load := func(name, text string) *runner.Playbook {
		p, err := playbooks.LoadSource(playbooks.Source{Name: name, File: filepath.Join("testdata", name), Data: []byte(text)}, playbooks.Options{})
		require.NoError(t, err)
		return p
	}
	page := load("page.yaml", string(data))
	all, same := Drifted(page, load("other.yaml", string(data)))
	assert.Empty(t, all)
	assert.Equal(t, len(page.Steps), same)
	changed := strings.Replace(string(data), "expect: {exitCode: 35}", "expect: {exitCode: 56}", 1)
	changed = strings.Replace(changed, "- title: Scale\n  scale: {object: deploy/sleep, namespace: default, replicas: 2}\n", "", 1)
	changed = strings.Replace(changed, "- title: Restart\n", "- title: One more\n  scale: {object: deploy/curl, namespace: default, replicas: 1}\n- title: Restart\n", 1)
	all, same = Drifted(page, load("other.yaml", changed))
	var texts []string
	for _, d := range all {
		texts = append(texts, d.Text)
	}
	assert.Equal(t, []string{
		"not in the playbook: Scale", "not on the page: One more",
		"A request that is refused: expect.exitCode.is is 35 on the page, 56 in the playbook",
	}, texts)
	assert.Equal(t, len(page.Steps)-2, same)
}

func TestUpdate(t *testing.T) {
	page := "# T\n\n- a list\n  ```bash\n  $ kubectl exec deploy/a -- curl -sI https://a.example | grep HTTP/\n  HTTP/2 200\n  $ kubectl get pod\n  NAME   READY\n  ...\n  ```\n\nMore.\n"
	updated, changed := Update(page, map[int]Output{5: {Text: "date: x\nHTTP/2 503 \n"}, 7: {Text: "NAME   READY\na      2/2\n", Script: true}})
	assert.Equal(t, strings.Replace(page, "HTTP/2 200", "HTTP/2 503", 1), updated)
	assert.Equal(t, []int{6}, changed)
	updated, _ = Update(page, map[int]Output{5: {Text: "", ExitCode: 35}})
	assert.Equal(t, strings.Replace(page, "HTTP/2 200", "command terminated with exit code 35", 1), updated)
	updated, changed = Update(page, map[int]Output{5: {Text: "HTTP/2 200 \n"}})
	assert.Equal(t, page, updated)
	assert.Empty(t, changed)
	assert.Empty(t, Patch("a", page, page))
	assert.Equal(t, "--- a\n+++ a\n@@ -1,4 +1,4 @@\n 1\n-2\n+x\n 3\n-4\n\\ No newline at end of file\n+4\n", Patch("a", "1\n2\n3\n4", "1\nx\n3\n4\n"))
}

// TestHiddenStepsInOrder has steps in front of fences that have no commands: they stand
// where the page has them.
func TestHiddenStepsInOrder(t *testing.T) {
	const hidden = "<!-- egressplay\n- title: Block\n  policy: {set: REGISTRY_ONLY}\n-->\n\n"
	steps, errs, _ := lint(t, deploySleep+hidden+"~~~yaml\na: b\n~~~\n\n~~~bash\n$ kubectl delete svc x\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 5)
	assert.Equal(t, "{policy: {set: REGISTRY_ONLY}}", steps[3])
}
