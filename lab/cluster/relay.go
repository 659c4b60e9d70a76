package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// relay hands every connection that comes to the listener on to addr, until ctx
// ends. The listener belongs to the host's network and was inherited; addr is
// reached in the lab's. It returns nil when ctx has ended and no connection is
// left.
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

// connect joins a client to addr. What goes wrong the client sees as a
// connection that ends, as it would without a relay.
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

// pass copies one direction; at its end the other side hears of it, and may
// still send. An error ends both directions.
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
