package cluster

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/internet"
	"github.com/egressplay/egressplay/lab/pki"
)

// loopback is a network that has every address, each port of which is a port of the
// machine's loopback.
type loopback struct{}

func (loopback) Listen(network, _ string) (net.Listener, error) {
	return net.Listen(network, "127.0.0.1:0")
}

func (loopback) ListenPacket(network, _ string) (net.PacketConn, error) {
	return net.ListenPacket(network, "127.0.0.1:0")
}

func (loopback) AddAddress(netip.Addr) error    { return nil }
func (loopback) DeleteAddress(netip.Addr) error { return nil }

// newControlled starts the server of the control socket, with an internet or without,
// and returns its client.
func newControlled(t *testing.T, withInternet bool) *Client {
	t.Helper()
	f := Folder(t.TempDir())
	l := &lab{Config: Config{Folder: f}, events: newEvents()}
	if withInternet {
		ca, err := pki.NewCA("test")
		require.NoError(t, err)
		served := internet.New(internet.Config{CA: ca, Network: loopback{}, Record: io.Discard})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- served.Serve(ctx) }()
		t.Cleanup(func() {
			cancel()
			assert.NoError(t, <-done)
		})
		l.internet.Store(served)
	}
	listener, err := net.Listen("unix", f.Control())
	require.NoError(t, err)
	server := l.newControl()
	go func() { assert.ErrorIs(t, server.Serve(listener), http.ErrServerClosed) }()
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	return Dial(f)
}

const oneHost = "apiVersion: egressplay/v1\nkind: Internet\nhosts: [{names: [a.example.net]}]\n"

func TestHosts(t *testing.T) {
	c := newControlled(t, true)
	list, err := c.Hosts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list)

	added, err := c.AddHosts(t.Context(), "hosts.yaml", []byte(oneHost))
	require.NoError(t, err)
	assert.Equal(t, []string{"a.example.net"}, added.Hosts[0].Names)
	assert.Equal(t, "hosts.yaml", added.File)
	list, err = c.Hosts(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []internet.Addition{added}, list)

	_, err = c.AddHosts(t.Context(), "again.yaml", []byte(oneHost))
	require.ErrorAs(t, err, new(internet.Mistakes))
	require.EqualError(t, err, "add hosts to the lab: again.yaml:3:9: there are two hosts with the name a.example.net")

	require.NoError(t, c.RemoveHosts(t.Context(), added.Token))
	for _, token := range []string{added.Token, "a/b", "?"} {
		require.EqualError(t, c.RemoveHosts(t.Context(), token), "remove hosts of the lab: nothing was added with this token, or it is gone")
	}
}

// Hosts that are held go with their holder, however it ends.
func TestHeldHosts(t *testing.T) {
	c := newControlled(t, true)
	gone := func() {
		t.Helper()
		require.Eventually(t, func() bool {
			list, err := c.Hosts(t.Context())
			return err == nil && len(list) == 0
		}, 20*time.Second, time.Millisecond)
	}
	_, letGo, err := c.HoldHosts(t.Context(), "hosts.yaml", []byte(oneHost))
	require.NoError(t, err)
	require.NoError(t, letGo(t.Context()))
	list, err := c.Hosts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, list, "without waiting")

	ctx, cancel := context.WithCancel(t.Context())
	_, _, err = c.HoldHosts(ctx, "hosts.yaml", []byte(oneHost))
	require.NoError(t, err)
	list, err = c.Hosts(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 1)
	cancel() // it closes the connection, as the end of a process does
	gone()

	kept, err := c.AddHosts(t.Context(), "hosts.yaml", []byte(oneHost))
	require.NoError(t, err)
	_, _, err = c.HoldHosts(t.Context(), "other.yaml", []byte(oneHost))
	require.ErrorContains(t, err, "two hosts with the name a.example.net")
	list, err = c.Hosts(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []internet.Addition{kept}, list)
}

func TestHostsOfALabThatIsStarting(t *testing.T) {
	c := newControlled(t, false)
	_, err := c.AddHosts(t.Context(), "hosts.yaml", []byte(oneHost))
	require.EqualError(t, err, "add hosts to the lab: "+errNoInternet.Error())
	require.ErrorContains(t, c.RemoveHosts(t.Context(), "x"), errNoInternet.Error())
	_, err = c.Hosts(t.Context())
	require.ErrorContains(t, err, errNoInternet.Error())
}
