package internet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// add adds hosts, which must succeed.
func (l *lab) add(t *testing.T, hosts string) Addition {
	t.Helper()
	added, err := l.Add(t.Context(), "f", []byte(head+"hosts:\n"+hosts))
	require.NoError(t, err)
	return added
}

// lookup returns the addresses that the name server has for a name; "" if the name does
// not exist.
func (l *lab) lookup(t *testing.T, name string) string {
	t.Helper()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", l.names.LocalAddr().String())
	}}
	addrs, err := resolver.LookupNetIP(t.Context(), "ip4", name+".")
	failure := new(net.DNSError)
	if errors.As(err, &failure) && failure.IsNotFound {
		return ""
	}
	require.NoError(t, err)
	return fmt.Sprint(addrs)
}

func TestAddAndRemove(t *testing.T) {
	l := start(t, DefaultHosts())
	assert.Empty(t, l.lookup(t, "a.example.net"))
	first := l.add(t, "- {names: [a.example.net, '*.a.example.net'], body: a}\n- {names: [alias.example.net], cname: a.example.net}\n")
	second := l.add(t, "- {names: [b.example.net], address: 192.0.2.5, ports: {7: echo}}\n- {names: [c.example.net], addresses: 2}\n")

	// The host answers at once, beside the earlier ones.
	assert.Equal(t, "[203.0.113.100]", l.lookup(t, "a.example.net"))
	assert.Equal(t, "[203.0.113.100]", l.lookup(t, "alias.example.net"))
	assert.Equal(t, "[192.0.2.5]", l.lookup(t, "b.example.net"))
	assert.Equal(t, "[203.0.113.101 203.0.113.102]", l.lookup(t, "c.example.net"), "no address is given twice")
	assert.Equal(t, "[203.0.113.10]", l.lookup(t, "edition.cnn.com"))
	ask := func(addr, name string) string {
		return l.speak(t, addr, "GET / HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n")
	}
	assert.Contains(t, ask("203.0.113.100:80", "x.a.example.net"), "\r\n\r\na")
	assert.Contains(t, ask("203.0.113.100:80", "edition.cnn.com"), "421 ")
	assert.Contains(t, ask("edition.cnn.com:80", "a.example.net"), "421 ")
	conn, err := l.dial(t.Context(), "203.0.113.100:443")
	require.NoError(t, err)
	secured := tls.Client(conn, &tls.Config{RootCAs: l.ca.Pool(), ServerName: "alias.example.net"})
	require.NoError(t, secured.Handshake())
	require.NoError(t, conn.Close())

	list, err := l.Added(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Addition{first, second}, list)
	assert.NotEqual(t, first.Token, second.Token)
	assert.Equal(t, Addition{Token: first.Token, File: "f", Hosts: []AddedHost{
		{Names: []string{"a.example.net", "*.a.example.net"}, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.100")}},
		{Names: []string{"alias.example.net"}, Alias: "a.example.net"},
	}}, first)

	// Removing a token removes everything that was added with it, and nothing else.
	kept, err := l.dial(t.Context(), "203.0.113.100:80")
	require.NoError(t, err)
	defer kept.Close()
	require.NoError(t, l.Remove(t.Context(), first.Token))
	require.NoError(t, kept.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = io.ReadAll(kept)
	require.NoError(t, err, "a connection is closed")
	_, err = l.dial(t.Context(), "203.0.113.100:80")
	require.Error(t, err, "nobody listens")
	for _, name := range []string{"a.example.net", "x.a.example.net", "alias.example.net"} {
		assert.Empty(t, l.lookup(t, name))
	}
	assert.Equal(t, map[netip.Addr]bool{
		netip.MustParseAddr("192.0.2.5"): true, netip.MustParseAddr("203.0.113.101"): true, netip.MustParseAddr("203.0.113.102"): true,
	}, l.added)
	assert.Equal(t, "[192.0.2.5]", l.lookup(t, "b.example.net"))
	assert.Contains(t, ask("203.0.113.102:80", "c.example.net"), "200 OK")
	require.ErrorIs(t, l.Remove(t.Context(), first.Token), ErrNotAdded)

	// The name and the address are free again.
	again := l.add(t, "- {names: [a.example.net], body: again}\n")
	assert.Contains(t, ask("203.0.113.100:80", "a.example.net"), "\r\n\r\nagain")
	require.NoError(t, l.Remove(t.Context(), second.Token))
	require.NoError(t, l.Remove(t.Context(), again.Token))
	assert.Empty(t, l.added)
	list, err = l.Added(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)

	// The record knows them by their names.
	sites := map[string]bool{}
	for _, record := range l.record.records(t) {
		sites[record.Site] = true
	}
	assert.Equal(t, map[string]bool{"a.example.net": true, "c.example.net": true, "edition.cnn.com": true}, sites)
}

// A failed addition leaves nothing behind.
func TestAddRefuses(t *testing.T) {
	l := start(t, DefaultHosts())
	l.add(t, "- {names: [a.example.net], address: 192.0.2.5}\n")
	for _, tt := range []struct{ hosts, want string }{
		{"- {names: [b.example.net]}\n- {names: [edition.cnn.com]}\n", "f:5:3: there are two hosts with the name edition.cnn.com"},
		{"- {names: [a.example.net]}\n", "f:4:3: there are two hosts with the name a.example.net"},
		{"- {names: [b.example.net], address: 192.0.2.5}\n", "f:4:3: host b.example.net has an address that another has too: 192.0.2.5"},
		{"- {names: [b.example.net], cname: c.example.net}\n", "f:4:35: cname c.example.net: no host has this name"},
		{"- {names: [b.example.net], boddy: x}\n", `f:4:28: unknown key "boddy"`},
	} {
		_, err := l.Add(t.Context(), "f", []byte(head+"hosts:\n"+tt.hosts))
		require.ErrorAs(t, err, new(Mistakes))
		require.ErrorContains(t, err, tt.want)
	}
	_, err := l.Add(t.Context(), "f", []byte(head+"hosts: [{names: [b.example.net]}, {names: [c.example.net], address: 192.0.2.66}]"))
	require.EqualError(t, err, "add hosts: add address 192.0.2.66: no")
	assert.Len(t, l.added, 1, "but for what was there before")
	assert.Empty(t, l.lookup(t, "b.example.net"))
	list, err := l.Added(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

// An alias outlives the host to which it leads, and then leads nowhere.
func TestAliasOfAHostThatGoes(t *testing.T) {
	l := start(t, DefaultHosts())
	host := l.add(t, "- {names: [a.example.net]}\n")
	alias := l.add(t, "- {names: [alias.example.net], cname: a.example.net}\n")
	require.NoError(t, l.Remove(t.Context(), host.Token))
	assert.Empty(t, l.lookup(t, "alias.example.net"))
	l.add(t, "- {names: [a.example.net]}\n")
	assert.NotEmpty(t, l.lookup(t, "alias.example.net"))
	require.NoError(t, l.Remove(t.Context(), alias.Token))
}

func TestChangesAtTheSameTime(t *testing.T) {
	l := start(t, DefaultHosts())
	var group errgroup.Group
	for i := range 20 {
		name := fmt.Sprintf("h%d.example.net", i)
		group.Go(func() error {
			for range 5 {
				added, err := l.Add(t.Context(), "f", []byte(head+"hosts: [{names: ["+name+"]}]"))
				if err != nil {
					return err
				}
				conn, err := l.dial(t.Context(), net.JoinHostPort(added.Hosts[0].Addresses[0].String(), "80"))
				if err != nil {
					return err
				}
				_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
				if err := errors.Join(err, l.Remove(t.Context(), added.Token), conn.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	assert.Empty(t, l.added)
}

func TestChangesOfAnInternetThatIsNotThere(t *testing.T) {
	internet := New(newLab(t, nil).config(nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the caller has gone")
	cancel(gone)
	_, err := internet.Add(ctx, "f", nil)
	require.ErrorIs(t, err, gone, "it is not served yet")

	l := start(t, DefaultHosts())
	added := l.add(t, "- {names: [a.example.net]}\n")
	require.NoError(t, l.stop())
	_, err = l.dial(t.Context(), added.Hosts[0].Addresses[0].String()+":80")
	require.Error(t, err, "what was added has gone with it")
	require.EqualError(t, l.Remove(t.Context(), added.Token), "remove hosts: the internet has ended")
	_, err = l.Added(t.Context())
	require.Error(t, err)
}
