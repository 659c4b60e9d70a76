package internet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/egressplay/egressplay/lab/pki"
)

// lab is the internet on the machine's loopback: each address of a stand-in
// is a port there.
type lab struct {
	*Internet // once it is served

	ca        *pki.CA
	listeners map[string]net.Listener
	names     net.PacketConn    // the name server's
	addrs     map[string]string // by name and port
	record    *lines
	stop      func() error

	mu    sync.Mutex
	added map[netip.Addr]bool
	later map[string]string // the ports of added addresses
}

// lines are the records so far.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) records(t *testing.T) []Record {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	records, err := ReadRecords(bytes.NewReader(l.buf.Bytes()))
	require.NoError(t, err)
	return records
}

// open returns how many of the records are not final.
func (l *lines) open(t *testing.T) (n int) {
	for _, record := range l.records(t) {
		if record.Open {
			n++
		}
	}
	return n
}

// text returns what was recorded so far.
func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// size returns how many bytes were recorded so far.
func (l *lines) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Len()
}

// last returns the newest record, once there are n, all of them final.
func (l *lines) last(t *testing.T, n int) Record {
	t.Helper()
	require.Eventually(t, func() bool { return len(l.records(t)) >= n && l.open(t) == 0 }, 20*time.Second, time.Millisecond)
	records := l.records(t)
	require.Len(t, records, n)
	return records[n-1]
}

func newLab(t *testing.T, hosts []Host) *lab {
	t.Helper()
	ca, err := pki.NewCA("test")
	require.NoError(t, err)
	l := &lab{added: map[netip.Addr]bool{}, later: map[string]string{}, ca: ca, listeners: map[string]net.Listener{}, addrs: map[string]string{}, record: new(lines)}
	l.listeners[nameServerAddr], err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.listeners[nameServerAddr].Close() })
	l.names, err = net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.names.Close() })
	for _, host := range hosts {
		for number := range host.Ports {
			port := fmt.Sprint(number)
			listen := func(addr netip.Addr) string {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				t.Cleanup(func() { listener.Close() })
				at := net.JoinHostPort(addr.String(), port)
				l.listeners[at], l.addrs[at] = listener, listener.Addr().String()
				return listener.Addr().String()
			}
			var at string
			for _, addr := range host.Addrs {
				at = listen(addr)
			}
			for _, name := range host.Names {
				l.addrs[net.JoinHostPort(name, port)] = at
			}
			for _, addr := range host.Also {
				listen(addr)
			}
		}
	}
	return l
}

// nameServerAddr is the address of the name server of a test.
const nameServerAddr = "203.0.113.2:53"

// Listen and ListenPacket make the lab a [Network].
func (l *lab) Listen(_, addr string) (net.Listener, error) {
	if listener := l.listeners[addr]; listener != nil {
		return listener, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, err := netip.ParseAddrPort(addr); err != nil || !l.added[at.Addr()] {
		return nil, fmt.Errorf("listen %s: no such address", addr)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.later[addr] = listener.Addr().String()
	}
	return listener, err
}

// AddAddress and DeleteAddress let tests add hosts, except one whose address is
// refused.
func (l *lab) AddAddress(addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if addr == refusedAddr {
		return fmt.Errorf("add address %s: no", addr)
	}
	l.added[addr] = true
	return nil
}

func (l *lab) DeleteAddress(addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.added, addr)
	return nil
}

var refusedAddr = netip.MustParseAddr("192.0.2.66")

func (l *lab) ListenPacket(_, addr string) (net.PacketConn, error) {
	if addr == nameServerAddr {
		return l.names, nil
	}
	return nil, fmt.Errorf("listen %s: no such address", addr)
}

// config returns the configuration of a lab with these hosts.
func (l *lab) config(hosts []Host) Config {
	return Config{Hosts: hosts, CA: l.ca, Network: l, NameServer: nameServerAddr, Record: l.record}
}

// start serves hosts until the end of the test, or until stop.
func start(t *testing.T, hosts []Host) *lab {
	t.Helper()
	l := newLab(t, hosts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	l.Internet = New(l.config(hosts))
	go func() { done <- l.Serve(ctx) }()
	l.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { assert.NoError(t, l.stop()) })
	return l
}

// dial connects to the stand-in with this name or address, and port.
func (l *lab) dial(ctx context.Context, addr string) (net.Conn, error) {
	addr = strings.ToLower(addr)
	l.mu.Lock()
	to, there := l.later[addr]
	l.mu.Unlock()
	if !there {
		to, there = l.addrs[addr]
	}
	for name := addr; !there; {
		_, parent, more := strings.Cut(name, ".")
		if !more {
			return nil, fmt.Errorf("dial %s: no such host", addr)
		}
		to, there = l.addrs["*."+parent]
		name = parent
	}
	return new(net.Dialer).DialContext(ctx, "tcp", to)
}

