//go:build lab

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A lie is a page that shows something else than the world does.
type lie struct{ old, new string }

// lying returns the file of a page with lies in it.
func lying(t *testing.T, lies ...lie) (file string, page []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "pages", "page.md"))
	require.NoError(t, err)
	text := string(data)
	for _, l := range lies {
		require.Equal(t, 1, strings.Count(text, l.old), "%q", l.old)
		text = strings.Replace(text, l.old, l.new, 1)
	}
	file = filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file, strings.Split(text, "\n")
}

// lineOf returns the number of the only line that begins with a text, behind one that
// begins with another.
func lineOf(t *testing.T, page []string, behind, text string) int {
	t.Helper()
	for i, line := range page {
		if behind != "" && strings.HasPrefix(line, behind) {
			behind = ""
		}
		if behind == "" && strings.HasPrefix(line, text) {
			return i + 1
		}
	}
	require.Fail(t, "no such line", "%q behind %q", text, behind)
	return 0
}

// TestPage runs a page as it stands: each look of it holds, and what it changes is put
// back.
func TestPage(t *testing.T) {
	file, _ := lying(t)
	e := egressplay(t, "run", file)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "✓ 15 steps passed")
	assert.Contains(t, e.stdout, "put back: outbound traffic policy (ALLOW_ANY)")
	_, err := resource("networking.istio.io/v1", "serviceentries", "default").Get(t.Context(), "cnn", metav1.GetOptions{})
	assert.Error(t, err)
}

// TestPageThatLies runs the same page in another world than it shows. Each lie is told
// at its line, and no other line is.
func TestPageThatLies(t *testing.T) {
	const passes, blocked, redirected = "A request to a host that", "Requests are blocked", "A request by HTTP"
	two := "$ kubectl exec \"$SOURCE_POD\" -c sleep -- curl -sI https://edition.cnn.com; kubectl exec \"$SOURCE_POD\" -c sleep -- curl -sI https://www.google.com\n" +
		"command terminated with exit code 35\ncommand terminated with exit code 35\n"
	file, page := lying(t,
		lie{`within="5s"`, `within="2s"`},
		// A status that did not come.
		lie{"$ kubectl exec \"$SOURCE_POD\" -c sleep -- curl -sI https://edition.cnn.com | grep \"HTTP/\"\nHTTP/2 200\n```", "$ kubectl exec \"$SOURCE_POD\" -c sleep -- curl -sI https://edition.cnn.com | grep \"HTTP/\"\nHTTP/2 503\n```"},
		// The right words, and an exit code that is not shown.
		lie{"HTTP/2 200\ncommand terminated with exit code 3\n", "HTTP/2 200\n"},
		// Another first response.
		lie{"HTTP/1.1 301 Moved Permanently\n...\nlocation", "HTTP/1.1 200 OK\n...\nlocation"},
		// The second of two hosts can be reached.
		lie{"  - edition.cnn.com\n", "  - www.google.com\n"},
		lie{"$ kubectl get serviceentry\n", two + "$ kubectl get serviceentry\n"},
		// Another exit code.
		lie{"grep \"HTTP/\"\ncommand terminated with exit code 35", "grep \"HTTP/\"\ncommand terminated with exit code 7"},
	)
	e := egressplay(t, "run", file)
	e.exits(t, 1)
	shows := func(line int, text string) {
		t.Helper()
		assert.Contains(t, e.stdout, fmt.Sprintf("page.md:%d", line))
		assert.Contains(t, e.stdout, text)
	}
	shows(lineOf(t, page, passes, "HTTP/2 503"), "want  503")
	shows(lineOf(t, page, "A command that prints", "$ kubectl"), "want  none")
	shows(lineOf(t, page, redirected, "HTTP/1.1 200"), "response 1: shown 200, was 301")
	shows(lineOf(t, page, "serviceentry.networking", "command terminated"), "want  35, 35")
	assert.Regexp(t, `it is kubectl exec \S+ -c sleep -- curl -sI https://www.google.com`, e.stdout)
	shows(lineOf(t, page, "NAME ", "cnn "), `edition.cnn.com`)
	shows(lineOf(t, page, "It can be reached", "HTTP/2 200"), "responses")
	shows(lineOf(t, page, "It can be reached", "command terminated with exit code 7"), "want  7")
	assert.NotContains(t, e.stdout, fmt.Sprintf("page.md:%d", lineOf(t, page, blocked, "command terminated")), "what holds is no failure")
	assert.Contains(t, e.stdout, "9 steps passed, 7 failed")
}

