package expect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

// The attempts of these tests are of curl in a pod with a sidecar, on its way to
// httpbin.org, be it by the egress gateway.

const (
	curlAddr = "10.244.1.6:40000" // curl's own end of its connection
	outAddr  = "10.244.1.6:38742" // the sidecar's end of the next one
	onAddr   = "10.244.1.3:50000" // the gateway's end of the one after that
)

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	curlPod = evidence.Pod{Namespace: "default", Name: "curl-1", IP: "10.244.1.6", Sidecar: true}
	gatePod = evidence.Pod{Namespace: "istio-system", Name: "gateway-1", IP: "10.244.1.3", Sidecar: true}
	nginx   = evidence.Pod{Namespace: "default", Name: "nginx-1", IP: "10.244.1.9", Sidecar: true}
)

// attempt returns an attempt of curl of which everything was gathered, with these
// lines of the logs.
func attempt(lines ...evidence.Line) *evidence.Attempt {
	return &evidence.Attempt{
		Started: noon, Ended: noon.Add(time.Second),
		Command: &evidence.Command{ExitCode: new(int), Pod: curlPod, Curl: new(evidence.Curl)},
		Transfers: []evidence.Transfer{{
			URL: "http://httpbin.org/headers", Status: 200, Proto: "HTTP/1.1", Connects: 1, Local: curlAddr, Remote: "203.0.113.13:80",
		}},
		Responses: []evidence.Response{{Proto: "HTTP/1.1", Status: 200}},
		Proxies: []evidence.Proxy{
			{Name: evidence.Sidecar, Pod: curlPod, Log: evidence.Log{Read: true, Complete: true}, Counted: true},
			{Name: "egressgateway", Pod: gatePod, Log: evidence.Log{Read: true}, Counted: true},
		},
		Places: []evidence.Place{
			{Name: "egressgateway", Pods: []evidence.Pod{gatePod}}, {Name: "deploy/nginx", Pods: []evidence.Pod{nginx}},
			{Name: "gateway/none", Why: "there is no pod of gateway/none"},
		},
		Lines: lines,
	}
}

// direct returns the sidecar's line of a request that goes straight to its host.
func direct(change ...func(*evidence.Line)) evidence.Line {
	l := evidence.Line{
		Text: "the sidecar's line", Proxy: evidence.Sidecar, Pod: "curl-1", Start: noon.Add(100 * time.Millisecond), Duration: 50 * time.Millisecond,
		Method: "GET", Path: "/headers", Protocol: "HTTP/1.1", Status: 200, Authority: "httpbin.org",
		UpstreamHost: "203.0.113.13:80", Cluster: "outbound|80||httpbin.org", UpstreamLocal: outAddr,
		DownstreamLocal: "203.0.113.13:80", DownstreamRemote: curlAddr, Route: "default",
	}
	for _, f := range change {
		f(&l)
	}
	return l
}

// toGateway has a line of the sidecar lead to the gateway.
func toGateway(l *evidence.Line) {
	l.UpstreamHost, l.Cluster = "10.244.1.3:8080", "outbound|80||istio-egressgateway.istio-system.svc.cluster.local"
}

// gateway returns the gateway's line of that request.
func gateway(change ...func(*evidence.Line)) evidence.Line {
	return direct(append([]func(*evidence.Line){func(l *evidence.Line) {
		l.Text, l.Proxy, l.Pod, l.Start, l.Duration = "the gateway's line", "egressgateway", "gateway-1", l.Start.Add(10*time.Millisecond), 20*time.Millisecond
		l.UpstreamLocal, l.DownstreamLocal, l.DownstreamRemote = onAddr, "10.244.1.3:8080", outAddr
	}}, change...)...)
}

// refused has a line be of a request that could not be sent on.
func refused(l *evidence.Line) {
	l.Status, l.Flags, l.UpstreamLocal = 503, []string{"UF"}, ""
	l.Details = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"
}

func timedOut(l *evidence.Line) {
	l.Status, l.Flags, l.UpstreamLocal = 503, []string{"UF"}, ""
	l.Details = "upstream_reset_before_response_started{connection_timeout}"
}

func blocked(l *evidence.Line) {
	l.Status, l.UpstreamHost, l.UpstreamLocal, l.Cluster, l.Route = 502, "", "", "", evidence.BlockAll
}

// noFilterChain has a line of the gateway be of a connection that it does not take.
func noFilterChain(l *evidence.Line) {
	l.Method, l.Path, l.Protocol, l.Authority, l.Route, l.Status = "", "", "", "", "", 0
	l.Flags, l.Details, l.Cluster, l.UpstreamHost, l.UpstreamLocal = []string{"NR"}, "filter_chain_not_found", "", "", ""
}

func byCluster(name string) func(*evidence.Line) { return func(l *evidence.Line) { l.Cluster = name } }

func wildcard(l *evidence.Line) { l.Cluster = "outbound|80||*.org" }

