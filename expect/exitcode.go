package expect

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/egressplay/egressplay/runner"
)

// ExitCode is the exit code that a command is to end with, 0 to 255.
type ExitCode int

// Success expects exit code 0.
func Success() runner.Expectation { return new(ExitCode) }

// Validate says what is wrong with the expectation.
func (e *ExitCode) Validate() error {
	if *e < 0 || *e > 255 {
		return &runner.FieldError{Err: fmt.Errorf("an exit code is 0 to 255, %d is none", *e)}
	}
	return nil
}

// Check implements [runner.Expectation].
func (e *ExitCode) Check(o *runner.Observation) error {
	if o.ExitCode == nil {
		return errors.New("no exit code came")
	}
	if *o.ExitCode != int(*e) {
		return &runner.Mismatch{What: "exit code", Want: strconv.Itoa(int(*e)), Got: strconv.Itoa(*o.ExitCode)}
	}
	return nil
}
