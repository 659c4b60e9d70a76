package evidence_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

// by returns how each line is attributed.
func by(a *evidence.Attempt) []string {
	all := make([]string, len(a.Lines))
	for i, l := range a.Lines {
		all[i] = l.By
	}
	return all
}

// ways returns the ways as texts.
func ways(a *evidence.Attempt) []string {
	var all []string
	for i := range a.Ways {
		all = append(all, a.Ways[i].Words())
	}
	return all
}

const (
	none       = ""
	connection = evidence.ByConnection
	request    = evidence.ByRequest
	hop        = evidence.ByHop
)

// lines returns an attempt with lines of the logs.
func lines(a *evidence.Attempt, ls ...evidence.Line) *evidence.Attempt {
	a.Lines = ls
	return a
}

// redirect returns a curl that was led from http://httpbin.org/headers to
// http://example.org/, over two connections; the address of the first is not known.
func redirect(headsShown bool) *evidence.Attempt {
	t := transfer("http://httpbin.org/headers", podIP+":40001")
	t.Redirects, t.Connects = 1, 2
	a := attempt(t)
	a.Command.Curl.HeadsShown = headsShown
	if headsShown {
		a.Responses = []evidence.Response{{Status: 301, Header: http.Header{"Location": {"http://example.org/"}}}}
	}
	a.Responses = append(a.Responses, evidence.Response{Status: 200})
	return a
}

// redirected is the sidecar's line of the second request of a redirect.
func redirected(l *evidence.Line) {
	l.Start, l.DownstreamRemote, l.UpstreamLocal = at(200), podIP+":40001", podIP+":38800"
	l.Authority, l.Path, l.Cluster = "example.org", "/", "outbound|80||example.org"
}

