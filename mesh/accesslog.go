package mesh

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
)

// ErrNoLine reports that a line of a proxy's log is not one of its access log.
var ErrNoLine = errors.New("no line of the access log")

// ErrUnreadable reports that a line of the access log cannot be read: a request has put
// something into it that Envoy does not escape.
var ErrUnreadable = errors.New("the line cannot be read")

// ParseLine reads a line of a proxy's access log in one of Istio's two default
// formats, text and JSON. The error is [ErrNoLine] or [ErrUnreadable].
// Sources: istio.io "Envoy Access Logs", "Default access log format"; the formats
// themselves are EnvoyTextLogFormat, which further fields may follow, and
// EnvoyJSONLogFormatIstio in istio/istio pilot/pkg/model/telemetry_logging.go.
func ParseLine(line string) (evidence.Line, error) {
	var f entryFields
	ok := false
	if strings.HasPrefix(line, "{") {
		ok = json.Unmarshal([]byte(line), &f) == nil
	} else {
		f, ok = splitEntry(line)
	}
	if !ok {
		return evidence.Line{}, unreadable(line)
	}
	start, err := time.Parse(time.RFC3339, string(f.Start))
	if err != nil {
		return evidence.Line{}, unreadable(line)
	}
	n := numbers{ok: true}
	l := evidence.Line{
		Text: line,

		Start:            start,
		Duration:         n.milliseconds(f.Duration),
		Method:           f.Method.text(),
		Path:             f.Path.text(),
		Protocol:         f.Protocol.text(),
		Status:           int(n.parse(f.Status)),
		Details:          f.Details.text(),
		Termination:      f.Termination.text(),
		TransportFailure: f.TransportFailure.text(),
		BytesSent:        n.parse(f.BytesSent),
		Authority:        f.Authority.text(),
		UpstreamHost:     f.UpstreamHost.text(),
		Cluster:          f.Cluster.text(),
		UpstreamLocal:    f.UpstreamLocal.text(),
		DownstreamLocal:  f.DownstreamLocal.text(),
		DownstreamRemote: f.DownstreamRemote.text(),
		SNI:              f.SNI.text(),
		Route:            f.Route.text(),
	}
	if flags := f.Flags.text(); flags != "" {
		l.Flags = strings.Split(flags, ",")
	}
	for _, other := range []entryField{f.BytesReceived, f.UpstreamTime} {
		n.parse(other)
	}
	if !n.ok {
		return evidence.Line{}, unreadable(line)
	}
	return l, nil
}

// unreadable returns the error for a line that was not read. A line of the access log
// begins with a time in brackets or is JSON with a time; other lines of a proxy's log
// do not and are not.
func unreadable(line string) error {
	if begins.MatchString(line) {
		return ErrUnreadable
	}
	return ErrNoLine
}

var begins = regexp.MustCompile(`^(\[[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z\] "|\{.*"start_time":")`)

// entryFields are the unparsed fields of a line, by their names in the JSON format.
type entryFields struct {
	Start            entryField `json:"start_time"`
	Method           entryField `json:"method"`
	Path             entryField `json:"path"`
	Protocol         entryField `json:"protocol"`
	Status           entryField `json:"response_code"`
	Flags            entryField `json:"response_flags"`
	Details          entryField `json:"response_code_details"`
	Termination      entryField `json:"connection_termination_details"`
	TransportFailure entryField `json:"upstream_transport_failure_reason"`
	BytesReceived    entryField `json:"bytes_received"`
	BytesSent        entryField `json:"bytes_sent"`
	Duration         entryField `json:"duration"`
	UpstreamTime     entryField `json:"upstream_service_time"`
	Authority        entryField `json:"authority"`
	UpstreamHost     entryField `json:"upstream_host"`
	Cluster          entryField `json:"upstream_cluster"`
	UpstreamLocal    entryField `json:"upstream_local_address"`
	DownstreamLocal  entryField `json:"downstream_local_address"`
	DownstreamRemote entryField `json:"downstream_remote_address"`
	SNI              entryField `json:"requested_server_name"`
	Route            entryField `json:"route_name"`
}

