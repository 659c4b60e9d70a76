package mesh_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/mesh"
)

const (
	httpLine    = `[2026-11-24T12:59:37.629Z] "GET /politics HTTP/1.1" 301 - via_upstream - "-" 0 67 3 2 "-" "curl/7.88.1" "f16d2cc5-b260-4448-a53a-2cf3d26c72dc" "edition.cnn.com" "10.244.1.4:8080" outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local 10.244.1.6:38742 203.0.113.10:80 10.244.1.6:57146 - default`
	tcpLine     = `[2026-11-24T12:59:37.629Z] "- - -" 0 - - - "-" 767 2026 125 - "-" "-" "-" "-" "10.244.1.4:8443" outbound|443|cnn|istio-egressgateway.istio-system.svc.cluster.local 10.244.1.6:51622 203.0.113.10:443 10.244.1.6:44090 edition.cnn.com -`
	blockedLine = `[2026-11-24T12:59:37.629Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 203.0.113.10:443 10.244.1.6:50844 - -`
	failedLine  = `[2026-11-24T12:59:37.629Z] "GET / HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error} - "TLS_error:_Secret_is_not_supplied_by_SDS" 0 24 2999 - "-" "curl/7.88.1" "7086f708" "httpbin.org" "203.0.113.13:80" outbound|80||httpbin.org - 203.0.113.13:80 10.244.1.6:39330 - -`
)

func TestParseEntry(t *testing.T) {
	e, err := mesh.ParseEntry(httpLine)
	require.NoError(t, err)
	assert.Equal(t, mesh.Entry{
		Line: httpLine, Start: time.Date(2026, 11, 24, 12, 59, 37, 629e6, time.UTC),
		Method: "GET", Path: "/politics", Protocol: "HTTP/1.1", Status: 301, Details: "via_upstream",
		BytesSent: 67, Duration: 3 * time.Millisecond, UpstreamTime: 2 * time.Millisecond, UserAgent: "curl/7.88.1", RequestID: "f16d2cc5-b260-4448-a53a-2cf3d26c72dc", Authority: "edition.cnn.com",
		UpstreamHost: "10.244.1.4:8080", Cluster: "outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local",
		UpstreamLocal: "10.244.1.6:38742", DownstreamLocal: "203.0.113.10:80", DownstreamRemote: "10.244.1.6:57146", Route: "default",
	}, e)

	e, err = mesh.ParseEntry(tcpLine)
	require.NoError(t, err)
	assert.Empty(t, e.Method)
	assert.Zero(t, e.Status)
	assert.Equal(t, "edition.cnn.com", e.SNI)
	assert.Equal(t, 125*time.Millisecond, e.Duration)

	e, err = mesh.ParseEntry(blockedLine)
	require.NoError(t, err)
	assert.Equal(t, []string{"UH"}, e.Flags)
	assert.Equal(t, "BlackHoleCluster", e.Cluster)
	assert.Empty(t, e.UpstreamHost)

	e, err = mesh.ParseEntry(failedLine)
	require.NoError(t, err)
	assert.Equal(t, []string{"URX", "UF"}, e.Flags)
	assert.Equal(t, "TLS_error:_Secret_is_not_supplied_by_SDS", e.TransportFailure)

	e, err = mesh.ParseEntry(httpLine + ` "more" fields`)
	require.NoError(t, err)
	assert.Equal(t, "default", e.Route)
}

// Envoy escapes nothing in its text format, so a client's user agent may have
// quotation marks, and even what looks like the rest of a line.
func TestAUserAgentMayHoldAnything(t *testing.T) {
	for _, agent := range []string{"", "-", `a "quoted" word`, `"`, `"" ""`, `x" "id" "host" "1.2.3.4:80" cluster a b c sni route`} {
		line := strings.Replace(httpLine, "curl/7.88.1", agent, 1)
		e, err := mesh.ParseEntry(line)
		require.NoError(t, err, line)
		assert.Equal(t, strings.TrimPrefix(agent, "-"), e.UserAgent)
		assert.Equal(t, "edition.cnn.com", e.Authority)
		assert.Equal(t, "default", e.Route)
	}
}