// client returns a client that offers these protocols by ALPN; without any, no ALPN.
func (l *lab) client(t *testing.T, alpn ...string) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return l.dial(ctx, addr)
		},
		TLSClientConfig:    &tls.Config{RootCAs: l.ca.Pool()},
		Protocols:          new(http.Protocols),
		DisableCompression: true,
	}
	transport.Protocols.SetHTTP1(true)
	if slices.Contains(alpn, "h2") {
		transport.Protocols.SetHTTP2(true)
	} else { // the transport would not offer only http/1.1
		transport.DialTLSContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
			conn, err := l.dial(ctx, addr)
			if err != nil {
				return nil, err
			}
			name, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			secured := tls.Client(conn, &tls.Config{RootCAs: l.ca.Pool(), ServerName: name, NextProtos: alpn})
			return secured, secured.HandshakeContext(ctx)
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func TestHosts(t *testing.T) {
	const html = "text/html; charset=utf-8"
	none, h1, h2 := []string{}, []string{"http/1.1"}, []string{"h2", "http/1.1"}
	tests := []struct {
		method, url string
		alpn        []string
		host        string // Host header, if it is not the URL's
		status      int
		proto       string
		header      http.Header
		body        string
	}{
		// As the tutorials call them.
		{"GET", "http://edition.cnn.com/politics", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://edition.cnn.com/politics"}}, ""},
		{"HEAD", "http://edition.cnn.com/politics", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://edition.cnn.com/politics"}}, ""},
		{"GET", "https://edition.cnn.com/politics", h2, "", 200, "HTTP/2.0", http.Header{"Content-Type": {html}}, "<title>edition.cnn.com</title>"},
		{"GET", "https://edition.cnn.com/politics", h1, "", 200, "HTTP/1.1", http.Header{"Content-Type": {html}}, "<title>edition.cnn.com</title>"},
		{"GET", "https://edition.cnn.com/politics", none, "", 200, "HTTP/1.1", http.Header{"Content-Type": {html}}, "<title>edition.cnn.com</title>"},
		{"HEAD", "https://edition.cnn.com/", h2, "", 200, "HTTP/2.0", http.Header{"Content-Type": {html}}, ""},
		{"HEAD", "https://edition.cnn.com/", none, "", 200, "HTTP/1.1", http.Header{"Content-Type": {html}}, ""},
		{"HEAD", "https://www.google.com/", h2, "", 200, "HTTP/2.0", http.Header{"Content-Type": {html}}, ""},
		{"GET", "https://www.google.com/", h1, "", 200, "HTTP/1.1", nil, "<title>www.google.com</title>"},
		{"GET", "http://www.google.com/", none, "", 200, "HTTP/1.1", nil, "<title>www.google.com</title>"},
		{"HEAD", "https://www.baidu.com/", h2, "", 200, "HTTP/2.0", http.Header{"Content-Type": {html}}, ""},
		{"GET", "https://www.baidu.com/", none, "", 200, "HTTP/1.1", nil, "<title>www.baidu.com</title>"},
		{"GET", "http://www.baidu.com/", none, "", 200, "HTTP/1.1", nil, "<title>www.baidu.com</title>"},
		{"GET", "http://httpbin.org/headers", none, "", 200, "HTTP/1.1", http.Header{"Content-Type": {"application/json"}}, `"Host": "httpbin.org"`},
		{"GET", "https://httpbin.org/headers", h2, "", 200, "HTTP/2.0", nil, `"Host": "httpbin.org"`},
		{"GET", "http://httpbin.org/delay/0.01", none, "", 200, "HTTP/1.1", nil, `"url": "http://httpbin.org/delay/0.01"`},
		{"GET", "http://httpbin.org/status/418", none, "", 418, "HTTP/1.1", nil, "teapot"},
		{"POST", "https://httpbin.org/post", h2, "", 200, "HTTP/2.0", nil, `"method": "POST"`},
		{"HEAD", "http://httpbin.org/headers", none, "", 200, "HTTP/1.1", nil, ""},

		{"GET", "https://en.wikipedia.org/wiki/Main_Page", h2, "", 200, "HTTP/2.0", http.Header{"Content-Type": {html}}, "<title>Wikipedia, the free encyclopedia</title>"},
		{"GET", "https://de.wikipedia.org/wiki/Wikipedia:Hauptseite", h1, "", 200, "HTTP/1.1", http.Header{"Content-Type": {html}}, "<title>Wikipedia – Die freie Enzyklopädie</title>"},
		{"GET", "https://www.wikipedia.org/", h2, "", 200, "HTTP/2.0", nil, "<title>Wikipedia</title>"},
		{"GET", "https://www.wikipedia.org/", h2, "de.wikipedia.org", 200, "HTTP/2.0", nil, "<title>Wikipedia – Die freie Enzyklopädie</title>"},
		{"GET", "https://www.wikipedia.org/", h2, "fr.wikipedia.org", 421, "HTTP/2.0", nil, `This is www.wikipedia.org, which does not serve "fr.wikipedia.org".`},
		{"GET", "http://en.wikipedia.org/wiki/Main_Page", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://en.wikipedia.org/wiki/Main_Page"}}, ""},
		{"GET", "https://wikipedia.org/", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://www.wikipedia.org/"}}, ""},

		// The echo, and the special hosts below example.com.
		{"GET", "http://a.example.org/headers", none, "", 200, "HTTP/1.1", http.Header{"Content-Type": {"application/json"}}, `"host": "a.example.org"`},
		{"PUT", "https://c.d.example.org/x?y=z", h2, "", 200, "HTTP/2.0", nil, `"path": "/x?y=z"`},
		{"GET", "https://example.org/", h1, "", 200, "HTTP/1.1", nil, `"sni": "example.org"`},
		{"GET", "https://www.example.com/", h2, "", 200, "HTTP/2.0", nil, `"protocol": "HTTP/2.0"`},
		{"GET", "https://www.example.com/", h2, "mtls.example.com", 421, "HTTP/2.0", nil, `does not serve "mtls.example.com"`},
		{"GET", "http://a.example.org/", none, "nx.example.org", 421, "HTTP/1.1", nil, `does not serve "nx.example.org"`},
		{"GET", "http://mtls.example.com/x", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://mtls.example.com/x"}}, ""},
		{"GET", "http://expired.example.com/", none, "", 200, "HTTP/1.1", nil, `"host": "expired.example.com"`},
		{"GET", "http://slow.example.com/0.01", none, "", 200, "HTTP/1.1", nil, `"path": "/0.01"`},
		{"GET", "https://slow.example.com/1ms", h2, "", 200, "HTTP/2.0", nil, `"path": "/1ms"`},
		{"GET", "http://slow.example.com/politics", none, "", 400, "HTTP/1.1", nil, `the path "/politics" is no delay: want one such as /2.5 (seconds) or /300ms, up to 5m0s`},

		// Path and query are kept.
		{"GET", "http://edition.cnn.com/a%2Fb/?q=1&r=%20x", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://edition.cnn.com/a%2Fb/?q=1&r=%20x"}}, ""},
		{"GET", "http://edition.cnn.com", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://edition.cnn.com/"}}, ""},
		{"POST", "https://edition.cnn.com/", h2, "", 405, "HTTP/2.0", http.Header{"Allow": {"GET, HEAD"}}, "POST is not allowed here"},

		// The name of the host in all its spellings, and no other.
		{"GET", "http://EDITION.cnn.com/politics", none, "", 301, "HTTP/1.1", http.Header{"Location": {"https://edition.cnn.com/politics"}}, ""},
		{"GET", "https://edition.cnn.com/", h2, "Edition.CNN.com:443", 200, "HTTP/2.0", nil, "<title>edition.cnn.com</title>"},
		{"GET", "https://edition.cnn.com/", none, "edition.cnn.com.", 200, "HTTP/1.1", nil, "<title>edition.cnn.com</title>"},
		{"GET", "https://edition.cnn.com/", h2, "www.google.com", 421, "HTTP/2.0", nil, `This is edition.cnn.com, which does not serve "www.google.com".`},
		{"GET", "http://edition.cnn.com/", none, "203.0.113.10", 421, "HTTP/1.1", nil, `does not serve "203.0.113.10"`},
		{"GET", "http://httpbin.org/headers", none, "my-httpbin.default.svc.cluster.local", 200, "HTTP/1.1", nil, `"Host": "my-httpbin.default.svc.cluster.local"`},
	}
	l := start(t, DefaultHosts())
	for i, tt := range tests {
		t.Run(fmt.Sprint(tt.method, " ", tt.url, " ", tt.alpn, " ", tt.host), func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, nil)
			require.NoError(t, err)
			req.Host = tt.host
			resp, err := l.client(t, tt.alpn...).Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)

			assert.Equal(t, tt.status, resp.StatusCode)
			assert.Equal(t, tt.proto, resp.Proto)
			for name, values := range tt.header {
				assert.Equal(t, values, resp.Header[name], name)
			}
			if tt.body == "" {
				assert.Empty(t, body)
			} else {
				assert.Contains(t, string(body), tt.body)
			}
			record := l.record.last(t, i+1)
			assert.Equal(t, tt.alpn, append([]string{}, record.ALPNOffered...))
			assert.Equal(t, tt.status, record.Status)
			assert.Equal(t, tt.proto, record.Protocol)
			assert.Equal(t, tt.method, record.Method)
		})
	}
}

// curl -L, in words: 301, then HTTP/2 200.
func TestRedirectIsFollowed(t *testing.T) {
	l := start(t, DefaultHosts())
	client := l.client(t, "h2")
	client.CheckRedirect = nil
	resp, err := client.Get("http://edition.cnn.com/politics")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "HTTP/2.0", resp.Proto)
	assert.Equal(t, 200, resp.StatusCode)
	assert.Equal(t, "https://edition.cnn.com/politics", resp.Request.URL.String())

	records := l.record.records(t)
	require.Len(t, records, 2)
	assert.Equal(t, []int{301, 200}, []int{records[0].Status, records[1].Status})
	assert.Equal(t, []bool{false, true}, []bool{records[0].TLS, records[1].TLS})
}

// speak sends text as it is and returns all that comes back.
func (l *lab) speak(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := l.dial(t.Context(), addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(got)
}

func TestHeadersInTheFormOfHTTPBin(t *testing.T) {
	want, err := os.ReadFile("testdata/headers.json")
	require.NoError(t, err)
	l := start(t, DefaultHosts())
	got := l.speak(t, "httpbin.org:80", strings.Join([]string{
		"GET /headers HTTP/1.1",
		"x-request-id: 3ba5ea3a-6b2b-9f0e-8f5c-0c7f2b8f2a11",
		"host: httpbin.org",
		"user-agent: curl/7.88.1",
		"x-envoy-decorator-operation: httpbin.org:80/*",
		"x-odd: <a&b>",
		"x-odd: c",
		"accept: */*",
		"x-envoy-attempt-count: 1",
		"connection: close",
		"", "",
	}, "\r\n"))
	// The header about the end of the connection is of this test, not of the tutorials.
	got = strings.Replace(got, "    \"Connection\": \"close\",\n", "", 1)
	_, body, found := strings.Cut(got, "\r\n\r\n")
	require.True(t, found, "%s", got)
	assert.Equal(t, string(want), body)
}

func TestDelayLongerThanTheClientWaits(t *testing.T) {
	l := start(t, DefaultHosts())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://httpbin.org/delay/5", nil)
	require.NoError(t, err)
	_, err = l.client(t).Do(req)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	record := l.record.last(t, 1)
	assert.Equal(t, "/delay/5", record.Path)
	assert.Equal(t, 499, record.Status, "go-httpbin's word for a client that is gone")
}

func TestCertificates(t *testing.T) {
	hosts := DefaultHosts()
	l := start(t, hosts)
	certificate := func(t *testing.T, addr, sni string) *x509.Certificate {
		conn, err := l.dial(t.Context(), addr)
		require.NoError(t, err)
		defer conn.Close()
		client := tls.Client(conn, &tls.Config{ServerName: sni, InsecureSkipVerify: true})
		require.NoError(t, client.Handshake())
		return client.ConnectionState().PeerCertificates[0]
	}
	serials := map[string]bool{}
	for _, host := range hosts {
		name := host.Names[0]
		if host.Certificate != Valid || !host.Ports[portHTTPS].TLS || strings.HasPrefix(name, "*.") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			own := certificate(t, name+":443", name)
			serials[own.SerialNumber.String()] = true
			assert.Equal(t, own.Raw, certificate(t, name+":443", "unknown.test").Raw, "whatever name is asked for")
			assert.Equal(t, own.Raw, certificate(t, name+":443", "").Raw, "without a name")
			for _, other := range hosts {
				if strings.HasPrefix(other.Names[0], "*.") {
					continue
				}
				_, err := own.Verify(x509.VerifyOptions{DNSName: other.Names[0], Roots: l.ca.Pool()})
				if other.Names[0] == name {
					require.NoError(t, err)
				} else {
					require.ErrorAs(t, err, &x509.HostnameError{})
				}
			}
		})
	}
	assert.Len(t, serials, 7, "each has its own")

	wikipedia := certificate(t, "208.80.153.224:443", "en.wikipedia.org")
	for _, name := range []string{"en.wikipedia.org", "de.wikipedia.org", "www.wikipedia.org"} {
		require.NoError(t, wikipedia.VerifyHostname(name))
	}

	for addr, names := range map[string][]string{ // the client asks for the first name; the certificate is valid for it and not for the others
		"a.example.org:443":            {"a.example.org", "b.example.org", "example.org"},
		"a.b.example.org:443":          {"a.b.example.org", "b.example.org", "c.b.example.org"},
		"www.example.com:443":          {"Example.com", "a.b.example.com", "mtls.example.com.example.org"},
		"wrong-name.example.com:443":   {"another-name.example.com", "wrong-name.example.com"},
		"another-name.example.com:443": {"another-name.example.com", "wrong-name.example.com"},
	} {
		own := certificate(t, addr, names[0])
		_, err := own.Verify(x509.VerifyOptions{DNSName: names[0], Roots: l.ca.Pool()})
		require.NoError(t, err, addr)
		for _, other := range names[1:] {
			require.ErrorAs(t, own.VerifyHostname(other), &x509.HostnameError{}, addr)
		}
	}
	// A client that is led to the echo by mistake notices.
	require.ErrorAs(t, certificate(t, "www.example.com:443", "edition.cnn.com").VerifyHostname("edition.cnn.com"), &x509.HostnameError{})
}

func TestCertificatesThatAreNotGood(t *testing.T) {
	l := start(t, DefaultHosts())
	expired, unknown := new(x509.CertificateInvalidError), new(x509.UnknownAuthorityError)
	for name, want := range map[string]any{
		"expired.example.com":    expired,
		"wrong-name.example.com": new(x509.HostnameError),
		"untrusted.example.com":  unknown,
	} {
		_, err := l.client(t).Get("https://" + name) //nolint:bodyclose // there is none
		require.ErrorAs(t, err, want, name)
	}
	assert.Equal(t, x509.Expired, expired.Reason)
	assert.Equal(t, "CN=a CA that nobody knows", unknown.Cert.Issuer.String())
}

func TestClientCertificate(t *testing.T) {
	l := start(t, DefaultHosts())
	foreign, err := pki.NewCA("a tutorial's CA")
	require.NoError(t, err)
	pair, err := foreign.Issue(pki.Request{CommonName: "client.example.com", Organizations: []string{"client organization"}})
	require.NoError(t, err)
	ask := func(t *testing.T, name string, certificates ...tls.Certificate) (echoed, error) {
		conn, err := l.dial(t.Context(), name+":443")
		require.NoError(t, err)
		defer conn.Close()
		client := tls.Client(conn, &tls.Config{ServerName: name, RootCAs: l.ca.Pool(), Certificates: certificates})
		_, err = io.WriteString(client, "GET / HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")
		require.NoError(t, err, "with TLS 1.3 the client has done its part before it is refused")
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			return echoed{}, err
		}
		defer resp.Body.Close()
		var said echoed
		return said, json.NewDecoder(resp.Body).Decode(&said)
	}
	for _, name := range []string{"mtls.example.com", "www.example.com"} {
		said, err := ask(t, name, pair.TLS())
		require.NoError(t, err)
		assert.Equal(t, "CN=client.example.com,O=client organization", said.ClientCertificate)
		assert.Equal(t, "CN=a tutorial's CA", said.ClientCertificateIssuer)
	}
	record := l.record.last(t, 2)
	assert.Equal(t, "CN=client.example.com,O=client organization", record.ClientCertificate)
	assert.Equal(t, "CN=a tutorial's CA", record.ClientCertificateIssuer)

	said, err := ask(t, "www.example.com")
	require.NoError(t, err, "it asks, and takes no for an answer")
	assert.Empty(t, said.ClientCertificate)

	_, err = ask(t, "mtls.example.com")
	require.ErrorContains(t, err, "remote error: tls: certificate required")
	record = l.record.last(t, 4)
	assert.Equal(t, "mtls.example.com", record.Site)
	assert.Contains(t, record.Error, "client didn't provide a certificate")

	assert.Contains(t, l.speak(t, "mtls.example.com:443", "GET / HTTP/1.1\r\nHost: mtls.example.com\r\n\r\n"), "400 Bad Request")
}

func TestEcho(t *testing.T) {
	l := start(t, DefaultHosts())
	got := l.speak(t, "a.example.org:80", "POST /x?y=<z> HTTP/1.1\r\nHost: a.example.org\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n")
	_, body, _ := strings.Cut(got, "\r\n\r\n")
	assert.Equal(t, `{
  "method": "POST",
  "host": "a.example.org",
  "path": "/x?y=<z>",
  "protocol": "HTTP/1.1",
  "headers": {
    "Connection": "close",
    "X-A": "1,2"
  }
}
`, body)
}

func TestReset(t *testing.T) {
	l := start(t, DefaultHosts())
	for i, port := range []string{"80", "443"} {
		conn, err := l.dial(t.Context(), "reset.example.com:"+port)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\n")
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		record := l.record.last(t, i+1)
		assert.Equal(t, "the host reset it", record.Error)
		assert.Equal(t, "reset.example.com", record.Site)
	}
}

func TestSlowHostWithoutPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		answer := httptest.NewRecorder()
		slow(http.HandlerFunc(echo)).ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
		assert.Equal(t, usualDelay, time.Since(begun))
		assert.Equal(t, 200, answer.Code)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answer = httptest.NewRecorder()
		slow(http.HandlerFunc(echo)).ServeHTTP(answer, httptest.NewRequest("GET", "/1m", nil).WithContext(ctx))
		assert.Equal(t, usualDelay+time.Second, time.Since(begun))
		assert.Equal(t, statusClientGone, answer.Code)
	})
}

