//go:build lab

package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/steps"
)

// The playbook that init writes passes, whichever verb it shows.
func TestInitPasses(t *testing.T) {
	once(t)
	dir := t.TempDir()
	for _, verb := range slices.Sorted(maps.Keys(steps.Kinds)) {
		file := filepath.Join(dir, verb+".yaml")
		egressplay(t, "init", "--from", verb, file).exits(t, 0)
		egressplay(t, "run", file).exits(t, 0)
	}
}

// Each format has what a real run showed.
func TestReportsOfARealRun(t *testing.T) {
	dir := t.TempDir()
	playbook := filepath.Join(dir, "mine.yaml")
	egressplay(t, "init", playbook).exits(t, 0)
	args := []string{"run", playbook, "--from", "A request leaves"}
	want := map[string]string{
		"html":     "<svg ",
		"json":     `"part": "step 4 of 4"`,
		"jsonl":    `{"kind":"run.finished"`,
		"junit":    `<testsuite name="mine (step 4 of 4)" tests="4" failures="0" errors="0"`,
		"markdown": "- way: sidecar → passthrough",
		"github":   "",
	}
	for format := range want {
		args = append(args, "--report", format+"="+filepath.Join(dir, format))
	}
	egressplay(t, args...).exits(t, 0)
	for format, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, format))
		require.NoError(t, err)
		assert.Contains(t, string(got), text, format)
	}
}
