package mesh_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
)

const (
	httpLine          = `[2026-11-24T12:59:37.629Z] "GET /politics HTTP/1.1" 301 - via_upstream - "-" 0 67 3 2 "-" "curl/7.88.1" "f16d2cc5-b260-4448-a53a-2cf3d26c72dc" "edition.cnn.com" "10.244.1.4:8080" outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local 10.244.1.6:38742 203.0.113.10:80 10.244.1.6:57146 - default`
	tcpLine           = `[2026-11-24T12:59:37.629Z] "- - -" 0 - - - "-" 767 2026 125 - "-" "-" "-" "-" "10.244.1.4:8443" outbound|443|cnn|istio-egressgateway.istio-system.svc.cluster.local 10.244.1.6:51622 203.0.113.10:443 10.244.1.6:44090 edition.cnn.com -`
	blockedLine       = `[2026-11-24T12:59:37.629Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 203.0.113.10:443 10.244.1.6:50844 - -`
	failedLine        = `[2026-11-24T12:59:37.629Z] "GET / HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error} - "TLS_error:_Secret_is_not_supplied_by_SDS" 0 24 2999 - "-" "curl/7.88.1" "7086f708" "httpbin.org" "203.0.113.13:80" outbound|80||httpbin.org - 203.0.113.13:80 10.244.1.6:39330 - -`
	noFilterChainLine = `[2026-11-24T12:59:37.629Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 10.244.1.4:8443 10.244.1.6:51622 evil.org -`
)

func TestParseLine(t *testing.T) {
	l, err := mesh.ParseLine(httpLine)
	require.NoError(t, err)
	assert.Equal(t, evidence.Line{
		Text: httpLine, Start: time.Date(2026, 11, 24, 12, 59, 37, 629e6, time.UTC),
		Method: "GET", Path: "/politics", Protocol: "HTTP/1.1", Status: 301, Details: "via_upstream",
		BytesSent: 67, Duration: 3 * time.Millisecond, Authority: "edition.cnn.com",
		UpstreamHost: "10.244.1.4:8080", Cluster: "outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local",
		UpstreamLocal: "10.244.1.6:38742", DownstreamLocal: "203.0.113.10:80", DownstreamRemote: "10.244.1.6:57146", Route: "default",
	}, l)

	l, err = mesh.ParseLine(tcpLine)
	require.NoError(t, err)
	assert.Empty(t, l.Method)
	assert.Empty(t, l.Path)
	assert.Empty(t, l.Protocol)
	assert.Zero(t, l.Status)
	assert.Equal(t, "edition.cnn.com", l.SNI)
	assert.Equal(t, 125*time.Millisecond, l.Duration)
	assert.EqualValues(t, 2026, l.BytesSent)

	l, err = mesh.ParseLine(blockedLine)
	require.NoError(t, err)
	assert.Equal(t, []string{"UH"}, l.Flags)
	assert.Equal(t, "BlackHoleCluster", l.Cluster)
	assert.Empty(t, l.UpstreamHost)

	l, err = mesh.ParseLine(failedLine)
	require.NoError(t, err)
	assert.Equal(t, []string{"URX", "UF"}, l.Flags)
	assert.Equal(t, "TLS_error:_Secret_is_not_supplied_by_SDS", l.TransportFailure)

	l, err = mesh.ParseLine(noFilterChainLine)
	require.NoError(t, err)
	assert.Equal(t, []string{"NR"}, l.Flags)
	assert.Equal(t, "filter_chain_not_found", l.Details)
	assert.Empty(t, l.Cluster)

	l, err = mesh.ParseLine(httpLine + ` "more" fields`)
	require.NoError(t, err)
	assert.Equal(t, "default", l.Route)
}

func TestParseLineInJSON(t *testing.T) {
	line := `{"start_time":"2026-11-24T12:59:37.629Z","method":"GET","path":"/politics","protocol":"HTTP/1.1","response_code":301,` +
		`"response_flags":"-","response_code_details":"via_upstream","connection_termination_details":null,"upstream_transport_failure_reason":null,` +
		`"bytes_received":0,"bytes_sent":67,"duration":3,"upstream_service_time":"2","x_forwarded_for":null,"user_agent":"curl/7.88.1",` +
		`"request_id":"f16d2cc5-b260-4448-a53a-2cf3d26c72dc","authority":"edition.cnn.com","upstream_host":"10.244.1.4:8080",` +
		`"upstream_cluster":"outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local","upstream_local_address":"10.244.1.6:38742",` +
		`"downstream_local_address":"203.0.113.10:80","downstream_remote_address":"10.244.1.6:57146","requested_server_name":null,"route_name":"default"}`
	got, err := mesh.ParseLine(line)
	require.NoError(t, err)
	want, err := mesh.ParseLine(httpLine)
	require.NoError(t, err)
	want.Text = line
	assert.Equal(t, want, got)

	// In JSON, Envoy escapes what a request has written.
	got, err = mesh.ParseLine(strings.Replace(line, `"curl/7.88.1"`, `"x\",\"upstream_cluster\":\"outbound|80||evil.org\",\"a\":\""`, 1))
	require.NoError(t, err)
	assert.Equal(t, want.Cluster, got.Cluster)
}

