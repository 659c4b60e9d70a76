//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A second signal quits, unless it is the echo of the first, or a terminal that
// goes.
func TestUntilSignal(t *testing.T) {
	late := make(chan os.Signal, 1) // a signal that comes after the end of the test ends nothing
	signal.Notify(late, syscall.SIGHUP)
	seconds := make(chan int, 10)
	ctx, _, release := untilSignal(t.Context(), func() {}, func(number int) { seconds <- number })
	defer release()
	send := func(s syscall.Signal) { require.NoError(t, syscall.Kill(os.Getpid(), s)) }
	send(syscall.SIGQUIT)
	<-ctx.Done()
	assert.Equal(t, int(syscall.SIGQUIT), signalOf(ctx))
	send(syscall.SIGHUP)
	time.Sleep(2 * echo) // what is under test is how long a signal counts
	send(syscall.SIGHUP)
	send(syscall.SIGTERM)
	assert.Equal(t, int(syscall.SIGTERM), <-seconds)
	assert.Empty(t, seconds)
}