// recorded adds what the far end recorded.
func recorded(a *evidence.Attempt, arrivals ...evidence.Arrival) *evidence.Attempt {
	a.Arrivals = &evidence.Arrivals{Recorded: true, All: arrivals}
	return a
}

// arrival returns what the far end records of a request, changed.
func arrival(remote string, change ...func(*evidence.Arrival)) evidence.Arrival {
	r := evidence.Arrival{
		Time: noon.Add(120 * time.Millisecond), Site: "httpbin.org", Owner: "httpbin.org", Host: "httpbin.org", Protocol: "HTTP/1.1",
		Method: "GET", Path: "/headers", Status: 200, Remote: remote, Local: "203.0.113.13:80",
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

// changed changes an attempt.
func changed(a *evidence.Attempt, change func(*evidence.Attempt)) *evidence.Attempt {
	change(a)
	return a
}

// second adds a second URL, for which curl made a connection of its own.
func second(a *evidence.Attempt) {
	a.Transfers = append(a.Transfers, evidence.Transfer{URL: "http://example.org/", Status: 200, Connects: 1, Local: "10.244.1.6:40001", Remote: "203.0.113.14:80"})
}

// ledOn has curl follow a redirect to http://example.org/, over a connection of
// its own; the address of the first one is not known.
func ledOn(a *evidence.Attempt) {
	t := &a.Transfers[0]
	t.Redirects, t.Connects, t.Local = 1, 2, "10.244.1.6:40001"
	a.Command.Curl.HeadsShown = true
	a.Responses = []evidence.Response{{Status: 301, Header: http.Header{"Location": {"http://example.org/"}}}, {Proto: "HTTP/1.1", Status: 200}}
}

// next is the sidecar's line of the second request.
func next(l *evidence.Line) {
	l.Start, l.DownstreamRemote, l.UpstreamLocal = l.Start.Add(100*time.Millisecond), "10.244.1.6:40001", "10.244.1.6:38800"
	l.Path, l.Authority, l.Cluster, l.UpstreamHost = "/", "example.org", "outbound|80||example.org", "203.0.113.14:80"
}

// again adds a second URL, for which curl makes its request over the connection
// of the first.
func again(a *evidence.Attempt) {
	t := a.Transfers[0]
	t.Connects = 0
	a.Transfers = append(a.Transfers, t)
}

func laterOn(l *evidence.Line) { l.Start = l.Start.Add(100 * time.Millisecond) }

// forged has a line name a client that is not the pod, as X-Forwarded-For can.
func forged(l *evidence.Line) { l.DownstreamRemote = "1.2.3.4:0" }

// opaque has a line be of a connection that the sidecar does not open.
func opaque(l *evidence.Line) {
	l.Method, l.Path, l.Protocol, l.Authority, l.Route, l.Status, l.SNI = "", "", "", "", "", 0, "httpbin.org"
}

// redirected returns an attempt that followed a redirect by the sidecar.
func redirected(t *testing.T) *evidence.Attempt {
	a := changed(attempt(direct(), direct(next)), ledOn)
	a.Command.Stdout, a.Command.Stderr = "out\n", "err\n"
	recorded(a, arrival(outAddr), arrival("10.244.1.6:38800", func(r *evidence.Arrival) {
		r.Time, r.Host, r.Site, r.Owner, r.Path = r.Time.Add(100*time.Millisecond), "example.org", "example.org", "example.org", "/"
	}))
	evidence.Join(a)
	require.Len(t, a.Ways, 2)
	return a
}

const (
	held       = evidence.Held
	notHeld    = evidence.NotHeld
	notJudged  = evidence.NotJudged
	notChecked = evidence.NotChecked
)

// outcome returns the worst of the outcomes of verdicts.
func outcome(vs evidence.Verdicts) evidence.Outcome {
	for _, o := range []evidence.Outcome{notHeld, notJudged, notChecked} {
		if len(vs.Of(o)) > 0 {
			return o
		}
	}
	return held
}

// A judgement is a case: an expectation, an attempt, and how it is judged.
type judgement struct {
	name    string
	yaml    string
	attempt *evidence.Attempt
	want    evidence.Outcome
	says    string // in the verdicts
}

// resident returns an attempt in which a pod of the cluster has the address of httpbin.org.
func resident(a *evidence.Attempt) *evidence.Attempt {
	a.Residents = []evidence.Pod{{Namespace: "shop", Name: "web", IP: "203.0.113.13"}}
	return a
}

func testJudgements(t *testing.T, key string, cases []judgement) {
	for _, c := range cases {
		t.Run(c.name+" "+c.yaml, func(t *testing.T) {
			evidence.Join(c.attempt)
			vs := judge(t, key, c.yaml, c.attempt)
			assert.Equal(t, c.want, outcome(vs), "%s", vs)
			assert.Contains(t, vs.String(), c.says)
		})
	}
}

func TestPath(t *testing.T) {
	const gatewayWay = `[sidecar, egressgateway, "httpbin.org:80"]`
	testJudgements(t, "path", []judgement{
		{"to a host", `[sidecar, "httpbin.org:80"]`, attempt(direct()), held, ""},
		{"to a host, another port", `[sidecar, "httpbin.org:443"]`, attempt(direct()), notHeld, "httpbin.org:80"},
		{"to another host", `[sidecar, "example.org:80"]`, attempt(direct()), notHeld, "httpbin.org:80"},
		{"past what is known", "[sidecar, passthrough]", attempt(direct(byCluster(evidence.Passthrough))), held, ""},
		{"to a host that is known", "[sidecar, passthrough]", attempt(direct()), notHeld, "httpbin.org:80"},
		{"past what is known, and not made", "[sidecar, passthrough]", attempt(direct(byCluster(evidence.Passthrough), refused)), notHeld, "refused"},
		{"by the gateway", gatewayWay, attempt(direct(toGateway), gateway()), held, ""},
		{"past the gateway", gatewayWay, attempt(direct()), notHeld, "[sidecar, 'httpbin.org:80']"},
		{"not past the gateway", `[sidecar, "httpbin.org:80"]`, attempt(direct(toGateway), gateway()), notHeld, "egressgateway"},
		{"the gateway's line has not come", gatewayWay, attempt(direct(toGateway)), notJudged, "no line of the request in the access log of gateway-1"},
		{"the gateway sends it elsewhere", gatewayWay, attempt(direct(toGateway), gateway(byCluster("outbound|80||example.org"))), notHeld, "example.org"},
		{"a gateway that is not there", `[sidecar, gateway/none, "httpbin.org:80"]`, attempt(direct(toGateway), gateway()), notHeld, "there is no pod of gateway/none"},
		{"to a pod", "[sidecar, deploy/nginx]", attempt(direct(func(l *evidence.Line) { l.UpstreamHost = "10.244.1.9:80" })), held, ""},
		{"to a gateway that sends it on", "[sidecar, deploy/gateway]", changed(attempt(direct(toGateway), gateway()), func(a *evidence.Attempt) {
			a.Places = append(a.Places, evidence.Place{Name: "deploy/gateway", Pods: []evidence.Pod{gatePod}})
		}), notHeld, "httpbin.org:80"},
		{"to a host to which a rule leads requests for another", `[sidecar, "example.org:80"]`, changed(attempt(direct(byCluster("outbound|80||example.org"))), func(a *evidence.Attempt) {
			a.Arrivals = &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{{Remote: outAddr, Host: "httpbin.org", Owner: "httpbin.org", Site: "example.org"}}}
		}), held, ""},
		{"to a host under whose name another answers", `[sidecar, "example.org:80"]`, changed(attempt(direct(byCluster("outbound|80||example.org"))), func(a *evidence.Attempt) {
			a.Arrivals = &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{{Remote: outAddr, Host: "example.org", Owner: "example.org", Site: "httpbin.org"}}}
		}), notHeld, "httpbin.org answered"},
		{"a line that cannot be read", `[sidecar, "httpbin.org:80"]`, changed(attempt(), func(a *evidence.Attempt) {
			a.Unread = []evidence.Unread{{Proxy: evidence.Sidecar, Text: "[2026"}}
		}), notJudged, "cannot be read"},
		{"to another pod", "[sidecar, deploy/nginx]", attempt(direct()), notHeld, "httpbin.org:80"},

		{"blocked", "[blocked]", attempt(direct(blocked)), held, ""},
		{"not blocked", "[blocked]", attempt(direct()), notHeld, "httpbin.org:80"},
		{"refused is not blocked", "[blocked]", attempt(direct(refused)), notHeld, "refused"},
		{"blocked on its way", `[sidecar, "httpbin.org:80"]`, attempt(direct(blocked)), notHeld, "blocked"},
		{"a host that was not reached", `[sidecar, "httpbin.org:80"]`, attempt(direct(refused)), notHeld, "refused"},
		{"refused", "{hops: [sidecar], ends: refused}", attempt(direct(refused)), held, ""},
		{"refused, and why", "{hops: [sidecar], ends: refused, why: {contains: Connection_refused}}", attempt(direct(refused)), held, ""},
		{"refused, another reason", "{hops: [sidecar], ends: refused, why: {contains: CERTIFICATE}}", attempt(direct(refused)), notHeld, "Connection_refused"},
		{"not refused", "{hops: [sidecar], ends: refused}", attempt(direct()), notHeld, "httpbin.org:80"},
		{"a timeout is no refusal", "{hops: [sidecar], ends: refused}", attempt(direct(timedOut)), notHeld, "timeout"},
		{"a timeout", "{hops: [sidecar], ends: timeout}", attempt(direct(timedOut)), held, ""},
		{"no filter chain at the gateway", "{hops: [sidecar, egressgateway], ends: refused, why: {contains: filter_chain_not_found}}",
			attempt(direct(toGateway, func(l *evidence.Line) { l.Status, l.Flags = 503, []string{"UC"} }), gateway(noFilterChain)), held, ""},
		{"the gateway cannot reach the host", "{hops: [sidecar, egressgateway], ends: refused}", attempt(direct(toGateway), gateway(refused)), held, ""},
		{"refused already at the sidecar", "{hops: [sidecar, egressgateway], ends: refused}", attempt(direct(toGateway, refused)), notHeld, "refused"},

		{"direct", "[direct]", attempt(), held, ""},
		{"not direct", "[direct]", attempt(direct()), notHeld, "a line of it"},
		{"direct is not to a host", `[sidecar, "httpbin.org:80"]`, attempt(), notHeld, "direct"},
		{"direct is not blocked", "[blocked]", attempt(), notHeld, "direct"},
		{"direct, by one witness", "[direct]", changed(attempt(), func(a *evidence.Attempt) { a.Proxies[0].Counted = false }), notJudged, "two witnesses"},
		{"no connection is no way", "[direct]", changed(attempt(), func(a *evidence.Attempt) { a.Transfers[0].Local = "" }), notHeld, "no connection"},
		{"a log of which not all was read", `[sidecar, "httpbin.org:80"]`, changed(attempt(), func(a *evidence.Attempt) {
			a.Proxies[0].Log = evidence.Log{Read: true, Why: "a later line has not come", Again: true}
		}), notJudged, "a later line has not come"},

		// The way is that of each transfer's last request.
		{"a redirect", `[sidecar, "example.org:80"]`, changed(attempt(direct(), direct(next)), ledOn), held, ""},
		{"what led to a redirect", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(), direct(next)), ledOn), notHeld, "example.org:80"},
		{"a redirect past the sidecar", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct()), ledOn), notJudged, ""},
		{"a redirect past the sidecar, that was blocked first", "[blocked]", changed(attempt(direct(blocked)), ledOn), notJudged, ""},
		{"two URLs", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(), direct(func(l *evidence.Line) { l.DownstreamRemote = "10.244.1.6:40001" })), second), held, ""},
		{"two URLs to two hosts", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(), direct(next)), second), notHeld, "example.org:80"},
		{"two URLs of which one passes the sidecar", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct()), second), notJudged, "2 transfers"},
		{"two URLs of which one is direct", "[direct]", changed(attempt(direct()), second), notHeld, "a line of it"},

		{"two URLs over one connection", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(), direct(laterOn)), again), held, ""},
		{"two URLs over one connection, of which the first goes elsewhere", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(byCluster("outbound|80||example.org")), direct(laterOn)), again), notHeld, "example.org"},
		{"two URLs over one connection, of which the second goes elsewhere", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(), direct(laterOn, byCluster("outbound|80||example.org"))), again), notHeld, "example.org"},
		{"two URLs whose lines name another client", `[sidecar, "example.org:80"]`, changed(attempt(direct(forged), direct(next, forged)), second), notHeld, "httpbin.org:80"},
		{"two URLs in one TLS connection each", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(opaque), direct(opaque, func(l *evidence.Line) { l.DownstreamRemote = "10.244.1.6:40001" })), second), held, ""},
		{"two URLs in one TLS connection", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(opaque)), again), held, ""},

		// The name in a request is the client's word.
		{"a host of a wildcard", `[sidecar, "httpbin.org:80"]`, attempt(direct(wildcard)), held, ""},
		{"another host of a wildcard", `[sidecar, "example.org:80"]`, attempt(direct(wildcard)), notHeld, "httpbin.org:80"},
		{"the wildcard itself", `[sidecar, "*.org:80"]`, attempt(direct(wildcard)), held, ""},
		{"the server that has the name", `[sidecar, "httpbin.org:80"]`, recorded(attempt(direct(wildcard)), arrival(outAddr)), held, ""},
		{"a server that has another name", `[sidecar, "httpbin.org:80"]`, recorded(attempt(direct(wildcard)), arrival(outAddr, func(r *evidence.Arrival) { r.Site = "evil.org" })),
			notHeld, "evil.org answered"},
		{"curl chose the address", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(wildcard)), func(a *evidence.Attempt) { a.Command.Curl.Redirected = true }),
			notJudged, "nobody tells whose address that is"},
		{"curl chose the address of a server that records", `[sidecar, "httpbin.org:80"]`, recorded(changed(attempt(direct(wildcard)), func(a *evidence.Attempt) { a.Command.Curl.Redirected = true }), arrival(outAddr)),
			held, ""},
		{"curl chose the address of a server that does not record", `[sidecar, "httpbin.org:80"]`, recorded(changed(attempt(direct(wildcard)), func(a *evidence.Attempt) { a.Command.Curl.Redirected = true })),
			notJudged, "nobody tells whose address that is"},
		{"the URL is an address, and the name a header", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct(wildcard)), func(a *evidence.Attempt) {
			a.Transfers[0].URL = "http://203.0.113.13/headers"
		}), notJudged, "nobody tells whose address that is"},
		{"curl chose the address, and the proxy the same", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct()), func(a *evidence.Attempt) {
			a.Transfers[0].URL = "http://alias.example.org/headers"
			a.Upstreams = []evidence.Upstream{{Pod: "curl-1", Cluster: "outbound|80||httpbin.org", Resolved: true}}
		}), held, ""},
		{"curl chose the address, and the proxy took it", `[sidecar, "httpbin.org:80"]`, changed(attempt(direct()), func(a *evidence.Attempt) {
			a.Transfers[0].URL = "http://alias.example.org/headers"
			a.Upstreams = []evidence.Upstream{{Pod: "curl-1", Cluster: "outbound|80||httpbin.org"}}
		}), notJudged, "nobody tells whose address that is"},
		{"a pod of the cluster has the host's name", `[sidecar, "httpbin.org:80"]`, resident(attempt(direct())), notHeld, "pod web in namespace shop answered"},
		{"a pod of which istiod told", `[sidecar, "httpbin.org:80"]`, changed(resident(attempt(direct())), func(a *evidence.Attempt) {
			a.Upstreams = []evidence.Upstream{{Pod: "curl-1", Cluster: "outbound|80||httpbin.org", Resolved: true, Told: true}}
		}), held, ""},
		{"an address of the cluster's own, where the host records nothing", `[sidecar, "httpbin.org:80"]`, recorded(changed(attempt(direct()), func(a *evidence.Attempt) {
			a.Upstreams = []evidence.Upstream{{Pod: "curl-1", Cluster: "outbound|80||httpbin.org", Resolved: true}}
		})), notJudged, "has not recorded it"},

		// The pod has no sidecar to go past.
		{"no sidecar", "[direct]", changed(attempt(), func(a *evidence.Attempt) { a.Command.Pod.Sidecar, a.Proxies = false, nil }), held, ""},
		{"no sidecar and no connection", "[direct]", changed(attempt(), func(a *evidence.Attempt) {
			a.Command.Pod.Sidecar, a.Proxies = false, nil
			a.Transfers[0].Local, a.Transfers[0].Remote, a.Transfers[0].Status = "", "", 0
		}), notHeld, "no connection"},

		// Without a log, the counters tell, of one request.
		{"by counters", `[sidecar, "httpbin.org:80"]`, counted(grew("curl-1", "outbound|80||httpbin.org", "203.0.113.13:80", 1)), held, ""},
		{"by counters, by the gateway", gatewayWay, counted(grew("curl-1", "outbound|80||istio-egressgateway.istio-system.svc.cluster.local", "10.244.1.3:8080", 1),
			grew("gateway-1", "outbound|80||httpbin.org", "203.0.113.13:80", 1)), held, ""},
		{"by counters, others meanwhile", `[sidecar, "httpbin.org:80"]`, counted(grew("curl-1", "outbound|80||httpbin.org", "203.0.113.13:80", 2)), notJudged, "2 requests"},
		{"by counters, blocked", "[blocked]", counted(), notJudged, "counters do not tell a request that was blocked"},
		{"by counters, nowhere", `[sidecar, "httpbin.org:80"]`, counted(), notHeld, "it sent no request on"},
	})
}

