package evidence_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

const (
	held    = "held"
	notHeld = "not held"
	unclear = "not judged"
)

// The claim that a request went past the sidecar is one about something that is not
// there: two witnesses have to agree, and none may contradict them.
func TestPastTheSidecar(t *testing.T) {
	accepted := func(n int64) func(*evidence.Attempt) {
		return func(a *evidence.Attempt) { a.Proxies[0].Accepted = &n }
	}
	logOff := func(a *evidence.Attempt) { a.Proxies[0].Log = evidence.Log{Off: "the access log is off"} }
	uncounted := func(a *evidence.Attempt) { a.Proxies[0].Counted, a.Proxies[0].Uncounted = false, "forbidden" }
	arrived := func(remote string) func(*evidence.Attempt) {
		return func(a *evidence.Attempt) {
			a.Arrivals = &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{arrival(remote, 120)}}
		}
	}
	counters := func(cs ...evidence.Counter) func(*evidence.Attempt) {
		return func(a *evidence.Attempt) { a.Counters = append(a.Counters, cs...) }
	}
	have := func(ls ...evidence.Line) func(*evidence.Attempt) {
		return func(a *evidence.Attempt) { a.Lines = append(a.Lines, ls...) }
	}
	alike := line(func(l *evidence.Line) { l.DownstreamRemote = podIP + ":41000" })
	anothers := line(func(l *evidence.Line) { l.DownstreamRemote, l.Path = podIP+":41000", "/other" })
	stranger := line(func(l *evidence.Line) { l.DownstreamRemote, l.Path = "1.2.3.4:0", "/other" })
	all := func(fs ...func(*evidence.Attempt)) []func(*evidence.Attempt) { return fs }

	for _, c := range []struct {
		name    string
		changes []func(*evidence.Attempt)
		want    string
		why     string
	}{
		{"no line and no counter", nil, held, "no line of it"},
		{"the far end saw curl's own address, too", all(arrived(curlAddr)), held, "the far end saw curl's own address"},
		{"a line", all(have(line(nil))), notHeld, "the sidecar's access log has a line of it"},
		{"a line, whatever else is said", all(have(line(nil)), arrived(curlAddr), counters(grown(toHost, hostAddr, "rq_total", 1))), notHeld, "a line of it"},
		{"a line whose client is forged", all(have(line(func(l *evidence.Line) { l.DownstreamRemote = "1.2.3.4:0" }))), notHeld, "a line of it"},

		// One witness is not enough.
		{"the log alone", all(uncounted), unclear, "forbidden"},
		{"the counters alone", all(logOff), unclear, "the access log is off"},
		{"the far end alone", all(logOff, uncounted, arrived(curlAddr)), unclear, "needs two witnesses"},
		{"nobody", all(logOff, uncounted), unclear, "needs two witnesses"},
		{"the counters, and the listeners", all(logOff, accepted(0)), held, "accepted no connection"},
		{"the counters, and the far end", all(logOff, arrived(curlAddr)), held, "curl's own address"},
		{"the log, and the far end", all(uncounted, arrived(curlAddr)), held, "curl's own address"},

		// A log that would not have the line is no witness.
		{"a log that is not complete", all(func(a *evidence.Attempt) {
			a.Proxies[0].Log = evidence.Log{Read: true, Why: "a later line has not come", Again: true}
		}), unclear, "a later line has not come"},
		{"a log that leaves requests out", all(func(a *evidence.Attempt) { a.Proxies[0].Log.Partial = "errors only" }), unclear, "errors only"},
		{"a line that cannot be read", all(func(a *evidence.Attempt) { a.Unread = []evidence.Unread{{Proxy: evidence.Sidecar, Text: "[2026"}} }), unclear, "cannot be read"},
		{"a line of a client that is not the pod", all(have(stranger)), unclear, "X-Forwarded-For"},
		{"two lines that may be it", all(have(
			line(func(l *evidence.Line) { l.DownstreamRemote = "1.2.3.4:0" }), line(func(l *evidence.Line) { l.DownstreamRemote = "1.2.3.5:0" }),
		)), unclear, "2 lines"},
		{"a connection that is still open", all(counters(
			grown(toHost, hostAddr, "cx_total", 1), evidence.Counter{Proxy: evidence.Sidecar, Pod: "curl-1", Cluster: toHost, Host: hostAddr, Name: "cx_active", Value: 1},
		)), unclear, "is still open"},
		{"a connection that was open before", all(counters(
			evidence.Counter{Proxy: evidence.Sidecar, Pod: "curl-1", Cluster: toHost, Host: hostAddr, Name: "cx_active", Value: 1},
		)), held, ""},
		{"a connection that was made and ended", all(counters(
			grown(toHost, hostAddr, "cx_total", 1), evidence.Counter{Proxy: evidence.Sidecar, Pod: "curl-1", Cluster: toHost, Host: hostAddr, Name: "cx_active"},
		)), held, ""},
		{"a connection of the gateway's that is still open", all(counters(
			evidence.Counter{Proxy: "egressgateway", Pod: "gateway-1", Cluster: toHost, Host: hostAddr, Name: "cx_total", Value: 1, Grew: 1},
			evidence.Counter{Proxy: "egressgateway", Pod: "gateway-1", Cluster: toHost, Host: hostAddr, Name: "cx_active", Value: 1},
		)), held, ""},

		// Others use the sidecar, too.
		{"another process's line", all(have(anothers), counters(grown(toHost, hostAddr, "rq_total", 1))), held, "no line of it"},
		{"a line that asks the same from another port", all(have(alike), counters(grown(toHost, hostAddr, "rq_total", 1))), unclear, "which the redirection to the sidecar may change"},
		{"the same, where the far end saw curl's own address", all(have(alike), arrived(curlAddr), counters(grown(toHost, hostAddr, "rq_total", 1))), held, "curl's own address"},
		{"another process's line, and one request more", all(have(anothers), counters(grown(toHost, hostAddr, "rq_total", 2))), unclear, "contradict each other"},
		{"another process's line by another cluster", all(have(anothers), counters(grown(evidence.Passthrough, hostAddr, "rq_total", 1))), unclear, "contradict each other"},
		{"the proxy's own requests", all(counters(grown("xds-grpc", "", "rq_total", 3), grown("inbound|80||", podIP+":80", "rq_total", 1))), held, ""},

		// Witnesses that contradict each other.
		{"no line, but the counters grew", all(counters(grown(toHost, hostAddr, "rq_total", 1))), unclear, "contradict each other"},
		{"no line, but a listener accepted a connection", all(accepted(1)), unclear, "contradict each other"},
		{"the counters grew, and the far end saw curl's own address", all(logOff, counters(grown(toHost, hostAddr, "rq_total", 1)), arrived(curlAddr)), unclear, "contradict each other"},
		{"the far end saw another address of the pod", all(arrived(outAddr)), unclear, "contradict each other"},
		{"no log, and the counters grew", all(logOff, counters(grown(toHost, hostAddr, "rq_total", 1))), notHeld, "it sent on 1 by " + toHost},
		{"no log, and a listener accepted a connection", all(logOff, accepted(1)), notHeld, "accepted 1 connections"},
		{"the far end saw another client, and not curl", all(arrived("10.244.1.9:1")), unclear, "has not seen curl's own address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := attempt(get())
			for _, change := range c.changes {
				change(a)
			}
			evidence.Join(a)
			require.NotNil(t, a.Past)
			is, judged, why := a.Past.Held()
			got := unclear
			switch {
			case is && judged:
				got = held
			case judged:
				got = notHeld
			}
			assert.Equal(t, c.want, got, why)
			assert.Contains(t, why, c.why)
		})
	}
}