func TestWhoseALineIs(t *testing.T) {
	from := func(address string) func(*evidence.Line) {
		return func(l *evidence.Line) { l.DownstreamRemote = address }
	}
	for _, c := range []struct {
		name    string
		attempt *evidence.Attempt
		by      []string
		unclear string
	}{
		{"curl's own address", lines(attempt(get()), line(nil)), []string{connection}, ""},
		{"another process in the pod", lines(attempt(get()), line(nil), line(from(podIP+":41000"))), []string{connection, none}, ""},
		{"another port of the pod alone, at the same time", lines(attempt(get()), line(from(podIP+":41000"))), []string{none}, "it has another port (" + podIP + ":41000) than curl"},
		{"another port of the pod, of a redirect whose heads were not printed", lines(redirect(false), line(nil), line(func(l *evidence.Line) {
			redirected(l)
			l.DownstreamRemote, l.Text = podIP+":8186", "the other line"
		})), []string{request, none}, "the other line"},
		{"another port of the pod, by which another host is asked", lines(attempt(get()), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.DownstreamLocal = podIP+":41000", "203.0.113.99:80"
		})), []string{none}, ""},
		{"curl's own address, by another clock", lines(attempt(get()), line(func(l *evidence.Line) { l.Start = at(-50) })), []string{connection}, ""},
		{"a request that came into the pod", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Cluster, l.DownstreamLocal = "inbound|80||", podIP+":80"
		})), []string{none}, ""},

		{"a forged X-Forwarded-For", lines(attempt(get()), line(from("1.2.3.4:0"))), []string{request}, ""},
		{"the pod's own address, forged", lines(attempt(get()), line(from(podIP+":0"))), []string{request}, ""},
		{"a forged line of another request", lines(attempt(get()), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.Path = "1.2.3.4:0", "/other"
		})), []string{none}, ""},
		{"a forged line to another host", lines(attempt(get()), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.Authority = "1.2.3.4:0", "example.org"
		})), []string{none}, ""},
		{"a forged line of another's, beside our own", lines(attempt(get()), line(nil), line(from("1.2.3.4:0"))), []string{connection, none}, ""},
		{"two forged lines that are alike", lines(attempt(get()), line(from("1.2.3.4:0")), line(from("1.2.3.5:0"))), []string{none, none}, "2 lines"},
		{"a forged line of before", lines(attempt(get()), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.Start = "1.2.3.4:0", at(-50)
		})), []string{none}, ""},
		{"a forged line of later", lines(attempt(get()), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.Start = "1.2.3.4:0", at(1050)
		})), []string{none}, ""},
		{"a forged line to another port", lines(attempt(get()), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.DownstreamLocal = "1.2.3.4:0", "203.0.113.13:8080"
		})), []string{none}, ""},

		{"two URLs over one connection", lines(attempt(get(), func() evidence.Transfer {
			second := transfer("http://httpbin.org/get", curlAddr)
			second.Connects = 0
			return second
		}()), line(nil), line(func(l *evidence.Line) { l.Start, l.Path = at(200), "/get" })), []string{connection, connection}, ""},
		{"two URLs of which one passes the sidecar", lines(attempt(get(), transfer("http://example.org/", podIP+":40001")), line(nil)), []string{connection}, ""},

		{"a redirect", lines(redirect(true), line(nil), line(redirected)), []string{request, connection}, ""},
		{"a redirect of which the heads are not shown", lines(redirect(false), line(nil), line(redirected)), []string{request, connection}, ""},
		{"a redirect over one connection", func() *evidence.Attempt {
			a := redirect(true)
			a.Transfers[0].Connects = 1
			return lines(a, line(from(podIP+":40001")), line(redirected))
		}(), []string{connection, connection}, ""},
		{"a redirect while another process calls another host", lines(redirect(true), line(nil), line(redirected), line(func(l *evidence.Line) {
			l.DownstreamRemote, l.Authority = podIP+":41000", "other.org"
		})), []string{request, connection, none}, ""},
		{"a redirect while another process calls the same", lines(redirect(true), line(nil), line(redirected), line(from(podIP+":41000"))), []string{none, connection, none}, "2 lines"},
		{"a redirect while another process calls what it leads to", lines(redirect(true), line(nil), line(redirected), line(func(l *evidence.Line) {
			redirected(l)
			l.DownstreamRemote = podIP + ":41000"
		})), []string{request, connection, none}, ""},
		{"a redirect to HTTPS", func() *evidence.Attempt {
			a := redirect(true)
			a.Responses[0].Header.Set("Location", "https://httpbin.org/headers")
			return lines(a, line(nil), line(func(l *evidence.Line) {
				redirected(l)
				tcp(l, "httpbin.org")
				l.DownstreamLocal = "203.0.113.13:443"
			}))
		}(), []string{request, connection}, ""},

		{"no curl", func() *evidence.Attempt {
			a := lines(attempt(), line(nil))
			a.Command.Curl = nil
			return a
		}(), []string{none}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			evidence.Join(c.attempt)
			assert.Equal(t, c.by, by(c.attempt))
			if c.unclear == "" {
				assert.Empty(t, c.attempt.Unclear)
			} else {
				assert.Contains(t, c.attempt.Unclear, c.unclear)
			}
			once, err := json.Marshal(c.attempt)
			require.NoError(t, err)
			evidence.Join(c.attempt)
			twice, err := json.Marshal(c.attempt)
			require.NoError(t, err)
			assert.JSONEq(t, string(once), string(twice), "it may be called again")
		})
	}
}

// A curl that retries makes several requests and reports the last one. The others count
// as its own, or the result is that it is not known.
func TestACurlThatTriesAgain(t *testing.T) {
	a := lines(attempt(get()), line(func(l *evidence.Line) { l.DownstreamRemote, l.Status = podIP+":39998", 503 }),
		line(func(l *evidence.Line) { l.DownstreamRemote, l.Status = podIP+":39999", 503 }), line(nil))
	a.Command.Curl.Retries = true
	evidence.Join(a)
	assert.True(t, len(a.Of(evidence.Sidecar)) == 3 || a.Unclear != "", "%v %q", by(a), a.Unclear)
}

// A port that the command line names may have been used just before.
func TestACurlWithAPortOfItsOwn(t *testing.T) {
	before := line(func(l *evidence.Line) { l.Start = at(-1500) })
	for fixed, want := range map[bool][]string{false: {connection, connection}, true: {none, connection}} {
		a := lines(attempt(get()), before, line(nil))
		a.Command.Curl.FixedPort = fixed
		evidence.Join(a)
		assert.Equal(t, want, by(a), fixed)
	}
}

// The clocks of two machines may differ.
func TestLinesOfAnotherClock(t *testing.T) {
	for slack, want := range map[time.Duration]string{0: none, 30 * time.Millisecond: none, 60 * time.Millisecond: request} {
		a := lines(attempt(get()), line(func(l *evidence.Line) { l.Start, l.DownstreamRemote = at(-50), "1.2.3.4:0" }))
		a.Slack = slack
		evidence.Join(a)
		assert.Equal(t, want, a.Lines[0].By, slack)
	}
}

