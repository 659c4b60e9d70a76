package expect_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/curl"
	"github.com/egressplay/egressplay/curl/curltest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// A wayOutOf is a cluster in which a request of curl-1 leaves its mark on the
// sidecar and on the egress gateway.
type wayOutOf struct {
	*clustertest.Fake
	logs  map[string][]evidence.Line         // by pod, after the request
	count map[string]func(after bool) string // the answer of GET clusters
	stats func(after bool) string            // that of GET stats of the sidecar
	clock time.Duration                      // how far the nodes' clock is ahead

	asked time.Time // when curl was run
	later time.Time // when the later request was made
}

func newWay(t *testing.T, meshConfig string) *wayOutOf {
	pod := func(namespace, name, ip string, labels map[string]string, containers ...string) *unstructured.Unstructured {
		p := clustertest.ReadyPod(namespace, name, labels, containers...)
		require.NoError(t, unstructured.SetNestedField(p.Object, ip, "status", "podIP"))
		require.NoError(t, unstructured.SetNestedField(p.Object, "node", "spec", "nodeName"))
		return p
	}
	w := &wayOutOf{Fake: clustertest.NewFake(
		pod("default", "curl-1", "10.244.1.6", nil, "curl", mesh.Sidecar),
		pod("istio-system", "gateway-1", "10.244.1.3", map[string]string{"istio": "egressgateway"}, mesh.Sidecar),
		clustertest.Object("v1", "ConfigMap", "istio-system", "istio", map[string]any{"data": map[string]any{"mesh": meshConfig}}),
	), logs: map[string][]evidence.Line{}, count: map[string]func(bool) string{}}
	w.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
		var text strings.Builder
		for _, l := range w.logs[r.Pod] {
			text.WriteString(w.line(l))
		}
		if r.Pod == "curl-1" {
			text.WriteString(w.laterLine())
		}
		return io.NopCloser(strings.NewReader(text.String())), nil
	}
	w.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		last := r.Command[len(r.Command)-1]
		switch {
		case last == "https://kubernetes.default.svc/version":
			w.later = time.Now()
			io.WriteString(r.Stdout, curltest.Answer(r.Command, curl.Transfer{LocalAddr: "10.244.1.6:40009"}))
		case r.Command[0] == "curl":
			w.asked = time.Now()
			time.Sleep(2 * time.Millisecond) // a request takes longer than the log's clock ticks
			io.WriteString(r.Stdout, curltest.Answer(r.Command, curl.Transfer{
				Status: 200, Proto: "HTTP/1.1", Connects: 1, LocalAddr: curlAddr, RemoteAddr: "203.0.113.13:80", Elapsed: time.Millisecond,
			}))
		case strings.HasPrefix(last, "stats") && w.stats != nil && r.Pod == "curl-1":
			io.WriteString(r.Stdout, w.stats(!w.asked.IsZero()))
		case last == "clusters" && w.count[r.Pod] != nil:
			io.WriteString(r.Stdout, w.count[r.Pod](!w.asked.IsZero()))
		}
		return cluster.ExecResult{Trusted: true}, nil
	}
	return w
}

// line returns a line as Envoy writes it, whose time is reckoned from that of the
// request, as it is from noon in the tests of evidence.
func (w *wayOutOf) line(l evidence.Line) string {
	or := func(text string) string {
		if text == "" {
			return "-"
		}
		return text
	}
	start := w.asked.Add(w.clock + l.Start.Sub(noon.Add(100*time.Millisecond))/10).UTC().Format("2006-01-02T15:04:05.000Z")
	request := or(l.Method) + " " + or(l.Path) + " " + or(l.Protocol)
	return fmt.Sprintf(`[%s] "%s" %d %s %s - "-" 0 67 %d 2 "-" "curl/8.9" "id" "%s" "%s" %s %s %s %s %s %s`+"\n",
		start, request, l.Status, or(strings.Join(l.Flags, ",")), or(l.Details), l.Duration.Milliseconds(), or(l.Authority), or(l.UpstreamHost), or(l.Cluster),
		or(l.UpstreamLocal), or(l.DownstreamLocal), or(l.DownstreamRemote), or(l.SNI), or(l.Route))
}

// laterLine returns the line of the later request, "" before it was made.
func (w *wayOutOf) laterLine() string {
	if w.later.IsZero() {
		return ""
	}
	return w.line(direct(func(l *evidence.Line) {
		l.Start = l.Start.Add(w.later.Sub(w.asked) * 10)
		l.Path, l.Authority, l.Cluster, l.DownstreamRemote = "/version", "kubernetes.default.svc", evidence.Passthrough, "10.244.1.6:40009"
	}))
}

