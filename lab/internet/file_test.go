package internet

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const head = "apiVersion: egressplay/v1\nkind: Internet\n"

func TestParse(t *testing.T) {
	hosts, err := Parse("f", []byte(head+`
hosts:
- names: [api.example.net]
  headers: {Content-Type: application/json, Set-Cookie: [a=1, b=2]}
  body: |
    {"ok": true}
- names: [old.example.net]
  redirect: https://api.example.net
- names: [moved.example.net]
  status: 308
  redirect: https://api.example.net/new?x=1
- names: ["*.shop.example.net", shop.example.net]
  address: 192.0.2.7
  http: {redirect: https://shop.example.net}
- names: [teapot.example.net]
  status: 418
  https: closed
- names: [slow.example.net]
  delay: 10ms
  anyName: true
- names: [partner.example.net]
  clientCertificate: required
  certificate: expired
- names: [cut.example.net]
  reset: true
- {names: [gone.example.net], status: 204}
`))
	require.NoError(t, err)
	own := hosts[len(DefaultHosts()):]
	require.Len(t, own, 9)
	assert.Equal(t, DefaultHosts()[0].Names, hosts[0].Names)
	assert.Equal(t, "203.0.113.100 192.0.2.7 203.0.113.102", strings.Join([]string{own[0].Addrs[0].String(), own[3].Addrs[0].String(), own[4].Addrs[0].Prev().String()}, " "))

	l := start(t, hosts)
	for _, tt := range []struct {
		url, host string
		status    int
		header    http.Header
		body      string
	}{
		{"http://api.example.net/x", "", 200, http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}}, "{\"ok\": true}\n"},
		{"https://api.example.net/x", "", 200, http.Header{"Content-Type": {"application/json"}}, "{\"ok\": true}\n"},
		{"http://old.example.net/x?y", "", 301, http.Header{"Location": {"https://api.example.net/x?y"}}, ""},
		{"http://moved.example.net/x?y", "", 308, http.Header{"Location": {"https://api.example.net/new?x=1"}}, ""},
		{"http://a.shop.example.net/", "", 301, http.Header{"Location": {"https://shop.example.net/"}}, ""},
		{"https://a.b.shop.example.net/", "", 200, nil, `"sni": "a.b.shop.example.net"`},
		{"http://teapot.example.net/", "", 418, nil, ""},
		{"http://slow.example.net/", "alias.test", 200, nil, `"host": "alias.test"`},
		{"http://partner.example.net/", "", 200, nil, `"host": "partner.example.net"`},
		{"http://gone.example.net/", "", 204, nil, ""},
		{"http://edition.cnn.com/politics", "", 301, nil, ""},
	} {
		req, err := http.NewRequest("GET", tt.url, nil)
		require.NoError(t, err)
		req.Host = tt.host
		resp, err := l.client(t).Do(req)
		require.NoError(t, err, tt.url)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, tt.url)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, tt.status, resp.StatusCode, tt.url)
		for name, values := range tt.header {
			assert.Equal(t, values, resp.Header[name], tt.url)
		}
		assert.Contains(t, string(body), tt.body, tt.url)
	}
	assert.NotContains(t, own[4].Ports, uint16(portHTTPS), "closed")
	assert.Equal(t, Expired, own[6].Certificate)
	_, err = l.client(t).Get("https://partner.example.net") //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "certificate has expired")
	_, err = l.client(t).Get("http://cut.example.net") //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "connection reset")
}

