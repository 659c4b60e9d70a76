package expect_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/expect"
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
  exec: {in: pod, command: curl http://a.example}
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
		{"exitCode", "35", "exitCode: want 35, got 0"},
		{"exitCode", "{not: 35}", ""},
		{"exitCode", "{not: 0}", "exitCode: want {not: 0}, got 0"},
		{"status", "200", ""},
		{"status", "[301, 200]", ""},
		{"status", "301", "status: want 301, got 200"},
		{"status", "[301, 503]", "status: want [301, 503], got 200"},
		{"elapsed", "{min: 2.9s, max: 3.5s}", ""},
		{"elapsed", "{min: 3.1s}", "elapsed.min: want 3.1s, got 3s"},
		{"elapsed", "{max: 2.9s}", "elapsed.max: want 2.9s, got 3s"},

		{"responses", "[{status: 301}, {status: 200}]", ""},
		{"responses", "[{proto: HTTP/1.1, status: 301, headers: {LOCATION: {equals: https://edition.cnn.com/politics}}}, {proto: HTTP/2}]", ""},
		{"responses", "[{status: 200}]", "responses: want [{status: 200}], got [{status: 301, proto: HTTP/1.1}, {status: 200, proto: HTTP/2}]"},
		{"responses", "[{status: 200}, {status: 301}]", "responses[0].status: want 200, got 301\nresponses[1].status: want 301, got 200"},
		{"responses", "[{status: 301}, {status: 200}, {status: 200}]", "responses: want [{status: 301}, {status: 200}, {status: 200}], got [{status: 301, proto: HTTP/1.1}, {status: 200, proto: HTTP/2}]"},
		{"responses", "[{status: 301}, {proto: HTTP/1.1}]", "responses[1].proto: want HTTP/1.1, got HTTP/2"},
		{"responses", "[{headers: {location: {equals: https://edition.cnn.com/}}}, {status: 200}]", "responses[0].headers.location: want https://edition.cnn.com/, got https://edition.cnn.com/politics"},
		{"headers", "{content-type: {contains: html}}", ""},
		{"headers", "{location: {absent: true}}", ""},
		{"headers", "{set-cookie: {equals: 'a=1, b=2'}}", ""},
		{"headers", "{location: {contains: x}}", "headers.location: want {contains: x}, got {absent: true}"},
		{"headers", "{location: {not: x}}", "headers.location: want {not: x}, got {absent: true}"},
		{"headers", "{content-type: {absent: true}}", "headers.content-type: want {absent: true}, got text/html"},

		{"stderr", "{equals: a warning}", ""},
		{"stderr", "{contains: error}", "stderr: want {contains: error}, got {equals: a warning}"},
		{"stderr", "{matches: '^a w'}", ""},
		{"stderr", "{matches: '^w'}", "stderr: want {matches: ^w}, got {equals: a warning}"},
		{"stderr", "{not: {contains: error}}", ""},
		{"stderr", "{not: {contains: warn}}", "stderr: want {not: {contains: warn}}, got {equals: a warning}"},
		{"stdout", "{contains: HTTP/1.1 301}", ""},

		{"body", "{json: [{path: '{.headers.Host}', equals: httpbin.org}]}", ""},
		{"body", "{json: [{path: .headers.Host, equals: httpbin.org}]}", ""},
		{"body", "{json: [{path: '{.headers.X-Count}', equals: '1'}, {path: '{.headers.Nope}', absent: true}]}", ""},
		{"body", "{json: [{path: '{.headers.Host}', equals: x}]}", "body.json[0]: want x, got httpbin.org"},
		{"body", "{json: [{path: '{.headers.Nope}', equals: x}]}", "body.json[0]: want x, got {absent: true}"},
		{"body", "{json: [{path: '{.headers.Host}', absent: true}]}", "body.json[0]: want {absent: true}, got httpbin.org"},
		{"body", "{json: [{path: '{.headers.Two[*]}', equals: a}]}", "body.json[0]: want a, got [a, b] (the path leads to several values)"},
	} {
		t.Run(c.key+" "+c.yaml, func(t *testing.T) {
			vs := judge(t, c.key, c.yaml, page())
			assert.Equal(t, c.want, missed(vs))
			assert.Empty(t, vs.Of(evidence.NotJudged))
		})
	}
}

