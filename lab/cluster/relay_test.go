package cluster

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// A server that answers only once it has seen the end of what the client sends
// shows that each direction ends alone.
func TestRelayPassesBothDirectionsAndTheirEnds(t *testing.T) {
	far, near := listen(t), listen(t)
	go func() {
		conn, err := far.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		got, _ := io.ReadAll(conn)
		conn.Write(bytes.ToUpper(got))
	}()
	go relay(t.Context(), near, far.Addr().String())

	client, err := net.Dial("tcp", near.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	sent := bytes.Repeat([]byte("abc"), 1<<20)
	go func() {
		client.Write(sent)
		client.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(bytes.ToUpper(sent), got), "%d bytes came back", len(got))
}

func TestRelayEndsItsConnections(t *testing.T) {
	far, near := listen(t), listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- relay(ctx, near, far.Addr().String()) }()
	client, err := net.Dial("tcp", near.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	server, err := far.Accept()
	require.NoError(t, err)
	defer server.Close()

	cancel()
	require.NoError(t, <-done)
	_, err = client.Read(make([]byte, 1))
	require.Error(t, err)
	_, err = net.Dial("tcp", near.Addr().String())
	require.Error(t, err)
}

func TestRelayToNowhereClosesTheConnection(t *testing.T) {
	far, near := listen(t), listen(t)
	require.NoError(t, far.Close())
	go relay(t.Context(), near, far.Addr().String())
	client, err := net.Dial("tcp", near.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Read(make([]byte, 1))
	require.Error(t, err)
}