func TestTwoURLsOfWhichOnePassesTheSidecar(t *testing.T) {
	a := lines(attempt(transfer("http://direct.org/", curlAddr), transfer("http://httpbin.org/headers", podIP+":40001")),
		line(func(l *evidence.Line) { l.DownstreamRemote = podIP + ":40001" }))
	a.Arrivals = &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{arrival(curlAddr, 100), arrival(outAddr, 120)}}
	evidence.Join(a)
	is, judged, why := a.Past.Held()
	assert.True(t, judged)
	assert.False(t, is, why)

	// Both past it: the far end has to have seen both addresses.
	a = attempt(transfer("http://direct.org/", curlAddr), transfer("http://httpbin.org/headers", podIP+":40001"))
	a.Proxies[0].Log = evidence.Log{Off: "the access log is off"}
	a.Arrivals = &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{arrival(curlAddr, 100)}}
	evidence.Join(a)
	_, judged, _ = a.Past.Held()
	assert.False(t, judged, "one of two was seen")
	a.Arrivals.All = append(a.Arrivals.All, arrival(podIP+":40001", 120))
	evidence.Join(a)
	is, judged, why = a.Past.Held()
	assert.True(t, is && judged, why)
}

func TestNobodyIsAskedWhereThereIsNoSidecarOrNoConnection(t *testing.T) {
	a := attempt(transfer("http://httpbin.org/", ""))
	evidence.Join(a)
	assert.Nil(t, a.Past)
	a = attempt(get())
	a.Proxies = nil
	evidence.Join(a)
	assert.Nil(t, a.Past)
}

// If a witness may know later, another attempt makes sense.
func TestASilentWitnessMayTellLater(t *testing.T) {
	a := attempt(get())
	a.Proxies[0].Log = evidence.Log{Read: true, Why: "a later line has not come", Again: true}
	evidence.Join(a)
	assert.True(t, a.Past.Again)
	a.Proxies[0].Log = evidence.Log{Off: "the access log is off"}
	evidence.Join(a)
	assert.False(t, a.Past.Again)
}