// grows is a line of GET clusters whose number grows by n.
func grows(upstream string, n int) func(bool) string {
	return func(after bool) string {
		if after {
			return fmt.Sprintf("%s::rq_total::%d\nxds-grpc::/etc/x::rq_total::9\n", upstream, 7+n)
		}
		return upstream + "::rq_total::7\n"
	}
}

const (
	clusterToGateway = "outbound|80||istio-egressgateway.istio-system.svc.cluster.local::10.244.1.3:8080"
	clusterToHost    = "outbound|80||httpbin.org::203.0.113.13:80"
	clusterToAny     = "outbound|443||*.wikipedia.org::203.0.113.13:443"
)

func TestTheWayByCounters(t *testing.T) {
	quiet := func(bool) string { return clusterToHost + "::rq_total::7\n" }
	listener := func(n int) func(bool) string {
		return func(after bool) string {
			came := 0
			if after {
				came = n
			}
			return fmt.Sprintf("listener.0.0.0.0_80.downstream_cx_total: %d\nlistener.0.0.0.0_15006.downstream_cx_total: %[2]d\n", came, came+1)
		}
	}
	for _, c := range []struct {
		name             string
		path             string
		sidecar, gateway func(bool) string
		stats            func(bool) string
		want             runner.Status
		because          string
	}{
		{"to a host", `[sidecar, "httpbin.org:80"]`, grows(clusterToHost, 1), nil, nil, runner.Passed, ""},
		{"an address in IPv6", `[sidecar, "httpbin.org:80"]`, grows("outbound|80||httpbin.org::[2001:db8::1]:80", 1), nil, nil, runner.Passed, ""},
		{"past what is known", "[sidecar, passthrough]", grows("PassthroughCluster::203.0.113.13:80", 1), nil, nil, runner.Passed, ""},
		{"by the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(clusterToGateway, 1), grows(clusterToHost, 1), nil, runner.Passed, ""},
		{"not by the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(clusterToHost, 1), grows(clusterToHost, 1), nil, runner.Failed, "got [sidecar, 'httpbin.org:80']"},
		{"by the gateway after all", `[sidecar, "httpbin.org:80"]`, grows(clusterToGateway, 1), grows(clusterToHost, 1), nil, runner.Failed, "istio-egressgateway.istio-system"},
		{"another port", `[sidecar, "httpbin.org:443"]`, grows(clusterToHost, 1), nil, nil, runner.Failed, "got [sidecar, 'httpbin.org:80']"},
		{"no further than the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(clusterToGateway, 1), quiet, nil, runner.Failed, "got {hops: [sidecar, egressgateway], ends: refused, why: it sent no request on}"},
		{"others use the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(clusterToGateway, 1), grows(clusterToHost, 2), nil, runner.Errored, "2 requests on, and counters do not tell which"},
		{"nowhere", `[sidecar, "httpbin.org:80"]`, quiet, nil, nil, runner.Failed, "it sent no request on"},
		{"some host of a wildcard", `[sidecar, "en.wikipedia.org:443"]`, grows(clusterToAny, 1), nil, nil, runner.Failed, "*.wikipedia.org:443"},
		{"the wildcard", `[sidecar, "*.wikipedia.org:443"]`, grows(clusterToAny, 1), nil, nil, runner.Passed, ""},
		{"direct", "[direct]", quiet, nil, listener(0), runner.Passed, ""},
		{"not direct", "[direct]", grows(clusterToHost, 1), nil, listener(1), runner.Failed, "the sidecar's counters grew"},
		{"accepted, and not sent on", "[direct]", quiet, nil, listener(1), runner.Failed, "the sidecar accepted 1 connections"},
		{"direct, uncounted", "[direct]", quiet, nil, nil, runner.Errored, "needs two witnesses"},
		{"blocked", "[blocked]", quiet, nil, listener(1), runner.Errored, "counters do not tell a request that was blocked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWay(t, "{}\n")
			w.count["curl-1"], w.count["gateway-1"], w.stats = c.sidecar, c.gateway, c.stats
			status, problem := runOnce(t, w, "path: "+c.path+"\n  within: 1ms")
			assert.Equal(t, c.want, status, "%v", problem)
			assert.Contains(t, problem.Text, c.because)
			if c.want == runner.Errored && c.path != `[sidecar, egressgateway, "httpbin.org:80"]` {
				assert.NotEmpty(t, problem.Hint, "what to switch on")
			}
		})
	}
}

func TestTheWayByLogs(t *testing.T) {
	const byGateway = `[sidecar, egressgateway, "httpbin.org:80"]`
	blockedTCP := direct(noFilterChain, func(l *evidence.Line) {
		l.Flags, l.Details, l.Cluster, l.DownstreamLocal, l.SNI = []string{"UH"}, "", evidence.BlackHole, "203.0.113.13:80", "httpbin.org"
	})
	for _, c := range []struct {
		name, path       string
		sidecar, gateway []evidence.Line
		want             runner.Status
		because          string
	}{
		{"by the gateway", byGateway, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway()}, runner.Passed, ""},
		{"another connection to the gateway", byGateway, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway(func(l *evidence.Line) { l.DownstreamRemote = "10.244.1.6:38743" })}, runner.Errored, "no line of the request in the access log of gateway-1"},
		{"a request of before on the same connection", byGateway, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway(func(l *evidence.Line) { l.Start = noon })}, runner.Errored, "no line of the request"},
		{"two that are alike", byGateway, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway(), gateway()}, runner.Errored, "cannot be told apart"},
		{"the gateway sends it elsewhere", byGateway, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway(byCluster("outbound|80||example.org"))}, runner.Failed, "got [sidecar, egressgateway, 'example.org:80']"},
		{"past the gateway", byGateway, []evidence.Line{direct()}, []evidence.Line{gateway()}, runner.Failed, "got [sidecar, 'httpbin.org:80']"},
		{"not past the gateway", `[sidecar, "httpbin.org:80"]`, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway()}, runner.Failed, "got [sidecar, egressgateway, 'httpbin.org:80']"},
		{"others on the connection to the gateway", byGateway,
			[]evidence.Line{direct(toGateway, func(l *evidence.Line) { l.DownstreamRemote, l.Path = "10.244.1.6:41000", "/get" }), direct(toGateway)},
			[]evidence.Line{gateway(func(l *evidence.Line) { l.Path, l.Cluster = "/get", "outbound|80||example.org" }), gateway()}, runner.Passed, ""},
		{"rewritten on its way to the gateway", byGateway, []evidence.Line{direct(toGateway)}, []evidence.Line{gateway(func(l *evidence.Line) { l.Path = "/new" })}, runner.Passed, ""},
		{"blocked", "[blocked]", []evidence.Line{blockedTCP}, nil, runner.Passed, ""},
		{"blocked on its way", `[sidecar, "httpbin.org:443"]`, []evidence.Line{blockedTCP}, nil, runner.Failed, "got blocked"},
		{"not blocked", "[blocked]", []evidence.Line{direct(toGateway)}, []evidence.Line{gateway()}, runner.Failed, "egressgateway"},
		{"refused by the gateway", "{hops: [sidecar, egressgateway], ends: refused}", []evidence.Line{direct(toGateway)}, []evidence.Line{gateway(noFilterChain)}, runner.Passed, ""},
		{"no line", "[blocked]", nil, nil, runner.Failed, "no line of the request in the sidecar's access log"},
	} {
		for _, clock := range []time.Duration{0, time.Hour, -time.Hour} {
			t.Run(fmt.Sprint(c.name, " ", clock), func(t *testing.T) {
				w := newWay(t, "accessLogFile: /dev/stdout\n")
				w.clock, w.logs["curl-1"], w.logs["gateway-1"] = clock, c.sidecar, c.gateway
				status, problem := runOnce(t, w, "path: "+c.path+"\n  within: 1ms")
				assert.Equal(t, c.want, status, "%v", problem)
				assert.Contains(t, problem.Text, c.because)
			})
		}
	}
}

