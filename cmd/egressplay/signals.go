package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/egressplay/egressplay/runner"
)

// A stopped error is the cause of a context that its user ended.
type stopped struct {
	signal syscall.Signal
	how    string
}

func (e *stopped) Error() string { return e.how }
func (e *stopped) Unwrap() error { return runner.ErrInterrupted }

// errStopped is that of somebody who ended a run by other means than a signal.
var errStopped = &stopped{syscall.SIGINT, "stopped"}

// echo is for how long a signal counts as the one before it: timeout(1) sends its
// signal to the process and to its group, and a terminal that goes does the like.
const echo = 250 * time.Millisecond

// untilSignal returns a context that the first signal cancels, with a [*stopped]
// as its cause. first is called after that, second with the number of a second
// signal. SIGHUP is never the second: nobody asks by it to quit at once. Call
// release when no more signals are to be handled.
func untilSignal(parent context.Context, first func(), second func(number int)) (ctx context.Context, cancel context.CancelCauseFunc, release func()) {
	ctx, cancel = context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings...)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		for came := (time.Time{}); ; {
			select {
			case s := <-signals:
				number := s.(syscall.Signal)
				switch {
				case came.IsZero():
					came = time.Now()
					cancel(&stopped{number, causes[number]})
					first()
				case number != syscall.SIGHUP && time.Since(came) >= echo:
					second(int(number))
					return
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, cancel, func() {
		signal.Stop(signals)
		close(done)
	}
}

var causes = map[syscall.Signal]string{
	syscall.SIGABRT: "interrupted by SIGABRT",
	syscall.SIGHUP:  "interrupted: the terminal is gone",
	syscall.SIGINT:  "interrupted",
	syscall.SIGQUIT: "interrupted by SIGQUIT",
	syscall.SIGTERM: "terminated",
}

// signalOf returns the number of the signal that ended a context, 0 for none.
func signalOf(ctx context.Context) int {
	if s, ok := errors.AsType[*stopped](context.Cause(ctx)); ok {
		return int(s.signal)
	}
	return 0
}
