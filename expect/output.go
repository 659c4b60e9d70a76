package expect

import "github.com/egressplay/egressplay/runner"

// Stdout judges what the command wrote to its standard output.
type Stdout Text

// Validate says what is wrong with the expectation.
func (e *Stdout) Validate() error { return (*Text)(e).Validate() }

// Check implements [runner.Expectation].
func (e *Stdout) Check(o *runner.Observation) error {
	return (*Text)(e).check("stdout", o.Stdout, o.Truncated)
}

// Stderr judges what the command wrote to its standard error.
type Stderr Text

// Validate says what is wrong with the expectation.
func (e *Stderr) Validate() error { return (*Text)(e).Validate() }

// Check implements [runner.Expectation].
func (e *Stderr) Check(o *runner.Observation) error {
	return (*Text)(e).check("stderr", o.Stderr, o.Truncated)
}

// Body judges the body of the last response: what curl wrote to its standard
// output behind the heads.
type Body Text

// Validate says what is wrong with the expectation.
func (e *Body) Validate() error { return (*Text)(e).Validate() }

// Check implements [runner.Expectation].
func (e *Body) Check(o *runner.Observation) error {
	if len(o.Responses) == 0 {
		return &runner.Mismatch{What: "response", Want: "one, with a body", Got: "none"}
	}
	return (*Text)(e).check("body", o.Body, o.Truncated)
}
