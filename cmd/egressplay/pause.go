package main

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/egressplay/egressplay/runner"
)

// pauses returns a [runner.Runner.Pause] that waits for a line of in before each
// step, and says so. The end of in stops the run.
func pauses(in io.Reader, say func(text string), stop context.CancelCauseFunc) func(context.Context, runner.StepInfo) error {
	lines := make(chan struct{})
	go func() {
		defer close(lines)
		for r := bufio.NewReader(in); ; {
			// Any error means that no more lines come.
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			lines <- struct{}{}
		}
	}()
	return func(ctx context.Context, step runner.StepInfo) error {
		say(fmt.Sprintf("\nnext is step %d, %s: Enter runs it, Ctrl-D stops here", step.Index, step.Title))
		select {
		case _, more := <-lines:
			if !more {
				stop(errStopped)
				return errStopped
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