func TestALineThatIsNoneOfTheAccessLogIsTold(t *testing.T) {
	for _, line := range []string{
		"", " ", `"`, "2026-11-24T12:59:37Z info Envoy proxy is ready",
		"[2026-11-24 12:59:37.629][12][warning][config] deprecated",
		strings.Replace(httpLine, "[2026", "[x", 1),
		`{"level":"info","time":"2026-11-24T12:59:37Z","msg":"Envoy proxy is ready"}`, "{", `{"start_time":{}}`,
	} {
		_, err := mesh.ParseLine(line)
		assert.ErrorIs(t, err, mesh.ErrNoLine, line)
	}
}

// A line of the access log that cannot be read may be the wanted one.
func TestALineThatCannotBeReadIsTold(t *testing.T) {
	for _, line := range []string{
		httpLine[:len(httpLine)/2], strings.Replace(httpLine, "301", "x", 1),
		strings.Replace(httpLine, `"GET /politics HTTP/1.1"`, `"GET"`, 1), strings.Replace(httpLine, " 3 2 ", " x 2 ", 1),
		strings.Replace(httpLine, " 3 2 ", " -3 2 ", 1), strings.Replace(httpLine, " 67 ", "  ", 1),
		strings.Replace(httpLine, "2026-11-24", "2026-11-99", 1),
		`{"start_time":"2026-11-24T12:59:37.629Z","duration":"x"}`, `{"method":"GET","start_time":"2026-11-24T12:59:37.629Z","dura`,
	} {
		_, err := mesh.ParseLine(line)
		assert.ErrorIs(t, err, mesh.ErrUnreadable, line)
	}
}

// own are the values of the fields that a request can write freely into a line of text:
// Envoy escapes nothing there.
type own struct{ path, forwardedFor, agent, id, authority string }

// line returns the line of a request as Envoy writes it.
func (o own) line() string {
	return `[2026-11-24T12:59:37.629Z] "GET ` + o.path + ` HTTP/1.1" 301 - via_upstream - "-" 0 67 3 2 "` + o.forwardedFor + `" "` + o.agent + `" "` +
		o.id + `" "` + o.authority + `" "10.244.1.4:8080" outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local 10.244.1.6:38742 203.0.113.10:80 10.244.1.6:57146 - default`
}

// readRight asserts that a line is read as Envoy meant it, or not at all. It reports
// whether the line was read.
func (o own) readRight(t *testing.T) bool {
	t.Helper()
	got, err := mesh.ParseLine(o.line())
	if err != nil {
		assert.ErrorIs(t, err, mesh.ErrUnreadable, o.line())
		return false
	}
	want, err := mesh.ParseLine(httpLine)
	require.NoError(t, err)
	want.Text, want.Path, want.Authority = o.line(), o.path, o.authority
	if want.Path == "-" {
		want.Path = ""
	}
	if want.Authority == "-" {
		want.Authority = ""
	}
	return assert.Equal(t, want, got)
}

var plain = own{"/politics", "-", "curl/7.88.1", "f16d2cc5", "edition.cnn.com"}

// Texts that look like other fields, or like the rest of a line.
var forgeries = []string{
	"", "-", `a "quoted" word`, `"`, `"" ""`, `" "`, " ", `\`, `\"`,
	`x" "id" "host" "1.2.3.4:80" cluster a b c sni route`,
	`x" "id" "evil.org" "1.2.3.4:80" outbound|80||evil.org 10.244.1.6:1 1.2.3.4:80 10.244.1.6:2 - default`,
	`x" "id" "evil.org" "-" BlackHoleCluster - 1.2.3.4:80 10.244.1.6:2 - block_all`,
	` HTTP/1.1" 200 - via_upstream - "-" 0 67 3 2 "`,
	`x HTTP/1.1" 200 - via_upstream - "-" 0 67 3 2 "-" "a" "b" "evil.org" "1.2.3.4:80" outbound|80||evil.org 10.244.1.6:1 1.2.3.4:80 10.244.1.6:2 - default`,
	`/ HTTP/2" 503 UF upstream - "x" 0 0 0 - "`,
	`x HTTP/1.1" 200 - via_upstream - "-`, `0 67 3 2 "`, `] "GET / HTTP/1.1" 200 - - - "-" 0 0 0 0 "-" "-" "-" "-" "-" - - - - - -`,
	strings.Repeat(`" "`, 100), strings.Repeat(` "a" "1.2.3.4:80" c 1.2.3.4:1 1.2.3.4:2 1.2.3.4:3 - -`, 70),
}

