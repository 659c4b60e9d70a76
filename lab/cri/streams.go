package cri

import (
	"context"
	"net"
	"sync"
)

// streamer is the server as k8s.io/cri-streaming sees it.
type streamer struct{ *Server }

// A connection that carries streams has been taken over from the HTTP server, so
// the request's context does not end with it. So a command would go on running after
// its client has gone. trackedListener and connContext close that gap: they end the
// context when the connection cannot be read any more.

// trackedListener gives out connections that know when they end.
type trackedListener struct{ net.Listener }

func (l trackedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &trackedConn{Conn: conn, ended: make(chan struct{})}, nil
}

type trackedConn struct {
	net.Conn
	once  sync.Once
	ended chan struct{} // closed at the first error of reading, or by Close
}

func (c *trackedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !isTimeout(err) { // the HTTP server interrupts a read by a timeout
		c.once.Do(func() { close(c.ended) })
	}
	return n, err
}

func (c *trackedConn) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// connContext returns the context of a connection's requests.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	tracked := conn.(*trackedConn)
	stop := context.AfterFunc(ctx, func() { tracked.Close() }) // when the server ends, its streams end too
	go func() {
		<-tracked.ended
		stop()
		cancel()
	}()
	return ctx
}
