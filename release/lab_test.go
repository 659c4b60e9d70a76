//go:build lab

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The lab's archive does the main job offline, without anything else installed.
func TestMainJob(t *testing.T) {
	dir := unpacked(t, one(t, "egressplay-lab_*_"+host()+".tar.gz"))
	labs, err := os.MkdirTemp("/tmp", "ep") // a Unix socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(labs)) })
	said := offline(t, "", []string{"EGRESSPLAY_LAB_DIR=" + labs}, filepath.Join(dir, "bin", "egressplay"), "run", "tls-origination")
	assert.Contains(t, said, "passed")
}
