package expect

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Status is the status of the last response: a number, or a list of which it is
// to be one, 100 to 599 each.
type Status struct {
	Any []int `yaml:"any,list,scalar,required"`
}

// Validate returns what is wrong with the expectation.
func (e *Status) Validate() error {
	if len(e.Any) == 0 {
		return &runner.FieldError{Err: errors.New("no status is stated")}
	}
	for i, status := range e.Any {
		if err := checkStatus(status); err != nil {
			return &runner.FieldError{Field: []string{"any", index(i)}, Err: err}
		}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Status) Needs() evidence.Needs { return evidence.Needs{Curl: true} }

// Judge implements [runner.Expectation].
func (e *Status) Judge(a *evidence.Attempt) evidence.Verdicts {
	if vs := mute(a); vs != nil {
		return vs
	}
	if len(a.Responses) == 0 {
		return evidence.Verdicts{judge(nil, false, e.String(), "no response")}
	}
	got := a.Responses[len(a.Responses)-1].Status
	v := judge(nil, slices.Contains(e.Any, got), e.String(), strconv.Itoa(got))
	if v.Outcome == evidence.NotHeld || len(a.Transfers) == 0 {
		return evidence.Verdicts{v}
	}
	// gRPC says in a header or a trailer whether the call succeeded, whatever
	// the HTTP status is (grpc/grpc doc/PROTOCOL-HTTP2.md).
	switch t := a.Transfers[len(a.Transfers)-1]; {
	case !strings.HasPrefix(t.ContentType, "application/grpc"), t.GRPCStatus == "0":
	case t.GRPCStatus == "":
		return unjudged(nil, false, "the response is one of gRPC, whose status is not known", "have curl print the heads and trailers (-i), and expect grpc: {status: 0}")
	default:
		v = judge(nil, false, e.String(), fmt.Sprintf("%d with grpc-status %s", got, t.GRPCStatus))
		v.Hint = "where this is meant, expect grpc: {status: " + t.GRPCStatus + "} instead of an HTTP status"
	}
	return evidence.Verdicts{v}
}

func (e *Status) String() string {
	if len(e.Any) == 1 {
		return strconv.Itoa(e.Any[0])
	}
	return flow(e.Any)
}

// GRPC is what is expected of a call by gRPC.
type GRPC struct {
	// Status is the status of the call, 0 (OK) to 16.
	Status *int `yaml:"status,required"`
}

// Validate returns what is wrong with the expectation.
func (e *GRPC) Validate() error {
	if e.Status != nil && (*e.Status < 0 || *e.Status > 16) {
		return &runner.FieldError{Field: []string{"status"}, Err: fmt.Errorf("a status of gRPC is 0-16, got %d", *e.Status), Hint: "0 is OK, 14 UNAVAILABLE"}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *GRPC) Needs() evidence.Needs { return evidence.Needs{Curl: true} }

// Judge implements [runner.Expectation].
func (e *GRPC) Judge(a *evidence.Attempt) evidence.Verdicts {
	field := []string{"status"}
	if len(a.Transfers) == 0 {
		return unjudged(field, false, "the status of a call is known only from curl, and the command is no curl that tells it", "")
	}
	// Only a response with HTTP status 200 and gRPC's content type is an answer to
	// a call (grpc/grpc doc/PROTOCOL-HTTP2.md, "Responses").
	t := a.Transfers[len(a.Transfers)-1]
	switch {
	case t.Status == 0:
		return evidence.Verdicts{judge(field, false, strconv.Itoa(*e.Status), "no response")}
	case !strings.HasPrefix(t.ContentType, "application/grpc") || t.Status != 200:
		return evidence.Verdicts{judge(field, false, strconv.Itoa(*e.Status), fmt.Sprintf("no gRPC, HTTP status %d", t.Status))}
	case t.GRPCStatus == "":
		return unjudged(field, false, "the response has no grpc-status in its heads", "have curl print the heads and trailers: -i")
	}
	return evidence.Verdicts{judge(field, t.GRPCStatus == strconv.Itoa(*e.Status), strconv.Itoa(*e.Status), t.GRPCStatus)}
}

func checkStatus(status int) error {
	if status < 100 || status > 599 {
		return &runner.FieldError{Err: fmt.Errorf("an HTTP status must be 100-599, got %d", status)}
	}
	return nil
}

// mute returns why nothing is known of the responses of a command, nil where
// curl tells.
func mute(a *evidence.Attempt) evidence.Verdicts {
	c := a.Command
	switch {
	case c == nil || c.Curl == nil:
		return unjudged(nil, false, "only curl tells of its responses, and the command is no curl", "expect stdout, or an exitCode")
	case c.Curl.Unreported != "":
		return unjudged(nil, false, "curl cannot tell of its responses here: "+c.Curl.Unreported, "expect stdout, or an exitCode")
	case len(a.Transfers) == 0:
		return unjudged(nil, false, "curl has told of no transfer", "")
	}
	return nil
}
