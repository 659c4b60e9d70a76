package evidence_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/evidence"
)

// The attempts of these tests are of curl in the pod curl-1, which has a sidecar,
// on its way to httpbin.org, directly or through the egress gateway gateway-1. They
// last a second, from noon on.

const (
	podIP     = "10.244.1.6"
	gatewayIP = "10.244.1.3"

	curlAddr  = podIP + ":40000"     // curl's own end of its connection
	outAddr   = podIP + ":38742"     // the sidecar's end of the next one
	onAddr    = gatewayIP + ":50000" // the gateway's end of the one after that
	hostAddr  = "203.0.113.13:80"
	gateAddr  = gatewayIP + ":8080"
	toHost    = "outbound|80||httpbin.org"
	toGateway = "outbound|80||istio-egressgateway.istio-system.svc.cluster.local"
)

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	curlPod = evidence.Pod{Namespace: "default", Name: "curl-1", IP: podIP, Node: "node", Container: "curl", Sidecar: true}
	gatePod = evidence.Pod{Namespace: "istio-system", Name: "gateway-1", IP: gatewayIP, Node: "node", Sidecar: true}
)

// attempt returns an attempt of a curl that made these transfers, with the usual
// evidence: a sidecar whose log is complete and whose counters were read.
func attempt(transfers ...evidence.Transfer) *evidence.Attempt {
	zero := 0
	return &evidence.Attempt{
		Started: noon, Ended: noon.Add(time.Second),
		Command:   &evidence.Command{Argv: []string{"curl"}, Pod: curlPod, ExitCode: &zero, Curl: new(evidence.Curl)},
		Transfers: transfers,
		Proxies: []evidence.Proxy{{
			Name: evidence.Sidecar, Pod: curlPod, Log: evidence.Log{Read: true, Complete: true}, Counted: true,
		}},
	}
}

// transfer returns curl's report on a request.
func transfer(url, local string) evidence.Transfer {
	return evidence.Transfer{URL: url, Status: 200, Proto: "HTTP/1.1", Connects: 1, Local: local, Remote: hostAddr}
}

// get is the request of most tests.
func get() evidence.Transfer { return transfer("http://httpbin.org/headers", curlAddr) }

// withGateway adds the gateway, whose log was read.
func withGateway(a *evidence.Attempt) *evidence.Attempt {
	a.Proxies = append(a.Proxies, evidence.Proxy{Name: "egressgateway", Pod: gatePod, Log: evidence.Log{Read: true}, Counted: true})
	return a
}