// The clocks of two nodes may differ by more than the time between two requests.
func TestTwoNodes(t *testing.T) {
	before := func(l *evidence.Line) { l.Start, l.DownstreamRemote = at(-400), podIP+":39999" }
	beforeAtGateway := atGateway(func(l *evidence.Line) { l.Start = at(-390) })
	ours := atGateway(func(l *evidence.Line) { l.UpstreamHost, l.Cluster = "203.0.113.14:80", "outbound|80||other.org" })
	const tellsNot = `^sidecar → egressgateway → \? \(`
	for _, c := range []struct {
		name  string
		node  string
		lines []evidence.Line
		want  string
	}{
		{"by another clock", "other", []evidence.Line{viaGateway(nil), beforeAtGateway}, "^sidecar → egressgateway → httpbin.org:80$"},
		{"by the same clock", "node", []evidence.Line{viaGateway(nil), beforeAtGateway}, tellsNot},
		{"by a clock that is too far off", "other", []evidence.Line{viaGateway(nil), atGateway(func(l *evidence.Line) { l.Start = at(-1500) })}, tellsNot},
		{"the line of the request before alone has come", "other", []evidence.Line{viaGateway(before), viaGateway(nil), beforeAtGateway}, tellsNot},
		{"both have come", "other", []evidence.Line{viaGateway(before), viaGateway(nil), beforeAtGateway, ours}, "^sidecar → egressgateway → other.org:80$"},
	} {
		a := lines(withGateway(attempt(get())), c.lines...)
		a.Proxies[1].Pod.Node = c.node
		evidence.Join(a)
		require.Len(t, a.Ways, 1)
		assert.Regexp(t, c.want, a.Ways[0].Words(), c.name)
	}
}