// What came is shown in the syntax of a playbook: it can be pasted, and then holds.
func TestWhatCameCanBePasted(t *testing.T) {
	for _, c := range []struct{ key, yaml string }{
		{"exitCode", "35"}, {"exitCode", "{not: 0}"}, {"status", "[301, 503]"}, {"responses", "[{status: 200}]"},
		{"stderr", "{contains: error}"}, {"stdout", "{matches: x}"}, {"path", "[blocked]"}, {"arrived", "[]"},
		{"log", "[{status: 200}]"}, {"log", "[]"},
	} {
		t.Run(c.key+" "+c.yaml, func(t *testing.T) {
			a := redirected(t)
			vs := judge(t, c.key, c.yaml, a).Of(evidence.NotHeld)
			require.Len(t, vs, 1)
			assert.Empty(t, missed(judge(t, c.key, vs[0].Got, a)), "%s: %s", c.key, vs[0].Got)
		})
	}
}

func TestWithoutAResponseNothingIsKnownOfIt(t *testing.T) {
	none := &evidence.Attempt{Command: &evidence.Command{ExitCode: new(int), Curl: &evidence.Curl{HeadsShown: true, BodyShown: true}}, Transfers: []evidence.Transfer{{ExitCode: 7}}}
	for key, text := range map[string]string{
		"status": "200", "responses": "[{status: 200}]", "headers": "{a: {absent: true}}", "body": "{not: {contains: x}}", "grpc": "{status: 0}",
	} {
		assert.NotEmpty(t, judge(t, key, text, none).Of(evidence.NotHeld), key)
	}
}

func TestWhatCannotBeJudgedIsNoMismatch(t *testing.T) {
	hidden := page()
	hidden.Command.Curl.HeadsShown = false
	hidden.Responses = []evidence.Response{{Proto: "HTTP/2", Status: 200}}
	for key, text := range map[string]string{"responses": "[{status: 200}]", "headers": "{a: {absent: true}}"} {
		vs := judge(t, key, text, hidden)
		assert.Empty(t, vs.Of(evidence.NotHeld), key)
		assert.Contains(t, missed(vs), "not known", key)
		assert.NotEmpty(t, vs[0].Hint, key)
	}
	long := page()
	long.Command.Truncated = true
	for _, text := range []string{"{not: {contains: x}}", "{equals: x}", "{json: [{path: .a, equals: x}]}"} {
		assert.Contains(t, missed(judge(t, "stdout", text, long)), "cannot be judged whole", text)
	}
	assert.Empty(t, missed(judge(t, "stdout", "{contains: HTTP}", long)), "what was kept has it")
	assert.Empty(t, missed(judge(t, "stdout", "{matches: HTTP/.}", long)), "what was kept has it")
	assert.NotEmpty(t, judge(t, "stdout", `{matches: "(?s).+$"}`, long).Of(evidence.NotJudged), "what was kept ends with it, and what was cut may not")
	assert.NotEmpty(t, judge(t, "stdout", "{contains: nowhere}", long).Of(evidence.NotJudged), "what was cut may have it")
	assert.NotEmpty(t, judge(t, "exitCode", "0", &evidence.Attempt{Command: new(evidence.Command)}).Of(evidence.NotJudged), "no exit code came")
	elsewhere := page()
	elsewhere.Command.Curl.BodyShown = false
	assert.NotEmpty(t, judge(t, "body", "{not: {contains: x}}", elsewhere).Of(evidence.NotJudged), "the body is in a file")
}

// Nobody knows whether a response came to a command that is no curl, or to a curl
// that cannot report.
func TestWhereCurlDoesNotReportNothingIsKnownOfItsResponses(t *testing.T) {
	for name, a := range map[string]*evidence.Attempt{
		"no curl":             {Command: &evidence.Command{ExitCode: new(int), Stdout: "HTTP/1.1 200 OK\r\n\r\nx"}},
		"a curl that is mute": {Command: &evidence.Command{ExitCode: new(int), Stdout: "x", Curl: &evidence.Curl{Unreported: "it reads options from a file (--config)", BodyShown: true}}, Body: "x"},
	} {
		for key, text := range map[string]string{
			"status": "200", "responses": "[{status: 200}]", "headers": "{a: {absent: true}}", "body": "{contains: x}", "grpc": "{status: 0}",
			"log": "[]", "path": "[direct]", "connection": "made",
		} {
			vs := judge(t, key, text, a)
			assert.Len(t, vs.Of(evidence.NotJudged), len(vs), "%s of %s: %s", key, name, vs)
		}
	}
}

