//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The main promise: the tutorials' own steps pass, by their names, and the
// transcript shows what the tutorials show.
func TestBuiltinPlaybooksPass(t *testing.T) {
	before := settledWorld(t)
	flag, read := reportFlag(t)
	e := egressplay(t, "run", "accessing-external-services", "tls-origination.yaml", flag)
	e.exits(t, 0)
	assert.Empty(t, e.stderr)
	assert.NotContains(t, e.stdout, "\x1b", "what is no terminal gets no control sequences")

	first, _, _ := strings.Cut(e.stdout, "\n")
	assert.Contains(t, first, `lab "default"`, "the first line says where it runs")
	for _, line := range []string{
		"built-in playbook accessing-external-services.yaml",
		"built-in playbook tls-origination.yaml",
		"mode: ALLOW_ANY",
		"HTTP/2 200",
		"command terminated with exit code 35",
		`"X-Envoy-Decorator-Operation"`,
		"HTTP/1.1 301 Moved Permanently",
		"location: https://edition.cnn.com/politics",
		"HTTP/1.1 200 OK",
	} {
		assert.Contains(t, e.stdout, line, "the tutorial's own line")
	}

	r := read()
	assert.Contains(t, r.Target, `lab "default"`)
	for _, part := range []string{"egressplay", "kubernetes", "istio", "envoy"} {
		assert.NotEmpty(t, r.Versions[part], "the version of %s", part)
	}
	require.Len(t, r.Playbooks, 2)
	assert.Equal(t, 2, r.Summary.Passed)
	assert.Equal(t, "passed", r.Cleanup.Status)
	assert.Empty(t, r.Cleanup.Left)
	for i, name := range []string{"accessing-external-services", "tls-origination"} {
		assert.Equal(t, name, r.Playbooks[i].Name)
		assert.Equal(t, "built-in:"+name+".yaml", r.Playbooks[i].File)
		assert.Equal(t, "passed", r.Playbooks[i].Status)
		assert.Positive(t, r.Playbooks[i].DurationMS)
	}
	blocked := 0
	for _, s := range r.Playbooks[0].Steps {
		if s.ExitCode != nil && *s.ExitCode == 35 {
			blocked++
		}
	}
	assert.Equal(t, 2, blocked, "two requests end with curl's exit code 35")
	before.leavesNothing(t)
}

// A file that exists wins over a built-in playbook of that name.
func TestFileWinsOverBuiltin(t *testing.T) {
	s := playbook(t, "Mine\nset: {A: b}")
	path := filepath.Join(filepath.Dir(s.file()), "tls-origination.yaml")
	require.NoError(t, os.WriteFile(path, []byte(s.text), 0o644))
	flag, read := reportFlag(t)
	e := egressplay(t, "run", path, flag)
	e.exits(t, 0)
	assert.NotContains(t, e.stdout, "built-in")
	assert.Equal(t, path, read().only(t).File)
}
