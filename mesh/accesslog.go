package mesh

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// An Entry is a line of a proxy's access log in one of Istio's two default
// formats, text and JSON. A field that the line leaves out ("-") is empty.
// Sources: istio.io "Envoy Access Logs", "Default access log format"; the
// formats themselves are EnvoyTextLogFormat, behind which further fields may
// stand, and EnvoyJSONLogFormatIstio in istio/istio
// pilot/pkg/model/telemetry_logging.go.
type Entry struct {
	Line string // the whole line

	Start       time.Time // when the request began, to the millisecond
	Method      string    // this and the next two are empty for a connection that is no HTTP
	Path        string
	Protocol    string   // "HTTP/1.1", "HTTP/2"
	Status      int      // 0 for a connection that is no HTTP, or when no response came
	Flags       []string // Envoy's response flags: "UH", "URX"
	Details     string   // how the response came about: "via_upstream", "direct_response"
	Termination string   // why Envoy ended the connection

	TransportFailure string // why the connection to the upstream failed
	BytesReceived    int64
	BytesSent        int64
	Duration         time.Duration // until the last byte was sent
	UpstreamTime     time.Duration // as the upstream tells it; 0 when it does not

	ForwardedFor string // X-Forwarded-For
	UserAgent    string
	RequestID    string
	Authority    string

	UpstreamHost     string // "ip:port"
	Cluster          string // "outbound|80||httpbin.org", "PassthroughCluster"
	UpstreamLocal    string // the address from which the proxy connected
	DownstreamLocal  string // the address to which the client connected
	DownstreamRemote string // the address from which the client connected
	SNI              string
	Route            string
}

// ErrNoEntry says that a line of a proxy's log is none of its access log.
var ErrNoEntry = errors.New("no line of the access log")

// ParseEntry reads a line of the access log. The error is [ErrNoEntry] for a
// line that is none.
func ParseEntry(line string) (Entry, error) {
	var f entryFields
	ok := false
	if strings.HasPrefix(line, "{") {
		ok = json.Unmarshal([]byte(line), &f) == nil
	} else {
		f, ok = splitEntry(line)
	}
	if !ok {
		return Entry{}, ErrNoEntry
	}
	start, err := time.Parse(time.RFC3339, string(f.Start))
	if err != nil {
		return Entry{}, ErrNoEntry
	}
	n := numbers{ok: true}
	e := Entry{
		Line: line,

		Start:       start,
		Method:      f.Method.text(),
		Path:        f.Path.text(),
		Protocol:    f.Protocol.text(),
		Status:      int(n.parse(f.Status)),
		Details:     f.Details.text(),
		Termination: f.Termination.text(),

		TransportFailure: f.TransportFailure.text(),
		BytesReceived:    n.parse(f.BytesReceived),
		BytesSent:        n.parse(f.BytesSent),
		Duration:         n.milliseconds(f.Duration),
		UpstreamTime:     n.milliseconds(f.UpstreamTime),

		ForwardedFor: f.ForwardedFor.text(),
		UserAgent:    f.UserAgent.text(),
		RequestID:    f.RequestID.text(),
		Authority:    f.Authority.text(),

		UpstreamHost:     f.UpstreamHost.text(),
		Cluster:          f.Cluster.text(),
		UpstreamLocal:    f.UpstreamLocal.text(),
		DownstreamLocal:  f.DownstreamLocal.text(),
		DownstreamRemote: f.DownstreamRemote.text(),
		SNI:              f.SNI.text(),
		Route:            f.Route.text(),
	}
	if flags := f.Flags.text(); flags != "" {
		e.Flags = strings.Split(flags, ",")
	}
	if !n.ok {
		return Entry{}, ErrNoEntry
	}
	return e, nil
}

// entryFields are the fields of a line as they stand there, by their names in
// the JSON format.
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
	ForwardedFor     entryField `json:"x_forwarded_for"`
	UserAgent        entryField `json:"user_agent"`
	RequestID        entryField `json:"request_id"`
	Authority        entryField `json:"authority"`
	UpstreamHost     entryField `json:"upstream_host"`
	Cluster          entryField `json:"upstream_cluster"`
	UpstreamLocal    entryField `json:"upstream_local_address"`
	DownstreamLocal  entryField `json:"downstream_local_address"`
	DownstreamRemote entryField `json:"downstream_remote_address"`
	SNI              entryField `json:"requested_server_name"`
	Route            entryField `json:"route_name"`
}

// An entryField is one value. In JSON it may be a string, a number, or null
// for what text shows as "-".
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

// splitEntry reads a line of text. Envoy escapes nothing, so a client can put
// quotation marks into its user agent; what stands behind has none of its own.
func splitEntry(line string) (f entryFields, ok bool) {
	s := splitter{rest: line, ok: true}
	start := s.word()
	request := s.quoted()
	method, rest, ok1 := strings.Cut(request, " ")
	last := strings.LastIndex(rest, " ") // a path may have blanks
	if !ok1 || last < 0 || !strings.HasPrefix(start, "[") || !strings.HasSuffix(start, "]") {
		return f, false
	}
	f.Start = entryField(start[1 : len(start)-1])
	f.Method, f.Path, f.Protocol = entryField(method), entryField(rest[:last]), entryField(rest[last+1:])
	for _, word := range []*entryField{&f.Status, &f.Flags, &f.Details, &f.Termination} {
		*word = entryField(s.word())
	}
	f.TransportFailure = entryField(s.quoted())
	for _, word := range []*entryField{&f.BytesReceived, &f.BytesSent, &f.Duration, &f.UpstreamTime} {
		*word = entryField(s.word())
	}
	f.ForwardedFor = entryField(s.quoted())
	if !s.ok || !strings.HasPrefix(s.rest, `"`) {
		return f, false
	}

	agent := s.rest[1:]
	// From the end: what looks like the rest of a line may be in it too.
	for end := strings.LastIndex(agent, `" `); end >= 0; end = strings.LastIndex(agent[:end], `" `) {
		s := splitter{rest: agent[end+2:], ok: true}
		for _, text := range []*entryField{&f.RequestID, &f.Authority, &f.UpstreamHost} {
			*text = entryField(s.quoted())
		}
		for _, word := range []*entryField{&f.Cluster, &f.UpstreamLocal, &f.DownstreamLocal, &f.DownstreamRemote, &f.SNI, &f.Route} {
			*word = entryField(s.word())
		}
		if s.ok {
			f.UserAgent = entryField(agent[:end])
			return f, true
		}
	}
	return f, false
}

// A splitter takes fields off the beginning of a line.
type splitter struct {
	rest string
	ok   bool // every field was there, and was what it was taken for
}

// word takes a field without quotation marks.
func (s *splitter) word() string {
	word, rest, _ := strings.Cut(s.rest, " ")
	s.ok = s.ok && word != "" && word[0] != '"'
	s.rest = rest
	return word
}

// quoted takes a field between quotation marks, behind which another one is.
func (s *splitter) quoted() string {
	text, isQuoted := strings.CutPrefix(s.rest, `"`)
	text, rest, ended := strings.Cut(text, `" `)
	s.ok = s.ok && isQuoted && ended && !strings.Contains(text, `"`)
	s.rest = rest
	return text
}