func TestPlainHTTPToThePortForTLS(t *testing.T) {
	l := start(t, DefaultHosts())
	got := l.speak(t, "edition.cnn.com:443", "GET /politics HTTP/1.1\r\nHost: edition.cnn.com\r\n\r\n")
	assert.True(t, strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n"), "%s", got)
	assert.Contains(t, got, "Client sent an HTTP request to an HTTPS server.")

	record := l.record.last(t, 1)
	assert.False(t, record.TLS)
	assert.Equal(t, 400, record.Status)
	assert.Equal(t, "/politics", record.Path)
	assert.Equal(t, "edition.cnn.com", record.Site)
}

func TestRecordOfARequest(t *testing.T) {
	l := start(t, DefaultHosts())
	conn, err := l.dial(t.Context(), "edition.cnn.com:443")
	require.NoError(t, err)
	defer conn.Close()
	secured := tls.Client(conn, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "edition.cnn.com", NextProtos: []string{"istio", "http/1.1"}})
	before := time.Now()
	_, err = io.WriteString(secured, "GET /politics?a=<b> HTTP/1.1\r\nHost: Edition.cnn.com\r\n"+
		"X-Request-Id: 1\r\nX-Forwarded-For: 10.244.1.6\r\nX-Forwarded-For: 10.244.1.4\r\nX-Other: x\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(secured), nil)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)

	records := l.record.records(t) // without waiting: a client that has the answer finds the line
	require.Len(t, records, 1)
	got := records[0]
	assert.WithinRange(t, got.Time, before.Truncate(0), time.Now())
	got.Time = time.Time{}
	assert.Equal(t, Record{
		ID:          1,
		Site:        "edition.cnn.com",
		Host:        "Edition.cnn.com",
		Owner:       "edition.cnn.com",
		SNI:         "edition.cnn.com",
		ALPN:        "http/1.1",
		ALPNOffered: []string{"istio", "http/1.1"},
		TLS:         true,
		Protocol:    "HTTP/1.1",
		Method:      "GET",
		Path:        "/politics?a=<b>",
		Status:      200,
		Remote:      conn.LocalAddr().String(),
		Local:       conn.RemoteAddr().String(),
		Headers:     map[string]string{"x-request-id": "1", "x-forwarded-for": "10.244.1.6,10.244.1.4"},
	}, got)
}

// A request is recorded before it is answered, and also when its client has gone. It is
// recorded once, whatever is known about it.
func TestRecordOfARequestWithoutAnAnswer(t *testing.T) {
	for _, addr := range []string{"slow.example.com:80", "slow.example.com:443"} {
		t.Run(addr, func(t *testing.T) {
			l := start(t, DefaultHosts())
			conn, err := l.dial(t.Context(), addr)
			require.NoError(t, err)
			defer conn.Close()
			eventually := func(holds func(Record) bool) Record {
				t.Helper()
				require.Eventually(t, func() bool {
					records := l.record.records(t)
					return len(records) == 1 && holds(records[0])
				}, 20*time.Second, time.Millisecond)
				return l.record.records(t)[0]
			}
			got := eventually(func(r Record) bool { return r.Open })
			assert.Equal(t, "slow.example.com", got.Site)
			assert.Equal(t, conn.LocalAddr().String(), got.Remote)
			assert.Equal(t, conn.RemoteAddr().String(), got.Local)
			assert.Empty(t, got.Method)

			client := conn
			if strings.HasSuffix(addr, ":443") {
				secured := tls.Client(conn, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "slow.example.com"})
				require.NoError(t, secured.Handshake())
				got = eventually(func(r Record) bool { return r.Open && r.TLS })
				assert.Equal(t, "slow.example.com", got.SNI)
				client = secured
			}
			_, err = io.WriteString(client, "GET /5m HTTP/1.1\r\nHost: slow.example.com\r\n\r\n")
			require.NoError(t, err)
			got = eventually(func(r Record) bool { return r.Open && r.Method == "GET" })
			assert.Equal(t, "/5m", got.Path)
			assert.Zero(t, got.Status)

			require.NoError(t, conn.Close())
			got = eventually(func(r Record) bool { return !r.Open })
			assert.Equal(t, "/5m", got.Path)
			assert.Equal(t, statusClientGone, got.Status)
		})
	}
}