// at returns a time so many milliseconds after noon.
func at(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

// line returns the sidecar's line of the request of most tests, changed.
func line(change func(*evidence.Line)) evidence.Line {
	l := evidence.Line{
		Proxy: evidence.Sidecar, Pod: "curl-1", Start: at(100), Duration: 50 * time.Millisecond,
		Method: "GET", Path: "/headers", Protocol: "HTTP/1.1", Status: 200, Authority: "httpbin.org",
		UpstreamHost: hostAddr, Cluster: toHost, UpstreamLocal: outAddr, DownstreamLocal: hostAddr, DownstreamRemote: curlAddr,
		Route: "default",
	}
	if change != nil {
		change(&l)
	}
	return l
}

// viaGateway returns the sidecar's line of a request that went to the gateway.
func viaGateway(change func(*evidence.Line)) evidence.Line {
	l := line(func(l *evidence.Line) { l.UpstreamHost, l.Cluster = gateAddr, toGateway })
	if change != nil {
		change(&l)
	}
	return l
}

// atGateway returns the gateway's line of the request of most tests, changed.
func atGateway(change func(*evidence.Line)) evidence.Line {
	l := line(func(l *evidence.Line) {
		l.Proxy, l.Pod, l.Start, l.Duration, l.Protocol = "egressgateway", "gateway-1", at(110), 20*time.Millisecond, "HTTP/2"
		l.UpstreamLocal, l.DownstreamLocal, l.DownstreamRemote = onAddr, gateAddr, outAddr
	})
	if change != nil {
		change(&l)
	}
	return l
}

// tcp turns a line into that of a connection without HTTP, with an SNI.
func tcp(l *evidence.Line, sni string) {
	l.Method, l.Path, l.Protocol, l.Status, l.Authority, l.Route, l.SNI = "", "", "", 0, "", "", sni
}

// grown returns a counter of the sidecar that grew.
func grown(cluster, host, name string, by int64) evidence.Counter {
	return evidence.Counter{Proxy: evidence.Sidecar, Pod: "curl-1", Cluster: cluster, Host: host, Name: name, Value: 7 + by, Grew: by}
}

// arrival returns the far end's record of the request of most tests.
func arrival(remote string, ms int) evidence.Arrival {
	return evidence.Arrival{Time: at(ms), Site: "httpbin.org", Owner: "httpbin.org", Host: "httpbin.org", Protocol: "HTTP/1.1", Method: "GET", Path: "/headers", Status: 200, Remote: remote, Local: hostAddr}
}

func TestNeeds(t *testing.T) {
	assert.True(t, evidence.Needs{}.Nothing())
	assert.True(t, evidence.Needs{Curl: true}.Nothing(), "the action itself shows it")
	assert.Equal(t, evidence.Needs{Curl: true, Way: true}, evidence.Needs{Curl: true}.And(evidence.Needs{Way: true}))
	for _, n := range []evidence.Needs{{Lines: true}, {Way: true}, {Absence: true}, {Arrivals: true}, {Places: []string{"a"}}, {Counters: []string{"a"}}} {
		assert.False(t, n.Nothing(), "%+v", n)
		assert.Equal(t, n, evidence.Needs{}.And(n))
		assert.Equal(t, n, n.And(n))
	}
	assert.Equal(t, evidence.Needs{Lines: true, Way: true, Places: []string{"a", "b"}},
		evidence.Needs{Lines: true, Places: []string{"a"}}.And(evidence.Needs{Way: true, Places: []string{"a", "b"}}))
}

func TestMeans(t *testing.T) {
	a := attempt()
	a.Places = []evidence.Place{{Name: "egressgateway", Pods: []evidence.Pod{gatePod}}, {Name: "deploy/none", Why: "there is no pod"}}
	for _, c := range []struct {
		name  string
		pod   *evidence.Pod
		means bool
		known bool
	}{
		{"egressgateway", &gatePod, true, true},
		{"egressgateway", &curlPod, false, true},
		{"egressgateway", nil, false, true},
		{"egressgateway", &evidence.Pod{}, false, true},
		{"deploy/none", &gatePod, false, false},
		{"gateway/other", &gatePod, false, false},
	} {
		means, why := a.Means(c.name, c.pod)
		assert.Equal(t, c.means, means, "%s %v", c.name, c.pod)
		assert.Equal(t, c.known, why == "", "%s %v: %s", c.name, c.pod, why)
	}
}

func TestVerdicts(t *testing.T) {
	assert.Equal(t, "expect.log[1].status", evidence.Path("expect", "log", "1", "status"))
	vs := evidence.Verdicts{
		{Key: "expect.status", Outcome: evidence.NotHeld, Want: "200", Got: "503", Why: "no healthy upstream"},
		{Key: "expect.log", What: "the log", Outcome: evidence.NotJudged, Why: "it was rotated", Again: true},
		{Key: "expect.exitCode", Outcome: evidence.Held, Want: "0", Got: "0"},
	}
	assert.Equal(t, "status: want 200, got 503 (no healthy upstream)\nthe log: it was rotated\nexitCode: 0", vs.String())
	assert.Len(t, vs.Of(evidence.NotHeld), 1)
	assert.True(t, vs.Again())
	assert.False(t, append(vs, evidence.Verdict{Outcome: evidence.NotJudged}).Again())
}