// counted returns an attempt where the mesh writes no access log.
func counted(counters ...evidence.Counter) *evidence.Attempt {
	a := attempt()
	for i := range a.Proxies {
		a.Proxies[i].Log = evidence.Log{Off: "the proxies write no access log"}
	}
	a.Counters = counters
	return a
}

func grew(pod, cluster, host string, by int64) evidence.Counter {
	return evidence.Counter{Pod: pod, Proxy: map[string]string{"curl-1": evidence.Sidecar, "gateway-1": "egressgateway"}[pod], Cluster: cluster, Host: host, Name: "rq_total", Value: 7 + by, Grew: by}
}

func TestLog(t *testing.T) {
	testJudgements(t, "log", []judgement{
		{"its line", "[{status: 200, method: GET, path: /headers, protocol: HTTP/1.1, authority: httpbin.org, cluster: outbound|80||httpbin.org, route: default}]", attempt(direct()), held, ""},
		{"fields that it has not", `[{flags: "-", details: "-", sni: "-"}]`, attempt(direct()), held, ""},
		{"what is absent", "[{flags: {absent: true}, cluster: {not: {absent: true}}}]", attempt(direct()), held, ""},
		{"what is not absent", "[{cluster: {absent: true}}]", attempt(direct()), notHeld, "httpbin.org"},
		{"another status", "[{status: 503}]", attempt(direct()), notHeld, "log[0].status: want 503, got 200"},
		{"one too few", "[{status: 200}, {status: 200}]", attempt(direct()), notHeld, "got [{status: 200}]"},
		{"one too many", "[{status: 200}]", changed(attempt(direct(), direct(next)), ledOn), notHeld, "got [{status: 200}, {status: 200}]"},
		{"both, in order", "[{authority: httpbin.org}, {authority: example.org}]", changed(attempt(direct(next), direct()), ledOn), held, ""},
		{"another process's line is none", "[{status: 200}]", attempt(direct(func(l *evidence.Line) { l.DownstreamRemote, l.Path = "10.244.1.6:41000", "/other" })), notHeld, "got []"},
		{"another process's line that asks the same", "[{status: 200}]", attempt(direct(func(l *evidence.Line) { l.DownstreamRemote = "10.244.1.6:41000" })), notJudged, "of one that another process made"},
		{"none", "[]", attempt(), held, ""},
		{"none, but there is one", "[]", attempt(direct()), notHeld, "/headers"},
		{"none, by one witness", "[]", changed(attempt(), func(a *evidence.Attempt) { a.Proxies[0].Counted = false }), notJudged, "two witnesses"},
		{"at the gateway", "[{in: egressgateway, status: 200, cluster: outbound|80||httpbin.org}]", attempt(direct(toGateway), gateway()), held, ""},
		{"at the sidecar and the gateway", "[{status: 200}, {in: egressgateway, status: 503}]", attempt(direct(toGateway), gateway(refused)), held, ""},
		{"at the gateway, past it", "[{in: egressgateway, status: 200}]", attempt(direct()), notHeld, "the request went"},
		{"at the gateway, whose line has not come", "[{in: egressgateway, status: 200}]", attempt(direct(toGateway)), notJudged, "no line of the request"},
		{"nobody knows whose lines they are", "[{status: 200}]", attempt(direct(func(l *evidence.Line) { l.DownstreamRemote = "1.2.3.4:0" }), direct(func(l *evidence.Line) { l.DownstreamRemote = "1.2.3.5:0" })),
			notJudged, "2 lines"},
		{"a line that cannot be read", "[{status: 200}]", changed(attempt(direct()), func(a *evidence.Attempt) { a.Unread = []evidence.Unread{{Proxy: evidence.Sidecar, Text: "[2026"}} }), notJudged, "cannot be read"},
		{"not all was read", "[{status: 200}]", changed(attempt(direct()), func(a *evidence.Attempt) {
			a.Proxies[0].Log = evidence.Log{Read: true, Why: "broken off", Again: true}
		}), notJudged, "broken off"},
		{"the log is off", "[{status: 200}]", counted(), notJudged, "no access log"},
		{"no connection", "[{status: 200}]", changed(attempt(), func(a *evidence.Attempt) { a.Transfers[0].Local, a.Transfers[0].Error = "", "refused" }), notHeld, "no connection"},
	})
}