func TestReadRecords(t *testing.T) {
	first := time.Date(2026, 11, 24, 12, 59, 37, 0, time.UTC)
	var out bytes.Buffer
	recorder := newRecorder(&out)
	recorder.write(Record{ID: 1, Open: true, Time: first, Site: "kept"})
	recorder.write(Record{ID: 2, Open: true, Time: first.Add(1), Site: "slow", Path: "/slow"})
	recorder.write(Record{ID: 3, Open: true, Time: first.Add(2), Site: "fast"})
	recorder.write(Record{ID: 3, Time: first.Add(2), Site: "fast", Status: 200})
	recorder.write(Record{ID: 1, Open: true, Time: first.Add(3), Site: "kept", Path: "/late"})
	whole := out.Len()
	recorder.write(Record{ID: 2, Time: first.Add(1), Site: "slow", Status: 499})
	text := out.String()

	records, err := ReadRecords(strings.NewReader(text[:len(text)-1]))
	require.NoError(t, err)
	assert.Equal(t, []Record{
		{ID: 2, Open: true, Time: first.Add(1), Site: "slow", Path: "/slow"},
		{ID: 3, Time: first.Add(2), Site: "fast", Status: 200},
		{ID: 1, Open: true, Time: first.Add(3), Site: "kept", Path: "/late"},
	}, records, "what is not whole yet is not read")
	records, err = ReadRecords(strings.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, 499, records[0].Status)

	var followed []uint64
	require.NoError(t, FollowRecords(strings.NewReader(text), func(r Record) error {
		followed = append(followed, r.ID)
		return nil
	}))
	assert.Equal(t, []uint64{3, 2}, followed)

	_, err = ReadRecords(strings.NewReader(text[:whole] + "x\n"))
	require.ErrorContains(t, err, "read a record: invalid character 'x'")
	records, err = ReadRecords(strings.NewReader(`{"id":1,"error":"` + strings.Repeat("x", 3<<20) + `"}` + "\n" + `{"id":2}` + "\n"))
	require.NoError(t, err)
	assert.Len(t, records, 2)
}

