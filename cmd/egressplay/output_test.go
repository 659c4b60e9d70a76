package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutputHandsOnAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got bytes.Buffer
		o := newOutput(&got)
		defer close(o.more)
		var want strings.Builder
		for range 1000 {
			io.WriteString(io.MultiWriter(o, &want), "a line of text\n")
		}
		require.NoError(t, o.drain(nil, time.Second))
		assert.Equal(t, want.String(), got.String())
		assert.False(t, o.Behind())
	})
}

// Whoever writes does not wait for a reader; whoever drains does, until it is
// told to stop and nothing more is read.
func TestOutputThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		o := newOutput(w)
		defer close(o.more)
		text := strings.Repeat("x", 3*pieceBytes)
		_, err := io.WriteString(o, text)
		require.NoError(t, err)
		assert.True(t, o.Behind())
		stop := make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(stop) })
		began := time.Now()
		assert.Equal(t, errNotRead, o.drain(stop, time.Second))
		assert.Equal(t, time.Hour+time.Second, time.Since(began))

		// A slow reader is waited for.
		go func() {
			for b := make([]byte, pieceBytes); ; time.Sleep(900 * time.Millisecond) {
				if _, err := r.Read(b); err != nil {
					return
				}
			}
		}()
		assert.NoError(t, o.drain(stop, time.Second))
		r.Close()
		time.Sleep(time.Minute) // until the reader sees it
	})
}

func TestOutputWhoseReaderGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("broken pipe")
		r, w := io.Pipe()
		r.CloseWithError(gone)
		o := newOutput(w)
		defer close(o.more)
		_, err := io.WriteString(o, "x")
		require.NoError(t, err)
		assert.Equal(t, gone, o.drain(nil, time.Second))
		_, err = io.WriteString(o, "y")
		assert.Equal(t, gone, err)
	})
}