func TestParseEntryInJSON(t *testing.T) {
	line := `{"start_time":"2026-11-24T12:59:37.629Z","method":"GET","path":"/politics","protocol":"HTTP/1.1","response_code":301,` +
		`"response_flags":"-","response_code_details":"via_upstream","connection_termination_details":null,"upstream_transport_failure_reason":null,` +
		`"bytes_received":0,"bytes_sent":67,"duration":3,"upstream_service_time":"2","x_forwarded_for":null,"user_agent":"curl/7.88.1",` +
		`"request_id":"f16d2cc5-b260-4448-a53a-2cf3d26c72dc","authority":"edition.cnn.com","upstream_host":"10.244.1.4:8080",` +
		`"upstream_cluster":"outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local","upstream_local_address":"10.244.1.6:38742",` +
		`"downstream_local_address":"203.0.113.10:80","downstream_remote_address":"10.244.1.6:57146","requested_server_name":null,"route_name":"default"}`
	got, err := mesh.ParseEntry(line)
	require.NoError(t, err)
	want, err := mesh.ParseEntry(httpLine)
	require.NoError(t, err)
	want.Line = line
	assert.Equal(t, want, got)
}

func TestALineThatIsNoEntryIsTold(t *testing.T) {
	for _, line := range []string{
		"", " ", `"`, "2026-11-24T12:59:37Z info Envoy proxy is ready",
		"[2026-11-24 12:59:37.629][12][warning][config] deprecated",
		httpLine[:len(httpLine)/2], strings.Replace(httpLine, "301", "x", 1), strings.Replace(httpLine, "[2026", "[x", 1),
		strings.Replace(httpLine, `"GET /politics HTTP/1.1"`, `"GET"`, 1), strings.Replace(httpLine, " 3 2 ", " x 2 ", 1),
		strings.Replace(httpLine, " 3 2 ", " -3 2 ", 1), strings.Replace(httpLine, " 67 ", "  ", 1),
		`{"level":"info","time":"2026-11-24T12:59:37Z","msg":"Envoy proxy is ready"}`, "{", `{"start_time":{}}`,
	} {
		_, err := mesh.ParseEntry(line)
		assert.ErrorIs(t, err, mesh.ErrNoEntry, line)
	}
}

func FuzzParseEntry(f *testing.F) {
	for _, line := range []string{httpLine, tcpLine, blockedLine, failedLine, `{"start_time":"2026-11-24T12:59:37.629Z","duration":3}`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if e, err := mesh.ParseEntry(line); err == nil {
			assert.Equal(t, line, e.Line)
			assert.False(t, e.Start.IsZero() && e.Cluster == "" && line == "")
		} else {
			assert.ErrorIs(t, err, mesh.ErrNoEntry)
		}
	})
}

func TestEntriesAreReadAsTheyCome(t *testing.T) {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "sleep-1", nil, "sleep", mesh.Sidecar))
	r, w := io.Pipe()
	since := time.Now()
	c.LogsFunc = func(_ context.Context, q cluster.LogRequest) (io.ReadCloser, error) {
		assert.Equal(t, cluster.LogRequest{Namespace: "default", Pod: "sleep-1", Container: mesh.Sidecar, Follow: true, Since: since}, q)
		return r, nil
	}
	go io.WriteString(w, "info\n"+httpLine+"\n"+strings.Repeat("x", 200<<10)+"\n"+tcpLine+"\n")
	var got []string
	for e, err := range mesh.Entries(t.Context(), c, cluster.Pod{Namespace: "default", Name: "sleep-1"}, since) {
		require.NoError(t, err)
		if got = append(got, e.Line); len(got) == 2 {
			break
		}
	}
	assert.Equal(t, []string{httpLine, tcpLine}, got)
	_, err := w.Write([]byte("x"))
	assert.ErrorIs(t, err, io.ErrClosedPipe, "the log is closed")
}

