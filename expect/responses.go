package expect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
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

// Validate returns what is wrong with the expectation.
func (e *Responses) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no response is stated"), Hint: "for a command that gets none, write exitCode"}
	}
	return nil
}

// Validate returns what is wrong with the expectation.
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

// Validate returns what is wrong with the expectation.
func (e *Headers) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no header is stated")}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Responses) Needs() evidence.Needs { return evidence.Needs{Curl: true} }

// Judge implements [runner.Expectation].
func (e *Responses) Judge(a *evidence.Attempt) evidence.Verdicts {
	if vs := mute(a); vs != nil {
		return vs
	}
	redirects := 0
	for _, t := range a.Transfers {
		redirects += t.Redirects
	}
	shown := a.Command.Curl != nil && a.Command.Curl.HeadsShown
	if (redirects > 0 || len(a.Transfers) > 1) && !shown {
		return unjudged(nil, false, "the responses before the last one are not known", "have curl print them, with -D - or -i")
	}
	repeated := slices.ContainsFunc(a.Transfers, func(t evidence.Transfer) bool { return t.Repeated })
	if repeated || a.Command.Curl.Retries && !shown {
		return unjudged(nil, false, "curl may have made a request again (--retry), and the responses before the last try are not known", "expect the status of the last one, and of the others what the log has, or what arrived")
	}
	if rest := a.Unaccounted(); rest > 0 && !shown {
		return unjudged(nil, true, fmt.Sprintf("the command took %s longer than the transfers of which curl tells: it may have made a request again, and the responses before the last try are not known", rest.Round(time.Millisecond)), "have curl print them, with -D - or -i")
	}
	if len(a.Responses) != len(*e) {
		return evidence.Verdicts{judge(nil, false, flow(e.yaml()), flow(seen(a.Responses)))}
	}
	var vs evidence.Verdicts
	for i := range *e {
		vs = append(vs, (*e)[i].check([]string{index(i)}, a.Responses[i])...)
	}
	return vs
}

// seen returns responses as a playbook has them.
func seen(responses []evidence.Response) []mapping {
	list := []mapping{}
	for _, r := range responses {
		list = append(list, mapping{{"status", r.Status}, {"proto", r.Proto}})
	}
	return list
}

func (e *Responses) yaml() []mapping {
	var list []mapping
	for _, r := range *e {
		var m mapping
		if r.Status != nil {
			m = append(m, pair{"status", *r.Status})
		}
		if r.Proto != "" {
			m = append(m, pair{"proto", r.Proto})
		}
		list = append(list, m)
	}
	return list
}

// Needs implements [runner.Expectation].
func (e *Headers) Needs() evidence.Needs { return evidence.Needs{Curl: true} }

// Judge implements [runner.Expectation].
func (e *Headers) Judge(a *evidence.Attempt) evidence.Verdicts {
	if vs := mute(a); vs != nil {
		return vs
	}
	if len(a.Responses) == 0 {
		return evidence.Verdicts{judge(nil, false, "a response", "none")}
	}
	return checkHeaders(nil, *e, a.Responses[len(a.Responses)-1])
}

func (e *Response) check(field []string, got evidence.Response) (vs evidence.Verdicts) {
	if e.Status != nil {
		vs = append(vs, judge(at(field, "status"), *e.Status == got.Status, strconv.Itoa(*e.Status), strconv.Itoa(got.Status)))
	}
	if e.Proto != "" {
		vs = append(vs, judge(at(field, "proto"), e.Proto == got.Proto, e.Proto, got.Proto))
	}
	if len(e.Headers) > 0 {
		vs = append(vs, checkHeaders(at(field, "headers"), e.Headers, got)...)
	}
	return vs
}

func checkHeaders(field []string, want map[string]Value, got evidence.Response) (vs evidence.Verdicts) {
	if got.Header == nil {
		return unjudged(field, false, "the headers are not known", "have curl print them, with -D - or -i")
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v := want[name]
		values := got.Header.Values(name)
		one := v.check(at(field, name), strings.Join(values, ", "), len(values) > 0)
		if v.Not != nil && slices.ContainsFunc(values, func(value string) bool { return v.Not.holds(value, true) }) {
			one[0].Outcome = evidence.NotHeld // none of several may be so
		}
		vs = append(vs, one...)
	}
	return vs
}
