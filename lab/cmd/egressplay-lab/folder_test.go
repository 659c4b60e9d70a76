package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/cluster"
)

func TestFolderOf(t *testing.T) {
	t.Setenv("EGRESSPLAY_LAB_DIR", "/short")
	for name, want := range map[string]string{
		"default":               "/short/default",
		"a":                     "/short/a",
		"two-labs-2":            "/short/two-labs-2",
		strings.Repeat("a", 20): "/short/" + strings.Repeat("a", 20),
		strings.Repeat("a", 21): "",
		"":                      "",
		"../etc":                "",
		"A":                     "",
		"-a":                    "",
		"a-":                    "",
	} {
		got, err := folderOf(name)
		assert.Equal(t, cluster.Folder(want), got, name)
		assert.Equal(t, want == "", err != nil, name)
	}
}

func TestTheLastLabsFolderTakesTheFolderOfAllWithIt(t *testing.T) {
	for _, tt := range []struct {
		variable string
		goes     bool
	}{
		{"XDG_RUNTIME_DIR", true},
		{"EGRESSPLAY_LAB_DIR", false}, // may be the user's own
	} {
		t.Run(tt.variable, func(t *testing.T) {
			t.Setenv("EGRESSPLAY_LAB_DIR", "")
			t.Setenv(tt.variable, t.TempDir())
			one, err := folderOf("one")
			require.NoError(t, err)
			two, err := folderOf("two")
			require.NoError(t, err)
			require.NoError(t, makeFolder(one))
			require.NoError(t, makeFolder(two))

			require.NoError(t, removeFolder(one))
			assert.NoDirExists(t, string(one))
			assert.DirExists(t, string(two))
			require.NoError(t, removeFolder(two))
			if all := filepath.Dir(string(two)); tt.goes {
				assert.NoDirExists(t, all)
			} else {
				assert.DirExists(t, all)
			}
			require.NoError(t, removeFolder(two), "what is gone is no error")
		})
	}
}
