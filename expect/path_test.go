package expect_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// A wayOutOf is a cluster in which a request of curl-1 leaves its mark on the
// sidecar and on the egress gateway.
type wayOutOf struct {
	*clustertest.Fake
	logs  map[string]string                  // by pod, after the request
	count map[string]func(after bool) string // the answer of GET clusters
	stats func(after bool) string            // that of GET stats of the sidecar
	asked bool
}

func newWay(t *testing.T, meshConfig string) *wayOutOf {
	gateway := clustertest.ReadyPod("istio-system", "gateway-1", map[string]string{"istio": "egressgateway"}, mesh.Sidecar)
	require.NoError(t, unstructured.SetNestedField(gateway.Object, "10.244.1.3", "status", "podIP"))
	w := &wayOutOf{Fake: clustertest.NewFake(
		clustertest.ReadyPod("default", "curl-1", nil, "curl", mesh.Sidecar), gateway,
		clustertest.Object("v1", "ConfigMap", "istio-system", "istio", map[string]any{"data": map[string]any{"mesh": meshConfig}}),
	), logs: map[string]string{}, count: map[string]func(bool) string{}}
	w.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(w.logs[r.Pod])), nil
	}
	w.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		if r.Command[0] == "curl" {
			w.asked = true
			_, format, _ := strings.Cut(r.Command[len(r.Command)-1], "%{stderr}")
			_, err := report.WriteString(r.Stderr, format)
			return cluster.ExecResult{Trusted: true}, err
		}
		answer := w.count[r.Pod]
		if path := r.Command[len(r.Command)-1]; strings.HasPrefix(path, "stats") {
			answer = w.stats
		}
		if answer != nil {
			fmt.Fprint(r.Stdout, answer(w.asked))
		}
		return cluster.ExecResult{Trusted: true}, nil
	}
	return w
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
	toGateway = "outbound|80||istio-egressgateway.istio-system.svc.cluster.local::10.244.1.3:8080"
	toHost    = "outbound|80||httpbin.org::203.0.113.13:80"
	toAny     = "outbound|443||*.wikipedia.org::203.0.113.13:443"
)

