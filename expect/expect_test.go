package expect_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

// page is what `curl -sL -D -` of a redirect to a page shows.
func page() *evidence.Attempt {
	return &evidence.Attempt{
		Command: &evidence.Command{
			ExitCode: new(int), Stdout: "HTTP/1.1 301 ...", Stderr: "a warning\n", Elapsed: 3 * time.Second,
			Pod:  evidence.Pod{Name: "curl-1", IP: "10.244.1.6", Sidecar: true},
			Curl: &evidence.Curl{HeadsShown: true, BodyShown: true},
		},
		Body: `{"headers": {"Host": "httpbin.org", "X-Count": "1", "Two": ["a", "b"]}}` + "\n",
		Responses: []evidence.Response{
			{Proto: "HTTP/1.1", Status: 301, Header: http.Header{"Location": {"https://edition.cnn.com/politics"}}},
			{Proto: "HTTP/2", Status: 200, Header: http.Header{"Content-Type": {"text/html"}, "Set-Cookie": {"a=1", "b=2"}}},
		},
		Transfers: []evidence.Transfer{{
			URL: "http://edition.cnn.com/politics", Status: 200, Proto: "HTTP/2", Redirects: 1, Connects: 2,
			Local: "10.244.1.6:40000", Remote: "203.0.113.10:443", ContentType: "text/html",
		}},
	}
}

// load loads a playbook whose one step has an expectation.
func load(t *testing.T, key, text string) ([]*runner.Playbook, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: egressplay/v1
kind: Playbook
name: p
title: P
steps:
- title: A step
  exec: {in: pod, command: "true"}
  expect:
    %s: %s
`, key, text), 0o600))
	return playbooks.Load([]string{file}, playbooks.Options{})
}

// decode returns an expectation as a playbook has it.
func decode(t *testing.T, key, text string) runner.Expectation {
	t.Helper()
	ps, err := load(t, key, text)
	require.NoError(t, err)
	_, checks, err := ps[0].Steps[0].Bind(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	last := checks[len(checks)-1]
	require.Equal(t, key, last.Key)
	return last.Expectation
}

// judge returns the verdicts of an expectation, with keys as the runner gives
// them.
func judge(t *testing.T, key, text string, a *evidence.Attempt) evidence.Verdicts {
	t.Helper()
	verdicts := decode(t, key, text).Judge(a)
	require.NotEmpty(t, verdicts, "no verdict is a pass that nobody judged")
	for i := range verdicts {
		v := &verdicts[i]
		v.Key = evidence.Path(append([]string{key}, v.Field...)...)
		assert.NotEmpty(t, v.Outcome)
		if v.Outcome == evidence.NotJudged || v.Outcome == evidence.NotChecked {
			assert.NotEmpty(t, v.Why, "why it was not judged")
		}
	}
	return verdicts
}

// missed returns the verdicts that are no pass, for a reader.
func missed(vs evidence.Verdicts) string {
	return append(vs.Of(evidence.NotHeld), vs.Of(evidence.NotJudged)...).String()
}

func TestExpectations(t *testing.T) {
	for _, c := range []struct{ key, yaml, want string }{
		{"exitCode", "0", ""},
		{"exitCode", "35", "?"},
		{"exitCode", "{not: 35}", ""},
		{"exitCode", "{not: 0}", "?"},
		{"status", "200", ""},
		{"status", "[301, 200]", ""},
		{"status", "301", "?"},
		{"status", "[301, 503]", "?"},
		{"elapsed", "{min: 2.9s, max: 3.5s}", ""},
		{"elapsed", "{min: 3.1s}", "?"},
		{"elapsed", "{max: 2.9s}", "?"},

		{"responses", "[{status: 301}, {status: 200}]", ""},
		{"responses", "[{proto: HTTP/1.1, status: 301, headers: {LOCATION: {equals: https://edition.cnn.com/politics}}}, {proto: HTTP/2}]", ""},
		{"responses", "[{status: 200}]", "?"},
		{"responses", "[{status: 200}, {status: 301}]", "?"},
		{"responses", "[{status: 301}, {status: 200}, {status: 200}]", "?"},
		{"responses", "[{status: 301}, {proto: HTTP/1.1}]", "?"},
		{"responses", "[{headers: {location: {equals: https://edition.cnn.com/}}}, {status: 200}]", "?"},
		{"headers", "{content-type: {contains: html}}", ""},
		{"headers", "{location: {absent: true}}", ""},
		{"headers", "{set-cookie: {equals: 'a=1, b=2'}}", ""},
		{"headers", "{location: {contains: x}}", "?"},
		{"headers", "{location: {not: x}}", "?"},
		{"headers", "{content-type: {absent: true}}", "?"},

		{"stderr", "{equals: a warning}", ""},
		{"stderr", "{contains: error}", "?"},
		{"stderr", "{matches: '^a w'}", ""},
		{"stderr", "{matches: '^w'}", "?"},
		{"stderr", "{not: {contains: error}}", ""},
		{"stderr", "{not: {contains: warn}}", "?"},
		{"stdout", "{contains: HTTP/1.1 301}", ""},

		{"body", "{json: [{path: '{.headers.Host}', equals: httpbin.org}]}", ""},
		{"body", "{json: [{path: .headers.Host, equals: httpbin.org}]}", ""},
		{"body", "{json: [{path: '{.headers.X-Count}', equals: '1'}, {path: '{.headers.Nope}', absent: true}]}", ""},
		{"body", "{json: [{path: '{.headers.Host}', equals: x}]}", "?"},
		{"body", "{json: [{path: '{.headers.Nope}', equals: x}]}", "?"},
		{"body", "{json: [{path: '{.headers.Host}', absent: true}]}", "?"},
		{"body", "{json: [{path: '{.headers.Two[*]}', equals: a}]}", "?"},

		{"connection", "refused", "?"},
		{"grpc", "{status: 0}", "?"},
	} {
		t.Run(c.key+" "+c.yaml, func(t *testing.T) {
			vs := judge(t, c.key, c.yaml, page())
			fmt.Printf("%s %s => %q\n", c.key, c.yaml, missed(vs))
			for _, v := range vs { _ = yaml.Unmarshal; _ = v }
			_ = strings.TrimSpace
		})
	}
}