func TestTheWayByLines(t *testing.T) {
	const unread = "the access log is off"
	for _, c := range []struct {
		name    string
		attempt *evidence.Attempt
		want    string
	}{
		{"to a host", lines(attempt(get()), line(nil)), "sidecar → httpbin.org:80"},
		{"past what is known", lines(attempt(get()), line(func(l *evidence.Line) { l.Cluster = evidence.Passthrough })), "sidecar → passthrough"},
		{"to a host of a wildcard", lines(attempt(get()), line(func(l *evidence.Line) { l.Cluster = "outbound|80||*.org" })), "sidecar → httpbin.org:80"},
		{"by the gateway", lines(withGateway(attempt(get())), viaGateway(nil), atGateway(nil)), "sidecar → egressgateway → httpbin.org:80"},
		{"by the gateway, TLS all the way", lines(withGateway(attempt(get())),
			viaGateway(func(l *evidence.Line) { tcp(l, "httpbin.org") }), atGateway(func(l *evidence.Line) { tcp(l, "httpbin.org") })),
			"sidecar → egressgateway → httpbin.org:80"},
		{"a forged line, by the gateway", lines(withGateway(attempt(get())),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote = "1.2.3.4:0" }), atGateway(nil)), "sidecar → egressgateway → httpbin.org:80"},

		// HTTP/2 carries the requests of others on the connection of ours.
		{"others on the same connection to the gateway", lines(withGateway(attempt(get())), viaGateway(nil),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote, l.Path = podIP+":41000", "/other" }),
			atGateway(func(l *evidence.Line) { l.Path, l.Cluster = "/other", "outbound|80||other.org" }), atGateway(nil)),
			"sidecar → egressgateway → httpbin.org:80"},
		{"others alone on the same connection", lines(withGateway(attempt(get())), viaGateway(nil),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote, l.Path = podIP+":41000", "/other" }),
			atGateway(func(l *evidence.Line) { l.Path = "/other" })),
			"sidecar → egressgateway → ? (no line of the request in the access log of gateway-1)"},
		{"another's request that is alike", lines(withGateway(attempt(get())), viaGateway(nil),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote = podIP + ":41000" }), atGateway(nil), atGateway(nil)),
			"sidecar → egressgateway → ? (gateway-1 has 2 lines of this time on that connection, which cannot be told apart)"},
		{"one line for two requests that are alike, of which one is another's", lines(withGateway(attempt(get())), viaGateway(nil),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote = podIP + ":41000" }), atGateway(nil)),
			"sidecar → egressgateway → ? (gateway-1 has 1 lines of this time on that connection, which cannot be told apart)"},
		{"a request of before on the same connection", lines(withGateway(attempt(get())), viaGateway(nil), atGateway(func(l *evidence.Line) { l.Start = at(50) })),
			"sidecar → egressgateway → ? (no line of the request in the access log of gateway-1)"},
		{"another connection", lines(withGateway(attempt(get())), viaGateway(nil), atGateway(func(l *evidence.Line) { l.DownstreamRemote = podIP + ":38743" })),
			"sidecar → egressgateway → ? (no line of the request in the access log of gateway-1)"},

		// The sidecar may send on another request than it got.
		{"rewritten on its way to the gateway", lines(withGateway(attempt(get())), viaGateway(nil),
			atGateway(func(l *evidence.Line) { l.Path, l.Authority = "/new", "new.org" })), "sidecar → egressgateway → httpbin.org:80"},
		{"rewritten, with others on the connection", lines(withGateway(attempt(get())), viaGateway(nil),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote, l.Path = podIP+":41000", "/other" }),
			atGateway(func(l *evidence.Line) { l.Path = "/other" }),
			atGateway(func(l *evidence.Line) { l.Path, l.Authority = "/new", "new.org" })), "sidecar → egressgateway → httpbin.org:80"},
		{"rewritten, with others that are rewritten, too", lines(withGateway(attempt(get())), viaGateway(nil),
			viaGateway(func(l *evidence.Line) { l.DownstreamRemote, l.Path = podIP+":41000", "/other" }),
			atGateway(func(l *evidence.Line) { l.Path = "/new" }), atGateway(func(l *evidence.Line) { l.Path = "/newer" })),
			"sidecar → egressgateway → ? (gateway-1 has 2 lines of this time on that connection, which cannot be told apart)"},
		{"rewritten, and another status came", lines(withGateway(attempt(get())), viaGateway(nil),
			atGateway(func(l *evidence.Line) { l.Path, l.Status = "/new", 503 })),
			"sidecar → egressgateway → ? (gateway-1 has 1 lines of this time on that connection, which cannot be told apart)"},

		{"the gateway's log is off", func() *evidence.Attempt {
			a := lines(withGateway(attempt(get())), viaGateway(nil))
			a.Proxies[1].Log = evidence.Log{Off: unread}
			return a
		}(), "sidecar → egressgateway → ? (the log of gateway-1 was not read: " + unread + ")"},
		{"a way in a circle", lines(withGateway(attempt(get())), viaGateway(nil), atGateway(func(l *evidence.Line) {
			l.UpstreamHost, l.UpstreamLocal, l.DownstreamRemote = gateAddr, outAddr, outAddr
		})), "sidecar → egressgateway → egressgateway → egressgateway → egressgateway → egressgateway → egressgateway → egressgateway → egressgateway → ? (the way has no end)"},

		// A way ends at a host only where a connection to it was made.
		{"blocked, TCP", lines(attempt(get()), line(func(l *evidence.Line) {
			tcp(l, "httpbin.org")
			l.Flags, l.UpstreamHost, l.UpstreamLocal, l.Cluster = []string{"UH"}, "", "", evidence.BlackHole
		})), "sidecar → blocked"},
		{"blocked, HTTP", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Details, l.UpstreamHost, l.UpstreamLocal, l.Cluster, l.Route = 502, "direct_response", "", "", "", evidence.BlockAll
		})), "sidecar → blocked"},
		{"refused", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Flags, l.UpstreamLocal, l.TransportFailure = 503, []string{"URX", "UF"}, "", "delayed_connect_error:_Connection_refused"
			l.Details = "upstream_reset_before_response_started{remote_connection_failure}"
		})), "sidecar → refused at 203.0.113.13:80 (delayed_connect_error:_Connection_refused, upstream_reset_before_response_started{remote_connection_failure}, flags URX,UF)"},
		{"a TLS error after the connection was made", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Flags, l.TransportFailure = 503, []string{"UF"}, "TLS_error:_CERTIFICATE_VERIFY_FAILED"
		})), "sidecar → refused at 203.0.113.13:80 (TLS_error:_CERTIFICATE_VERIFY_FAILED, flags UF)"},
		{"nobody answers in time", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Flags, l.UpstreamLocal, l.Details = 503, []string{"UF"}, "", "upstream_reset_before_response_started{connection_timeout}"
		})), "sidecar → timeout at 203.0.113.13:80 (upstream_reset_before_response_started{connection_timeout}, flags UF)"},
		{"no healthy host", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Flags, l.UpstreamHost, l.UpstreamLocal, l.Details = 503, []string{"UH"}, "", "", "no_healthy_upstream"
		})), "sidecar → refused (no_healthy_upstream, flags UH)"},
		{"no route", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Flags, l.UpstreamHost, l.UpstreamLocal, l.Details, l.Cluster, l.Route = 404, []string{"NR"}, "", "", "route_not_found", "", ""
		})), "sidecar → refused (route_not_found, flags NR)"},
		{"the connection broke after it was made", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Status, l.Flags = 503, []string{"UC"}
		})), "sidecar → httpbin.org:80"},
		{"no filter chain at the gateway", lines(withGateway(attempt(get())),
			viaGateway(func(l *evidence.Line) { tcp(l, "httpbin.org"); l.Flags = []string{"UC"} }),
			atGateway(func(l *evidence.Line) {
				tcp(l, "httpbin.org")
				l.Flags, l.Details, l.Cluster, l.UpstreamHost, l.UpstreamLocal = []string{"NR"}, "filter_chain_not_found", "", "", ""
			})), "sidecar → egressgateway → refused (filter_chain_not_found, flags NR)"},
		{"no filter chain at the gateway for a request", lines(withGateway(attempt(get())),
			viaGateway(func(l *evidence.Line) { l.Status, l.Flags = 503, []string{"UC"} }),
			atGateway(func(l *evidence.Line) {
				tcp(l, "")
				l.Flags, l.Details, l.Cluster, l.UpstreamHost, l.UpstreamLocal = []string{"NR"}, "filter_chain_not_found", "", "", ""
			})), "sidecar → egressgateway → refused (filter_chain_not_found, flags NR)"},
		{"the gateway cannot reach the host", lines(withGateway(attempt(get())), viaGateway(func(l *evidence.Line) { l.Status = 503 }),
			atGateway(func(l *evidence.Line) {
				l.Status, l.Flags, l.UpstreamLocal = 503, []string{"UF"}, ""
				l.Details = "upstream_reset_before_response_started{remote_connection_failure}"
			})), "sidecar → egressgateway → refused at 203.0.113.13:80 (upstream_reset_before_response_started{remote_connection_failure}, flags UF)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			evidence.Join(c.attempt)
			assert.Equal(t, []string{c.want}, ways(c.attempt))
			for _, w := range c.attempt.Ways {
				assert.Equal(t, "log", w.By)
				for i, n := range w.Lines {
					assert.Equal(t, w.Hops[i].Pod.Name, c.attempt.Lines[n].Pod, "a line for each hop")
				}
			}
		})
	}
}

