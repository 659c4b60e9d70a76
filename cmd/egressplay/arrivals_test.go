package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
)

// labThatSays returns a place whose lab's program is this shell script.
func labThatSays(t *testing.T, script string) *place {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the lab's program is a shell script here")
	}
	path := filepath.Join(t.TempDir(), labProgram)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return &place{lab: path, target: runner.Target{Name: "default"}}
}

// What one client sends keeps nobody from reading what others sent.
func TestArrivalsWithALongLine(t *testing.T) {
	p := labThatSays(t, `echo '{"host": "a.test", "path": "'
head -c 3000000 /dev/zero | tr '\0' x
echo '"}
{"host": "b.test"}'
`)
	_, err := p.arrivals(t.Context())
	require.ErrorContains(t, err, "invalid character", "a line feed in a text")

	p = labThatSays(t, `printf '{"host": "a.test", "path": "'
head -c 3000000 /dev/zero | tr '\0' x
echo '"}
{"host": "b.test"}'
`)
	all, err := p.arrivals(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Len(t, all[0].Path, 3_000_000)
	assert.Equal(t, "b.test", all[1].Host)
}
