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

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

// page is what `curl -sL -D -` of a redirect to a page shows.
func page() *runner.Observation {
	return &runner.Observation{
		ExitCode: new(int),
		Stdout:   "HTTP/1.1 301 ...", Stderr: "a warning\n",
		Body:       `{"headers": {"Host": "httpbin.org", "X-Count": "1", "Two": ["a", "b"]}}` + "\n",
		HeadsShown: true, Redirects: 1,
		Responses: []runner.Response{
			{Proto: "HTTP/1.1", Status: 301, Header: http.Header{"Location": {"https://edition.cnn.com/politics"}}},
			{Proto: "HTTP/2", Status: 200, Header: http.Header{"Content-Type": {"text/html"}, "Set-Cookie": {"a=1", "b=2"}}},
		},
		Elapsed: 3 * time.Second,
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
	_, es, err := ps[0].Steps[0].Bind(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	return es[len(es)-1]
}

func TestExpectations(t *testing.T) {
	for _, c := range []struct{ key, yaml, want string }{
		{"exitCode", "0", ""},
		{"exitCode", "35", "exit code: want 35, got 0"},
		{"status", "200", ""},
		{"status", "301", "status: want 301, got 200"},
		{"elapsed", "{min: 2.9s, max: 3.5s}", ""},
		{"elapsed", "{min: 3.1s}", "time: want at least 3.1s, got 3s"},
		{"elapsed", "{max: 2.9s}", "time: want at most 2.9s, got 3s"},

		{"responses", "[{status: 301}, {status: 200}]", ""},
		{"responses", "[{proto: HTTP/1.1, status: 301, headers: {LOCATION: {equals: https://edition.cnn.com/politics}}}, {proto: HTTP/2}]", ""},
		{"responses", "[{status: 200}]", "responses: want 1, got 2 HTTP/1.1 301, HTTP/2 200\nstatus: want 200, got 301"},
		{"responses", "[{status: 200}, {status: 301}]", "status of response 1: want 200, got 301\nstatus of response 2: want 301, got 200"},
		{"responses", "[{status: 301}, {status: 200}, {status: 200}]", "responses: want 3, got 2 HTTP/1.1 301, HTTP/2 200"},
		{"responses", "[{status: 301}, {proto: HTTP/1.1}]", "protocol of response 2: want HTTP/1.1, got HTTP/2"},
		{"responses", "[{headers: {location: {equals: https://edition.cnn.com/}}}, {status: 200}]",
			"header location of response 1: want https://edition.cnn.com/, got https://edition.cnn.com/politics"},
		{"headers", "{content-type: {contains: html}}", ""},
		{"headers", "{location: {absent: true}}", ""},
		{"headers", "{set-cookie: {equals: 'a=1, b=2'}}", ""},
		{"headers", "{location: {contains: x}}", "header location: want containing x, got no such header"},
		{"headers", "{content-type: {absent: true}}", "header content-type: want none, got text/html"},

		{"stderr", "{equals: a warning}", ""},
		{"stderr", "{contains: error}", `stderr: want to contain error, got "a warning"`},
		{"stderr", "{matches: '^a w'}", ""},
		{"stderr", "{matches: '^w'}", `stderr: want to match ^w, got "a warning"`},
		{"stderr", "{not: {contains: error}}", ""},
		{"stderr", "{not: {contains: warn}}", `stderr: want not containing warn, got "a warning"`},
		{"stdout", "{contains: HTTP/1.1 301}", ""},

		{"body", "{json: [{path: '{.headers.Host}', equals: httpbin.org}]}", ""},
		{"body", "{json: [{path: .headers.Host, equals: httpbin.org}]}", ""},
		{"body", "{json: [{path: '{.headers.X-Count}', equals: '1'}, {path: '{.headers.Nope}', absent: true}]}", ""},
		{"body", "{json: [{path: '{.headers.Host}', equals: x}]}", "body at {.headers.Host}: want x, got httpbin.org"},
		{"body", "{json: [{path: '{.headers.Nope}', equals: x}]}", "body at {.headers.Nope}: want x, got no value"},
		{"body", "{json: [{path: '{.headers.Host}', absent: true}]}", "body at {.headers.Host}: want no value, got httpbin.org"},
		{"body", "{json: [{path: '{.headers.Two[*]}', equals: a}]}", "body at {.headers.Two[*]}: want one value, got 2 values"},
	} {
		t.Run(c.key+" "+c.yaml, func(t *testing.T) {
			err := decode(t, c.key, c.yaml).Check(page())
			if c.want == "" {
				assert.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
			switch err.(type) {
			case *runner.Mismatch, runner.Mismatches:
			default:
				t.Errorf("%T is no mismatch", err)
			}
		})
	}
}

func TestWithoutAResponseNothingIsKnownOfIt(t *testing.T) {
	none := &runner.Observation{ExitCode: new(int)}
	for key, text := range map[string]string{
		"status": "200", "responses": "[{status: 200}]", "headers": "{a: {absent: true}}", "body": "{not: {contains: x}}",
	} {
		assert.Error(t, decode(t, key, text).Check(none), key)
	}
}

func TestWhatCannotBeJudgedIsNoMismatch(t *testing.T) {
	hidden := page()
	hidden.HeadsShown, hidden.Responses = false, []runner.Response{{Proto: "HTTP/2", Status: 200}}
	for key, text := range map[string]string{"responses": "[{status: 200}]", "headers": "{a: {absent: true}}"} {
		err := decode(t, key, text).Check(hidden)
		assert.ErrorContains(t, err, "not known", key)
		assert.NotErrorAs(t, err, new(*runner.Mismatch), key)
	}
	long := page()
	long.Truncated = true
	for _, text := range []string{"{not: {contains: x}}", "{equals: x}", "{json: [{path: .a, equals: x}]}"} {
		assert.ErrorContains(t, decode(t, "stdout", text).Check(long), "cannot be judged whole", text)
	}
	assert.NoError(t, decode(t, "stdout", "{contains: HTTP}").Check(long), "what was kept has it")
	assert.Error(t, decode(t, "exitCode", "0").Check(&runner.Observation{}), "no exit code came")
}

func TestAPodWithoutASidecarHasNoAccessLog(t *testing.T) {
	o := page()
	o.CurlExitCode, o.LocalAddr = new(int), "10.244.1.6:40000"
	o.Pod = &cluster.Pod{Name: "curl-1", Containers: []string{"curl"}}
	for key, text := range map[string]string{"log": "[{status: 200}]", "path": `[sidecar, "edition.cnn.com:443"]`} {
		judge, err := decode(t, key, text).(runner.Watcher).Watch(t.Context(), &runner.Scope{Cluster: clustertest.NewFake()}, nil)
		require.NoError(t, err)
		assert.EqualError(t, judge(t.Context(), o), "access log: want a line of this request, got no sidecar: pod curl-1 has no container istio-proxy", key)
	}
}

func TestNoJSON(t *testing.T) {
	o := page()
	o.Body = "<html>"
	assert.EqualError(t, decode(t, "body", "{json: [{path: .a, absent: true}]}").Check(o), "body: want JSON, got <html>")
}

func TestAMismatchQuotesNotTooMuch(t *testing.T) {
	o := page()
	o.Stdout = strings.Repeat("x", 1<<20)
	assert.Less(t, len(decode(t, "stdout", "{contains: y}").Check(o).Error()), 1000)
}

func TestNonsenseIsFoundBeforeTheRun(t *testing.T) {
	for _, c := range []struct{ key, yaml, want string }{
		{"status", "2000", "an HTTP status is 100 to 599, 2000 is none"},
		{"exitCode", "256", "an exit code is 0 to 255, 256 is none"},
		{"exitCode", "-1", "an exit code is 0 to 255, -1 is none"},
		{"elapsed", "{}", "no bound is given"},
		{"elapsed", "{min: 3s, max: 2s}", "min is more than max"},
		{"responses", "[]", "no response is stated"},
		{"headers", "{}", "no header is stated"},
		{"stdout", "{}", "nothing is expected of the text"},
		{"stdout", "{matches: '['}", "error parsing regexp: missing closing ]: `[`"},
		{"responses", "[{}]", "nothing is expected of the response"},
		{"responses", "[{status: 0}]", "an HTTP status is 100 to 599, 0 is none"},
		{"responses", "[{proto: SPDY}]", `"SPDY" is no protocol`},
		{"headers", "{a: {}}", "nothing is expected of the value"},
		{"headers", "{a: {absent: true, equals: b}}", "what is absent has no value to look at"},
		{"body", "{json: [{path: '{.a', equals: b}]}", "JSON path {.a"},
		{"log", "[{}]", "nothing is expected of the line"},
	} {
		_, err := load(t, c.key, c.yaml)
		assert.ErrorContains(t, err, c.want, c.key+" "+c.yaml)
	}
}