// On another node, whose clock may be another one, the line of the attempt before
// must not be taken for that of this one.
func TestTheWayOverTwoNodes(t *testing.T) {
	earlier := func(l *evidence.Line) { l.Start = l.Start.Add(-3 * time.Second) } // a tenth of it, see line
	before := []func(*evidence.Line){toGateway, earlier, func(l *evidence.Line) { l.DownstreamRemote = "10.244.1.6:39999" }}
	for _, c := range []struct {
		name             string
		sidecar, gateway []evidence.Line
		want             runner.Status
	}{
		{"ours alone", []evidence.Line{direct(toGateway)}, []evidence.Line{gateway()}, runner.Passed},
		{"that of before alone has come", []evidence.Line{direct(before...), direct(toGateway)}, []evidence.Line{gateway(earlier)}, runner.Errored},
		{"both", []evidence.Line{direct(before...), direct(toGateway)}, []evidence.Line{gateway(earlier), gateway()}, runner.Passed},
		{"both, and ours went elsewhere", []evidence.Line{direct(before...), direct(toGateway)},
			[]evidence.Line{gateway(earlier), gateway(byCluster("outbound|80||example.org"))}, runner.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWay(t, "accessLogFile: /dev/stdout\n")
			pod, err := w.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "istio-system", Name: "gateway-1"})
			require.NoError(t, err)
			require.NoError(t, unstructured.SetNestedField(pod.Object, "other", "spec", "nodeName"))
			w.Put(pod)
			w.logs["curl-1"], w.logs["gateway-1"] = c.sidecar, c.gateway
			status, problem := runOnce(t, w, `path: [sidecar, egressgateway, "httpbin.org:80"]`+"\n  within: 1ms")
			assert.Equal(t, c.want, status, "%v", problem)
		})
	}
}
