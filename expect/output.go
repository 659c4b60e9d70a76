package expect

import (
	"github.com/egressplay/egressplay/evidence"
)

// Stdout judges what the command wrote to its standard output.
type Stdout Text

// Validate returns what is wrong with the expectation.
func (e *Stdout) Validate() error { return (*Text)(e).Validate() }

// Needs implements [runner.Expectation].
func (e *Stdout) Needs() evidence.Needs { return evidence.Needs{} }

// Judge implements [runner.Expectation].
func (e *Stdout) Judge(a *evidence.Attempt) evidence.Verdicts {
	return (*Text)(e).check(nil, a.Command.Stdout, a.Command.Truncated)
}

// Stderr judges what the command wrote to its standard error.
type Stderr Text

// Validate returns what is wrong with the expectation.
func (e *Stderr) Validate() error { return (*Text)(e).Validate() }

// Needs implements [runner.Expectation].
func (e *Stderr) Needs() evidence.Needs { return evidence.Needs{} }

// Judge implements [runner.Expectation].
func (e *Stderr) Judge(a *evidence.Attempt) evidence.Verdicts {
	return (*Text)(e).check(nil, a.Command.Stderr, a.Command.Truncated)
}

// Body judges the body of the last response: what curl wrote to its standard
// output behind the heads.
type Body Text

// Validate returns what is wrong with the expectation.
func (e *Body) Validate() error { return (*Text)(e).Validate() }

// Needs implements [runner.Expectation].
func (e *Body) Needs() evidence.Needs { return evidence.Needs{Curl: true} }

// Judge implements [runner.Expectation].
func (e *Body) Judge(a *evidence.Attempt) evidence.Verdicts {
	if vs := mute(a); vs != nil {
		return vs
	}
	switch {
	case !a.Command.Curl.BodyShown:
		return unjudged(nil, false, "the body is not in the output: curl wrote it elsewhere (-o), or asked for none (-I)", "leave out -o and -I where the body is expected")
	case len(a.Responses) == 0:
		miss := judge(nil, false, "a response", "none")
		return evidence.Verdicts{miss}
	}
	return (*Text)(e).check(nil, a.Body, a.Command.Truncated)
}