// TestSeed runs the tutorial that this program was made for, with an overlay. The
// tutorial shows four lines of a head -2: that line is wrong, and no other.
func TestSeed(t *testing.T) {
	seed, err := filepath.Abs(filepath.Join(cmp.Or(os.Getenv("EGRESSPLAY_SHARED"), filepath.Join("..", "..", "shared")), "seed", "tutorial.md"))
	require.NoError(t, err)
	if _, err := os.Stat(seed); err != nil {
		t.Skip("the tutorial is not here: EGRESSPLAY_SHARED names the folder with seed/tutorial.md")
	}
	overlay, err := filepath.Abs(filepath.Join("..", "pages", "testdata", "seed.egressplay.yaml"))
	require.NoError(t, err)
	e := egressplay(t, "run", seed, "--with", overlay)
	e.exits(t, 1)
	assert.Contains(t, e.stdout, "tutorial.md:25")
	assert.Contains(t, e.stdout, "17 steps passed, 1 failed")
	egressplay(t, "run", seed).exits(t, 2)
}

// TestPageWithValues runs a page on which values stand more than once: as it stands, and
// in a world in which two of its pods are one and a Service's address is another one's.
func TestPageWithValues(t *testing.T) {
	once(t)
	data, err := os.ReadFile(filepath.Join("..", "expect", "testdata", "values.md"))
	require.NoError(t, err)
	page := strings.Replace(string(data), `within="20s"`, `within="5s"`, 1)
	file := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte(page), 0o600))
	e := egressplay(t, "run", file)
	e.exits(t, 0)
	assert.NotContains(t, e.stdout, "written down at two times")

	for old, with := range map[string]string{
		"$ kubectl rollout restart deploy/sleep\n": "",
		"$ kubectl get service other -o jsonpath":  "$ kubectl get service sleep -o jsonpath",
	} {
		require.Equal(t, 1, strings.Count(page, old))
		page = strings.Replace(page, old, with, 1)
	}
	require.NoError(t, os.WriteFile(file, []byte(page), 0o600))
	lines := strings.Split(page, "\n")
	e = egressplay(t, "run", file)
	e.exits(t, 1)
	assert.Contains(t, e.stdout, fmt.Sprintf("page.md:%d", lineOf(t, lines, "10.98.123.45", "10.98.123.46")))
	assert.Contains(t, e.stdout, fmt.Sprintf("page.md:%d", lineOf(t, lines, "$ kubectl get pod -l", "curl-7c5ff7ddb6")+1), "the pod that was there before")
	assert.Contains(t, e.stdout, "the tutorial shows two pods")
	assert.Contains(t, e.stdout, "written down at two times", "of the output before, by which nobody can tell")
	assert.Contains(t, e.stdout, "2 failed")
}

// TestPageThatAnalyzes runs a page on which Istio's own program looks at what the page
// has applied. On a cluster that is no lab of this machine the page is skipped.
func TestPageThatAnalyzes(t *testing.T) {
	page, err := filepath.Abs(filepath.Join("testdata", "pages", "analyze.md"))
	require.NoError(t, err)
	e := egressplay(t, "run", page)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "✓ 5 steps passed")

	elsewhere := beginWith(t, []string{"EGRESSPLAY_LAB_DIR=" + t.TempDir()}, "run", "--kubeconfig", shared.kubeconfig, page).wait()
	elsewhere.exits(t, 3)
	assert.Contains(t, elsewhere.stdout, "skipped: istioctl analyze is run by a lab of this machine")

	data, err := os.ReadFile(page)
	require.NoError(t, err)
	const none = "✔ No validation issues found when analyzing namespace: default.\n"
	text := strings.Replace(string(data), "$ kubectl delete virtualservice nowhere\n", "", 1)
	require.Contains(t, text, none)
	file := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte("<!-- egressplay: within=\"1s\" -->\n"+text), 0o600))
	e = egressplay(t, "run", file)
	e.exits(t, 1)
	assert.Contains(t, e.stdout, "want  0")
	assert.Contains(t, e.stdout, "got   79")
}
