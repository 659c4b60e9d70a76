package internet

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parsed returns the hosts of a text that must be valid.
func parsed(t *testing.T, hosts string) []Host {
	t.Helper()
	list, err := Parse("f", []byte(head+"hosts:\n"+hosts))
	require.NoError(t, err)
	return list
}

const portsFile = `
- names: [tcp.example.net]
  ports:
    7: echo
    8: {echo: true, tls: true}
    9: silent
    10: closed
    11: reset
    25: {banner: "220 mail\r\n"}
    465: {banner: "220 mail\r\n", tls: true}
- names: [web.example.net]
  body: web
  https: {body: secured}
  ports:
    8080: http
    8443: https
    8081: {status: 204}
    8444: {status: 418, tls: true}
- names: [silent.example.net]
  body: x
  ports: {80: silent}
`

func TestPortsOfAFile(t *testing.T) {
	hosts := parsed(t, portsFile)[len(DefaultHosts()):]
	open := func(host Host) (numbers []int) {
		for number := range 10000 {
			if _, there := host.Ports[uint16(number)]; there {
				numbers = append(numbers, number)
			}
		}
		return numbers
	}
	assert.Equal(t, []int{7, 8, 9, 11, 25, 465}, open(hosts[0]), "what is not stated is refused, 80 and 443 as well")
	assert.Equal(t, []int{80, 443, 8080, 8081, 8443, 8444}, open(hosts[1]))
	assert.Equal(t, []int{80, 443}, open(hosts[2]))
}

// Each line is a client of a port of TCP, and what it and the record saw.
func TestPortsOfTCP(t *testing.T) {
	l := start(t, parsed(t, portsFile))
	records := 0
	for _, tt := range []struct {
		port, says, hears string
		tls               bool
		err               string // in the record
	}{
		{"7", "hello", "hello", false, ""},
		{"7", "", "", false, ""},
		{"7", strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20), false, ""},
		{"8", "hello", "hello", true, ""},
		{"9", "hello", "", false, ""},
		{"25", "HELO\r\n", "220 mail\r\n", false, ""},
		{"465", "HELO\r\n", "220 mail\r\n", true, ""},
	} {
		t.Run(tt.port, func(t *testing.T) {
			conn, err := l.dial(t.Context(), "tcp.example.net:"+tt.port)
			require.NoError(t, err)
			defer conn.Close()
			client := conn.(interface {
				io.ReadWriter
				CloseWrite() error
			})
			if tt.tls {
				secured := tls.Client(conn, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "tcp.example.net", NextProtos: []string{"smtp"}})
				require.NoError(t, secured.Handshake(), "whatever the client offers")
				client = secured
			}
			go func() {
				_, err := io.WriteString(client, tt.says)
				assert.NoError(t, err)
				assert.NoError(t, client.CloseWrite())
			}()
			heard, err := io.ReadAll(client)
			require.NoError(t, err)
			assert.Equal(t, tt.hears, string(heard))

			records++
			got := l.record.last(t, records)
			assert.WithinRange(t, got.Time, time.Now().Add(-time.Minute), time.Now())
			got.Time = time.Time{}
			want := Record{
				ID: uint64(records), Site: "tcp.example.net", Protocol: "TCP", Received: int64(len(tt.says)),
				Remote: conn.LocalAddr().String(), Local: conn.RemoteAddr().String(),
			}
			if tt.tls {
				want.TLS, want.SNI, want.Owner, want.ALPNOffered = true, "tcp.example.net", "tcp.example.net", []string{"smtp"}
			}
			assert.Equal(t, want, got)
		})
	}
}

// What a client sent is recorded before it is answered, and while the connection is
// open.
func TestRecordOfAnOpenConnection(t *testing.T) {
	l := start(t, parsed(t, portsFile))
	conn, err := l.dial(t.Context(), "tcp.example.net:7")
	require.NoError(t, err)
	defer conn.Close()
	require.Eventually(t, func() bool { return l.record.open(t) == 1 }, 20*time.Second, time.Millisecond)
	_, err = io.WriteString(conn, "ping\n")
	require.NoError(t, err)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "ping\n", answer)
	records := l.record.records(t)
	require.Len(t, records, 1)
	assert.True(t, records[0].Open)
	assert.Equal(t, "TCP", records[0].Protocol)
	assert.EqualValues(t, 5, records[0].Received)
}

func TestPortsThatSayNothing(t *testing.T) {
	l := start(t, parsed(t, portsFile))
	conn, err := l.dial(t.Context(), "tcp.example.net:11")
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "x")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, "the host reset it", l.record.last(t, 1).Error)

	conn, err = l.dial(t.Context(), "tcp.example.net:9")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
	require.Eventually(t, func() bool { return l.record.open(t) == 1 }, 20*time.Second, time.Millisecond)
	require.NoError(t, conn.Close())
	got := l.record.last(t, 2)
	assert.Contains(t, got.Error, "connection reset by peer", "a client that ends badly")

	conn, err = l.dial(t.Context(), "tcp.example.net:465")
	require.NoError(t, err)
	_, err = io.WriteString(conn, "HELO\r\n")
	require.NoError(t, err)
	heard, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Empty(t, heard)
	require.NoError(t, conn.Close())
	assert.Equal(t, "the client does not speak TLS", l.record.last(t, 3).Error)
}

func TestHTTPOnOtherPorts(t *testing.T) {
	l := start(t, parsed(t, portsFile))
	for url, want := range map[string]struct {
		status int
		body   string
	}{
		"http://web.example.net/":       {200, "web"},
		"https://web.example.net/":      {200, "secured"},
		"http://web.example.net:8080/":  {200, "web"},
		"https://web.example.net:8443/": {200, "secured"},
		"http://web.example.net:8081/":  {204, ""},
		"https://web.example.net:8444/": {418, ""},
		"https://silent.example.net/":   {200, "x"},
	} {
		resp, err := l.client(t).Get(url)
		require.NoError(t, err, url)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err, url)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, want.status, resp.StatusCode, url)
		assert.Equal(t, want.body, string(body), url)
	}
}
