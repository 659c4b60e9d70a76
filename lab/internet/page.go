package internet

import (
	"fmt"
	"net/http"
)

// page answers every path with a small page that has this title.
func page(title string) http.Handler {
	body := fmt.Appendf(nil, `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>%[1]s</title></head>
<body><p>This is the stand-in for %[1]s in a lab without an internet.</p></body>
</html>
`, title)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, r.Method+" is not allowed here.", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body) // the client may be gone
	})
}

// redirectToHTTPS redirects every request with 301 to the same path and query at
// https://name.
func redirectToHTTPS(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://"+name+r.URL.RequestURI())
		w.WriteHeader(http.StatusMovedPermanently)
	})
}

// byName chooses the answer by the name in the Host header.
type byName map[string]http.Handler

func (hosts byName) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := hosts[nameIn(r.Host)]
	if handler == nil { // a request without one, as HTTP/1.0 has it
		http.Error(w, "Which host do you mean?", http.StatusBadRequest)
		return
	}
	handler.ServeHTTP(w, r)
}
