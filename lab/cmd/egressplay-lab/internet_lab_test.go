//go:build lab

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/internet"
)

// curlFrom makes a pod with curl, and returns a function that runs curl in it and
// returns curl's output and exit code.
func curlFrom(n namespace) func(args ...string) result {
	n.t.Helper()
	n.apply(pod("client", forever, "", ""))
	n.ready("pod/client", "Ready")
	return func(args ...string) result {
		return n.kubectl(append([]string{"exec", "client", "--", "curl", "-sS", "-m", "20"}, args...)...)
	}
}

// recorded returns what has arrived in the internet of a lab.
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

	// A request for which the client did not wait has arrived all the same, once.
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

// A name that does not exist gives NXDOMAIN, and no failure of the name server, which a
// client would ask again. A name that exists has no IPv6 address.
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
	assert.Contains(t, r.stderr, "lab own is running without these hosts: add them with `egressplay lab internet add --name own FILE`, or take it down with `egressplay lab down --name own`")

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

// A running lab takes hosts, has them in its DNS at once, and removes them again.
func TestHostsOfARunningLab(t *testing.T) {
	t.Parallel()
	curl := curlFrom(newNamespace(t, false))
	file := filepath.Join(t.TempDir(), "hosts.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
apiVersion: egressplay/v1
kind: Internet
hosts:
- names: [added.example.net, "*.added.example.net"]
  addresses: 2
  body: added
  paths:
    /slow: {delay: 77s}
    /half: {body: 0123456789, cut: true}
- {names: [alias.example.net], cname: added.example.net}
- names: [tcp.example.net]
  ports: {25: {banner: "220 mail\r\n"}, 9: silent, 8080: {body: other port}, 50051: {grpc: {status: 14}}}
`), 0o600))
	assert.Equal(t, 6, curl("http://added.example.net").code)
	out := verb(t, "internet", "add", file)
	token, _, _ := strings.Cut(out, " ")
	assert.Contains(t, out, "internet remove "+token)
	assert.Contains(t, verb(t, "internet", "list"), token)

	for _, tt := range []struct {
		args   string
		code   int
		stdout string
	}{
		{"http://added.example.net", 0, "added"},
		{"https://x.added.example.net", 0, "added"},
		{"https://alias.example.net", 0, "added"},
		{"http://tcp.example.net:8080", 0, "other port"},
		{"http://tcp.example.net", 7, ""},
		{"-m 1 telnet://tcp.example.net:25", 28, "220 mail"},
		{"-m 1 telnet://tcp.example.net:9", 28, ""},
		{"-m 1 http://added.example.net/slow", 28, ""},
		{"http://added.example.net/half", 18, "01234"},
		{"-D - -o /dev/null --http2-prior-knowledge -H content-type:application/grpc -d x http://tcp.example.net:50051/p.S/M", 0, "grpc-status: 14"},
	} {
		got := curl(strings.Fields(tt.args)...)
		assert.Equal(t, tt.code, got.code, "%s: %s", tt.args, got.stderr)
		assert.Contains(t, got.stdout, tt.stdout, tt.args)
	}
	byLocal := map[string]internet.Record{}
	for _, r := range recorded(t, defaultName) {
		if r.Site == "tcp.example.net" {
			_, port, err := net.SplitHostPort(r.Local)
			require.NoError(t, err)
			byLocal[port] = r
		}
	}
	assert.Equal(t, "TCP", byLocal["9"].Protocol)
	require.NotNil(t, byLocal["50051"].GRPCStatus)
	assert.Equal(t, 14, *byLocal["50051"].GRPCStatus)

	again := execute(program("internet", "add", file))
	assert.Equal(t, 3, again.code)
	assert.Contains(t, again.stderr, file+":5:3: there are two hosts with the name added.example.net")
	verb(t, "internet", "remove", token)
	assert.Equal(t, 6, curl("http://added.example.net").code)
	assert.Equal(t, 3, execute(program("internet", "remove", token)).code)
	assert.Equal(t, 2, execute(program("internet", "add", file+"x")).code)
}

// Hosts that a program holds go when it ends, however it ends.
func TestHeldHosts(t *testing.T) {
	t.Parallel()
	const held = `{"file": "held.yaml", "text": "apiVersion: egressplay/v1\nkind: Internet\nhosts: [{names: [held.example.net]}]\n"}` + "\n"
	listed := func() bool { return strings.Contains(verb(t, "internet", "list"), "held.example.net") }
	for _, end := range []struct {
		how string
		do  func(cmd *exec.Cmd, stdin io.Closer) error
	}{
		{"killed", func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Kill() }},
		{"interrupted", func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(os.Interrupt) }},
		{"its caller is gone", func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() }},
	} {
		t.Run(end.how, func(t *testing.T) {
			cmd := program("internet", "hold")
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			defer cmd.Wait()
			defer cmd.Process.Kill()
			_, err = io.WriteString(stdin, held)
			require.NoError(t, err)
			var added internet.Addition
			require.NoError(t, json.NewDecoder(stdout).Decode(&added))
			assert.Equal(t, "held.yaml", added.File)
			assert.True(t, listed())
			require.NoError(t, end.do(cmd, stdin))
			require.Eventually(t, func() bool { return !listed() }, aWhile, 50*time.Millisecond)
		})
	}
	cmd := program("internet", "hold")
	cmd.Stdin = strings.NewReader(`{"file": "held.yaml", "text": "kind: Internet"}`)
	r := execute(cmd)
	assert.Equal(t, 3, r.code)
	assert.Contains(t, r.stderr, "held.yaml:1:1: no apiVersion")
}