// A way ends at a pod, unless the pod's own sidecar says that it went no further.
func TestTheWayEndsAtAWorkload(t *testing.T) {
	toPod := func(at ...evidence.Line) *evidence.Attempt {
		a := withGateway(attempt(get()))
		a.Proxies[1].Name, a.Proxies[1].Workload = "deploy/web", true
		for i := range at {
			at[i].Proxy, at[i].Cluster = "deploy/web", "inbound|80||"
		}
		return lines(a, append([]evidence.Line{viaGateway(nil)}, at...)...)
	}
	for _, c := range []struct {
		name     string
		attempt  *evidence.Attempt
		ends     string
		received bool
		hops     int
	}{
		{"handed on", toPod(atGateway(nil)), "", true, 1},
		{"not handled by its sidecar", toPod(), "", false, 1},
		{"somebody else's", toPod(atGateway(func(l *evidence.Line) {
			l.DownstreamRemote, l.Flags, l.UpstreamLocal = "10.0.0.9:1", []string{"UF"}, ""
		})), "", false, 1},
		{"its application does not listen", toPod(atGateway(func(l *evidence.Line) { l.Status, l.Flags, l.UpstreamLocal = 503, []string{"UF"}, "" })), evidence.EndsRefused, false, 2},
		{"its sidecar forbids it", toPod(atGateway(func(l *evidence.Line) {
			l.Status, l.Details, l.UpstreamHost, l.UpstreamLocal = 403, "rbac_access_denied_matched_policy[none]", "", ""
		})), evidence.EndsRefused, false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			evidence.Join(c.attempt)
			require.Len(t, c.attempt.Ways, 1)
			w := c.attempt.Ways[0]
			assert.Equal(t, c.ends, w.Ends, "%s", w.Words())
			assert.Equal(t, c.received, w.Received)
			assert.Len(t, w.Hops, c.hops)
			assert.Empty(t, w.Unknown)
		})
	}
}