func configMap(name, text string) *clustertest.Fake {
	return clustertest.NewFake(clustertest.Object("v1", "ConfigMap", "istio-system", name, map[string]any{"data": map[string]any{"mesh": text, "meshNetworks": "networks: {}"}}))
}

func text(t *testing.T, c cluster.Interface, name string) string {
	t.Helper()
	cm, err := c.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: name})
	require.NoError(t, err)
	return cm.Object["data"].(map[string]any)["mesh"].(string)
}

func TestTheOutboundPolicyIsReadAndSet(t *testing.T) {
	for _, c := range []struct{ name, text, mode, excerpt, after string }{
		{"as the tutorial shows it", "a: 1\noutboundTrafficPolicy:\n  mode: ALLOW_ANY\nb: 2\n", mesh.AllowAny,
			"outboundTrafficPolicy:\n  mode: ALLOW_ANY\n", "a: 1\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\nb: 2\n"},
		{"with comments and quotes", "outboundTrafficPolicy: # the policy\n    # and its mode\n    mode: \"ALLOW_ANY\"   # any\n", mesh.AllowAny,
			"outboundTrafficPolicy: # the policy\n    # and its mode\n    mode: \"ALLOW_ANY\"   # any\n",
			"outboundTrafficPolicy: # the policy\n    # and its mode\n    mode: REGISTRY_ONLY   # any\n"},
		{"in one line", "outboundTrafficPolicy: {mode: ALLOW_ANY}\n", mesh.AllowAny, "outboundTrafficPolicy: {mode: ALLOW_ANY}\n", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"},
		{"not stated", "a: 1\n", mesh.AllowAny, "", "a: 1\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
		{"empty", "", mesh.AllowAny, "", "outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
		{"set already", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n", mesh.RegistryOnly, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"},
		{"another mode: elsewhere", "x: {mode: ALLOW_ANY}\noutboundTrafficPolicy:\n  mode: ALLOW_ANY\n", mesh.AllowAny,
			"outboundTrafficPolicy:\n  mode: ALLOW_ANY\n", "x: {mode: ALLOW_ANY}\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := configMap("istio", c.text)
			p, err := mesh.ReadOutboundPolicy(t.Context(), fake, "istio-system", "")
			require.NoError(t, err)
			assert.Equal(t, c.mode, p.Mode)
			assert.Equal(t, c.excerpt, p.Excerpt)
			require.NoError(t, p.Set(t.Context(), fake, mesh.RegistryOnly))
			assert.Equal(t, c.after, text(t, fake, "istio"))
			require.NoError(t, p.Restore(t.Context(), fake))
			assert.Equal(t, c.text, text(t, fake, "istio"), "byte for byte as it was")
			require.NoError(t, p.Restore(t.Context(), fake))
		})
	}
}

func TestTheChangeOfAnotherIsKept(t *testing.T) {
	fake := configMap("istio-canary", "outboundTrafficPolicy: {mode: ALLOW_ANY}\n")
	p, err := mesh.ReadOutboundPolicy(t.Context(), fake, "istio-system", "canary")
	require.NoError(t, err)
	require.NoError(t, p.Set(t.Context(), fake, mesh.RegistryOnly))
	_, err = fake.MergePatch(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: "istio-canary"},
		[]byte(`{"data":{"mesh":"outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nnew: 1\n"}}`))
	require.NoError(t, err)
	require.NoError(t, p.Restore(t.Context(), fake))
	assert.Equal(t, "outboundTrafficPolicy: {mode: ALLOW_ANY}\nnew: 1\n", text(t, fake, "istio-canary"))
}

// Somebody changes the configuration between our reading and our writing.
func TestAChangeAtTheSameTimeIsKept(t *testing.T) {
	fake := configMap("istio", "outboundTrafficPolicy: {mode: ALLOW_ANY}\n")
	p, err := mesh.ReadOutboundPolicy(t.Context(), fake, "istio-system", "")
	require.NoError(t, err)
	meddle := func() {
		fake.Put(clustertest.Object("v1", "ConfigMap", "istio-system", "istio", map[string]any{
			"data": map[string]any{"mesh": "new: 1\noutboundTrafficPolicy: {mode: ALLOW_ANY}\n"},
		}))
	}
	fake.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "patch" && meddle != nil {
			meddle()
			meddle = nil
		}
		return nil
	}
	require.NoError(t, p.Set(t.Context(), fake, mesh.RegistryOnly))
	assert.Equal(t, "new: 1\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n", text(t, fake, "istio"))
	require.NoError(t, p.Restore(t.Context(), fake))
	assert.Equal(t, "new: 1\noutboundTrafficPolicy: {mode: ALLOW_ANY}\n", text(t, fake, "istio"))
}

