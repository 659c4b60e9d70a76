package expect

import (
	"errors"
	"fmt"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Elapsed bounds how long a command takes: by curl's own clock where the
// command is curl, over all its transfers, else by that of the call.
type Elapsed struct {
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
}

// Validate returns what is wrong with the expectation.
func (e *Elapsed) Validate() error {
	switch {
	case e.Min == 0 && e.Max == 0:
		return &runner.FieldError{Err: errors.New("no bound is given"), Hint: "write min: 2.9s, max: 3.5s, or one of them"}
	case e.Max > 0 && e.Min > e.Max:
		return &runner.FieldError{Field: []string{"min"}, Err: errors.New("min is more than max")}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Elapsed) Needs() evidence.Needs { return evidence.Needs{} }

// Judge implements [runner.Expectation].
func (e *Elapsed) Judge(a *evidence.Attempt) (vs evidence.Verdicts) {
	if a.Command == nil {
		return unjudged(nil, false, "no command was run", "")
	}
	took := a.Command.Elapsed
	got := took.Round(time.Millisecond).String()
	if e.Min > 0 {
		vs = append(vs, judge([]string{"min"}, took >= e.Min, e.Min.String(), got))
	}
	rest := a.Unaccounted()
	switch {
	case e.Max > 0 && took <= e.Max && rest > 0 && took+rest > e.Max:
		vs = append(vs, unjudged([]string{"max"}, true, fmt.Sprintf("curl tells of %s, and the command took %s longer: it may have waited, or made a request again", got, rest.Round(time.Millisecond)), "")...)
	case e.Max > 0:
		vs = append(vs, judge([]string{"max"}, took <= e.Max, e.Max.String(), got))
	}
	return vs
}
