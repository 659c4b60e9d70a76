package internet

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Record is one request that reached a stand-in, or a connection without one.
// When such a connection ended, Error says how. What is not known is zero.
//
// It is written when the connection is there, again when more is known of it, and
// at the latest before the client has an answer. The first request of a connection
// takes over the connection's record. So what arrived has one ID, and of the lines
// with an ID the last one counts; [ReadRecords] reads them so.
type Record struct {
	ID   uint64    `json:"id"`             // of what arrived, from 1
	Open bool      `json:"open,omitempty"` // the request has no answer yet, or the connection no end
	Time time.Time `json:"time"`           // of the request's arrival, or of the connection's
	Site string    `json:"site"`           // the stand-in it reached, by its first name
	Host string    `json:"host,omitempty"`

	// Owner is the stand-in that has the name which the client asked for, by its
	// first name: by the Host header, or without one by the SNI. It is "" for a name
	// that no stand-in has. If Owner is not Site, the client was led, or went, to
	// another server than it named.
	Owner string `json:"owner,omitempty"`

	SNI         string   `json:"sni,omitempty"`
	ALPN        string   `json:"alpn,omitempty"`        // what both agreed on
	ALPNOffered []string `json:"alpnOffered,omitempty"` // what the client offered
	TLS         bool     `json:"tls"`

	Protocol string `json:"protocol,omitempty"` // HTTP/1.1, HTTP/2.0; at a port of TCP alone [protocolTCP]
	Received int64  `json:"received,omitempty"` // bytes of the client, at a port of TCP alone
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"` // with the query
	Status   int    `json:"status,omitempty"`

	GRPCStatus *int `json:"grpcStatus,omitempty"` // if the answer has one

	Remote string `json:"remote"` // IP:PORT of the one who connected
	Local  string `json:"local"`

	ClientCertificate       string `json:"clientCertificate,omitempty"` // its subject
	ClientCertificateIssuer string `json:"clientCertificateIssuer,omitempty"`

	Headers map[string]string `json:"headers,omitempty"` // those of recordedHeaders, in lower case
	Error   string            `json:"error,omitempty"`

	// Truncated means that the client sent more than is kept: of each text
	// there are the first 4 KiB.
	Truncated bool `json:"truncated,omitempty"`
}

// protocolTCP is the protocol of a [Record] of a port that does not speak HTTP.
const protocolTCP = "TCP"

// recordedHeaders tell who handled a request on its way.
var recordedHeaders = []string{"x-request-id", "x-forwarded-for", "x-envoy-decorator-operation"}

// describe adds what a request says.
func (r *Record) describe(req *http.Request) {
	r.Host = req.Host
	r.Protocol, r.Method, r.Path = req.Proto, req.Method, req.URL.RequestURI()
	if req.TLS != nil {
		r.ALPN = req.TLS.NegotiatedProtocol
		r.ClientCertificate, r.ClientCertificateIssuer = clientCertificate(req.TLS)
	}
	for _, name := range recordedHeaders {
		if values := req.Header.Values(name); len(values) > 0 {
			if r.Headers == nil {
				r.Headers = map[string]string{}
			}
			r.Headers[name] = strings.Join(values, ",")
		}
	}
}

// bound cuts what a client sent to the size that a record may have.
func (r *Record) bound() {
	shorten := func(text string) string {
		short := cut(text, maxText)
		r.Truncated = r.Truncated || len(short) < len(text)
		return short
	}
	for _, text := range []*string{
		&r.Host, &r.Owner, &r.SNI, &r.ALPN, &r.Protocol, &r.Method, &r.Path, &r.ClientCertificate, &r.ClientCertificateIssuer, &r.Error,
	} {
		*text = shorten(*text)
	}
	r.Headers = maps.Clone(r.Headers) // another line of the same record may be to come
	for name, value := range r.Headers {
		r.Headers[name] = shorten(value)
	}
	size := 0
	for i, protocol := range r.ALPNOffered {
		if size += len(protocol); size > maxText {
			r.ALPNOffered, r.Truncated = r.ALPNOffered[:i:i], true
			break
		}
	}
}

// Line returns the record as JSON on a line of its own, of printable characters
// alone, so that a terminal may show it.
func (r *Record) Line() ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, err
	}
	// What is not ASCII stands in texts, where JSON has the same escapes.
	return append([]byte(Plain(strings.TrimSuffix(line.String(), "\n"))), '\n'), nil
}

// ReadRecords reads what was written to [Config.Record] and returns what arrived,
// each as the last line about it has it, in the order of arrival. An unfinished
// last line is left out: it is being written.
func ReadRecords(r io.Reader) ([]Record, error) {
	var records []Record
	place := map[uint64]int{} // by ID
	err := eachLine(r, func(record Record) error {
		if i, known := place[record.ID]; known {
			records[i] = record
			return nil
		}
		place[record.ID] = len(records)
		records = append(records, record)
		return nil
	})
	slices.SortStableFunc(records, func(a, b Record) int { return a.Time.Compare(b.Time) })
	return records, err
}

// FollowRecords reads on where [ReadRecords] would end. It hands over each record
// once it is no longer open, and returns when r ends or do fails.
func FollowRecords(r io.Reader, do func(Record) error) error {
	return eachLine(r, func(record Record) error {
		if record.Open {
			return nil
		}
		return do(record)
	})
}

func eachLine(r io.Reader, do func(Record) error) error {
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		var record Record
		if err == nil {
			err = json.Unmarshal(line, &record)
		}
		if err != nil {
			return fmt.Errorf("read a record: %w", err)
		}
		if err := do(record); err != nil {
			return err
		}
	}
}

// recorder writes records, each as one whole line and at once.
type recorder struct {
	ids    atomic.Uint64
	failed chan error // gets the first record that could not be written

	mu     sync.Mutex
	w      io.Writer
	closed bool
}

func newRecorder(w io.Writer) *recorder { return &recorder{w: w, failed: make(chan error, 1)} }

// newID returns the ID of something that has just arrived.
func (r *recorder) newID() uint64 { return r.ids.Add(1) }

func (r *recorder) write(record Record) {
	record.bound()
	line, err := record.Line()
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closed {
			return
		}
		_, err = r.w.Write(line)
	}
	if err != nil {
		select {
		case r.failed <- fmt.Errorf("record what reached %s: %w", record.Site, err):
		default:
		}
	}
}

// close lets nothing be written any more.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
