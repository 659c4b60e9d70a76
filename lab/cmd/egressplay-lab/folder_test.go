package main

import (
	"fmt"
	"os"
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

func TestRunDir(t *testing.T) {
	root := os.Geteuid() == 0
	own := func(roots, ordinary string) string {
		if root {
			return roots
		}
		return ordinary
	}
	t.Setenv("EGRESSPLAY_LAB_DIR", "/named")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	assert.Equal(t, "/named", runDir())
	t.Setenv("EGRESSPLAY_LAB_DIR", "")
	assert.Equal(t, own("/run/egressplay", "/run/user/1/egressplay"), runDir())
	t.Setenv("XDG_RUNTIME_DIR", "")
	assert.Equal(t, own("/run/egressplay", fmt.Sprint("/tmp/egressplay-", os.Geteuid())), runDir())
}

func TestTheLastLabsFolderTakesTheFolderOfAllWithIt(t *testing.T) {
	for _, tt := range []struct {
		variable string
		goes     bool
	}{
		{"XDG_RUNTIME_DIR", true},
		{"EGRESSPLAY_LAB_DIR", false}, // it may be the user's own folder
	} {
		t.Run(tt.variable, func(t *testing.T) {
			if tt.goes && os.Geteuid() == 0 {
				return // root's labs are in /run/egressplay, where real ones may run
			}
			t.Setenv("EGRESSPLAY_LAB_DIR", "")
			t.Setenv(tt.variable, privateDir(t))
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