func TestEachRequestHasAWay(t *testing.T) {
	a := lines(withGateway(redirect(true)), line(redirected), viaGateway(nil), atGateway(nil))
	evidence.Join(a)
	assert.Equal(t, []string{"sidecar → egressgateway → httpbin.org:80", "sidecar → example.org:80"}, ways(a), "in the order of the requests")

	// Several equal requests of ours over one connection have as many lines.
	second := get()
	second.Connects = 0
	a = lines(withGateway(attempt(get(), second)), viaGateway(nil), viaGateway(func(l *evidence.Line) { l.Start = at(200) }),
		atGateway(nil), atGateway(func(l *evidence.Line) {
			l.Start, l.UpstreamHost, l.Cluster = at(210), "203.0.113.14:80", "outbound|80||other.org"
		}))
	evidence.Join(a)
	assert.Equal(t, []string{"sidecar → egressgateway → httpbin.org:80", "sidecar → egressgateway → other.org:80"}, ways(a))
}

func TestAPodWithoutASidecarGoesDirect(t *testing.T) {
	a := attempt(get())
	a.Proxies, a.Command.Pod.Sidecar = nil, false
	evidence.Join(a)
	assert.Equal(t, []string{"direct, past the sidecar"}, ways(a))
	assert.Nil(t, a.Past)

	a = attempt(transfer("http://httpbin.org/", ""))
	a.Proxies, a.Command.Pod.Sidecar = nil, false
	evidence.Join(a)
	assert.Empty(t, a.Ways, "without a connection there is no way")
}

func TestTheWayByCounters(t *testing.T) {
	rq := func(pod, cluster, host string, grew int64) evidence.Counter {
		c := grown(cluster, host, "rq_total", grew)
		c.Pod = pod
		return c
	}
	for _, c := range []struct {
		name     string
		counters []evidence.Counter
		change   func(*evidence.Attempt)
		want     []string
	}{
		{"to a host", []evidence.Counter{rq("curl-1", toHost, hostAddr, 1)}, nil, []string{"sidecar → httpbin.org:80"}},
		{"past what is known", []evidence.Counter{rq("curl-1", evidence.Passthrough, hostAddr, 1)}, nil, []string{"sidecar → passthrough"}},
		{"by the gateway", []evidence.Counter{rq("curl-1", toGateway, gateAddr, 1), rq("gateway-1", toHost, hostAddr, 1)}, nil,
			[]string{"sidecar → egressgateway → httpbin.org:80"}},
		{"the proxy's own traffic", []evidence.Counter{rq("curl-1", "xds-grpc", "", 3), rq("curl-1", "inbound|80||", podIP+":80", 2), rq("curl-1", toHost, hostAddr, 1)}, nil,
			[]string{"sidecar → httpbin.org:80"}},
		{"a cluster that a filter has added", []evidence.Counter{rq("curl-1", "elsewhere", hostAddr, 1)}, nil, []string{"sidecar → " + hostAddr}},
		{"others meanwhile", []evidence.Counter{rq("curl-1", toHost, hostAddr, 2)}, nil,
			[]string{"sidecar → ? (curl-1 sent 2 requests on, and counters do not tell which was this one)"}},
		{"others meanwhile, elsewhere", []evidence.Counter{rq("curl-1", toHost, hostAddr, 1), rq("curl-1", toGateway, gateAddr, 1)}, nil,
			[]string{"sidecar → ? (curl-1 sent 2 requests on, and counters do not tell which was this one)"}},
		{"others use the gateway", []evidence.Counter{rq("curl-1", toGateway, gateAddr, 1), rq("gateway-1", toHost, hostAddr, 2)}, nil,
			[]string{"sidecar → egressgateway → ? (gateway-1 sent 2 requests on, and counters do not tell which was this one)"}},
		{"nowhere", nil, nil, []string{"sidecar → refused (it sent no request on)"}},
		{"no further than the gateway", []evidence.Counter{rq("curl-1", toGateway, gateAddr, 1)}, nil,
			[]string{"sidecar → egressgateway → refused (it sent no request on)"}},
		{"a redirect", []evidence.Counter{rq("curl-1", toHost, hostAddr, 2)}, func(a *evidence.Attempt) { a.Transfers[0].Redirects = 1 },
			[]string{"sidecar → ? (curl made 2 requests, and counters do not tell them apart)"}},
		{"the gateway was not counted", []evidence.Counter{rq("curl-1", toGateway, gateAddr, 1)}, func(a *evidence.Attempt) {
			a.Proxies[1].Counted, a.Proxies[1].Uncounted = false, "forbidden"
		}, []string{"sidecar → egressgateway → ? (the counters of gateway-1 were not read: forbidden)"}},
		{"the sidecar was not counted", nil, func(a *evidence.Attempt) { a.Proxies[0].Counted = false }, nil},
		{"a line that the log has all the same", nil, func(a *evidence.Attempt) {
			a.Proxies[0].Log = evidence.Log{Read: true, Complete: true, Partial: "errors only"}
			lines(a, line(nil))
		}, []string{"sidecar → httpbin.org:80"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := withGateway(attempt(get()))
			a.Proxies[0].Log, a.Counters = evidence.Log{Off: "the access log is off"}, c.counters
			if c.change != nil {
				c.change(a)
			}
			evidence.Join(a)
			assert.Equal(t, c.want, ways(a))
		})
	}
}

