package expect

import (
	"errors"
	"time"

	"github.com/egressplay/egressplay/runner"
)

// Elapsed bounds how long a command takes: by curl's own clock where the
// command is curl, else by that of the call.
type Elapsed struct {
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
}

// Validate says what is wrong with the expectation.
func (e *Elapsed) Validate() error {
	switch {
	case e.Min == 0 && e.Max == 0:
		return &runner.FieldError{Err: errors.New("no bound is given"), Hint: "write min: 2.9s, max: 3.5s, or one of them"}
	case e.Max > 0 && e.Min > e.Max:
		return &runner.FieldError{Field: []string{"min"}, Err: errors.New("min is more than max")}
	}
	return nil
}

// Check implements [runner.Expectation].
func (e *Elapsed) Check(o *runner.Observation) error {
	got := o.Elapsed.Round(time.Millisecond).String()
	if o.Elapsed < e.Min {
		return &runner.Mismatch{What: "time", Want: "at least " + e.Min.String(), Got: got}
	}
	if e.Max > 0 && o.Elapsed > e.Max {
		return &runner.Mismatch{What: "time", Want: "at most " + e.Max.String(), Got: got}
	}
	return nil
}
