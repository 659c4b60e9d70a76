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

// Log are the lines that the access logs have for the requests of a curl
// command, in order: for each proxy that is named as many as are listed, and
// with an empty list none in the sidecar's.
//
// A line is known to be the command's by the address from which curl made its
// connection, which is the line's DOWNSTREAM_REMOTE_ADDRESS; see
// [evidence.Join].
type Log []LogLine

// A LogLine is what a line of the access log is to be like, by field. What it
// does not state may be anything. A field that the line has not is "-".
type LogLine struct {
	// In is the proxy that wrote it: sidecar, which is the default, or a gateway
	// as in a path.
	In           string `yaml:"in"`
	Method       *Value `yaml:"method"`
	Path         *Value `yaml:"path"`
	Protocol     *Value `yaml:"protocol"`
	Status       *int   `yaml:"status"` // 0 for a connection that is no HTTP
	Flags        *Value `yaml:"flags"`  // response flags, joined by commas
	Details      *Value `yaml:"details"`
	Authority    *Value `yaml:"authority"`
	Cluster      *Value `yaml:"cluster"` // upstream cluster
	UpstreamHost *Value `yaml:"upstreamHost"`
	SNI          *Value `yaml:"sni"`
	Route        *Value `yaml:"route"`
}

// Validate returns what is wrong with the expectation.
func (e *LogLine) Validate() error {
	if e.In != "" && e.In != hopSidecar && !isProxy(e.In) && !strings.Contains(e.In, "${") {
		return &runner.FieldError{Field: []string{"in"}, Err: notAProxy(e.In)}
	}
	for _, f := range e.fields() {
		if f.want != nil {
			return nil
		}
	}
	if e.Status == nil {
		return &runner.FieldError{Err: errors.New("nothing is expected of the line"), Hint: "write cluster, status, flags, ..., or log: [] for no line"}
	}
	return nil
}

func (e *LogLine) proxy() string {
	if e.In == "" {
		return hopSidecar
	}
	return e.In
}

