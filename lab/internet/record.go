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
// If such a connection has ended, Error says how. Fields that are not known are zero.
//
// It is written when the connection is made, again when more is known about it, and for
// the last time before the client has an answer. The first request of a connection
// takes over the connection's record. So everything that arrived has one ID, and the
// last line with an ID counts; [ReadRecords] reads them so.
type Record struct {
	ID   uint64    `json:"id"`             // of the request or connection, from 1
	Open bool      `json:"open,omitempty"` // the request has no answer yet, or the connection no end
	Time time.Time `json:"time"`           // of the request's arrival, or of the connection's
	Site string    `json:"site"`           // the stand-in it reached, by its first name
	Host string    `json:"host,omitempty"`

	// Owner is the stand-in with the name that the client asked for, by its first name.
	// The client asks by the Host header, or without one by the SNI. Owner is "" for a
	// name that no stand-in has. If Owner is not Site, the client was led, or went, to
	// another server than it named.
	Owner string `json:"owner,omitempty"`

	SNI         string   `json:"sni,omitempty"`
	ALPN        string   `json:"alpn,omitempty"`        // what both agreed on
	ALPNOffered []string `json:"alpnOffered,omitempty"` // what the client offered
	TLS         bool     `json:"tls"`

	Protocol string `json:"protocol,omitempty"` // HTTP/1.1, HTTP/2.0; [protocolTCP] at a port without HTTP
	Received int64  `json:"received,omitempty"` // how many bytes of the client, at a port without HTTP
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"` // with the query
	Status   int    `json:"status,omitempty"`

	GRPCStatus *int `json:"grpcStatus,omitempty"` // if the answer has one

	Remote string `json:"remote"` // IP:PORT of the client
	Local  string `json:"local"`

	ClientCertificate       string `json:"clientCertificate,omitempty"` // its subject
	ClientCertificateIssuer string `json:"clientCertificateIssuer,omitempty"`

	Headers map[string]string `json:"headers,omitempty"` // only recordedHeaders; names in lower case
	Error   string            `json:"error,omitempty"`

	// Truncated reports whether the client sent more than is kept: the record has the
	// first 4 KiB of each text.
	Truncated bool `json:"truncated,omitempty"`
}

// protocolTCP is the protocol of a [Record] of a port that does not speak HTTP.
const protocolTCP = "TCP"

// recordedHeaders are the headers that show who handled a request on its way.
var recordedHeaders = []string{"x-request-id", "x-forwarded-for", "x-envoy-decorator-operation"}

// describe adds the contents of a request.
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
	r.Headers = maps.Clone(r.Headers) // another line of the same record may follow
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

// Line returns the record as one line of JSON, with printable characters only, so that
// a terminal can show it.
func (r *Record) Line() ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, err
	}
	// Characters outside ASCII are in strings only, where JSON has the same escapes.
	return append([]byte(Plain(strings.TrimSuffix(line.String(), "\n"))), '\n'), nil
}

// ReadRecords reads what was written to [Config.Record] and returns everything that
// arrived, in the order of arrival, with the contents of the last line about it. It
// leaves out an unfinished last line, which is being written.
func ReadRecords(r io.Reader) ([]Record, error) {
	var records []Record
	place := map[uint64]int{} // by ID: its index
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

// FollowRecords is like [ReadRecords], but calls do with each record as soon as that is
// no longer open. It returns when r ends or do fails.
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

// recorder writes records, each at once and as one whole line.
type recorder struct {
	ids    atomic.Uint64
	failed chan error // gets the first record that could not be written

	mu     sync.Mutex
	w      io.Writer
	closed bool
}

func newRecorder(w io.Writer) *recorder { return &recorder{w: w, failed: make(chan error, 1)} }

// newID returns the next ID.
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

// close prevents any further write.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}
