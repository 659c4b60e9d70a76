package steps

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/expect"
)

func TestOnlyReads(t *testing.T) {
	for command, want := range map[string]bool{
		"tail /var/log/squid/access.log": true,
		"/usr/bin/cat x":                 true,
		"sh|-c|grep b /a.log":            true,
		"sh|-c|cd /var/log && cat a":     true,
		"sh|-c|curl a; tail /a.log":      false,
		"sh|-c|tail $(curl a)":           false,
		"sh|-c|X=$(curl a) tail b":       false,
		"curl|http://a.example/log":      false,
		"sh":                             false,
	} {
		argv := strings.Split(command, "|")
		if len(argv) == 1 {
			argv = strings.Fields(command)
		}
		assert.Equal(t, want, onlyReads(argv), command)
	}
}

// TestSinceOf has a log of which the first line is of an earlier request.
func TestSinceOf(t *testing.T) {
	since := time.Date(2026, 11, 29, 1, 2, 3, 500e6, time.UTC)
	tail := strings.Fields("tail /var/log/squid/access.log")
	for what, lines := range map[string][2]string{
		"squid":                    {"1795914122.900    100 10.0.0.1 TCP_TUNNEL/200 1 CONNECT a:443 - HIER_DIRECT/1.1.1.1 -", "1795914123.700    100 10.0.0.1 TCP_TUNNEL/200 1 CONNECT a:443 - HIER_DIRECT/1.1.1.1 -"},
		"squid, that ended since":  {"1795914123.700    900 10.0.0.1 TCP_TUNNEL/200 1 CONNECT a:443 - HIER_DIRECT/1.1.1.1 -", "1795914124.700    1000 10.0.0.1 TCP_TUNNEL/200 1 CONNECT a:443 - HIER_DIRECT/1.1.1.1 -"},
		"Envoy":                    {`[2026-11-29T01:02:03.100Z] "GET / HTTP/1.1" 200 - x`, `[2026-11-29T01:02:03.600Z] "GET / HTTP/1.1" 200 - x`},
		"Envoy, as JSON":           {`{"a":1,"start_time":"2026-11-29T01:02:03.100Z"}`, `{"a":1,"start_time":"2026-11-29T01:02:03.600Z"}`},
		"a time and a text":        {"2026-11-29 02:02:03,100+0100 a", "2026-11-29 02:02:03,600+0100 a"},
		"the common format":        {`10.0.0.1 - - [29/Nov/2026:01:02:02 +0000] "GET / HTTP/1.1" 200 5`, `10.0.0.1 - - [29/Nov/2026:01:02:04 +0000] "GET / HTTP/1.1" 200 5`},
		"the common format, zoned": {`10.0.0.1 - - [29/Nov/2026:03:02:02 +0200] "GET / HTTP/1.1" 200 5`, `10.0.0.1 - - [29/Nov/2026:03:02:04 +0200] "GET / HTTP/1.1" 200 5`},
	} {
		r := sinceOf(tail, lines[0]+"\n"+lines[1]+"\n", since)
		assert.Equal(t, logRead{text: lines[1] + "\n", older: 1}, r, what)
	}
	for _, line := range []string{"a line without a time", `10.0.0.1 - - [29/Nov/2026:01:02:03 +0000] "GET / HTTP/1.1" 200 5`, "2026-11-29T01:02:03.1 no zone"} {
		assert.Equal(t, logRead{text: line + "\n", undated: true}, sinceOf(tail, line+"\n", since), line)
		assert.True(t, sinceOf([]string{"sh", "-c", "curl a; tail -n 1 /var/log/x"}, line, since).undated, line)
	}
	for _, other := range []string{"cat /etc/hosts", "curl http://a.example/log"} {
		assert.Equal(t, logRead{text: "a\n"}, sinceOf(strings.Fields(other), "a\n", since), other)
	}
}

// TestShellLeavesOutEarlierRequests has a page's request and the log of a proxy, with
// a line of an earlier request, which it must not be judged by.
func TestShellLeavesOutEarlierRequests(t *testing.T) {
	const entry = " 0 10.0.0.1 TCP_TUNNEL/200 1 CONNECT a.example:443 - HIER_DIRECT/1.1.1.1 -\n"
	at := func(when time.Time) string { return fmt.Sprintf("%d.%03d", when.Unix(), when.UnixMilli()%1000) + entry }
	for _, test := range []struct {
		what, script string
		logged       bool // the last request left a line
		text         string
		want         evidence.Outcome
	}{
		{"the last request left none", "kubectl exec proxy -- tail -n 1 /var/log/squid/access.log", false, at(time.Unix(1e9, 0)), evidence.NotHeld},
		{"the last request left one", "kubectl exec proxy -- tail -n 1 /var/log/squid/access.log", true, at(time.Unix(1e9, 0)), evidence.Held},
		{"with grep, none", "kubectl exec proxy -- cat /var/log/squid/access.log | grep a.example", false, "", evidence.NotHeld},
		{"with grep, one", "kubectl exec proxy -- cat /var/log/squid/access.log | grep a.example", true, "", evidence.Held},
		{"with grep in the pod, none", "kubectl exec proxy -- grep a.example /var/log/squid/access.log", false, "", evidence.NotJudged},
		{"with grep in the pod, one", "kubectl exec proxy -- grep a.example /var/log/squid/access.log", true, "", evidence.Held},
		{"the request in the same script", "kubectl exec client -- curl x; kubectl exec proxy -- tail /var/log/squid/access.log", false, at(time.Unix(1e9, 0)), evidence.NotHeld},
	} {
		log := at(time.Now().Add(-time.Minute))
		c := clustertest.NewFake(clustertest.ReadyPod("default", "client", nil, "c"), clustertest.ReadyPod("default", "proxy", nil, "c"))
		c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
			if r.Pod == "proxy" {
				io.WriteString(r.Stdout, log)
			}
			return cluster.ExecResult{Trusted: true}, nil
		}
		s := scope(c)
		s.Started = time.Now().Add(-time.Hour)
		a, err := newScript(t, "kubectl exec client -- request", nil).Try(t.Context(), s)
		require.NoError(t, err)
		require.Empty(t, a.Shell.Text)
		if test.logged {
			log += at(time.Now().Add(time.Second))
		}
		for range 2 { // looking again is no request
			a, err = newScript(t, test.script, nil).Try(t.Context(), s)
			require.NoError(t, err)
			vs := (&expect.Shown{Text: test.text}).Judge(a)
			worst := evidence.Held
			for _, o := range []evidence.Outcome{evidence.NotHeld, evidence.NotJudged} {
				if len(vs.Of(o)) > 0 {
					worst = o
				}
			}
			assert.Equal(t, test.want, worst, "%s: %s", test.what, vs)
		}
	}
}