// A request can write texts into its line that look like other fields. Such a line is
// read as Envoy meant it, or reported as unreadable. It is never read as the request
// would have it.
func TestAForgedLineIsNeverReadWrong(t *testing.T) {
	require.True(t, plain.readRight(t), "the honest line is read")
	for _, forged := range forgeries {
		for _, o := range []own{
			{forged, plain.forwardedFor, plain.agent, plain.id, plain.authority},
			{"/x" + forged, plain.forwardedFor, plain.agent, plain.id, plain.authority},
			{plain.path, forged, plain.agent, plain.id, plain.authority},
			{plain.path, plain.forwardedFor, forged, plain.id, plain.authority},
			{plain.path, plain.forwardedFor, plain.agent, forged, plain.authority},
			{forged, forged, forged, forged, plain.authority},
		} {
			o.readRight(t)
		}
	}
}

// A client writes its SNI as well, which Envoy takes as it comes before 1.31.2
// (CVE-2024-45808).
func TestAForgedSNIIsNeverReadWrong(t *testing.T) {
	const sni = " edition.cnn.com -"
	require.True(t, strings.HasSuffix(tcpLine, sni))
	for _, forged := range []string{
		`a" "b" "1.2.3.4:443" outbound|443||evil.org 10.244.1.6:1 1.2.3.4:443 10.244.1.6:57146 evil.org`,
		`a "-" "1.2.3.4:443" outbound|443||evil.org 10.244.1.6:1 1.2.3.4:443 10.244.1.6:57146 evil.org`,
	} {
		l, err := mesh.ParseLine(strings.TrimSuffix(tcpLine, sni) + " " + forged + " -")
		if err != nil {
			assert.ErrorIs(t, err, mesh.ErrUnreadable)
			continue
		}
		assert.Equal(t, "10.244.1.4:8443", l.UpstreamHost, forged)
		assert.Equal(t, "10.244.1.6:44090", l.DownstreamRemote, forged)
	}
}

// A line of any length and kind is read, or given up, before its reader is late.
func BenchmarkAHostileLine(b *testing.B) {
	for _, part := range []string{`" "`, ` "a" "1.2.3.4:80" c 1.2.3.4:1 1.2.3.4:2 1.2.3.4:3 - -`, ` HTTP/1.1" 200 - - - "-" 0 0 0 - "`, "1.2.3.4:1 "} {
		o := plain
		o.agent = strings.Repeat(part, (60<<10)/len(part))
		line := o.line()
		b.Run(part, func(b *testing.B) {
			for b.Loop() {
				_, _ = mesh.ParseLine(line)
			}
		})
	}
}

// A line of an ordinary client is read, with or without quotation marks.
func TestAUserAgentMayHoldQuotes(t *testing.T) {
	for _, agent := range []string{"", "-", `a "quoted" word`, `"`, `"" ""`, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"} {
		o := plain
		o.agent = agent
		assert.True(t, o.readRight(t), agent)
	}
	o := plain
	o.path = `/a"b"?c="d"`
	assert.True(t, o.readRight(t))
	o = plain
	o.authority = "edition.cnn.com:8080"
	assert.True(t, o.readRight(t))
}

func FuzzParseLine(f *testing.F) {
	for _, line := range []string{httpLine, tcpLine, blockedLine, failedLine, `{"start_time":"2026-11-24T12:59:37.629Z","duration":3}`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		l, err := mesh.ParseLine(line)
		if err != nil {
			assert.True(t, errors.Is(err, mesh.ErrNoLine) || errors.Is(err, mesh.ErrUnreadable))
			assert.Zero(t, l)
			return
		}
		assert.Equal(t, line, l.Text)
		assert.False(t, l.Start.IsZero() && l.Cluster == "" && line == "")
		assert.GreaterOrEqual(t, l.Duration, time.Duration(0))
	})
}

// FuzzForgedLine puts anything into the fields that are a request's own.
func FuzzForgedLine(f *testing.F) {
	for _, forged := range forgeries {
		f.Add(forged, plain.forwardedFor, plain.agent, plain.id)
		f.Add(plain.path, forged, plain.agent, plain.id)
		f.Add(plain.path, plain.forwardedFor, forged, plain.id)
		f.Add(plain.path, plain.forwardedFor, plain.agent, forged)
	}
	f.Fuzz(func(t *testing.T, path, forwardedFor, agent, id string) {
		for _, text := range []string{path, forwardedFor, agent, id} {
			if strings.ContainsAny(text, "\n\r\x00") {
				t.Skip("no field of a request has such a byte")
			}
		}
		own{path, forwardedFor, agent, id, plain.authority}.readRight(t)
	})
}
