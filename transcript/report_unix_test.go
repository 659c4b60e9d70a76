//go:build unix

package transcript_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReportWriteToAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	got := make(chan []byte)
	go func() {
		b, err := os.ReadFile(path)
		assert.NoError(t, err)
		got <- b
	}()
	r := report(passedRun)
	require.NoError(t, r.Write(path))
	assert.Equal(t, string(r.Bytes()), string(<-got))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.ModeNamedPipe, info.Mode().Type(), "it is still a pipe")
}