// withID returns an arrival with the id that a proxy gave it.
func withID(r evidence.Arrival, id string) evidence.Arrival {
	r.Headers = map[string]string{"x-request-id": id}
	return r
}

func TestWhatArrivedOfIt(t *testing.T) {
	off := func(a *evidence.Attempt) *evidence.Attempt {
		a.Proxies[0].Log = evidence.Log{Off: "the access log is off"}
		return a
	}
	other := func(change func(*evidence.Arrival)) evidence.Arrival {
		r := arrival(outAddr, 120)
		change(&r)
		return r
	}
	for _, c := range []struct {
		name     string
		attempt  *evidence.Attempt
		arrivals []evidence.Arrival
		want     []string // how each is known to be ours
	}{
		{"from the sidecar", lines(attempt(get()), line(nil)), []evidence.Arrival{arrival(outAddr, 120)}, []string{"address"}},
		{"from the gateway", lines(withGateway(attempt(get())), viaGateway(nil), atGateway(nil)),
			[]evidence.Arrival{withID(arrival(onAddr, 120), "1"), withID(arrival(outAddr, 900), "2")}, []string{"address", ""}},
		{"directly", attempt(get()), []evidence.Arrival{arrival(curlAddr, 120)}, []string{"address"}},
		{"others at the same time", lines(attempt(get()), line(nil)),
			[]evidence.Arrival{withID(arrival(podIP+":38999", 120), "2"), withID(arrival("10.244.1.9:1", 120), "3"), withID(arrival(outAddr, 121), "1")}, []string{"", "", "address"}},
		{"others over the same connection", lines(attempt(get()), line(nil)), []evidence.Arrival{
			arrival(outAddr, 120), other(func(r *evidence.Arrival) { r.Path = "/other" }), other(func(r *evidence.Arrival) { r.Method = "POST" }),
		}, []string{"address", "", ""}},
		{"one of before over the same connection", lines(attempt(get()), line(nil)), []evidence.Arrival{arrival(outAddr, 50)}, []string{""}},
		{"with another host's name", lines(attempt(get()), line(nil)), []evidence.Arrival{
			other(func(r *evidence.Arrival) { r.Host, r.Path = "new.org", "/new" }),
		}, []string{"address"}},
		{"with a path that a rule has changed", lines(attempt(get()), line(nil)), []evidence.Arrival{
			other(func(r *evidence.Arrival) { r.Path = "/rewritten" }),
		}, []string{"address"}},
		{"with a path that a rule has changed, beside another's over the same connection", lines(attempt(get()), line(nil), line(func(l *evidence.Line) {
			l.Text, l.Path, l.DownstreamRemote = "another's", "/other", podIP+":41000"
		})), []evidence.Arrival{
			other(func(r *evidence.Arrival) { r.Path = "/rewritten" }), other(func(r *evidence.Arrival) { r.Path = "/other" }),
		}, []string{"address", ""}},
		{"a copy of it to another host", lines(attempt(get()), line(nil)), []evidence.Arrival{
			other(func(r *evidence.Arrival) { r.Headers = map[string]string{"x-request-id": "1"} }),
			other(func(r *evidence.Arrival) {
				r.Remote, r.Site, r.Headers = podIP+":38999", "copy.example.org", map[string]string{"x-request-id": "1"}
			}),
			other(func(r *evidence.Arrival) {
				r.Remote, r.Headers = podIP+":39000", map[string]string{"x-request-id": "2"}
			}),
			other(func(r *evidence.Arrival) {
				r.Remote, r.Headers = "10.244.1.9:1", map[string]string{"x-request-id": "1"}
			}),
		}, []string{"address", "request", "", ""}},
		{"a copy of it where the mesh gives no ids", lines(attempt(get()), line(nil)), []evidence.Arrival{
			other(func(*evidence.Arrival) {}),
			other(func(r *evidence.Arrival) { r.Remote, r.Host = podIP+":38999", "copy.example.org" }),
			other(func(r *evidence.Arrival) { r.Remote, r.Path = podIP+":39000", "/other" }),
			other(func(r *evidence.Arrival) { r.Remote, r.Time = podIP+":39001", at(-50) }),
			other(func(r *evidence.Arrival) { r.Remote = "10.244.1.9:1" }),
		}, []string{"address", "time", "", "", ""}},
		{"another's that asks the same, where the mesh gives no ids", lines(attempt(get()), line(nil), line(func(l *evidence.Line) {
			l.Text, l.DownstreamRemote, l.UpstreamLocal = "another's", podIP+":41000", podIP+":38999"
		})), []evidence.Arrival{
			other(func(*evidence.Arrival) {}), other(func(r *evidence.Arrival) { r.Remote = podIP + ":38999" }),
		}, []string{"address", ""}},
		{"another's past the sidecar that asks the same as one past it", attempt(get()), []evidence.Arrival{
			arrival(curlAddr, 120), arrival(podIP+":38999", 120),
		}, []string{"address", ""}},
		{"a connection that is no HTTP", lines(attempt(get()), line(func(l *evidence.Line) { tcp(l, "httpbin.org") })), []evidence.Arrival{
			other(func(r *evidence.Arrival) { r.Method, r.Path, r.Host = "", "", "" }),
		}, []string{"address"}},
		{"no log, and another's at another time", off(attempt(get())), []evidence.Arrival{arrival(outAddr, 120), arrival(outAddr, 5000), arrival("10.244.1.9:1", 120)},
			[]string{"time", "", ""}},
		{"a command that is no curl", func() *evidence.Attempt {
			a := attempt()
			a.Command.Curl = nil
			return a
		}(), []evidence.Arrival{arrival(outAddr, 120), arrival("10.244.1.9:1", 120)}, []string{"time", ""}},
		{"one of two, by a connection of which nobody tells the address", lines(redirect(true), line(redirected)), []evidence.Arrival{
			arrival(podIP+":38999", 120), other(func(r *evidence.Arrival) {
				r.Remote, r.Host, r.Path, r.Time = podIP+":38800", "example.org", "/", at(220)
			}), arrival("10.244.1.9:1", 120),
		}, []string{"time", "address", ""}},
		{"a gateway whose line has not come", lines(withGateway(attempt(get())), viaGateway(nil)), []evidence.Arrival{arrival(onAddr, 120), arrival("10.244.1.9:1", 120)},
			[]string{"time", ""}},
		{"of a request that ended at the sidecar", lines(attempt(get()), line(func(l *evidence.Line) {
			l.Flags, l.UpstreamHost, l.UpstreamLocal, l.Cluster = []string{"UH"}, "", "", evidence.BlackHole
		})), []evidence.Arrival{arrival(outAddr, 120)}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.attempt.Arrivals = &evidence.Arrivals{Recorded: true, All: c.arrivals}
			evidence.Join(c.attempt)
			var got []string
			for _, r := range c.attempt.Arrivals.All {
				assert.Equal(t, r.By != "", r.Ours)
				got = append(got, r.By)
			}
			assert.Equal(t, c.want, got)
		})
	}
}