func TestAMeshThatCannotBeReadIsAnError(t *testing.T) {
	_, err := mesh.ReadOutboundPolicy(t.Context(), clustertest.NewFake(), "istio-system", "")
	require.ErrorContains(t, err, "Istio is not installed in namespace istio-system: there is no configmap/istio")
	for _, text := range []string{"a: b: c", "outboundTrafficPolicy: {mode: &x ALLOW_ANY}\nb: *x\n", "outboundTrafficPolicy:\n  mode: |-\n    ALLOW_ANY\n"} {
		fake := configMap("istio", text)
		p, err := mesh.ReadOutboundPolicy(t.Context(), fake, "istio-system", "")
		if err != nil {
			continue
		}
		if err := p.Set(t.Context(), fake, mesh.RegistryOnly); err == nil {
			require.NoError(t, p.Restore(t.Context(), fake))
			assert.Equal(t, text, func() string {
				cm, _ := fake.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: "istio"})
				return cm.Object["data"].(map[string]any)["mesh"].(string)
			}())
		}
	}
}

func TestMissing(t *testing.T) {
	missing := func(c cluster.Interface, requirement string) string {
		text, err := mesh.Missing(t.Context(), c, "istio-system", "", requirement)
		require.NoError(t, err)
		return text
	}
	assert.Empty(t, missing(configMap("istio", "accessLogFile: /dev/stdout\n"), mesh.AccessLog))
	for _, text := range []string{"", "accessLogFile: ''\n", "accessLogFile: /dev/stdout\naccessLogFormat: x\n"} {
		assert.NotEmpty(t, missing(configMap("istio", text), mesh.AccessLog), text)
	}
	for _, c := range []struct {
		config, spec string
		missing      bool
	}{
		{"", "accessLogging: [{providers: [{name: envoy}]}]", false},
		{"", "accessLogging: [{providers: [{name: other}]}]", true},
		{"", "accessLogging: [{}]", true},
		{"defaultProviders: {accessLogging: [envoy]}\n", "accessLogging: [{}]", false},
		{"accessLogFile: /dev/stdout\n", "accessLogging: [{disabled: true}]", true},
		{"accessLogFile: /dev/stdout\n", "{selector: {matchLabels: {app: x}}, accessLogging: [{disabled: true}]}", false},
		{"accessLogFile: /dev/stdout\n", "tracing: [{}]", false},
	} {
		var spec map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(c.spec), &spec))
		fake := configMap("istio", c.config)
		fake.Put(clustertest.Object("telemetry.istio.io/v1", "Telemetry", "istio-system", "t", map[string]any{"spec": spec}))
		assert.Equal(t, c.missing, missing(fake, mesh.AccessLog) != "", "%+v", c)
	}
	assert.NotEmpty(t, missing(clustertest.NewFake(), mesh.EgressGateway))
	gateway := clustertest.ReadyPod("istio-system", "gw", map[string]string{"istio": "egressgateway"}, mesh.Sidecar)
	assert.Empty(t, missing(clustertest.NewFake(gateway), mesh.EgressGateway))
	assert.NotEmpty(t, missing(clustertest.NewFake().Without("gateway.networking.k8s.io"), mesh.GatewayAPI))
	_, err := mesh.Missing(t.Context(), clustertest.NewFake(), "istio-system", "", "gadget")
	assert.Error(t, err)
}
