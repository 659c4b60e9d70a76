package internet

import (
	"net/http"
	"strings"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// newHTTPBin is go-httpbin, but for /headers.
func newHTTPBin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", httpbin.New(httpbin.WithHostname("httpbin.org")))
	mux.HandleFunc("/headers", headers)
	return mux
}

// headers answers with the request's headers in the form of httpbin.org,
// which the tutorials print: two spaces for each step, names sorted, each
// value one string. The form of go-httpbin has lists for values.
//
// It shows them all, where httpbin.org leaves out a few that its own load
// balancer adds: the tutorials' text wants a header after
// X-Envoy-Decorator-Operation, and with Envoy that is X-Request-Id or
// X-Forwarded-Proto.
func headers(w http.ResponseWriter, r *http.Request) {
	shown := map[string]string{"Host": r.Host}
	for name, values := range r.Header {
		shown[name] = strings.Join(values, ",")
	}
	writeJSON(w, map[string]any{"headers": shown})
}