// Whether a call by gRPC succeeded is not in its HTTP status.
func TestGRPC(t *testing.T) {
	for _, c := range []struct {
		name, key, yaml string
		status          string // of gRPC
		want            evidence.Outcome
	}{
		{"OK", "grpc", "{status: 0}", "0", evidence.Held},
		{"not OK", "grpc", "{status: 0}", "14", evidence.NotHeld},
		{"the one that is expected", "grpc", "{status: 14}", "14", evidence.Held},
		{"not shown", "grpc", "{status: 0}", "", evidence.NotJudged},
		{"HTTP 200 and OK", "status", "200", "0", evidence.Held},
		{"HTTP 200 and not OK", "status", "200", "14", evidence.NotHeld},
		{"HTTP 200 and nobody knows", "status", "200", "", evidence.NotJudged},
		{"another HTTP status", "status", "503", "", evidence.NotHeld},
	} {
		a := page()
		a.Transfers[0].ContentType, a.Transfers[0].GRPCStatus = "application/grpc", c.status
		assert.Equal(t, c.want, judge(t, c.key, c.yaml, a)[0].Outcome, c.name)
	}
	assert.Contains(t, missed(judge(t, "grpc", "{status: 0}", page())), "no gRPC")
	header := page() // with gRPC's header and another content
	header.Transfers[0].GRPCStatus = "0"
	assert.Contains(t, missed(judge(t, "grpc", "{status: 0}", header)), "no gRPC")
	failed := page()
	failed.Transfers[0].ContentType, failed.Transfers[0].GRPCStatus, failed.Transfers[0].Status = "application/grpc", "0", 503
	assert.Contains(t, missed(judge(t, "grpc", "{status: 0}", failed)), "HTTP status 503")
}

// A curl that refuses its command line has not tried anything.
func TestACurlThatTriedNothing(t *testing.T) {
	for code, want := range map[int]evidence.Outcome{2: notJudged, 3: notJudged, 6: held, 7: held, 28: held} {
		a := page()
		a.Command.ExitCode, a.Transfers = &code, nil
		assert.Equal(t, want, outcome(judge(t, "exitCode", "{not: 0}", a)), "exit code %d", code)
		assert.Equal(t, held, outcome(judge(t, "exitCode", strconv.Itoa(code), a)), "exit code %d", code)
	}
	code, a := 1, page() // a redirect to a protocol that it does not know
	a.Command.ExitCode, a.Transfers[0].Local = &code, curlAddr
	assert.Equal(t, held, outcome(judge(t, "exitCode", "{not: 0}", a)))
}

// If curl has made a request again, only the last response is known.
func TestResponsesOfARetry(t *testing.T) {
	responses := func(change func(*evidence.Attempt)) evidence.Outcome {
		a := page()
		a.Responses, a.Transfers[0].Redirects = a.Responses[:1], 0
		change(a)
		return outcome(judge(t, "responses", fmt.Sprintf("[{status: %d}]", a.Responses[0].Status), a))
	}
	retries := func(shown bool) func(*evidence.Attempt) {
		return func(a *evidence.Attempt) { a.Command.Curl.Retries, a.Command.Curl.HeadsShown = true, shown }
	}
	assert.Equal(t, held, responses(func(*evidence.Attempt) {}))
	assert.Equal(t, held, responses(retries(true)), "all that was printed is one response")
	assert.Equal(t, notJudged, responses(retries(false)))
	assert.Equal(t, notJudged, responses(func(a *evidence.Attempt) {
		retries(true)(a)
		a.Transfers[0].Repeated = true
	}))
}

// What a header must not be, none of several may be.
func TestAHeaderThatIsThereTwice(t *testing.T) {
	a := page()
	a.Responses[len(a.Responses)-1].Header = http.Header{"X": {"a", "b"}}
	for want, o := range map[string]evidence.Outcome{"{x: 'a, b'}": held, "{x: {not: {equals: c}}}": held, "{x: {not: {equals: b}}}": notHeld, "{x: {contains: a, not: {equals: a}}}": notHeld} {
		assert.Equal(t, o, outcome(judge(t, "headers", want, a)), want)
	}
}

func TestAPodWithoutASidecarHasNoAccessLog(t *testing.T) {
	a := page()
	a.Command.Pod.Sidecar = false
	evidence.Join(a)
	for key, text := range map[string]string{"log": "[{status: 200}]", "path": `[sidecar, "edition.cnn.com:443"]`} {
		assert.Equal(t, key+": want a line of this request, got no sidecar (pod curl-1 has no container istio-proxy)", missed(judge(t, key, text, a)), key)
	}
	assert.Empty(t, missed(judge(t, "path", "[direct]", a)))
}

