package internet

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"gopkg.in/yaml.v3"
)

// The keys of an answer by HTTP: of one answer, of one that may fail at first, and of
// answers by path.
var (
	oneAnswerKeys = []string{"status", "headers", "body", "redirect", "grpc", "delay", "cut", "reset"}
	pathKeys      = append(slices.Clone(oneAnswerKeys), "fail")
	answerKeys    = append(slices.Clone(pathKeys), "paths")
)

// answer reads the answer of a port.
func (p *parser) answer(fields map[string]*yaml.Node) Port {
	port := p.oneAnswer(fields, http.StatusOK)
	if of := fields["fail"]; of != nil {
		times, fail := p.failures(of)
		port.HTTP = &failing{times: times, fail: fail.HTTP, then: port.HTTP}
		port.H2C = port.H2C || fail.H2C
	}
	if of := fields["paths"]; of != nil {
		paths := map[string]http.Handler{}
		for key, value := range p.pairs(of, "paths to answers") {
			path, _ := strings.CutSuffix(key.Value, beneath)
			if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "*?#") {
				p.fail(key, "path %q: want one such as /a, or /a/* for all that begin with /a/", key.Value)
			}
			answer := p.answer(p.mapping(value, pathKeys...))
			paths[key.Value] = answer.HTTP
			port.H2C = port.H2C || answer.H2C
		}
		port.HTTP = &byPath{paths, port.HTTP}
	}
	return port
}

// failures reads a number or a mapping: how often requests fail at first, and how.
func (p *parser) failures(node *yaml.Node) (times int, how Port) {
	const most = 1000
	if node.Kind == yaml.ScalarNode {
		return p.number(node, 1, most), p.oneAnswer(nil, http.StatusServiceUnavailable)
	}
	fields := p.mapping(node, append([]string{"times"}, oneAnswerKeys...)...)
	if of := fields["times"]; of != nil {
		times = p.number(of, 1, most)
	} else if fields != nil {
		p.fail(node, "fail without times: want how many requests fail at first")
	}
	return times, p.oneAnswer(fields, http.StatusServiceUnavailable)
}

// oneAnswer reads an answer that is always the same. Without any key it has the usual
// status; if that is 200, the answer is an echo.
func (p *parser) oneAnswer(fields map[string]*yaml.Node, usual int) Port {
	if of := fields["reset"]; of != nil && p.yes(of) {
		for _, key := range []string{"status", "headers", "body", "redirect", "grpc", "cut"} {
			if of := fields[key]; of != nil {
				p.fail(of, "%s of an answer that is a reset", key)
			}
		}
		return p.late(fields, Port{HTTP: http.HandlerFunc(resetRequest)})
	}
	status, answer := p.content(fields, usual)
	if of := fields["grpc"]; of != nil {
		answer = grpcOr(p.grpc(of), answer)
	}
	headers := p.headers(fields["headers"])
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), headers)
		answer.ServeHTTP(w, r)
	})
	if of := fields["cut"]; of != nil && p.yes(of) {
		if !hasBody(status) {
			p.fail(of, "cut of an answer with status %d, which has no body", status)
		}
		handler = cutShort(handler)
	}
	return p.late(fields, Port{HTTP: handler, H2C: fields["grpc"] != nil})
}

// late reads the delay of a port's answer.
func (p *parser) late(fields map[string]*yaml.Node, port Port) Port {
	if of := fields["delay"]; of != nil {
		port.HTTP = delayed(p.duration(of), port.HTTP)
	}
	return port
}

// content reads status and body of an answer.
func (p *parser) content(fields map[string]*yaml.Node, usual int) (status int, answer http.Handler) {
	status = usual
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
		if !hasBody(status) {
			p.fail(of, "an answer with status %d has no body", status)
		}
	}
	switch {
	case fields["redirect"] != nil:
		return status, redirect(p.url(fields["redirect"]), status, body)
	case fields["status"] == nil && fields["body"] == nil && status == http.StatusOK:
		return status, http.HandlerFunc(echo)
	}
	return status, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client may be gone
	})
}

// hasBody reports whether an answer with a status may have a body.
func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// grpc reads a status or a mapping: how gRPC calls end.
func (p *parser) grpc(node *yaml.Node) (end grpcEnd) {
	const last = 16 // the largest gRPC status
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

// headers reads a mapping of header names to a value or a list of values.
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

// url reads the target of a redirect.
func (p *parser) url(node *yaml.Node) *url.URL {
	text := p.text(node)
	to, err := url.Parse(text)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		p.fail(node, "redirect %q: want a URL such as https://www.example.net", text)
		return new(url.URL)
	}
	return to
}

// redirect redirects to a URL. If the URL has no path, it adds the request's path and
// query.
func redirect(to *url.URL, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		location := to.String()
		if to.Path == "" && to.RawQuery == "" {
			location += r.URL.RequestURI()
		}
		w.Header().Set("Location", location)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client may be gone
	}
}
