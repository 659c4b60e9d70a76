package internet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Record is one request that reached a stand-in, or a connection that ended
// without one: then Error says how, and what is known of the rest is there.
// As JSON it is one line.
type Record struct {
	Time time.Time `json:"time"` // of the request's arrival, or of the connection's
	Site string    `json:"site"` // the stand-in it reached, by its first name
	Host string    `json:"host,omitempty"`

	SNI         string   `json:"sni,omitempty"`
	ALPN        string   `json:"alpn,omitempty"`        // what both agreed on
	ALPNOffered []string `json:"alpnOffered,omitempty"` // what the client offered
	TLS         bool     `json:"tls"`

	Protocol string `json:"protocol,omitempty"` // HTTP/1.1, HTTP/2.0
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"` // with the query
	Status   int    `json:"status,omitempty"`

	Remote string `json:"remote"` // IP:PORT of the one who connected
	Local  string `json:"local"`

	ClientCertificate       string `json:"clientCertificate,omitempty"` // its subject
	ClientCertificateIssuer string `json:"clientCertificateIssuer,omitempty"`

	Headers map[string]string `json:"headers,omitempty"` // those of recordedHeaders, in lower case
	Error   string            `json:"error,omitempty"`
}

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

// recorder writes records, each as one whole line and at once.
type recorder struct {
	failed chan error // gets the first record that could not be written

	mu     sync.Mutex
	w      io.Writer
	closed bool
}

func newRecorder(w io.Writer) *recorder { return &recorder{w: w, failed: make(chan error, 1)} }

func (r *recorder) write(record Record) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(record) // ends the line
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.closed {
			return
		}
		_, err = r.w.Write(line.Bytes())
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