func TestConnection(t *testing.T) {
	alone := func(change func(*evidence.Transfer)) *evidence.Attempt {
		a := attempt()
		a.Proxies, a.Command.Pod.Sidecar = nil, false
		change(&a.Transfers[0])
		return a
	}
	none := func(code int, text string) *evidence.Attempt {
		return alone(func(t *evidence.Transfer) { t.Local, t.Remote, t.Status, t.ExitCode, t.Error = "", "", 0, code, text })
	}
	made := func(*evidence.Transfer) {}
	testJudgements(t, "connection", []judgement{
		{"made", "made", alone(made), held, ""},
		{"not refused", "refused", alone(made), notHeld, "got made"},
		{"refused", "refused", none(7, "Failed to connect"), held, ""},
		{"not made", "made", none(7, "Failed to connect"), notHeld, "got refused"},
		{"a timeout", "timeout", none(28, "Connection timed out after 1000 milliseconds"), held, ""},
		{"a timeout is no refusal", "refused", none(28, "Connection timed out after 1000 milliseconds"), notHeld, "got timeout"},
		{"a server that is slow was reached", "made", alone(func(t *evidence.Transfer) { t.ExitCode = 28 }), held, ""},
		{"made by the sidecar", "made", attempt(direct()), held, ""},
		{"refused behind the sidecar", "refused", attempt(direct(refused)), held, ""},
		{"refused behind the sidecar, which curl does not see", "made", attempt(direct(refused)), notHeld, "got refused"},
		{"a timeout behind the sidecar", "timeout", attempt(direct(timedOut)), held, ""},
		{"refused behind the gateway", "refused", attempt(direct(toGateway), gateway(refused)), held, ""},
		{"the gateway's line has not come", "made", attempt(direct(toGateway)), notJudged, "no line of the request"},
		{"past the sidecar", "made", attempt(), held, ""},
		{"past the sidecar, by one witness", "made", changed(attempt(), func(a *evidence.Attempt) { a.Proxies[0].Counted = false }), notJudged, ""},
		{"one of two", "made", changed(attempt(direct(), direct(next, refused)), second), notHeld, "got refused"},
		{"one of two, of which nobody was asked for the other", "made", changed(attempt(direct()), func(a *evidence.Attempt) {
			a.Transfers = append(a.Transfers, evidence.Transfer{URL: "http://nowhere/", ExitCode: 6, Error: "Could not resolve host: nowhere"})
		}), notHeld, "got none"},
		{"one of two, of which nobody was asked for the first", "made", changed(attempt(direct()), func(a *evidence.Attempt) {
			a.Transfers = append([]evidence.Transfer{{URL: "http://nowhere/", ExitCode: 6, Error: "Could not resolve host: nowhere"}}, a.Transfers...)
		}), notHeld, "got none"},
		{"one of two, of which one is past the sidecar", "made", changed(attempt(direct()), second), notJudged, ""},
	})
	for _, c := range []struct {
		name string
		code int
		text string
	}{
		{"a name that nobody knows", 6, "Could not resolve host: nowhere"},
		{"a name server that does not answer", 28, "Resolving timed out after 1000 milliseconds"},
		{"a URL that is none", 3, "URL rejected"},
	} {
		for _, want := range []string{"refused", "timeout"} {
			vs := judge(t, "connection", want, none(c.code, c.text))
			assert.NotEqual(t, held, outcome(vs), "%s: nobody was asked for a connection, so that it is not %s", c.name, want)
		}
	}
}

