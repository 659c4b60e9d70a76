package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// relay passes every connection to the listener on to addr, until ctx ends. The
// listener was inherited and belongs to the host's network; addr belongs to the lab's.
// relay returns nil when ctx has ended and no connection is left.
func relay(ctx context.Context, listener net.Listener, addr string) error {
	var serving sync.WaitGroup
	defer serving.Wait()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		serving.Go(func() { connect(ctx, conn, addr) })
	}
}

// connect joins a client to addr. The client sees any error as the end of its
// connection, as it would without a relay.
func connect(ctx context.Context, client net.Conn, addr string) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()

	var both sync.WaitGroup
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

// pass copies one direction. At its end it closes that direction, and the other side
// may still send. An error ends both directions.
func pass(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	if err == nil {
		err = dst.(interface{ CloseWrite() error }).CloseWrite()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		dst.Close()
		src.Close()
	}
}
