package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/playbooks"
)

// Each verb has a playbook to begin with, and each is a good one that has the verb.
func TestInit(t *testing.T) {
	for _, verb := range verbs() {
		text, err := beginning("My first_one.yaml", verb)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), verb+".yaml")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		list, err := playbooks.Load([]string{file}, playbooks.Options{})
		require.NoError(t, err)
		assert.Equal(t, "my-first-one", list[0].Name)
		found := false
		for _, s := range list[0].Steps {
			found = found || s.Kind == verb
		}
		assert.True(t, found, verb)
	}
	entries, err := begin.ReadDir("init")
	require.NoError(t, err)
	assert.Len(t, entries, len(verbs())+1, "one for each verb, and the head")
}