func TestArrived(t *testing.T) {
	const one = "[{host: httpbin.org, tls: false, method: GET, path: /headers, status: 200, protocol: HTTP/1.1, from: sidecar}]"
	testJudgements(t, "arrived", []judgement{
		{"it arrived", one, recorded(attempt(direct()), arrival(outAddr)), held, ""},
		{"another process's did", one, recorded(attempt(direct()), arrival("10.244.1.6:38999")), notHeld, "got []"},
		{"others at the same time", one, recorded(attempt(direct()), arrival("10.244.1.9:1"), arrival(outAddr), arrival("10.244.1.6:38999", func(r *evidence.Arrival) { r.Headers = map[string]string{"x-request-id": "2"} })), held, ""},
		{"one more of ours", "[{method: GET}]", changed(recorded(attempt(direct(), direct(next)), arrival(outAddr), arrival("10.244.1.6:38800", func(r *evidence.Arrival) {
			r.Time, r.Path, r.Host = r.Time.Add(100*time.Millisecond), "/", "example.org"
		})), ledOn), notHeld, "example.org"},
		{"from the gateway", "[{from: egressgateway}]", recorded(attempt(direct(toGateway), gateway()), arrival(onAddr)), held, ""},
		{"from the sidecar, not the gateway", "[{from: egressgateway}]", recorded(attempt(direct()), arrival(outAddr)), notHeld, "got sidecar"},
		{"from the gateway, not the sidecar", "[{from: sidecar}]", recorded(attempt(direct(toGateway), gateway()), arrival(onAddr)), notHeld, "got egressgateway"},
		{"another path", "[{path: /get}]", recorded(attempt(direct()), arrival(outAddr)), notHeld, "arrived[0].path: want /get, got /headers"},
		{"not in TLS", "[{tls: true}]", recorded(attempt(direct()), arrival(outAddr)), notHeld, "want true, got false"},
		{"another server", "[{host: httpbin.org}]", recorded(attempt(direct()), arrival(outAddr, func(r *evidence.Arrival) { r.Site = "evil.org" })), notHeld, "evil.org answered"},
		{"another server, and that is meant", "[{host: httpbin.org, site: evil.org}]", recorded(attempt(direct()), arrival(outAddr, func(r *evidence.Arrival) { r.Site = "evil.org" })), held, ""},
		{"no client certificate", "[{clientCertificate: {absent: true}}]", recorded(attempt(direct()), arrival(outAddr)), held, ""},
		{"a client certificate", "[{clientCertificate: {absent: true}}]", recorded(attempt(direct()), arrival(outAddr, func(r *evidence.Arrival) { r.ClientCertificate = "CN=a" })), notHeld, "CN=a"},
		{"a path that was not recorded whole", `[{path: {not: {contains: END}}}]`, recorded(attempt(direct(func(l *evidence.Line) { l.Path = "/" + strings.Repeat("x", 5000) + "END" })), arrival(outAddr, func(r *evidence.Arrival) {
			r.Path, r.Truncated = "/"+strings.Repeat("x", 4095), true
		})), notJudged, "has not recorded the whole text"},
		{"another field of it", `[{method: GET}]`, recorded(attempt(direct()), arrival(outAddr, func(r *evidence.Arrival) { r.Truncated = true })), held, ""},
		{"nobody records", one, attempt(direct()), notChecked, "nobody records"},
		{"nobody records that nothing arrived", "[]", attempt(direct(blocked)), notChecked, "nobody records"},

		// That nothing arrived is said by a second witness as well.
		{"none, and it was blocked", "[]", recorded(attempt(direct(blocked))), held, ""},
		{"none, and it was refused", "[]", recorded(attempt(direct(refused))), held, ""},
		{"none, and curl made no connection", "[]", recorded(changed(attempt(), func(a *evidence.Attempt) { a.Transfers[0].Local = "" })), held, ""},
		{"none, but it got there", "[]", recorded(attempt(direct(blocked), direct()), arrival(outAddr)), notHeld, "httpbin.org"},
		{"none, but the proxy sent it on", "[]", recorded(attempt(direct())), notJudged, "contradict each other"},
		{"none, but it went past what is known", "[]", recorded(attempt(direct(byCluster(evidence.Passthrough)))), notJudged, "contradict each other"},
		{"none, and nobody knows its way", "[]", recorded(attempt()), notJudged, ""},
		{"none, of a command that is no curl", "[]", recorded(changed(attempt(), func(a *evidence.Attempt) { a.Command.Curl, a.Transfers = nil, nil })), notJudged, "second witness"},
	})
}