// proxies returns the proxies that the lines name, in their order.
func (e *Log) proxies() []string {
	var names []string
	for i := range *e {
		if name := (*e)[i].proxy(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = []string{hopSidecar}
	}
	return names
}

// Needs implements [runner.Expectation].
func (e *Log) Needs() evidence.Needs {
	n := evidence.Needs{Curl: true, Lines: true, Absence: len(*e) == 0, Arrivals: len(*e) == 0}
	for _, name := range e.proxies() {
		if name != hopSidecar {
			n.Places, n.Way = append(n.Places, name), true
		}
	}
	return n
}

// Judge implements [runner.Expectation].
func (e *Log) Judge(a *evidence.Attempt) evidence.Verdicts {
	if vs := traceable(a); vs != nil {
		return vs
	}
	if len(*e) == 0 {
		return judgeAbsence(a)
	}
	var vs evidence.Verdicts
	for _, name := range e.proxies() {
		vs = append(vs, e.judge(a, name)...)
	}
	return vs
}

// judgeAbsence judges that the sidecar has logged none of the requests, for
// which a second witness has to agree.
func judgeAbsence(a *evidence.Attempt) evidence.Verdicts {
	if lines := a.Of(evidence.Sidecar); len(lines) > 0 {
		v := judge(nil, false, "[]", flow(linesOf(lines, nil)))
		v.Facts = texts(lines)
		return evidence.Verdicts{v}
	}
	held, judged, why := past(a)
	if !judged {
		return unjudged(nil, a.Past == nil || a.Past.Again || len(a.Past.Against) > 0, why, "")
	}
	v := judge(nil, held, "[]", "not seen, but: "+why)
	if held {
		v.Got, v.Facts = "[]", []string{why}
	}
	return evidence.Verdicts{v}
}

// past returns whether the requests went past the sidecar.
func past(a *evidence.Attempt) (held, judged bool, why string) {
	if a.Past == nil {
		return false, false, "no witness was asked"
	}
	return a.Past.Held()
}

// judge judges the lines of one proxy.
func (e *Log) judge(a *evidence.Attempt, proxy string) evidence.Verdicts {
	var want []int // indices of e
	for i := range *e {
		if (*e)[i].proxy() == proxy {
			want = append(want, i)
		}
	}
	lines, vs := e.lines(a, proxy)
	if vs != nil {
		return vs
	}
	if len(lines) != len(want) {
		v := judge(nil, false, flow(e.yaml(want)), flow(linesOf(lines, e.keys(want))))
		v.Facts = texts(lines)
		if len(lines) == 0 {
			v.Why = e.whyNone(a, proxy)
		}
		return evidence.Verdicts{v}
	}
	for n, i := range want {
		vs = append(vs, (*e)[i].check([]string{index(i)}, lines[n])...)
	}
	return vs
}

// lines returns the lines of the attempt's requests that a proxy has, or why
// that is not known for certain.
func (e *Log) lines(a *evidence.Attempt, proxy string) ([]*evidence.Line, evidence.Verdicts) {
	if proxy == hopSidecar {
		lines, log := a.Of(evidence.Sidecar), a.Beside().Log
		switch {
		case log.Off != "":
			return nil, unjudged(nil, false, log.Off, "")
		case a.Unclear != "":
			return nil, unjudged(nil, true, a.Unclear, "")
		case len(a.Unread) > 0:
			return nil, unjudged(nil, true, unread(a), "")
		case !log.Complete && log.Partial == "":
			return nil, unjudged(nil, log.Again, "whether these are all the lines is not known: "+log.Why, "")
		}
		return lines, nil
	}
	var lines []*evidence.Line
	for _, w := range a.Ways {
		for n, hop := range w.Hops {
			means, why := a.Means(proxy, &hop.Pod)
			if why != "" {
				return nil, unjudged(nil, true, why, "")
			}
			if !means {
				continue
			}
			if n >= len(w.Lines) {
				return nil, unjudged(nil, w.Again, w.Unknown, "")
			}
			lines = append(lines, &a.Lines[w.Lines[n]])
		}
	}
	if len(a.Ways) == 0 {
		return nil, unjudged(nil, true, "the way of the requests is not known: the sidecar's access log has no line of them", "")
	}
	return lines, nil
}

// unread says that a line of the attempt's time may be of its requests.
func unread(a *evidence.Attempt) string {
	return "a line of this time cannot be read: " + a.Unread[0].Text
}

// whyNone says why a proxy may have logged nothing.
func (e *Log) whyNone(a *evidence.Attempt, proxy string) string {
	if proxy == hopSidecar {
		return a.Beside().Log.Partial
	}
	var ways []string
	for _, w := range a.Ways {
		ways = append(ways, w.Words())
	}
	return "the request went " + strings.Join(ways, "; ")
}

func texts(lines []*evidence.Line) []string {
	all := make([]string, len(lines))
	for i, l := range lines {
		all[i] = l.Text
	}
	return all
}

// traceable returns why the requests of a command cannot be found in an access
// log, nil where they can.
func traceable(a *evidence.Attempt) evidence.Verdicts {
	c := a.Command
	switch {
	case c == nil || c.Curl == nil:
		return unjudged(nil, false, "a request is found in the access log by the address of curl's connection, and the command is no curl that tells it", "")
	case c.Curl.Unreported != "":
		return unjudged(nil, false, "a request is found in the access log by the address of curl's connection, which curl cannot tell here: "+c.Curl.Unreported, "")
	case len(a.Transfers) == 0:
		return unjudged(nil, false, "a request is found in the access log by the address of curl's connection, which curl did not tell", "")
	case !c.Pod.Sidecar:
		v := judge(nil, false, "a line of this request", "no sidecar")
		v.Why = fmt.Sprintf("pod %s has no container istio-proxy", c.Pod.Name)
		return evidence.Verdicts{v}
	}
	return unconnected(a, "a line of this request")
}

// unconnected says of the first transfer for which curl made no connection that what
// is wanted is not there; nil where it made one for each.
func unconnected(a *evidence.Attempt, want string) evidence.Verdicts {
	for _, t := range a.Transfers {
		if t.Local == "" {
			v := judge(nil, false, want, "no connection")
			v.Why = "curl made none to " + t.URL
			if t.Error != "" {
				v.Why += ": " + t.Error
			}
			return evidence.Verdicts{v}
		}
	}
	return nil
}

type logField struct {
	name string
	want *Value
}

var logFields = []string{"method", "path", "protocol", "flags", "details", "authority", "cluster", "upstreamHost", "sni", "route"}

// fields returns the fields with what is wanted of them.
func (e *LogLine) fields() []logField {
	values := []*Value{e.Method, e.Path, e.Protocol, e.Flags, e.Details, e.Authority, e.Cluster, e.UpstreamHost, e.SNI, e.Route}
	fields := make([]logField, len(values))
	for i, v := range values {
		fields[i] = logField{name: logFields[i], want: v}
	}
	return fields
}

// field returns a field of a line as the line has it.
func field(l *evidence.Line, name string) string {
	value := map[string]string{
		"method": l.Method, "path": l.Path, "protocol": l.Protocol, "flags": strings.Join(l.Flags, ","),
		"details": l.Details, "authority": l.Authority, "cluster": l.Cluster, "upstreamHost": l.UpstreamHost,
		"sni": l.SNI, "route": l.Route,
	}[name]
	if value == "" {
		return "-"
	}
	return value
}

func (e *LogLine) check(below []string, line *evidence.Line) (vs evidence.Verdicts) {
	if e.Status != nil {
		vs = append(vs, judge(at(below, "status"), *e.Status == line.Status, strconv.Itoa(*e.Status), strconv.Itoa(line.Status)))
	}
	for _, f := range e.fields() {
		if f.want == nil {
			continue
		}
		got := field(line, f.name)
		if f.want.Absent || f.want.Not != nil && f.want.Not.Absent {
			vs = append(vs, f.want.check(at(below, f.name), got, got != "-")...)
			continue
		}
		vs = append(vs, f.want.check(at(below, f.name), got, true)...)
	}
	for i := range vs {
		vs[i].Facts = []string{line.Text}
	}
	return vs
}

// keys returns the fields that lines state, in the order of the docs.
func (e *Log) keys(of []int) []string {
	var keys []string
	for _, i := range of {
		if (*e)[i].Status != nil && !slices.Contains(keys, "status") {
			keys = append(keys, "status")
		}
		for _, f := range (*e)[i].fields() {
			if f.want != nil && !slices.Contains(keys, f.name) {
				keys = append(keys, f.name)
			}
		}
	}
	return keys
}

// yaml returns lines that are wanted as a playbook has them.
func (e *Log) yaml(of []int) []mapping {
	list := []mapping{}
	for _, i := range of {
		var m mapping
		if in := (*e)[i].In; in != "" {
			m = append(m, pair{"in", in})
		}
		if status := (*e)[i].Status; status != nil {
			m = append(m, pair{"status", *status})
		}
		for _, f := range (*e)[i].fields() {
			if f.want != nil {
				m = append(m, pair{f.name, f.want.yaml()})
			}
		}
		list = append(list, m)
	}
	return list
}

// linesOf returns lines as a playbook has them, by these fields; with none, by
// those that say most.
func linesOf(lines []*evidence.Line, keys []string) []mapping {
	if len(keys) == 0 {
		keys = []string{"method", "path", "status", "flags", "cluster"}
	}
	list := []mapping{}
	for _, l := range lines {
		var m mapping
		for _, key := range keys {
			if key == "status" {
				m = append(m, pair{key, l.Status})
			} else {
				m = append(m, pair{key, field(l, key)})
			}
		}
		list = append(list, m)
	}
	return list
}
