package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A release is made from a commit, and nothing else.
func TestChangesAreRefused(t *testing.T) {
	top := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", top, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	file := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(top, name), []byte(text), 0o600))
	}
	r := &release{top: top}
	git("init", "--quiet")
	file(".gitignore", "dist\n")
	file("a.go", "package a\n")
	git("add", ".")
	git("commit", "--quiet", "--message=a")
	file("dist", "ignored")
	require.NoError(t, r.refuseChanges(t.Context()))

	file("b.go", "package a\n")
	assert.ErrorContains(t, r.refuseChanges(t.Context()), "not committed, such as ?? b.go: commit or remove them")
	git("add", ".")
	git("commit", "--quiet", "--message=b")
	require.NoError(t, r.refuseChanges(t.Context()))
	file("a.go", "package b\n")
	assert.ErrorContains(t, r.refuseChanges(t.Context()), "such as M a.go")
}
