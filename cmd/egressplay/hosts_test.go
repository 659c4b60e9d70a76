package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHold(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DIR", dir)
	file := &hostsFile{"mine.yaml", "the text\nof two lines"}

	p := labThatSays(t, `echo "$@" > $DIR/asked; read -r line; printf '%s' "$line" > $DIR/line; echo '{"token": "x"}'; echo more; cat; echo > $DIR/gone`)
	take, err := p.hold(t.Context(), file)
	require.NoError(t, err)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(text)
	}
	assert.Equal(t, "internet hold --name default\n", read("asked"))
	assert.JSONEq(t, `{"file": "mine.yaml", "text": "the text\nof two lines"}`, read("line"))
	assert.NoFileExists(t, filepath.Join(dir, "gone"))
	require.NoError(t, take(t.Context()))
	assert.FileExists(t, filepath.Join(dir, "gone"), "take waits for the end")
}

func TestHoldThatFails(t *testing.T) {
	file := &hostsFile{"mine.yaml", "text"}
	_, err := labThatSays(t, "echo 'egressplay: the name is taken' >&2; exit 3").hold(t.Context(), file)
	require.EqualError(t, err, "the name is taken")

	take, err := labThatSays(t, "read line; echo {}; cat; echo 'egressplay: the lab is gone' >&2; exit 3").hold(t.Context(), file)
	require.NoError(t, err)
	require.EqualError(t, take(t.Context()), "the lab is gone")

	// A program that does not end is killed.
	late := errors.New("no more time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, late)
	defer cancel()
	_, err = labThatSays(t, "exec sleep 1000").hold(ctx, file)
	require.ErrorIs(t, err, late)
	take, err = labThatSays(t, "read line; echo {}; exec sleep 1000").hold(t.Context(), file)
	require.NoError(t, err)
	require.ErrorIs(t, take(ctx), late)
}