func TestTheWayByCounters(t *testing.T) {
	quiet := func(bool) string { return toHost + "::rq_total::7\n" }
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
		{"to a host", `[sidecar, "httpbin.org:80"]`, grows(toHost, 1), nil, nil, runner.Passed, ""},
		{"an address in IPv6", `[sidecar, "httpbin.org:80"]`, grows("outbound|80||httpbin.org::[2001:db8::1]:80", 1), nil, nil, runner.Passed, ""},
		{"past what is known", "[sidecar, passthrough]", grows("PassthroughCluster::203.0.113.13:80", 1), nil, nil, runner.Passed, ""},
		{"by the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(toGateway, 1), grows(toHost, 1), nil, runner.Passed, ""},
		{"not by the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(toHost, 1), grows(toHost, 1), nil, runner.Failed, "got sidecar → 203.0.113.13:80 (outbound|80||httpbin.org)"},
		{"by the gateway after all", `[sidecar, "httpbin.org:80"]`, grows(toGateway, 1), grows(toHost, 1), nil, runner.Failed, "got sidecar → 10.244.1.3:8080"},
		{"another port", `[sidecar, "httpbin.org:443"]`, grows(toHost, 1), nil, nil, runner.Failed, "got sidecar → 203.0.113.13:80"},
		{"no further than the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(toGateway, 1), quiet, nil, runner.Failed, "got sidecar → egressgateway → it sent no request on"},
		{"others use the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, grows(toGateway, 1), grows(toHost, 2), nil, runner.Failed, "2 requests on, and counters do not tell which"},
		{"nowhere", `[sidecar, "httpbin.org:80"]`, quiet, nil, nil, runner.Failed, "got it sent no request on"},
		{"some host of a wildcard", `[sidecar, "en.wikipedia.org:443"]`, grows(toAny, 1), nil, nil, runner.Failed, "outbound|443||*.wikipedia.org"},
		{"the wildcard", `[sidecar, "*.wikipedia.org:443"]`, grows(toAny, 1), nil, nil, runner.Passed, ""},
		{"direct", "[direct]", quiet, nil, listener(0), runner.Passed, ""},
		{"not direct", "[direct]", grows(toHost, 1), nil, listener(1), runner.Failed, "got through the sidecar, which accepted a connection"},
		{"direct, uncounted", "[direct]", quiet, nil, nil, runner.Errored, "nothing tells whether a request goes past the sidecar"},
		{"blocked", "[blocked]", quiet, nil, listener(1), runner.Errored, "counters do not tell a request that was blocked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWay(t, "{}\n")
			w.count["curl-1"], w.count["gateway-1"], w.stats = c.sidecar, c.gateway, c.stats
			status, err := runOnce(t, w, "path: "+c.path+"\n  within: 1ms")
			assert.Equal(t, c.want, status, "%v", err)
			if c.because != "" {
				assert.ErrorContains(t, err, c.because)
			}
		})
	}
}

func TestTheWayByLogs(t *testing.T) {
	const (
		sidecar = `[2026-11-24T12:59:37.629Z] "GET /headers HTTP/1.1" 200 - via_upstream - "-" 0 67 30 20 "-" "curl/8.9" "id" "httpbin.org" "10.244.1.3:8080" outbound|80||istio-egressgateway.istio-system.svc.cluster.local 10.244.1.6:38742 203.0.113.13:80 10.244.1.6:40000 - default` + "\n"
		gateway = `[2026-11-24T12:59:37.640Z] "GET /headers HTTP/2" 200 - via_upstream - "-" 0 67 3 2 "10.244.1.6" "curl/8.9" "other" "httpbin.org" "203.0.113.13:80" outbound|80||httpbin.org 10.244.1.3:50000 10.244.1.3:8080 10.244.1.6:38742 - -` + "\n"
		blocked = `[2026-11-24T12:59:37.629Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - 203.0.113.13:443 10.244.1.6:40000 httpbin.org -` + "\n"
	)
	for _, c := range []struct {
		name, path       string
		sidecar, gateway string
		want             runner.Status
		because          string
	}{
		{"by the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, sidecar, gateway, runner.Passed, ""},
		{"another connection to the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, sidecar, strings.Replace(gateway, ":38742", ":38743", 1), runner.Failed, "sidecar → egressgateway → no line of the request"},
		{"another path on the same connection", `[sidecar, egressgateway, "httpbin.org:80"]`, sidecar, strings.Replace(gateway, "/headers", "/get", 1), runner.Failed, "sidecar → egressgateway → no line of the request"},
		{"a request of before on the same connection", `[sidecar, egressgateway, "httpbin.org:80"]`, sidecar, strings.Replace(gateway, "37.640", "37.600", 1), runner.Failed, "sidecar → egressgateway → no line of the request"},
		{"two that are alike", `[sidecar, egressgateway, "httpbin.org:80"]`, sidecar, gateway + gateway, runner.Failed, "cannot be told apart"},
		{"the gateway sends it elsewhere", `[sidecar, egressgateway, "httpbin.org:80"]`, sidecar, strings.Replace(gateway, "outbound|80||httpbin.org", "outbound|80||example.org", 1), runner.Failed, "sidecar → egressgateway → 203.0.113.13:80 (outbound|80||example.org)"},
		{"past the gateway", `[sidecar, egressgateway, "httpbin.org:80"]`, wayOut, gateway, runner.Failed, "sidecar → 203.0.113.13:80"},
		{"not past the gateway", `[sidecar, "httpbin.org:80"]`, sidecar, gateway, runner.Failed, "sidecar → 10.244.1.3:8080"},
		{"blocked", "[blocked]", blocked, "", runner.Passed, ""},
		{"blocked on its way", `[sidecar, "httpbin.org:443"]`, blocked, "", runner.Failed, "sidecar → blocked"},
		{"not blocked", "[blocked]", sidecar, gateway, runner.Failed, "sidecar → 10.244.1.3:8080"},
		{"no line", "[blocked]", "", "", runner.Failed, "no line of the request in the sidecar's access log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWay(t, "accessLogFile: /dev/stdout\n")
			w.logs["curl-1"], w.logs["gateway-1"] = c.sidecar, c.gateway
			status, err := runOnce(t, w, "path: "+c.path+"\n  within: 1ms")
			assert.Equal(t, c.want, status, "%v", err)
			if c.because != "" {
				assert.ErrorContains(t, err, c.because)
			}
		})
	}
}
