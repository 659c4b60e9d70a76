//go:build lab

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/internet"
)

// curlFrom makes a pod with curl, and returns what runs it: it gives curl's
// output and exit code.
func curlFrom(n namespace) func(args ...string) result {
	n.t.Helper()
	n.apply(pod("client", forever, "", ""))
	n.ready("pod/client", "Ready")
	return func(args ...string) result {
		return n.kubectl(append([]string{"exec", "client", "--", "curl", "-sS", "-m", "20"}, args...)...)
	}
}

// recorded is what has arrived in the internet of a lab.
func recorded(t testing.TB, name string) (records []internet.Record) {
	t.Helper()
	for line := range strings.Lines(verb(t, "logs", "internet", "-o", "json", "--name", name)) {
		var r internet.Record
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		records = append(records, r)
	}
	return records
}

// The stand-ins as a pod sees them: names, addresses, certificates.
func TestInternet(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	curl := curlFrom(n)
	for _, tt := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"https://en.wikipedia.org/wiki/Main_Page", 0, "<title>Wikipedia, the free encyclopedia</title>", ""},
		{"https://de.wikipedia.org/wiki/Wikipedia:Hauptseite", 0, "<title>Wikipedia – Die freie Enzyklopädie</title>", ""},
		{"--resolve en.wikipedia.org:443:198.35.26.96 https://en.wikipedia.org/", 0, "<title>Wikipedia, the free encyclopedia</title>", ""},
		{"--resolve en.wikipedia.org:443:208.80.153.224 https://en.wikipedia.org/", 0, "<title>Wikipedia, the free encyclopedia</title>", ""},
		{"--connect-to de.wikipedia.org:443:www.wikipedia.org:443 https://de.wikipedia.org/", 0, "<title>Wikipedia – Die freie Enzyklopädie</title>", ""},
		{"-I https://wikipedia.org/", 0, "HTTP/2 301", ""},
		{"https://fr.wikipedia.org/", 6, "", "Could not resolve host"},

		{"https://a.b.example.org/x", 0, `"sni": "a.b.example.org"`, ""},
		{"http://example.com/x", 0, `"host": "example.com"`, ""},
		{"http://NX.example.org/", 6, "", "Could not resolve host"},
		{"http://a.nx.example.org/", 6, "", "Could not resolve host"},
		{"http://example.net/", 6, "", "Could not resolve host"},

		{"https://mtls.example.com/", 56, "", "certificate required"},
		{"-o /dev/null -w %{http_code} http://mtls.example.com:443/", 0, "400", ""},
		{"https://expired.example.com/", 60, "", "expired"},
		{"https://wrong-name.example.com/", 60, "", "no alternative certificate subject name matches"},
		{"https://untrusted.example.com/", 60, "", "unable to get local issuer certificate"},
		{"-m 0.2 http://slow.example.com/", 28, "", ""},
		{"http://reset.example.com/", 56, "", "reset by peer"},
		{"https://reset.example.com/", 35, "", ""},
	} {
		got := curl(strings.Fields(tt.args)...)
		assert.Equal(t, tt.code, got.code, "%s: %s", tt.args, got.stderr)
		assert.Contains(t, got.stdout, tt.stdout, tt.args)
		assert.Contains(t, got.stderr, tt.stderr, tt.args)
	}
	took, err := strconv.ParseFloat(curl("-o", "/dev/null", "-w", "%{time_total}", "http://slow.example.com/0.3").stdout, 64)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, took, 0.3)

	// What a client did not wait for has arrived all the same, once.
	assert.Equal(t, 28, curl("-m", "1", "http://slow.example.com/77.5").code)
	var arrived []internet.Record
	for _, r := range recorded(t, defaultName) {
		if r.Path == "/77.5" {
			arrived = append(arrived, r)
		}
	}
	require.Len(t, arrived, 1)
	assert.Equal(t, "slow.example.com", arrived[0].Site)
	assert.Contains(t, []int{0, 499}, arrived[0].Status)

	first, _, _ := strings.Cut(followsUntilInterrupted(t, "internet", "-o", "json"), "\n")
	var r internet.Record
	assert.NoError(t, json.Unmarshal([]byte(first), &r), first)
}

