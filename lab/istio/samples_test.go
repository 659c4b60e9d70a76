package istio_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSamplesAreThoseOfTheModule compares the copies of Istio's samples that come with
// egressplay: those in folders, whose paths are Istio's.
func TestSamplesAreThoseOfTheModule(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	require.NoError(t, err)
	module := filepath.Join(strings.TrimSpace(string(dir)), "samples")
	copies := filepath.Join("..", "..", "playbooks", "samples")
	n := 0
	err = filepath.WalkDir(copies, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == copies {
			return err
		}
		of, err := filepath.Rel(copies, path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(filepath.Join(module, of))
		n++
		assert.Equal(t, string(want), string(got), "copy the module's file over playbooks/samples/%s", of)
		return err
	})
	require.NoError(t, err)
	assert.Positive(t, n)
}