// All mistakes are reported at once, each with its place.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "f: the file is empty"},
		{"hosts: [", "f: yaml: line 1: did not find expected node content"},
		{"[]", "f:1:1: want a mapping with the keys apiVersion, kind, hosts"},
		{"hosts: [{names: [a.test]}]", "f:1:1: no apiVersion: want apiVersion: egressplay/v1"},
		{"apiVersion: v1\nkind: Internet\nhosts: [{names: [a.test]}]", `f:1:13: apiVersion "v1": want egressplay/v1`},
		{head, "f:1:1: no hosts"},
		{head + "hosts: []", "f:3:8: want a list that is not empty"},
		{head + "hosts: [{names: [a.test]}]\n---\na: b", "f:4:1: a second document: want one"},
		{head + "hosts:\n- names: [a.test]\n  boddy: x", `f:5:3: unknown key "boddy": want one of names, address,`},
		{head + "hosts:\n- names: [a.test]\n  names: [b.test]", "f:5:3: a second names"},
		{head + "hosts:\n- body: x", "f:4:3: a host without names"},
		{head + "hosts:\n- names: a.test", "f:4:10: want a list that is not empty"},
		{head + "hosts:\n- names: [A.test]", `f:4:3: "A.test" is no name of a host`},
		{head + "hosts:\n- names: [{}]", "f:4:11: want a text"},
		{head + "hosts:\n- names: [edition.cnn.com]", "f:4:3: there are two hosts with the name edition.cnn.com"},
		{head + "hosts:\n- names: [a.test]\n- names: [a.test]", "f:5:3: there are two hosts with the name a.test"},
		{head + "hosts:\n- {names: [a.test], address: 203.0.113.10}", "f:4:3: host a.test has an address that another has too: 203.0.113.10"},
		{head + "hosts:\n- {names: [a.test], address: 10.96.1.2}", "f:4:30: address 10.96.1.2: the lab itself has 10.96.0.0/16"},
		{head + "hosts:\n- {names: [a.test], address: 203.0.113.2}", "f:4:30: address 203.0.113.2: the lab itself has 203.0.113.0/30"},
		{head + "hosts:\n- {names: [a.test], address: 127.0.0.1}", "f:4:30: address 127.0.0.1: a host cannot have it; 203.0.113.100 to 203.0.113.254 are free for all"},
		{head + "hosts:\n- {names: [a.test], address: '::1'}", `f:4:30: address "::1": want one such as 203.0.113.100`},
		{head + "hosts:\n- {names: [a.test], status: 99}", `f:4:29: "99": want a number from 200 to 599`},
		{head + "hosts:\n- {names: [a.test], status: 200, redirect: 'https://b.test'}", "f:4:44: redirect with status 200: want 301,"},
		{head + "hosts:\n- {names: [a.test], redirect: /x}", `f:4:31: redirect "/x": want a URL such as https://www.example.net`},
		{head + "hosts:\n- {names: [a.test], status: 204, body: x}", "f:4:40: an answer with status 204 has no body"},
		{head + "hosts:\n- {names: [a.test], headers: {'a b': c}}", `f:4:38: no header of HTTP: "a b": "c"`},
		{head + "hosts:\n- {names: [a.test], headers: x}", "f:4:30: want a mapping of names to values"},
		{head + "hosts:\n- {names: [a.test], delay: 2}", `f:4:28: "2": want a time such as 300ms or 2s, up to 5m0s`},
		{head + "hosts:\n- {names: [a.test], certificate: good}", `f:4:34: "good": want one of expired, untrusted, valid, wrong-name`},
		{head + "hosts:\n- {names: [a.test], clientCertificate: true}", `f:4:40: "true": want one of requested, required`},
		{head + "hosts:\n- {names: [a.test], reset: maybe}", `f:4:28: "maybe": want true or false`},
		{head + "hosts:\n- {names: [a.test], reset: true, body: x}", "f:4:40: body of a host that resets: it answers nothing"},
		{head + "hosts:\n- {names: [a.test], http: open}", `f:4:27: "open": want closed, or a mapping`},
		{head + "hosts:\n- {names: [a.test], http: {tls: x}}", `f:4:28: unknown key "tls": want one of status, headers, body, redirect, grpc, delay, cut, reset, fail, paths`},
		{head + "hosts:\n- {names: [a.test], address: 192.0.2.1, addresses: 2}", `f:4:30: address and addresses of one host: want one of them`},
		{head + "hosts:\n- {names: [a.test], addresses: 17}", `f:4:32: "17": want a number from 1 to 16`},
		{head + "hosts:\n- {names: [a.test], addresses: []}", `f:4:32: want a list that is not empty`},
		{head + "hosts:\n- {names: [a.test], addresses: [192.0.2.1, 192.0.2.1]}", `f:4:44: a second 192.0.2.1`},
		{head + "hosts:\n- {names: [a.test], addresses: [192.0.2.1, 10.96.0.1]}", `f:4:44: address 10.96.0.1: the lab itself has`},
		{head + "hosts:\n- {names: [a.test], cname: b.test}", `f:4:28: cname b.test: no host has this name, nor does an alias of it lead to one`},
		{head + "hosts:\n- {names: [a.test], cname: b.test}\n- {names: [b.test], cname: a.test}", "f:4:28: cname b.test: no host has this name, nor does an alias of it lead to one\nf:5:28: cname a.test"},
		{head + "hosts:\n- {names: [a.test], cname: '*.example.com'}", `f:4:28: cname "*.example.com": want the name of a host`},
		{head + "hosts:\n- {names: [a.test], cname: httpbin.org, body: x}", `f:4:47: body of an alias: the host that it leads to has it`},
		{head + "hosts:\n- {names: [edition.cnn.com], cname: httpbin.org}", `f:4:3: there are two hosts with the name edition.cnn.com`},
		{head + "hosts:\n- {names: [a.test], fail: 0}", `f:4:27: "0": want a number from 1 to 1000`},
		{head + "hosts:\n- {names: [a.test], fail: {status: 500}}", `f:4:27: fail without times`},
		{head + "hosts:\n- {names: [a.test], fail: {times: 1, fail: 1}}", `f:4:38: unknown key "fail": want one of times, status`},
		{head + "hosts:\n- {names: [a.test], http: {reset: true, body: x}}", `f:4:47: body of an answer that is a reset`},
		{head + "hosts:\n- {names: [a.test], status: 204, cut: true}", `f:4:39: cut of an answer with status 204, which has no body`},
		{head + "hosts:\n- {names: [a.test], paths: {a: {body: x}}}", `f:4:29: path "a": want one such as /a, or /a/* for all that begin with /a/`},
		{head + "hosts:\n- {names: [a.test], paths: {/a*b: {}}}", `f:4:29: path "/a*b": want`},
		{head + "hosts:\n- {names: [a.test], paths: {/a: {paths: {/b: {}}}}}", `f:4:34: unknown key "paths": want one of status`},
		{head + "hosts:\n- {names: [a.test], paths: {/a: x}}", `f:4:33: want a mapping with the keys status`},
		{head + "hosts:\n- {names: [a.test], grpc: 17}", `f:4:27: "17": want a number from 0 to 16`},
		{head + "hosts:\n- {names: [a.test], grpc: {code: 1}}", `f:4:28: unknown key "code": want one of status, message, trailersOnly`},
		{head + "hosts:\n- {names: [a.test], ports: [80]}", "f:4:28: want a mapping of ports to what they say"},
		{head + "hosts:\n- {names: [a.test], ports: {7: closed}}", "f:4:3: all ports of the host are closed"},
		{head + "hosts:\n- {names: [a.test], ports: {0: echo}}", `f:4:29: "0": want the number of a port, from 1 to 65535`},
		{head + "hosts:\n- {names: [a.test], ports: {65536: echo}}", `f:4:29: "65536": want the number of a port`},
		{head + "hosts:\n- {names: [a.test], ports: {http: echo}}", `f:4:29: "http": want the number of a port`},
		{head + "hosts:\n- {names: [a.test], ports: {7: echo, 7: silent}}", `f:4:38: a second 7`},
		{head + "hosts:\n- {names: [a.test], http: {}, ports: {80: echo}}", `f:4:39: port 80 is what http says`},
		{head + "hosts:\n- {names: [a.test], https: closed, ports: {443: echo}}", `f:4:44: port 443 is what https says`},
		{head + "hosts:\n- {names: [a.test], ports: {7: parrot}}", `f:4:32: "parrot": want closed, echo, http, https, reset, silent, or a mapping`},
		{head + "hosts:\n- {names: [a.test], http: closed, ports: {8080: http}}", `f:4:49: http of the host is closed`},
		{head + "hosts:\n- {names: [a.test], ports: {7: {banner: x, echo: true}}}", `f:4:50: banner and echo of one port: want one of them`},
		{head + "hosts:\n- {names: [a.test], ports: {7: {banner: x, body: y}}}", `f:4:50: body of a port with banner: that one does not speak HTTP`},
		{head + "hosts:\n- {names: [a.test], ports: {7: {silent: false}}}", `f:4:41: silent: want true`},
		{head + "hosts:\n- {names: [a.test], ports: {7: {bannner: x}}}", `f:4:33: unknown key "bannner": want one of tls, banner, echo, silent, status`},
		{head + "hosts:\n- {names: [a.test], reset: true, ports: {7: echo}}", "f:4:41: ports of a host that resets: it answers nothing"},
		{head + "hosts:\n- {names: [a.test], http: closed, https: closed}", "f:4:3: all ports of the host are closed"},
		{"kind: Internet\nhosts:\n- {names: [a.test], staus: 1}", "f:1:1: no apiVersion: want apiVersion: egressplay/v1\nf:3:21: unknown key"},
	} {
		hosts, err := Parse("f", []byte(tt.text))
		require.ErrorContains(t, err, tt.want, tt.text)
		assert.Nil(t, hosts)
	}
	many := strings.Builder{}
	for i := range 156 {
		many.WriteString("- names: [a" + strings.Repeat("b", i%50) + "." + strings.Repeat("c", 1+i/50) + ".test]\n")
	}
	_, err := Parse("f", []byte(head+"hosts:\n"+many.String()))
	require.ErrorContains(t, err, "f:159:3: not enough addresses are left of 203.0.113.100 to 203.0.113.254")
	_, err = Parse("f", []byte(head+"hosts:\n- {names: [a.test], addresses: 16}\n"+many.String()))
	require.ErrorContains(t, err, "f:145:3: not enough addresses are left")
}

// A playbook's hosts are read from the playbook, and the rest of it is ignored.
func TestParseOfAPlaybook(t *testing.T) {
	const playbook = "apiVersion: egressplay/v1\nkind: Playbook\nname: x\nvars: {A: b}\n"
	hosts, err := Parse("p", []byte(playbook+"internet:\n- names: [a.test]\nsteps:\n- title: ${A}\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a.test"}, hosts[len(DefaultHosts())].Names)
	hosts, err = Parse("p", []byte(playbook))
	require.NoError(t, err)
	assert.Len(t, hosts, len(DefaultHosts()))
	for text, want := range map[string]string{
		"internet: []\n":                             "p:5:11: want a list that is not empty",
		"internet: {hosts: []}\n":                    "p:5:11: want a list that is not empty",
		"internet:\n- {names: [a.test], boddy: x}\n": `p:6:21: unknown key "boddy"`,
	} {
		_, err := Parse("p", []byte(playbook+text))
		require.ErrorContains(t, err, want)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.yaml")
	_, err := Load(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte(head+"hosts: [{names: [a.test]}]"), 0o600))
	hosts, err := Load(path)
	require.NoError(t, err)
	assert.Len(t, hosts, len(DefaultHosts())+1)
}