// The form in which the record is read by others.
func TestRecordAsJSON(t *testing.T) {
	var out bytes.Buffer
	recorder := newRecorder(&out)
	arrival := time.Date(2026, 11, 24, 12, 59, 37, 629859081, time.UTC)
	recorder.write(Record{
		ID: 1, Time: arrival, Site: "httpbin.org", Host: "httpbin.org", Protocol: "HTTP/1.1", Method: "GET", Path: "/get?a&b", Status: 200,
		Remote: "10.244.1.6:41008", Local: "203.0.113.13:80", Headers: map[string]string{"x-request-id": "1"},
	})
	recorder.write(Record{
		ID: 2, Open: true, Time: arrival, Site: "edition.cnn.com", SNI: "edition.cnn.com", ALPNOffered: []string{"h2", "http/1.1"}, TLS: true,
		Remote: "10.244.1.6:41009", Local: "203.0.113.10:443", Error: "handshake: EOF",
	})
	recorder.close()
	recorder.write(Record{})
	assert.Equal(t, `{"id":1,"time":"2026-11-24T12:59:37.629859081Z","site":"httpbin.org","host":"httpbin.org","tls":false,"protocol":"HTTP/1.1","method":"GET","path":"/get?a&b","status":200,"remote":"10.244.1.6:41008","local":"203.0.113.13:80","headers":{"x-request-id":"1"}}
{"id":2,"open":true,"time":"2026-11-24T12:59:37.629859081Z","site":"edition.cnn.com","sni":"edition.cnn.com","alpnOffered":["h2","http/1.1"],"tls":true,"remote":"10.244.1.6:41009","local":"203.0.113.10:443","error":"handshake: EOF"}
`, out.String())
}