func TestNoJSON(t *testing.T) {
	a := page()
	a.Body = "<html>"
	got := missed(judge(t, "body", "{json: [{path: .a, absent: true}]}", a))
	assert.True(t, strings.HasPrefix(got, "body.json: want JSON, got <html> ("), got)
}

func TestAMismatchQuotesNotTooMuch(t *testing.T) {
	a := page()
	a.Command.Stdout = strings.Repeat("x", 1<<20)
	assert.Less(t, len(missed(judge(t, "stdout", "{contains: y}", a))), 1000)
}

func TestNonsenseIsFoundBeforeTheRun(t *testing.T) {
	for _, c := range []struct{ key, yaml, want string }{
		{"status", "2000", "an HTTP status must be 100-599, got 2000"},
		{"status", "[]", "no status is stated"},
		{"exitCode", "256", "exitCode must be 0-255, got 256"},
		{"exitCode", "-1", "exitCode must be 0-255, got -1"},
		{"exitCode", "{not: 256}", "exitCode must be 0-255, got 256"},
		{"exitCode", "{is: 0, not: 1}", "an exit code is stated, or ruled out"},
		{"elapsed", "{}", "no bound is given"},
		{"elapsed", "{min: 3s, max: 2s}", "min is more than max"},
		{"responses", "[]", "no response is stated"},
		{"headers", "{}", "no header is stated"},
		{"stdout", "{}", "nothing is expected of the text"},
		{"stdout", "{contains: ''}", "every text contains that"},
		{"stdout", "{matches: '['}", "error parsing regexp: missing closing ]: `[`"},
		{"stdout", "{matches: '.*'}", "every text matches"},
		{"responses", "[{}]", "nothing is expected of the response"},
		{"responses", "[{status: 0}]", "an HTTP status must be 100-599, got 0"},
		{"responses", "[{proto: SPDY}]", `"SPDY" is no protocol`},
		{"headers", "{a: {}}", "nothing is expected of the value"},
		{"headers", "{a: {absent: true, equals: b}}", "what is absent has no value to look at"},
		{"headers", "{a: {matches: 'x*'}}", "every text matches"},
		{"body", "{json: [{path: '{.a', equals: b}]}", "JSON path {.a"},
		{"log", "[{}]", "nothing is expected of the line"},
		{"log", "[{in: nowhere, status: 200}]", `"nowhere" is no proxy`},
		{"grpc", "{status: 17}", "0-16"},
		{"connection", "perhaps", "no end of a connection"},
	} {
		_, err := load(t, c.key, c.yaml)
		assert.ErrorContains(t, err, c.want, c.key+" "+c.yaml)
	}
}

// What a command did while curl tells of no transfer is not known.
func TestTimeOfWhichCurlDoesNotTell(t *testing.T) {
	began := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	attempt := func(took time.Duration) *evidence.Attempt {
		return &evidence.Attempt{
			Started: began, Ended: began.Add(took),
			Command:   &evidence.Command{ExitCode: new(int), Elapsed: 100 * time.Millisecond, Curl: &evidence.Curl{BodyShown: true}},
			Transfers: []evidence.Transfer{{URL: "http://a/", Status: 200, Elapsed: 100 * time.Millisecond}},
			Responses: []evidence.Response{{Proto: "HTTP/1.1", Status: 200}},
		}
	}
	status := 200
	for _, e := range []runner.Expectation{&expect.Elapsed{Max: time.Second}, &expect.Responses{{Status: &status}}} {
		assert.Equal(t, evidence.Held, e.Judge(attempt(500 * time.Millisecond))[0].Outcome, "%T", e)
		assert.Equal(t, evidence.NotJudged, e.Judge(attempt(1200 * time.Millisecond))[0].Outcome, "%T", e)
	}
	assert.Equal(t, evidence.Held, (&expect.Elapsed{Max: 5 * time.Second}).Judge(attempt(1200 * time.Millisecond))[0].Outcome)
	shown := attempt(1200 * time.Millisecond)
	shown.Command.Curl.HeadsShown = true
	assert.Equal(t, evidence.Held, (&expect.Responses{{Status: &status}}).Judge(shown)[0].Outcome)
}
