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
	require.NoError(t, write(r, path))
	assert.Equal(t, string(r.In(asJSON)), string(<-got))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.ModeNamedPipe, info.Mode().Type(), "it is still a pipe")
}

// A new report has the mode that the user's umask gives, one that is there keeps
// its own.
func TestReportWriteKeepsTheMode(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "report.json")
	r := report(passedRun)
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode()
	}
	require.NoError(t, write(r, path))
	assert.Equal(t, os.FileMode(0o640), mode())
	for _, m := range []os.FileMode{0o600, 0o666, 0o400, 0o644} {
		require.NoError(t, os.Chmod(path, m))
		require.NoError(t, write(r, path))
		assert.Equal(t, m, mode())
	}
}

// Where the folder takes no other file, the report that is there is written in
// place.
func TestReportWriteInPlace(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write to any folder")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	r := report(passedRun)
	require.NoError(t, write(r, path))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(r.In(asJSON)), string(got))
	err = write(r, filepath.Join(dir, "new.json"))
	assert.ErrorIs(t, err, os.ErrPermission)
}

// A report that cannot be written whole leaves the one that is there as it was.
func TestReportWriteOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	low := limit
	low.Cur = 100
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low))
	err := write(report(passedRun), path)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	require.ErrorIs(t, err, syscall.EFBIG)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(got))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing else is left in the folder")
	if _, err := os.Stat("/dev/full"); err == nil {
		assert.ErrorIs(t, write(report(passedRun), "/dev/full"), syscall.ENOSPC)
	}
}
