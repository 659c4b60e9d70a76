package internet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// echoed is what an echo returns of a request.
type echoed struct {
	Method   string            `json:"method"`
	Host     string            `json:"host"`
	Path     string            `json:"path"` // with the query
	Protocol string            `json:"protocol"`
	Headers  map[string]string `json:"headers"`

	// Of TLS.
	SNI                     string `json:"sni,omitempty"`
	ClientCertificate       string `json:"clientCertificate,omitempty"` // its subject
	ClientCertificateIssuer string `json:"clientCertificateIssuer,omitempty"`
}

// echo answers with the request.
func echo(w http.ResponseWriter, r *http.Request) {
	said := echoed{Method: r.Method, Host: r.Host, Path: r.URL.RequestURI(), Protocol: r.Proto, Headers: map[string]string{}}
	for name, values := range r.Header {
		said.Headers[name] = strings.Join(values, ",")
	}
	if r.TLS != nil {
		said.SNI = r.TLS.ServerName
		said.ClientCertificate, said.ClientCertificateIssuer = clientCertificate(r.TLS)
	}
	writeJSON(w, said)
}

// writeJSON answers with a value as JSON, indented by two spaces.
func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client may be gone
}

const (
	usualDelay   = 5 * time.Second
	longestDelay = 5 * time.Minute

	// statusClientGone is the status of nginx and go-httpbin for a client that did not
	// wait for its answer.
	statusClientGone = 499
)

// slow calls another handler after the time in the path: /2.5 in seconds, /300ms with a
// unit, 5s for /.
func slow(answer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		delay, err := delayIn(r.URL.Path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		delayed(delay, answer).ServeHTTP(w, r)
	})
}

func delayIn(path string) (time.Duration, error) {
	text := strings.TrimPrefix(path, "/")
	if text == "" {
		return usualDelay, nil
	}
	delay, err := time.ParseDuration(text)
	if err != nil {
		delay, err = time.ParseDuration(text + "s")
	}
	if err != nil || delay < 0 || delay > longestDelay {
		return 0, fmt.Errorf("the path %q is no delay: want one such as /2.5 (seconds) or /300ms, up to %v", path, longestDelay)
	}
	return delay, nil
}

// delayed calls another handler after a time.
func delayed(delay time.Duration, answer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			answer.ServeHTTP(w, r)
		case <-r.Context().Done():
			w.WriteHeader(statusClientGone)
		}
	})
}
