package cluster

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// Others may read only the CA that pods trust.
func TestCredentialsAreForTheirOwner(t *testing.T) {
	f := Folder(t.TempDir())
	keys, err := makeCredentials(f.state("pki"), f.Kubeconfig(), "https://127.0.0.1:4711")
	require.NoError(t, err)
	seen := 0
	require.NoError(t, filepath.WalkDir(string(f), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		require.NoError(t, err)
		want := fs.FileMode(0o600)
		if path == keys.path(trustBundleFile) {
			want = 0o644
		}
		assert.Equal(t, want, info.Mode().Perm(), path)
		seen++
		return nil
	}))
	assert.Greater(t, seen, 10)
	assert.Contains(t, read(t, f.Kubeconfig()), "https://127.0.0.1:4711")
	assert.NotContains(t, read(t, keys.path(trustBundleFile)), "KEY")
}