// Whatever a client sends, a record stays small, and shows nothing that a terminal
// obeys.
func TestRecordOfALongRequest(t *testing.T) {
	l := start(t, DefaultHosts())
	long := strings.Repeat("é", 350_000)
	request := "GET /?\u009b31m" + long + " HTTP/1.1\r\nHost: a." + strings.Repeat("b.", 5000) + "example.org\r\n" +
		"X-Request-Id: \u009b31m" + strings.Repeat("i", 5000) + "\r\nX-Forwarded-For: 10.244.1.6\r\nConnection: close\r\n\r\n"
	assert.Contains(t, l.speak(t, "a.example.org:80", request), "200 OK")
	got := l.record.last(t, 1)
	assert.True(t, got.Truncated)
	assert.InDelta(t, maxText, len(got.Path), 1, "whole characters")
	assert.True(t, strings.HasPrefix(got.Path, "/?\u009b31mé"), "%q", got.Path[:20])
	assert.Len(t, got.Host, maxText)
	assert.Len(t, got.Headers["x-request-id"], maxText)
	assert.Equal(t, "10.244.1.6", got.Headers["x-forwarded-for"])
	assert.Equal(t, "*.example.org", got.Site)
	assert.Less(t, l.record.size(), 64<<10)
	for _, c := range l.record.text() {
		assert.True(t, c == '\n' || unicode.IsPrint(c), "%U", c)
	}

	l.speak(t, "a.example.org:80", "GET /?"+long[:2000]+" HTTP/1.1\r\nHost: a.example.org\r\nConnection: close\r\n\r\n")
	assert.False(t, l.record.last(t, 2).Truncated)
}

// Each text of a record that a client may make long is bounded, and so is each field
// that is added later.
func TestEachTextOfARecordIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	own := []string{"Site", "Remote", "Local"} // the client does not choose these
	var record Record
	fields := reflect.ValueOf(&record).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.String && !slices.Contains(own, fields.Type().Field(i).Name) {
			f.SetString(long)
		}
	}
	record.Headers = map[string]string{"x-request-id": long}
	record.ALPNOffered = slices.Repeat([]string{strings.Repeat("x", 255)}, 250)
	record.bound()
	assert.True(t, record.Truncated)
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Kind() == reflect.String && !slices.Contains(own, fields.Type().Field(i).Name) {
			assert.Equal(t, maxText, f.Len(), fields.Type().Field(i).Name)
		}
	}
	assert.Len(t, record.Headers["x-request-id"], maxText)
	assert.Len(t, record.ALPNOffered, 16)
	line, err := record.Line()
	require.NoError(t, err)
	assert.Less(t, len(line), 64<<10)
}