// A name that does not exist is just that, and no failure of the name server, which
// a client would ask again; one that exists has no IPv6 address.
func TestNamesThatDoNotExist(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	cmd := n.command("port-forward", "-n", "kube-system", "deploy/coredns", ":53")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	addr, _, _ := strings.Cut(strings.TrimPrefix(line, "Forwarding from "), " ->")
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}
	for name, want := range map[string]string{
		"nx.example.org.":                       "",
		"a.nx.example.org.":                     "",
		"example.net.":                          "",
		"wikipedia.org.":                        "203.0.113.14",
		"a.example.org.":                        "203.0.113.21",
		"A.b.example.com.":                      "203.0.113.20",
		"mtls.example.com.":                     "203.0.113.22",
		"kubernetes.default.svc.cluster.local.": "10.96.0.1",
	} {
		addrs, err := resolver.LookupHost(t.Context(), name)
		if want != "" {
			require.NoError(t, err)
			assert.Equal(t, []string{want}, addrs)
			continue
		}
		failure := new(net.DNSError)
		require.ErrorAs(t, err, &failure)
		assert.True(t, failure.IsNotFound, "%s: %v", name, err)
	}
	_, err = resolver.LookupNetIP(t.Context(), "ip6", "a.example.org.")
	failure := new(net.DNSError)
	require.ErrorAs(t, err, &failure)
	assert.True(t, failure.IsNotFound, "%v", err)
}

const ownHostsFile = `
apiVersion: egressplay/v1
kind: Internet
hosts:
- names: [api.example.net, "*.shop.example.net"]
  body: '{"ok": true}'
- names: [partner.example.net]
  address: 192.0.2.7
  certificate: expired
`

func TestHostsOfOnesOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }

	for _, verb := range []string{"up", "serve"} {
		write(ownHostsFile + "  boddy: x\n")
		r := execute(program(verb, "--name", "own", "--internet", file))
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.stderr, file+":10:3: unknown key \"boddy\"")
		r = execute(program(verb, "--name", "own", "--internet", file+"x"))
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.stderr, "no such file")
	}
	assert.Zero(t, statusOfLab(t, "own").Pid, "nothing was started")

	write(ownHostsFile)
	verb(t, "up", "--name", "own", "--internet", file)
	t.Cleanup(func() { verb(t, "down", "--name", "own") })
	assert.Contains(t, verb(t, "up", "--name", "own", "--internet", file), "is running", "the same again")
	assert.Contains(t, verb(t, "up", "--name", "own"), "is running")
	write(ownHostsFile + "  anyName: true\n")
	r := execute(program("up", "--name", "own", "--internet", file))
	assert.Equal(t, 3, r.code)
	assert.Contains(t, r.stderr, "lab own is running without these hosts: take it down with `egressplay lab down --name own`")

	k := func(args ...string) result {
		return execute(program(append([]string{"kubectl", "--name", "own"}, args...)...))
	}
	cmd := program("kubectl", "--name", "own", "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(pod("client", forever, "", ""))
	require.Equal(t, 0, execute(cmd).code)
	require.Equal(t, 0, k("wait", "pod/client", "--for=condition=Ready", "--timeout="+aWhile.String()).code)
	for url, want := range map[string]string{
		"https://api.example.net/":         `{"ok": true}`,
		"https://a.b.shop.example.net/":    `{"ok": true}`,
		"http://partner.example.net/":      `"host": "partner.example.net"`,
		"https://en.wikipedia.org/":        "Wikipedia, the free encyclopedia",
		"https://still.there.example.com/": `"sni": "still.there.example.com"`,
	} {
		r := k("exec", "client", "--", "curl", "-sS", "-m", "20", url)
		assert.Contains(t, r.stdout, want, "%s: %s", url, r.stderr)
	}
	assert.Equal(t, 60, k("exec", "client", "--", "curl", "-sS", "-m", "20", "https://partner.example.net").code)
	sites := map[string]string{}
	for _, record := range recorded(t, "own") {
		sites[record.Site] = record.Local
	}
	assert.Equal(t, "203.0.113.100:443", sites["api.example.net"])
	assert.Equal(t, "192.0.2.7:443", sites["partner.example.net"])
}