// An entryField is one value. In JSON it may be a string, a number, or null, which is
// "-" in the text format.
type entryField string

// UnmarshalJSON implements [json.Unmarshaler].
func (f *entryField) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(f))
	}
	if *f = entryField(b); string(b) == "null" {
		*f = "-"
	}
	return nil
}

func (f entryField) text() string {
	if f == "-" {
		return ""
	}
	return string(f)
}

// numbers parses fields and remembers whether all were numbers.
type numbers struct{ ok bool }

func (n *numbers) parse(f entryField) int64 {
	if f.text() == "" {
		return 0
	}
	v, err := strconv.ParseInt(string(f), 10, 64)
	n.ok = n.ok && err == nil
	return v
}

func (n *numbers) milliseconds(f entryField) time.Duration {
	ms := n.parse(f)
	n.ok = n.ok && ms >= 0 && ms < 1<<40 // 34 years, far from what a Duration holds
	return time.Duration(ms) * time.Millisecond
}

// splitEntry reads a line of text. Envoy escapes nothing, so a request can put anything
// into its path, X-Forwarded-For, user agent, request id and SNI, even text that looks
// like other fields. The two parts around these must each be found at one place only: a
// line that can be read in two ways is not read at all.
func splitEntry(line string) (f entryFields, ok bool) {
	start, rest, found := strings.Cut(line, "] \"")
	method, rest, found2 := strings.Cut(rest, " ")
	if !found || !found2 || !strings.HasPrefix(start, "[") {
		return f, false
	}
	f.Start, f.Method = entryField(start[1:]), entryField(method)
	tail := onlyMatch(logTail, rest)
	if tail == nil {
		return f, false
	}
	head, last := rest[:tail[0]], fieldsOf(rest, tail)
	middle := onlyMatch(logMiddle, head)
	if middle == nil {
		return f, false
	}
	f.Path = entryField(head[:middle[0]])
	for i, text := range fieldsOf(head, middle) {
		*[]*entryField{&f.Protocol, &f.Status, &f.Flags, &f.Details, &f.Termination, &f.TransportFailure,
			&f.BytesReceived, &f.BytesSent, &f.Duration, &f.UpstreamTime}[i] = entryField(text)
	}
	for i, text := range last {
		*[]*entryField{&f.Authority, &f.UpstreamHost, &f.Cluster, &f.UpstreamLocal, &f.DownstreamLocal,
			&f.DownstreamRemote, &f.SNI, &f.Route}[i] = entryField(text)
	}
	return f, true
}

// The parts of a line of text around those that the request can write.
var (
	logMiddle = regexp.MustCompile(` (HTTP/[0-9.]+|-)" ([0-9]+) (\S+) (\S+) (\S+) "([^"]*)" ([0-9]+) ([0-9]+) ([0-9]+|-) (\S+) "`)
	logTail   = regexp.MustCompile(` "([^"]*)" "(` + address + `)" ([^"\s]\S*) (` + address + `) (` + address + `) (` + address + `) (\S+) (\S+)`)
)

// address is an address with its port, that of an internal listener, or "-".
const address = `[0-9a-fA-F.:\[\]]+:[0-9]+|envoy://\S+|-`

// onlyMatch returns the one place where a pattern matches a text; nil if there are
// several or none.
func onlyMatch(pattern *regexp.Regexp, text string) []int {
	first := pattern.FindStringSubmatchIndex(text)
	if first == nil || pattern.MatchString(text[first[0]+1:]) {
		return nil
	}
	return first
}

// fieldsOf returns the texts of a match's groups.
func fieldsOf(text string, match []int) []string {
	var fields []string
	for i := 2; i < len(match); i += 2 {
		fields = append(fields, text[match[i]:match[i+1]])
	}
	return fields
}