// fieldsOfRecord returns the names of a record's fields in JSON.
func fieldsOfRecord() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Record]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func TestRecordOfAClientCertificate(t *testing.T) {
	ca, err := pki.NewCA("test")
	require.NoError(t, err)
	pair, err := ca.Issue(pki.Request{CommonName: "client.example.com", Organizations: []string{"client organization"}})
	require.NoError(t, err)
	req, err := http.NewRequest("GET", "https://mtls.test/", nil)
	require.NoError(t, err)
	req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Certificate()}}
	var record Record
	record.describe(req)
	assert.Equal(t, "CN=client.example.com,O=client organization", record.ClientCertificate)
}

// Each line of the table is a connection that ends without a request.
func TestRecordOfAConnectionWithoutARequest(t *testing.T) {
	secured := func(conn net.Conn, config *tls.Config) error { return tls.Client(conn, config).Handshake() }
	tests := []struct {
		name    string
		addr    string
		client  func(t *testing.T, l *lab, conn net.Conn)
		tls     bool
		sni     string
		offered []string
		err     string
	}{
		{"nothing said to 80", "edition.cnn.com:80", func(*testing.T, *lab, net.Conn) {}, false, "", nil, "it ended before a request"},
		{"nothing said to 443", "edition.cnn.com:443", func(*testing.T, *lab, net.Conn) {}, false, "", nil, "the client said nothing: EOF"},
		{"no HTTP", "edition.cnn.com:80", func(t *testing.T, _ *lab, conn net.Conn) {
			_, err := io.WriteString(conn, "\x00\x01\x02\r\n\r\n")
			require.NoError(t, err)
			got, err := io.ReadAll(conn)
			require.NoError(t, err)
			assert.Contains(t, string(got), "400 Bad Request")
		}, false, "", nil, "it ended before a request"},
		{"neither TLS nor HTTP", "edition.cnn.com:443", func(t *testing.T, _ *lab, conn net.Conn) {
			_, err := io.WriteString(conn, "SSH-2.0-x\r\n\r\n")
			require.NoError(t, err)
			_, err = io.ReadAll(conn)
			require.NoError(t, err)
		}, false, "", nil, "it ended before a request"},
		{"a client that does not trust the CA", "edition.cnn.com:443", func(t *testing.T, _ *lab, conn net.Conn) {
			err := secured(conn, &tls.Config{ServerName: "edition.cnn.com", RootCAs: x509.NewCertPool(), NextProtos: []string{"h2"}})
			require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
		}, true, "edition.cnn.com", []string{"h2"}, "remote error: tls: "},
		{"a client that wants another name", "edition.cnn.com:443", func(t *testing.T, l *lab, conn net.Conn) {
			err := secured(conn, &tls.Config{ServerName: "www.google.com", RootCAs: l.ca.Pool()})
			require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
		}, true, "www.google.com", nil, "remote error: tls: bad certificate"},
		{"no protocol in common", "edition.cnn.com:443", func(t *testing.T, l *lab, conn net.Conn) {
			err := secured(conn, &tls.Config{ServerName: "edition.cnn.com", RootCAs: l.ca.Pool(), NextProtos: []string{"istio"}})
			require.Error(t, err)
		}, true, "edition.cnn.com", []string{"istio"}, "unsupported application protocols"},
		{"half a hello", "edition.cnn.com:443", func(t *testing.T, _ *lab, conn net.Conn) {
			_, err := conn.Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01})
			require.NoError(t, err)
		}, true, "", nil, "handshake: unexpected EOF"},
		{"a handshake and nothing more", "edition.cnn.com:443", func(t *testing.T, l *lab, conn net.Conn) {
			require.NoError(t, secured(conn, &tls.Config{ServerName: "edition.cnn.com", RootCAs: l.ca.Pool(), NextProtos: []string{"http/1.1"}}))
		}, true, "edition.cnn.com", []string{"http/1.1"}, "it ended before a request"},
	}
	l := start(t, DefaultHosts())
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := l.dial(t.Context(), tt.addr)
			require.NoError(t, err)
			tt.client(t, l, conn)
			require.NoError(t, conn.Close())

			got := l.record.last(t, i+1)
			assert.Contains(t, got.Error, tt.err)
			got.Time, got.Error = time.Time{}, ""
			assert.Equal(t, Record{
				ID: uint64(i + 1), Site: "edition.cnn.com", Owner: tt.sni, TLS: tt.tls, SNI: tt.sni, ALPNOffered: tt.offered,
				Remote: conn.LocalAddr().String(), Local: conn.RemoteAddr().String(),
			}, got)
		})
	}
}

func TestConnectionIsKept(t *testing.T) {
	l := start(t, DefaultHosts())
	for _, alpn := range [][]string{{"http/1.1"}, {"h2"}} {
		client := l.client(t, alpn...)
		before := len(l.record.records(t))
		for range 3 {
			resp, err := client.Get("https://edition.cnn.com/")
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, errors.Join(err, resp.Body.Close()))
		}
		records := l.record.records(t)[before:]
		require.Len(t, records, 3)
		assert.Equal(t, records[0].Remote, records[2].Remote)
		assert.Equal(t, alpn[0], records[2].ALPN)
		assert.False(t, records[2].Time.Before(records[0].Time))
	}
}

func TestWebSocket(t *testing.T) {
	l := start(t, DefaultHosts())
	conn, err := l.dial(t.Context(), "httpbin.org:80")
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /websocket/echo HTTP/1.1\r\nHost: httpbin.org\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	assert.Equal(t, 101, resp.StatusCode)
	assert.Equal(t, 101, l.record.last(t, 1).Status)
}

func TestHandlerThatBreaksOff(t *testing.T) {
	hosts := DefaultHosts()
	hosts[0].Ports[portHTTP] = Port{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quiet" {
			return
		}
		panic(http.ErrAbortHandler)
	})}
	l := start(t, hosts)
	client := l.client(t)
	_, err := client.Get("http://edition.cnn.com/") //nolint:bodyclose // there is none
	require.ErrorIs(t, err, io.EOF)
	record := l.record.last(t, 1)
	assert.Equal(t, "the host broke off", record.Error)
	assert.Zero(t, record.Status)

	resp, err := client.Get("http://edition.cnn.com/quiet")
	require.NoError(t, err, "it goes on")
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, l.record.last(t, 2).Status)
}

