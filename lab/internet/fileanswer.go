package internet

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/net/http/httpguts"
	"gopkg.in/yaml.v3"
)

// answerKeys are the keys that say what is answered by HTTP.
var answerKeys = []string{"status", "headers", "body", "redirect", "grpc", "delay"}

// answer reads what a port answers: what is written, or else an echo.
func (p *parser) answer(fields map[string]*yaml.Node) Port {
	status := http.StatusOK
	if fields["redirect"] != nil {
		status = http.StatusMovedPermanently
	}
	if of := fields["status"]; of != nil {
		status = p.number(of, 200, 599)
		if of := fields["redirect"]; of != nil && status/100 != 3 {
			p.fail(of, "redirect with status %d: want 301, 302, 303, 307 or 308", status)
		}
	}
	var body string
	if of := fields["body"]; of != nil {
		body = p.text(of)
		if status == http.StatusNoContent || status == http.StatusNotModified {
			p.fail(of, "an answer with status %d has no body", status)
		}
	}
	headers := p.headers(fields["headers"])
	var answer http.Handler = http.HandlerFunc(echo)
	switch {
	case fields["redirect"] != nil:
		answer = redirect(p.url(fields["redirect"]), status, body)
	case fields["status"] != nil || fields["body"] != nil:
		answer = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // a client that is gone wants no answer
		})
	}
	if of := fields["grpc"]; of != nil {
		answer = grpcOr(p.grpc(of), answer)
	}
	port := Port{H2C: fields["grpc"] != nil}
	port.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), headers)
		answer.ServeHTTP(w, r)
	})
	if of := fields["delay"]; of != nil {
		port.HTTP = delayed(p.duration(of), port.HTTP)
	}
	return port
}

// grpc reads how calls of gRPC end: a status, or a mapping.
func (p *parser) grpc(node *yaml.Node) (end grpcEnd) {
	const last = 16 // of gRPC's statuses
	if node.Kind == yaml.ScalarNode {
		end.status = p.number(node, 0, last)
		return end
	}
	fields := p.mapping(node, "status", "message", "trailersOnly")
	if of := fields["status"]; of != nil {
		end.status = p.number(of, 0, last)
	}
	if of := fields["message"]; of != nil {
		end.message = p.text(of)
	}
	end.trailersOnly = p.yes(fields["trailersOnly"])
	return end
}

// headers reads a mapping of names to a value or a list of values.
func (p *parser) headers(node *yaml.Node) http.Header {
	if node == nil {
		return nil
	}
	headers := http.Header{}
	fields := p.mapping(node)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		of := fields[name]
		values := []*yaml.Node{of}
		if of.Kind == yaml.SequenceNode {
			values = p.list(of)
		}
		for _, value := range values {
			text := p.text(value)
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text) {
				p.fail(value, "no header of HTTP: %q: %q", name, text)
			}
			headers.Add(name, text)
		}
	}
	return headers
}

// url reads where a redirect leads.
func (p *parser) url(node *yaml.Node) *url.URL {
	text := p.text(node)
	to, err := url.Parse(text)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		p.fail(node, "redirect %q: want a URL such as https://www.example.net", text)
		return new(url.URL)
	}
	return to
}

// redirect leads to a URL: if it has no path, to the request's path and query.
func redirect(to *url.URL, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		location := to.String()
		if to.Path == "" && to.RawQuery == "" {
			location += r.URL.RequestURI()
		}
		w.Header().Set("Location", location)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // a client that is gone wants no answer
	}
}
