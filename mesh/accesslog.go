package mesh

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// An Entry is a line of a proxy's access log in Istio's default text format,
// behind which further fields may stand. A field that the line leaves out ("-") is empty.
// Source: istio.io "Envoy Access Logs", "Default access log format"; the
// format itself is EnvoyTextLogFormat in istio/istio
// pilot/pkg/model/telemetry_logging.go.
type Entry struct {
	Line string // the whole line

	Start    time.Time // when the request began, to the millisecond
	Method   string    // this and the next two are empty for a connection that is no HTTP
	Path     string
	Protocol string // "HTTP/1.1", "HTTP/2"
	Status   int    // 0 for a connection that is no HTTP, or when no response came
	Flags    []string
	Details  string // how the response came about: "via_upstream", "direct_response"

	TransportFailure string
	Duration         time.Duration
	RequestID        string
	Authority        string

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
	e := Entry{Line: line}
	fields, ok := splitEntry(line)
	if !ok || len(fields) < 22 {
		return Entry{}, ErrNoEntry
	}
	start, ok := strings.CutPrefix(fields[0], "[")
	start, ok2 := strings.CutSuffix(start, "]")
	var err error
	if e.Start, err = time.Parse(time.RFC3339, start); !ok || !ok2 || err != nil {
		return Entry{}, ErrNoEntry
	}
	request := strings.Fields(fields[1])
	if len(request) != 3 {
		// A path with a blank in it: the method is the first word, the protocol
		// the last.
		if len(request) < 3 {
			return Entry{}, ErrNoEntry
		}
		request = []string{request[0], strings.Join(request[1:len(request)-1], " "), request[len(request)-1]}
	}
	e.Method, e.Path, e.Protocol = dash(request[0]), dash(request[1]), dash(request[2])
	if e.Status, err = strconv.Atoi(fields[2]); err != nil {
		return Entry{}, ErrNoEntry
	}
	if flags := dash(fields[3]); flags != "" {
		e.Flags = strings.Split(flags, ",")
	}
	e.Details = dash(fields[4])
	e.TransportFailure = dash(fields[6])
	ms, err := strconv.ParseInt(fields[9], 10, 32)
	if err != nil && fields[9] != "-" {
		return Entry{}, ErrNoEntry
	}
	e.Duration = time.Duration(ms) * time.Millisecond
	e.RequestID, e.Authority = dash(fields[13]), dash(fields[14])
	e.UpstreamHost, e.Cluster = dash(fields[15]), dash(fields[16])
	e.UpstreamLocal, e.DownstreamLocal, e.DownstreamRemote = dash(fields[17]), dash(fields[18]), dash(fields[19])
	e.SNI, e.Route = dash(fields[20]), dash(fields[21])
	return e, nil
}

func dash(field string) string {
	if field == "-" {
		return ""
	}
	return field
}

// splitEntry splits a line at its blanks, but for those between quotation
// marks.
func splitEntry(line string) (fields []string, ok bool) {
	for line != "" {
		var field string
		if rest, quoted := strings.CutPrefix(line, `"`); quoted {
			if field, line, ok = strings.Cut(rest, `"`); !ok || line != "" && line[0] != ' ' {
				return nil, false
			}
			line = strings.TrimPrefix(line, " ")
		} else {
			field, line, _ = strings.Cut(line, " ")
		}
		fields = append(fields, field)
	}
	return fields, true
}
