package expect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/runner"
)

// Arrived are the requests that reached the far end while the command ran, in
// order: as many as are listed. The lab's internet records them. Where nobody
// does, the expectation is not checked, and the transcript says so.
type Arrived []Arrival

// An Arrival is what one request is to be like where it arrives. What it does
// not state may be anything.
type Arrival struct {
	Host     *Value `yaml:"host"`
	TLS      *bool  `yaml:"tls"`
	SNI      *Value `yaml:"sni"`
	ALPN     *Value `yaml:"alpn"`
	Protocol *Value `yaml:"protocol"` // HTTP/1.1 or HTTP/2.0
	Method   *Value `yaml:"method"`
	Path     *Value `yaml:"path"`
	Status   *int   `yaml:"status"`
	// ClientCertificate is the subject of the certificate that the client
	// showed, such as CN=client.example.com.
	ClientCertificate *Value `yaml:"clientCertificate"`
	// From is who made the connection: sidecar (the pod of the command, also
	// where it has no sidecar), egressgateway, gateway/NAME, or deploy/NAME.
	From string `yaml:"from"`
}

var _ runner.Watcher = (*Arrived)(nil)

// Validate says what is wrong with the expectation.
func (e *Arrived) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no arrival is stated"), Hint: "that nothing arrives is stated by path: [blocked]"}
	}
	return nil
}

// Validate says what is wrong with the expectation.
func (e *Arrival) Validate() error {
	if from := e.From; from != "" && from != hopSidecar && !isGateway(from) && !strings.HasPrefix(from, "deploy/") {
		return &runner.FieldError{Field: []string{"from"}, Err: fmt.Errorf("%q makes no connection: want sidecar, egressgateway, gateway/NAME or deploy/NAME", from)}
	}
	if e.TLS != nil || e.Status != nil || e.From != "" {
		return nil
	}
	for _, f := range e.fields() {
		if f.want != nil {
			return nil
		}
	}
	return &runner.FieldError{Err: errors.New("nothing is expected of the arrival"), Hint: "write host, tls, sni, protocol, from, ..."}
}

// Check implements [runner.Expectation]; what the observation itself shows is
// not enough to judge.
func (e *Arrived) Check(*runner.Observation) error {
	return errors.New("the far end was not watched")
}

// Watch implements [runner.Watcher].
func (e *Arrived) Watch(_ context.Context, s *runner.Scope, _ runner.Action) (func(context.Context, *runner.Observation) error, error) {
	return func(ctx context.Context, o *runner.Observation) error { return e.judge(ctx, s, o) }, nil
}

func (e *Arrived) judge(ctx context.Context, s *runner.Scope, o *runner.Observation) error {
	if s.Arrivals == nil {
		o.Text += "(what arrived was not checked: nobody records it here)\n"
		return nil
	}
	all, err := s.Arrivals(ctx)
	if err != nil {
		return err
	}
	// The lab's internet runs on this machine, by the same clock, and writes
	// its record before it answers.
	all = slices.DeleteFunc(all, func(a runner.Arrival) bool { return a.Time.Before(o.Started) || a.Time.After(o.Ended) })
	if len(all) != len(*e) {
		got := strconv.Itoa(len(all))
		for _, a := range all {
			got += "\n" + describe(&a)
		}
		return &runner.Mismatch{What: "requests that arrived", Want: strconv.Itoa(len(*e)), Got: got}
	}
	var ms runner.Mismatches
	for i := range all {
		what := "arrived"
		if len(all) > 1 {
			what = fmt.Sprintf("arrived, request %d", i+1)
		}
		more, err := (*e)[i].check(ctx, s, o, what, &all[i])
		if err != nil {
			return err
		}
		ms = append(ms, more...)
	}
	return orNil(ms)
}

func describe(a *runner.Arrival) string {
	return fmt.Sprintf("%s %s %s%s from %s at %s", a.Method, a.Protocol, a.Host, a.Path, a.Remote, a.Time.Format(time.StampMilli))
}

type arrivalField struct {
	name string
	want *Value
	got  func(*runner.Arrival) string
}

func (e *Arrival) fields() []arrivalField {
	return []arrivalField{
		{"host", e.Host, func(a *runner.Arrival) string { return a.Host }},
		{"sni", e.SNI, func(a *runner.Arrival) string { return a.SNI }},
		{"alpn", e.ALPN, func(a *runner.Arrival) string { return a.ALPN }},
		{"protocol", e.Protocol, func(a *runner.Arrival) string { return a.Protocol }},
		{"method", e.Method, func(a *runner.Arrival) string { return a.Method }},
		{"path", e.Path, func(a *runner.Arrival) string { return a.Path }},
		{"client certificate", e.ClientCertificate, func(a *runner.Arrival) string { return a.ClientCertificate }},
	}
}

func (e *Arrival) check(ctx context.Context, s *runner.Scope, o *runner.Observation, what string, a *runner.Arrival) (ms runner.Mismatches, err error) {
	for _, f := range e.fields() {
		switch got := f.got(a); {
		case f.want == nil, f.want.Absent && got == "":
		default:
			ms = append(ms, f.want.check(what+": "+f.name, got)...)
		}
	}
	if e.TLS != nil && *e.TLS != a.TLS {
		ms = append(ms, &runner.Mismatch{What: what + ": TLS", Want: strconv.FormatBool(*e.TLS), Got: strconv.FormatBool(a.TLS)})
	}
	if e.Status != nil && *e.Status != a.Status {
		ms = append(ms, &runner.Mismatch{What: what + ": status", Want: strconv.Itoa(*e.Status), Got: strconv.Itoa(a.Status)})
	}
	if e.From == "" {
		return ms, nil
	}
	from, err := cameFrom(ctx, s, o, e.From, a.Remote)
	if err != nil {
		return nil, err
	}
	if !from {
		ms = append(ms, &runner.Mismatch{What: what + ": from", Want: e.From, Got: a.Remote})
	}
	return ms, nil
}

// cameFrom says whether it was who that connected from an address ("ip:port").
func cameFrom(ctx context.Context, s *runner.Scope, o *runner.Observation, who, addr string) (bool, error) {
	switch {
	case who == hopSidecar:
		ip, _, _ := net.SplitHostPort(addr)
		return ip == o.Pod.IP, nil
	case strings.HasPrefix(who, "deploy/"):
		return workloadAt(ctx, s, who, addr)
	}
	pod, err := gatewayAt(ctx, s, who, addr)
	return pod != nil, err
}
