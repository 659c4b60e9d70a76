package main

import (
	"cmp"
	"errors"

	"github.com/egressplay/egressplay/runner"
)

// The exit codes.
const (
	exitPassed = 0
	exitFailed = 1 // an expectation did not hold
	exitUsage  = 2 // bad usage, a bad playbook, or nothing to run
	exitError  = 3 // it could not be run, or every playbook was skipped
	exitLeft   = 4 // passed, but something could not be put back
	exitSignal = 128
)

// An outcome is all that decides on the exit code.
type outcome struct {
	signal  int // the number of the signal that ended the run, 0 for none
	err     error
	summary runner.Summary
	left    bool // something could not be put back
	idle    bool // in one of several clusters no playbook passed
}

// and returns the outcome of a run that went on in another cluster.
func (o outcome) and(next outcome) outcome {
	return outcome{
		signal:  cmp.Or(o.signal, next.signal),
		err:     errors.Join(o.err, next.err),
		summary: o.summary.And(next.summary),
		left:    o.left || next.left,
		idle:    o.idle || o.summary.Passed == 0 || next.summary.Passed == 0,
	}
}

// in names the context of an outcome's error.
func (o outcome) in(context string) outcome {
	if o.err != nil {
		o.err = inContext(context, o.err)
	}
	return o
}

// exitCode returns the exit code of an outcome: of several that apply, the first
// in the order 128 + signal, 2, 1, 3, 4.
func exitCode(o outcome) int {
	switch {
	case o.signal != 0:
		return exitSignal + o.signal
	case isUsage(o.err):
		return exitUsage
	case o.summary.Failed > 0:
		return exitFailed
	case o.err != nil, o.summary.Error > 0, o.summary.Passed == 0, o.idle:
		return exitError
	case o.left:
		return exitLeft
	}
	return exitPassed
}