func TestCounter(t *testing.T) {
	const name = "outbound|443||www.wikipedia.org"
	count := func(pod, cluster, host, counter string, by int64) evidence.Counter {
		c := grew(pod, cluster, host, by)
		c.Name = counter
		return c
	}
	two := func(counters ...evidence.Counter) *evidence.Attempt {
		a := attempt()
		other := evidence.Pod{Namespace: "istio-system", Name: "gateway-2", IP: "10.244.1.4", Sidecar: true}
		a.Proxies = append(a.Proxies, evidence.Proxy{Name: "egressgateway", Pod: other, Log: evidence.Log{Read: true}, Counted: true})
		a.Places[0].Pods = append(a.Places[0].Pods, other)
		a.Counters = append([]evidence.Counter{
			count("gateway-1", name, "203.0.113.11:443", "cx_total", 0), count("gateway-2", name, "203.0.113.11:443", "cx_total", 0),
		}, counters...)
		return a
	}
	grows := func(n int) string {
		return fmt.Sprintf("[{in: egressgateway, cluster: %s, name: cx_total, grows: %d}]", name, n)
	}
	oneAndTwo := []evidence.Counter{
		count("gateway-1", name, "203.0.113.12:443", "cx_total", 1), count("gateway-2", name, "203.0.113.12:443", "cx_total", 2),
		count("gateway-2", name, "203.0.113.12:443", "cx_active", 4), count("gateway-2", name+".example", "203.0.113.12:443", "cx_total", 8),
		count("curl-1", name, "203.0.113.12:443", "cx_total", 16),
	}
	testJudgements(t, "counter", []judgement{
		{"by all that the pods count", grows(3), two(oneAndTwo...), held, ""},
		{"by more", grows(2), two(oneAndTwo...), notHeld, "counter[0].grows: want 2, got 3"},
		{"the sidecar's", fmt.Sprintf("[{in: sidecar, cluster: %s, name: cx_total, grows: 16}]", name), two(oneAndTwo...), held, ""},
		{"by none", grows(0), two(), held, ""},
		{"by none, but it grew", grows(0), two(oneAndTwo...), notHeld, "want 0, got 3"},
		{"a proxy that was started anew", grows(0), changed(two(), func(a *evidence.Attempt) {
			a.Proxies[2].Counted, a.Proxies[2].Uncounted = false, "the proxy was started anew"
		}), notJudged, "started anew"},
		{"a cluster that is not there", "[{in: egressgateway, cluster: outbound|443||www.wikipedia.com, name: cx_total, grows: 0}]", two(), notJudged, "has no cluster"},
		{"a counter that is not there", fmt.Sprintf("[{in: egressgateway, cluster: %s, name: cx_totals, grows: 0}]", name), two(), notJudged, "has no counter"},
		{"a cluster without a host", grows(0), changed(two(), func(a *evidence.Attempt) {
			a.Counters = []evidence.Counter{{Pod: "gateway-1", Cluster: name}, {Pod: "gateway-2", Cluster: name}}
		}), notJudged, "no host yet"},
		{"a proxy that is not there", "[{in: gateway/none, cluster: a, name: b, grows: 0}]", two(), notJudged, "there is no pod of gateway/none"},

		// That nothing was sent is said by a second witness as well.
		{"by none, but a line says otherwise", grows(0), changed(two(), func(a *evidence.Attempt) { a.Lines = []evidence.Line{gateway(byCluster(name))} }), notJudged, "contradict each other"},
		{"by none, and no log", grows(0), changed(two(), func(a *evidence.Attempt) {
			for i := range a.Proxies {
				a.Proxies[i].Log = evidence.Log{Off: "the access log is off"}
			}
		}), notJudged, "second witness"},
		{"by none, no log, and the far end saw the gateway", grows(0), recorded(changed(two(), func(a *evidence.Attempt) {
			for i := range a.Proxies {
				a.Proxies[i].Log = evidence.Log{Off: "the access log is off"}
			}
		}), arrival(onAddr)), notJudged, ""},
	})
	for i, v := range judge(t, "counter", "[{in: egressgateway, cluster: outbound|443||www.wikipedia.com, name: cx_total, grows: 0}]", two()) {
		assert.Contains(t, v.Hint, name, i)
	}
}
