package internet

import (
	"net/http"
	"strings"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// newHTTPBin returns go-httpbin with another handler for /headers.
func newHTTPBin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", httpbin.New(httpbin.WithHostname("httpbin.org")))
	mux.HandleFunc("/headers", headers)
	return mux
}

// headers answers with the request's headers in the form of httpbin.org, which the
// tutorials print: indented by two spaces, names sorted, each value one string.
// go-httpbin has lists for values.
//
// It shows all headers; httpbin.org leaves out a few that its own load balancer adds.
// The tutorials' text wants a header after X-Envoy-Decorator-Operation, and with Envoy
// that is X-Request-Id or X-Forwarded-Proto.
func headers(w http.ResponseWriter, r *http.Request) {
	shown := map[string]string{"Host": r.Host}
	for name, values := range r.Header {
		shown[name] = strings.Join(values, ",")
	}
	writeJSON(w, map[string]any{"headers": shown})
}