func TestLinesAreWhole(t *testing.T) {
	l := start(t, DefaultHosts())
	const n = 200
	var group errgroup.Group
	group.SetLimit(20)
	h1, h2 := l.client(t), l.client(t, "h2")
	for i := range n {
		group.Go(func() error {
			client, url := h1, "http://httpbin.org/anything?n=%d"
			if i%2 == 0 {
				client, url = h2, "https://httpbin.org/anything?n=%d"
			}
			resp, err := client.Get(fmt.Sprintf(url, i))
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, resp.Body)
			return errors.Join(err, resp.Body.Close())
		})
	}
	require.NoError(t, group.Wait())
	paths := map[string]bool{}
	for _, record := range l.record.records(t) {
		if record.Method != "" { // the client opens connections that it does not use
			paths[record.Path] = true
		}
	}
	assert.Len(t, paths, n)
}

func TestServeEndsWithContext(t *testing.T) {
	l := start(t, DefaultHosts())
	kept, err := l.dial(t.Context(), "edition.cnn.com:80")
	require.NoError(t, err)
	defer kept.Close()
	silent, err := l.dial(t.Context(), "edition.cnn.com:443")
	require.NoError(t, err)
	defer silent.Close()
	secured := tls.Client(silent, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "edition.cnn.com", NextProtos: []string{"h2"}})
	require.NoError(t, secured.Handshake())
	client := l.client(t)
	waiting := make(chan error, 1)
	go func() {
		_, err := client.Get("http://httpbin.org/delay/10") //nolint:bodyclose // there is none
		waiting <- err
	}()
	_, err = io.WriteString(kept, "GET / HTTP/1.1\r\nHost: edition.cnn.com\r\n\r\n")
	require.NoError(t, err)
	reader := bufio.NewReader(kept)
	_, err = http.ReadResponse(reader, nil)
	require.NoError(t, err)

	require.NoError(t, l.stop())
	recorded := len(l.record.records(t))

	_, err = reader.ReadByte()
	require.Error(t, err, "a kept connection is closed")
	require.Error(t, <-waiting, "so is one that waits for an answer")
	_, err = l.dial(t.Context(), "edition.cnn.com:80")
	require.Error(t, err, "nobody listens")
	assert.Len(t, l.record.records(t), recorded, "nothing is recorded afterwards")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestServeEndsWhenItCannotRecord(t *testing.T) {
	l := newLab(t, DefaultHosts())
	done := make(chan error, 1)
	go func() {
		config := l.config(DefaultHosts())
		config.Record = brokenWriter{}
		done <- New(config).Serve(context.Background())
	}()
	conn, err := l.dial(t.Context(), "edition.cnn.com:80")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.EqualError(t, <-done, "serve the internet: record what reached edition.cnn.com: no space left")
}

func TestServeRefuses(t *testing.T) {
	tests := []struct {
		name  string
		hosts func([]Host) []Host
		want  string
	}{
		{"an address that is not there", func(hosts []Host) []Host {
			hosts[3].Addrs = []netip.Addr{netip.MustParseAddr("203.0.113.99")}
			return hosts
		}, "host httpbin.org: listen 203.0.113.99:80: no such address"},
		{"a name that is none", func(hosts []Host) []Host { return append(hosts, Host{Names: []string{"A.test"}}) }, `"A.test" is no name of a host`},
		{"a wildcard within", func(hosts []Host) []Host { return append(hosts, Host{Names: []string{"a.*.test"}}) }, `"a.*.test" is no name of a host`},
		{"a host without a name", func(hosts []Host) []Host {
			hosts[1].Names = nil
			return hosts
		}, "a host has no name, its addresses are [203.0.113.11]"},
		{"a host without an address", func(hosts []Host) []Host { return append(hosts, Host{Names: []string{"a.test"}}) }, "host a.test has no address"},
		{"two hosts of a name", func(hosts []Host) []Host { return append(hosts, Host{Names: []string{"a.test", "httpbin.org"}}) }, "two hosts with the name httpbin.org"},
		{"two hosts at an address that no name has", func(hosts []Host) []Host {
			return append(hosts, Host{Names: []string{"a.test"}, Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.99")}, Also: hosts[4].Also[1:], Ports: hosts[4].Ports})
		}, "host a.test has an address that another has too: 208.80.153.224"},
		{"two hosts at an address", func(hosts []Host) []Host {
			return append(hosts, Host{Names: []string{"a.test"}, Addrs: hosts[0].Addrs})
		}, "host a.test has an address that another has too: 203.0.113.10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, DefaultHosts())
			err := New(l.config(tt.hosts(DefaultHosts()))).Serve(t.Context())
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestListenersAreClosedWhenOneFails(t *testing.T) {
	l := newLab(t, DefaultHosts())
	delete(l.listeners, "203.0.113.27:443") // the last one
	err := New(l.config(DefaultHosts())).Serve(t.Context())
	require.ErrorContains(t, err, "listen 203.0.113.27:443")
	_, err = l.dial(t.Context(), "edition.cnn.com:80")
	require.Error(t, err)
}

func TestServeNeedsItsNameServer(t *testing.T) {
	l := newLab(t, DefaultHosts())
	config := l.config(DefaultHosts())
	config.NameServer = "203.0.113.3:53"
	require.ErrorContains(t, New(config).Serve(t.Context()), "name server: listen 203.0.113.3:53: no such address")
	_, err := l.dial(t.Context(), "edition.cnn.com:80")
	require.Error(t, err, "nobody listens")
}

func TestAddresses(t *testing.T) { assert.Len(t, Addresses(DefaultHosts()), 15) }
