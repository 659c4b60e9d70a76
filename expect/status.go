package expect

import (
	"fmt"
	"strconv"

	"github.com/egressplay/egressplay/runner"
)

// Status is the status of the last response, 100 to 599.
type Status int

// Validate says what is wrong with the expectation.
func (e *Status) Validate() error { return checkStatus(int(*e)) }

// Check implements [runner.Expectation].
func (e *Status) Check(o *runner.Observation) error {
	want := strconv.Itoa(int(*e))
	if len(o.Responses) == 0 {
		return &runner.Mismatch{What: "status", Want: want, Got: "no response"}
	}
	if got := o.Responses[len(o.Responses)-1].Status; got != int(*e) {
		return &runner.Mismatch{What: "status", Want: want, Got: strconv.Itoa(got)}
	}
	return nil
}

func checkStatus(status int) error {
	if status < 100 || status > 599 {
		return &runner.FieldError{Err: fmt.Errorf("an HTTP status is 100 to 599, %d is none", status)}
	}
	return nil
}
