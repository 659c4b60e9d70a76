package internet

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// get returns what a client gets: the status and the body, or the error.
func get(t *testing.T, client *http.Client, url string) (int, string, error) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(body), err
}

func TestFail(t *testing.T) {
	l := start(t, parsed(t, `
- names: [a.example.net, "*.a.example.net"]
  body: good
  fail: 2
- names: [b.example.net]
  body: good
  fail: {times: 1, status: 429, headers: {Retry-After: "1"}, body: slow down}
- names: [c.example.net]
  body: good
  fail: {times: 1, reset: true}
- names: [d.example.net]
  grpc: 0
  fail: {times: 1, grpc: 14}
`))
	client := l.client(t)
	status := func(url string) int {
		t.Helper()
		status, _, err := get(t, client, url)
		require.NoError(t, err)
		return status
	}
	for _, url := range []string{"http://a.example.net/", "http://a.example.net/x", "https://x.a.example.net/x"} {
		assert.Equal(t, []int{503, 503, 200, 200}, []int{status(url), status(url + "?q"), status(url), status(url)}, "each host and path by itself: %s", url)
	}
	assert.Equal(t, 200, status("https://a.example.net/"), "by whatever port")

	resp, err := client.Get("http://b.example.net/")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	assert.Equal(t, 429, resp.StatusCode)
	assert.Equal(t, "1", resp.Header.Get("Retry-After"))
	assert.Equal(t, "slow down", string(body))
	assert.Equal(t, 200, status("http://b.example.net/"))

	before := len(l.record.records(t))
	_, _, err = get(t, client, "http://c.example.net/")
	require.ErrorIs(t, err, syscall.ECONNRESET)
	got := l.record.records(t)[before]
	assert.Equal(t, "the host reset it", got.Error)
	assert.Equal(t, "/", got.Path)
	assert.Zero(t, got.Status)
	assert.Equal(t, 200, status("http://c.example.net/"))

	for _, want := range []int{14, 0, 0} {
		req, err := http.NewRequest(http.MethodPost, "https://d.example.net/pkg.Service/Method", strings.NewReader("\x00\x00\x00\x00\x00"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/grpc")
		resp, err := l.client(t, "h2").Do(req)
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		assert.Equal(t, fmt.Sprint(want), resp.Trailer.Get("Grpc-Status"))
	}
}

// Clients choose how many paths there are, so the number of paths that are counted
// separately is bounded.
func TestFailingIsBounded(t *testing.T) {
	f := &failing{times: 1}
	for i := range mostSeen {
		require.True(t, f.fails(fmt.Sprint(i)))
	}
	assert.False(t, f.fails("one more"))
	assert.False(t, f.fails("0"), "what failed before is known")
	assert.Len(t, f.seen, mostSeen)
}

func TestCut(t *testing.T) {
	l := start(t, parsed(t, `
- names: [a.example.net]
  body: 0123456789
  headers: {X-A: b}
  cut: true
  paths: {/whole: {body: whole}, /none: {status: 500, cut: true}, /call: {grpc: 0, cut: true}}
`))
	for i, alpn := range []string{"http/1.1", "h2"} {
		client := l.client(t, alpn)
		resp, err := client.Get("https://a.example.net/")
		require.NoError(t, err, "the head is there")
		assert.Equal(t, 200, resp.StatusCode)
		assert.Equal(t, "b", resp.Header.Get("X-A"))
		assert.EqualValues(t, 10, resp.ContentLength)
		body, err := io.ReadAll(resp.Body)
		require.Error(t, err)
		assert.Equal(t, "01234", string(body))
		require.NoError(t, resp.Body.Close())
		got := l.record.last(t, i+1)
		assert.Equal(t, 200, got.Status)
		assert.Equal(t, "the host cut it", got.Error)
	}
	client := l.client(t)
	_, _, err := get(t, client, "http://a.example.net/none")
	require.Error(t, err, "nor is an answer without a body whole")
	_, body, err := get(t, client, "http://a.example.net/whole")
	require.NoError(t, err)
	assert.Equal(t, "whole", body)
	record := l.record.last(t, 4)
	assert.Empty(t, record.Error)

	req, err := http.NewRequest(http.MethodPost, "https://a.example.net/call", nil)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/grpc")
	resp, err := l.client(t, "h2").Do(req)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.Error(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Empty(t, resp.Trailer.Get("Grpc-Status"))
	assert.Nil(t, l.record.last(t, 5).GRPCStatus, "it was not sent")
}

func TestResetOfARequest(t *testing.T) {
	l := start(t, parsed(t, `
- names: [a.example.net]
  body: x
  paths: {/reset: {reset: true}, /late: {reset: true, delay: 10ms}}
`))
	for i, path := range []string{"/reset", "/late"} {
		began := time.Now()
		_, _, err := get(t, l.client(t, "h2"), "https://a.example.net"+path)
		require.Error(t, err)
		if path == "/late" {
			assert.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond)
		}
		got := l.record.last(t, i+1)
		assert.Equal(t, "the host reset it", got.Error)
		assert.Equal(t, path, got.Path)
		assert.Zero(t, got.Status)
	}
	_, body, err := get(t, l.client(t, "h2"), "https://a.example.net/")
	require.NoError(t, err)
	assert.Equal(t, "x", body)
}

func TestPaths(t *testing.T) {
	l := start(t, parsed(t, `
- names: [a.example.net]
  body: other
  paths:
    /a: {body: a}
    /a/*: {body: beneath a}
    /a/b/*: {status: 503, delay: 10ms}
    /fail: {fail: 1, body: good}
    /echo: {}
- names: [b.example.net]
  paths: {/pkg.Service/*: {grpc: 12}}
- names: [c.example.net]
  paths: {"/*": {body: all}}
  https: {paths: {/x: {body: x}}, status: 404}
`))
	client := l.client(t)
	for _, tt := range []struct {
		url    string
		status int
		body   string
	}{
		{"http://a.example.net/", 200, "other"},
		{"https://a.example.net/a", 200, "a"},
		{"http://a.example.net/a?b", 200, "a"},
		{"http://a.example.net/%61", 200, "a"},
		{"http://a.example.net/a/", 200, "beneath a"},
		{"http://a.example.net/a/b", 200, "beneath a"},
		{"http://a.example.net/a/b/c", 503, ""},
		{"http://a.example.net/fail", 503, ""},
		{"http://a.example.net/fail", 200, "good"},
		{"http://a.example.net/echo", 200, `"path": "/echo"`},
		{"http://b.example.net/x", 200, `"host": "b.example.net"`},
		{"http://c.example.net/x", 200, "all"},
		{"https://c.example.net/x", 200, "x"},
		{"https://c.example.net/y", 404, ""},
	} {
		status, body, err := get(t, client, tt.url)
		require.NoError(t, err, tt.url)
		assert.Equal(t, tt.status, status, tt.url)
		assert.Contains(t, body, tt.body, tt.url)
	}
}

func TestAddressesOfAFile(t *testing.T) {
	hosts := parsed(t, `
- {names: [one.example.net]}
- {names: [three.example.net], addresses: 3}
- {names: [two.example.net], addresses: [192.0.2.1, 203.0.113.120]}
- {names: [last.example.net]}
`)[len(DefaultHosts()):]
	var got []string
	for _, host := range hosts {
		got = append(got, fmt.Sprint(host.Addrs))
	}
	assert.Equal(t, []string{
		"[203.0.113.100]", "[203.0.113.101 203.0.113.102 203.0.113.103]", "[192.0.2.1 203.0.113.120]", "[203.0.113.104]",
	}, got)
	l := start(t, hosts)
	for _, addr := range append(hosts[1].Addrs, netip.MustParseAddr("192.0.2.1")) {
		answer := l.speak(t, addr.String()+":80", "GET / HTTP/1.0\r\n\r\n")
		assert.Contains(t, answer, "200 OK", addr)
	}
}

// The host at the end of an alias answers as if it had the name.
func TestCNAME(t *testing.T) {
	hosts := parsed(t, `
- {names: [www.shop.example, "*.m.shop.example"], cname: edge.shop.example}
- {names: [edge.shop.example], cname: a.cdn.example}
- {names: ["*.cdn.example"], body: from the edge}
- {names: [bin.example.net], cname: httpbin.org}
`)
	l := start(t, hosts)
	byName, err := index(pointers(hosts))
	require.NoError(t, err)
	aliases, addrs, exists := byName.resolve("www.shop.example")
	assert.Equal(t, []string{"edge.shop.example", "a.cdn.example"}, aliases)
	assert.Equal(t, []netip.Addr{firstOwn}, addrs)
	assert.True(t, exists)

	// The client resolves the names as the DNS would.
	for _, name := range []string{"www.shop.example", "a.m.shop.example", "edge.shop.example"} {
		for _, port := range []string{":80", ":443"} {
			l.addrs[name+port] = l.addrs["*.cdn.example"+port]
		}
		for _, scheme := range []string{"http://", "https://"} {
			_, body, err := get(t, l.client(t), scheme+name)
			require.NoError(t, err)
			assert.Equal(t, "from the edge", body)
		}
	}
	l.addrs["bin.example.net:443"] = l.addrs["httpbin.org:443"]
	_, body, err := get(t, l.client(t), "https://bin.example.net/headers")
	require.NoError(t, err)
	assert.Contains(t, body, `"Host": "bin.example.net"`)
	record := l.record.last(t, 7)
	assert.Equal(t, "httpbin.org", record.Site, "the site is who answered")
	assert.Equal(t, "bin.example.net", record.Host)
}
