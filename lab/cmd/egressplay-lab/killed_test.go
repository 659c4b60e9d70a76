package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/cluster"
)

func TestRemoveKilled(t *testing.T) {
	all := privateDir(t)
	folder := func(name string, files ...string) cluster.Folder {
		f := cluster.Folder(filepath.Join(all, name))
		require.NoError(t, os.MkdirAll(filepath.Join(string(f), "logs"), 0o700))
		for _, file := range files {
			require.NoError(t, os.WriteFile(filepath.Join(string(f), file), nil, 0o600))
		}
		return f
	}
	hold := func(path string) {
		held, err := lock(t.Context(), path)
		require.NoError(t, err)
		t.Cleanup(func() { held.Close() })
	}
	folder("killed", "lab.json", "alive", "control", "kubeconfig", "lock")
	folder("killed-early", "alive", "lock")
	folder("ended", "lock") // with its logs
	folder("own", "lab.json", "alive", "lock")
	folder("project", "lab.json", "alive", "lock", "thesis.tex")
	folder("Not-a-lab", "lab.json", "alive")
	hold(folder("runs", "lab.json", "lock").Alive())
	hold(folder("starts", "lab.json", "alive").Lock())
	require.NoError(t, os.Chmod(string(folder("shared")), 0o777))
	require.NoError(t, os.Symlink(string(folder("ended")), filepath.Join(all, "link")))
	require.NoError(t, os.WriteFile(filepath.Join(all, "file"), nil, 0o600))
	foreign := folder("foreign", "lab.json", "alive")
	require.NoError(t, os.Chmod(string(foreign), 0o777))

	own := &instance{"own", cluster.Folder(filepath.Join(all, "own"))}
	var said bytes.Buffer
	own.removeKilled(t.Context(), &said)
	entries, err := os.ReadDir(all)
	require.NoError(t, err)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	assert.ElementsMatch(t, []string{"ended", "own", "Not-a-lab", "project", "runs", "starts", "shared", "link", "file", "foreign"}, left)
	assert.Equal(t, 1, strings.Count(said.String(), "warning"), said.String())
	assert.Contains(t, said.String(), "warning: delete what lab foreign has left")
	assert.Contains(t, said.String(), "does not belong to this user alone: "+string(foreign))
	assert.FileExists(t, own.folder.Info())

	said.Reset()
	nowhere := &instance{"own", cluster.Folder(filepath.Join(all, "not", "there"))}
	nowhere.removeKilled(t.Context(), &said)
	assert.Empty(t, said.String())
}
