package expect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/runner"
)

// Responses are all the responses of a command, in order: a redirect first,
// then what it led to.
type Responses []Response

// A Response is what one response is to be like. What it does not state may be
// anything.
type Response struct {
	Status *int `yaml:"status"`
	// Proto is HTTP/1.0, HTTP/1.1, HTTP/2 or HTTP/3.
	Proto   string           `yaml:"proto"`
	Headers map[string]Value `yaml:"headers"`
}

// Headers are headers of the last response, by name in any case.
type Headers map[string]Value

// Validate says what is wrong with the expectation.
func (e *Responses) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no response is stated"), Hint: "for a command that gets none, write exitCode"}
	}
	return nil
}

// Validate says what is wrong with the expectation.
func (e *Response) Validate() error {
	if e.Status == nil && e.Proto == "" && len(e.Headers) == 0 {
		return &runner.FieldError{Err: errors.New("nothing is expected of the response"), Hint: "write status, proto or headers"}
	}
	if e.Status != nil {
		if err := checkStatus(*e.Status); err != nil {
			return &runner.FieldError{Field: []string{"status"}, Err: err}
		}
	}
	if known := []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"}; e.Proto != "" && !slices.Contains(known, e.Proto) && !strings.Contains(e.Proto, "${") {
		return &runner.FieldError{Field: []string{"proto"}, Err: fmt.Errorf("%q is no protocol: want %s", e.Proto, strings.Join(known, ", "))}
	}
	return nil
}

// Validate says what is wrong with the expectation.
func (e *Headers) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no header is stated")}
	}
	return nil
}

// Check implements [runner.Expectation].
func (e *Responses) Check(o *runner.Observation) error {
	if o.Redirects > 0 && !o.HeadsShown {
		return errors.New("the responses before the last one are not known: have curl print them, with -D - or -i")
	}
	var ms runner.Mismatches
	if len(o.Responses) != len(*e) {
		got := make([]string, len(o.Responses))
		for i, r := range o.Responses {
			got[i] = fmt.Sprintf("%s %d", r.Proto, r.Status)
		}
		ms = append(ms, &runner.Mismatch{What: "responses", Want: strconv.Itoa(len(*e)), Got: strings.TrimSpace(fmt.Sprintf("%d %s", len(got), strings.Join(got, ", ")))})
	}
	for i := range min(len(*e), len(o.Responses)) {
		what := ""
		if len(*e) > 1 {
			what = fmt.Sprintf(" of response %d", i+1)
		}
		more, err := (*e)[i].check(what, o.Responses[i])
		if err != nil {
			return err
		}
		ms = append(ms, more...)
	}
	return orNil(ms)
}

// Check implements [runner.Expectation].
func (e *Headers) Check(o *runner.Observation) error {
	if len(o.Responses) == 0 {
		return &runner.Mismatch{What: "headers", Want: "a response", Got: "none"}
	}
	want := Response{Headers: *e}
	ms, err := want.check("", o.Responses[len(o.Responses)-1])
	if err != nil {
		return err
	}
	return orNil(ms)
}

func (e *Response) check(what string, got runner.Response) (ms runner.Mismatches, err error) {
	if e.Proto != "" && e.Proto != got.Proto {
		ms = append(ms, &runner.Mismatch{What: "protocol" + what, Want: e.Proto, Got: got.Proto})
	}
	if e.Status != nil && *e.Status != got.Status {
		ms = append(ms, &runner.Mismatch{What: "status" + what, Want: strconv.Itoa(*e.Status), Got: strconv.Itoa(got.Status)})
	}
	if len(e.Headers) > 0 && got.Header == nil {
		return nil, errors.New("the headers are not known: have curl print them, with -D - or -i")
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		v := e.Headers[name]
		what := "header " + strings.ToLower(name) + what
		values := got.Header.Values(name)
		switch {
		case v.Absent && len(values) > 0:
			ms = append(ms, &runner.Mismatch{What: what, Want: "none", Got: show(strings.Join(values, ", "))})
		case v.Absent:
		case len(values) == 0:
			ms = append(ms, &runner.Mismatch{What: what, Want: v.String(), Got: "no such header"})
		default:
			ms = append(ms, v.check(what, strings.Join(values, ", "))...)
		}
	}
	return ms, nil
}
