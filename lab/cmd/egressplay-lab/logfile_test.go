package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/supervise"
)

// A log that is begun anew while it is read loses nothing of what existed when the
// reader began, nor of what follows.
func TestLogFileIsReadOverItsTwoFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "internet.log")
	w, err := supervise.OpenLog(path, 100)
	require.NoError(t, err)
	defer w.Close()
	var written strings.Builder
	write := func(n int) {
		for range n {
			line := fmt.Sprintf("line %d\n", written.Len())
			written.WriteString(line)
			_, err := io.WriteString(w, line)
			require.NoError(t, err)
		}
	}
	write(5)
	l, err := openLogFile(path)
	require.NoError(t, err)
	defer l.Close()

	var read strings.Builder
	rest := func() {
		p := make([]byte, 16)
		for {
			n, err := l.Read(p)
			read.Write(p[:n])
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(t, err)
		}
	}
	rest()
	for range 20 { // less than a whole file at a time
		write(7)
		rest()
	}
	assert.Equal(t, written.String(), read.String())

	// A reader that begins now gets the newest lines, from the beginning of a line on.
	again, err := openLogFile(path)
	require.NoError(t, err)
	defer again.Close()
	text, err := io.ReadAll(again)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "line "))
	assert.True(t, strings.HasSuffix(written.String(), string(text)))
	assert.Greater(t, len(text), 50)
	assert.LessOrEqual(t, len(text), 200)

	_, err = openLogFile(filepath.Join(t.TempDir(), "none"))
	assert.Error(t, err)
}
