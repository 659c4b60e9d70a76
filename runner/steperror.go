package runner

import (
	"fmt"
	"time"
)

// A StepError places what went wrong in a step where the reader is looking.
type StepError struct {
	Step StepInfo

	// Mismatches are what the last attempt did not meet; empty when the step
	// could not be run or judged.
	Mismatches Mismatches
	// Attempts and Took say how often and for how long it was tried.
	Attempts int
	Took     time.Duration
	// Hint says what to do next; "" when nothing useful can be said.
	Hint string
	Err  error
}

func (e *StepError) Error() string {
	return fmt.Sprintf("%s:%d: step %d, %q: %v", e.Step.File, e.Step.Line, e.Step.Index, e.Step.Title, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }
