package internet

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// hostsWithNames returns hosts with every kind of record of the DNS.
func hostsWithNames() []Host {
	at := func(addrs ...string) (list []netip.Addr) {
		for _, addr := range addrs {
			list = append(list, netip.MustParseAddr(addr))
		}
		return list
	}
	return []Host{
		{Names: []string{"*.a.test", "a.test"}, Addrs: at("203.0.113.4"), Absent: []string{"nx.a.test"}},
		{Names: []string{"*.b.a.test"}, Addrs: at("203.0.113.5")},
		{Names: []string{"c.a.test"}, Addrs: at("203.0.113.6", "203.0.113.7"), Also: at("203.0.113.8")},
		{Names: []string{"alias.test", "*.alias.test"}, Alias: "c.a.test"},
		{Names: []string{"again.test"}, Alias: "x.alias.test"},
		{Names: []string{"dangling.test"}, Alias: "nobody.test"},
		{Names: []string{"snake.test"}, Alias: "tail.test"},
		{Names: []string{"tail.test"}, Alias: "snake.test"},
	}
}

func TestFind(t *testing.T) {
	hosts := hostsWithNames()
	byName, err := index(pointers(hosts))
	require.NoError(t, err)
	for name, want := range map[string]*Host{
		"a.test": &hosts[0], "x.a.test": &hosts[0], "y.x.a.test": &hosts[0], "b.a.test": &hosts[0],
		"x.b.a.test": &hosts[1], "y.x.b.a.test": &hosts[1],
		"c.a.test": &hosts[2], "x.c.a.test": &hosts[0],
		"nx.a.test": nil, "x.nx.a.test": nil, "test": nil, "": nil, "xa.test": nil, "203.0.113.1": nil,
		"alias.test": &hosts[3],
	} {
		assert.Same(t, want, byName.find(name), name)
	}
	for name, want := range map[string]*Host{
		"a.test": &hosts[0], "alias.test": &hosts[2], "x.y.alias.test": &hosts[2], "again.test": &hosts[2],
		"dangling.test": nil, "snake.test": nil, "nx.a.test": nil,
	} {
		assert.Same(t, want, byName.serving(name), name)
	}
}

// Each line is a question and its answer: the code, and the records in order.
func TestNames(t *testing.T) {
	server := &nameServer{directory: new(directory)}
	require.NoError(t, server.directory.set(pointers(hostsWithNames())))
	for _, tt := range []struct {
		name string
		kind dnsmessage.Type
		code dnsmessage.RCode
		want string
	}{
		{"a.test.", dnsmessage.TypeA, 0, "a.test. A 203.0.113.4"},
		{"A.Test.", dnsmessage.TypeA, 0, "A.Test. A 203.0.113.4"},
		{"x.y.a.test.", dnsmessage.TypeA, 0, "x.y.a.test. A 203.0.113.4"},
		{"x.b.a.test.", dnsmessage.TypeALL, 0, "x.b.a.test. A 203.0.113.5"},
		{"c.a.test.", dnsmessage.TypeA, 0, "c.a.test. A 203.0.113.6, c.a.test. A 203.0.113.7"},
		{"c.a.test.", dnsmessage.TypeAAAA, 0, ""},
		{"c.a.test.", dnsmessage.TypeMX, 0, ""},
		{"c.a.test.", dnsmessage.TypeCNAME, 0, ""},
		{"nx.a.test.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"a.nx.a.test.", dnsmessage.TypeAAAA, dnsmessage.RCodeNameError, ""},
		{"test.", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{".", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"alias.test.", dnsmessage.TypeA, 0, "alias.test. CNAME c.a.test., c.a.test. A 203.0.113.6, c.a.test. A 203.0.113.7"},
		{"x.alias.test.", dnsmessage.TypeAAAA, 0, "x.alias.test. CNAME c.a.test."},
		{"again.test.", dnsmessage.TypeA, 0, "again.test. CNAME x.alias.test., x.alias.test. CNAME c.a.test., c.a.test. A 203.0.113.6, c.a.test. A 203.0.113.7"},
		{"again.test.", dnsmessage.TypeCNAME, 0, "again.test. CNAME x.alias.test."},
		{"dangling.test.", dnsmessage.TypeA, dnsmessage.RCodeNameError, "dangling.test. CNAME nobody.test."},
	} {
		query := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(tt.name), Type: tt.kind, Class: dnsmessage.ClassINET}},
		}
		packed, err := query.Pack()
		require.NoError(t, err)
		var got dnsmessage.Message
		require.NoError(t, got.Unpack(server.answer(packed, longestByUDP)))
		assert.Equal(t, dnsmessage.Header{
			ID: 7, Response: true, Authoritative: true, RecursionDesired: true, RecursionAvailable: true, RCode: tt.code,
		}, got.Header, "%s %s", tt.name, tt.kind)
		assert.Equal(t, query.Questions, got.Questions)
		var records []string
		for _, r := range got.Answers {
			switch body := r.Body.(type) {
			case *dnsmessage.AResource:
				records = append(records, fmt.Sprintf("%s A %s", r.Header.Name, netip.AddrFrom4(body.A)))
			case *dnsmessage.CNAMEResource:
				records = append(records, fmt.Sprintf("%s CNAME %s", r.Header.Name, body.CNAME))
			}
			assert.EqualValues(t, timeToLive, r.Header.TTL)
		}
		assert.Equal(t, tt.want, strings.Join(records, ", "), "%s %s", tt.name, tt.kind)
	}
}

func TestWhatIsNoQuestion(t *testing.T) {
	server := &nameServer{directory: new(directory)}
	require.NoError(t, server.directory.set(pointers(hostsWithNames())))
	assert.Nil(t, server.answer(nil, longestByUDP))
	assert.Nil(t, server.answer([]byte("hello"), longestByUDP))
	code := func(question dnsmessage.Message) dnsmessage.RCode {
		packed, err := question.Pack()
		require.NoError(t, err)
		var got dnsmessage.Message
		require.NoError(t, got.Unpack(server.answer(packed, longestByUDP)))
		return got.RCode
	}
	assert.Equal(t, dnsmessage.RCodeFormatError, code(dnsmessage.Message{}))
	assert.Equal(t, dnsmessage.RCodeNotImplemented, code(dnsmessage.Message{Header: dnsmessage.Header{OpCode: 5}}))
	packed, err := (&dnsmessage.Message{Header: dnsmessage.Header{Response: true}}).Pack()
	require.NoError(t, err)
	assert.Nil(t, server.answer(packed, longestByUDP), "two servers must not answer each other")
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		junk := make([]byte, random.IntN(longestByUDP))
		for i := range junk {
			junk[i] = byte(random.Uint32())
		}
		assert.LessOrEqual(t, len(server.answer(junk, longestByUDP)), longestByUDP)
	}
}

// A resolver by UDP and by TCP. It asks by TCP for an answer that is too long for UDP.
func TestNameServer(t *testing.T) {
	hosts := hostsWithNames()
	for last := range byte(60) {
		hosts[1].Addrs = append(hosts[1].Addrs, netip.AddrFrom4([4]byte{192, 0, 2, last}))
	}
	l := start(t, hosts)
	for _, network := range []string{"udp", "tcp"} {
		resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, asked, _ string) (net.Conn, error) {
			if network == "tcp" || asked == "tcp" {
				return new(net.Dialer).DialContext(ctx, "tcp", l.listeners[nameServerAddr].Addr().String())
			}
			return new(net.Dialer).DialContext(ctx, "udp", l.names.LocalAddr().String())
		}}
		addrs, err := resolver.LookupHost(t.Context(), "again.test.")
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"203.0.113.6", "203.0.113.7"}, addrs)
		addrs, err = resolver.LookupHost(t.Context(), "x.b.a.test.")
		require.NoError(t, err)
		assert.Len(t, addrs, 61)
		_, err = resolver.LookupHost(t.Context(), "nx.a.test.")
		failure := new(net.DNSError)
		require.ErrorAs(t, err, &failure)
		assert.True(t, failure.IsNotFound, "%v", err)
	}

	conn, err := net.Dial("tcp", l.listeners[nameServerAddr].Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{0, 2, 'x', 'y'})
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err, "who asks nothing is let go")

	kept, err := net.Dial("tcp", l.listeners[nameServerAddr].Addr().String())
	require.NoError(t, err)
	defer kept.Close()
	require.NoError(t, l.stop(), "nobody is waited for")
}
