//go:build lab

package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTutorials runs pages of docs/tutorials, which are those of the built-in playbooks,
// as pages: one of them; with EGRESSPLAY_E2E_TUTORIALS all, which takes some minutes.
func TestTutorials(t *testing.T) {
	folder, err := filepath.Abs(filepath.Join("..", "docs", "tutorials"))
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(folder, "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	if os.Getenv("EGRESSPLAY_E2E_TUTORIALS") == "" {
		files = []string{filepath.Join(folder, "tls-origination.md")}
	}
	e := begin(t, append([]string{"run"}, files...)...).waitFor(20 * time.Minute)
	e.exits(t, 0)
	assert.NotContains(t, e.stdout, "✗")
}
