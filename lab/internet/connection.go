package internet

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// silence is how long a client may connect and not come to its request.
const silence = 30 * time.Second

// recordTypeHandshake is the first byte of a TLS connection (RFC 8446, 5.1).
const recordTypeHandshake = 0x16

// connection is a connection that a client made to a port of a host.
type connection struct {
	net.Conn
	port *port
	time time.Time
	stop func() bool // the closing at the end of Serve

	mu        sync.Mutex
	peeked    []byte // read ahead, not yet by the server
	sni       string
	offered   []string
	tls       bool
	accounted bool // a record was written
}

// secure looks how the client begins. When it speaks TLS it does the
// handshake, otherwise it gives the connection back as it is: that a client
// speaks plain HTTP to a port for TLS is best said by HTTP.
func (c *connection) secure(config *tls.Config) (net.Conn, error) {
	if err := c.SetDeadline(c.time.Add(silence)); err != nil {
		return nil, err
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(c.Conn, first); err != nil {
		return nil, fmt.Errorf("the client said nothing: %w", err)
	}
	c.peeked = first
	if first[0] != recordTypeHandshake {
		return c, c.SetDeadline(time.Time{})
	}
	c.mu.Lock()
	c.tls = true
	c.mu.Unlock()
	// Without a context, whose end would close the connection before there
	// is an error to record.
	conn := tls.Server(c, config)
	if err := conn.Handshake(); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return conn, c.SetDeadline(time.Time{})
}

// hello notes what a client says first.
func (c *connection) hello(hello *tls.ClientHelloInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sni, c.offered = hello.ServerName, hello.SupportedProtos
}

// Read reads what was read ahead first. There is one reader at a time.
func (c *connection) Read(p []byte) (int, error) {
	if len(c.peeked) > 0 {
		n := copy(p, c.peeked)
		c.peeked = c.peeked[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Close closes the connection, and records it when nothing else was.
func (c *connection) Close() error {
	c.stop()
	c.end("it ended before a request")
	return c.Conn.Close()
}

// end records that no request came, unless one did.
func (c *connection) end(reason string) {
	c.mu.Lock()
	accounted := c.accounted
	c.accounted = true
	c.mu.Unlock()
	if accounted {
		return
	}
	record := c.record()
	record.Error = reason
	c.port.recorder.write(record)
}

// record is what the connection alone tells.
func (c *connection) record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Record{
		Time:        c.time,
		Site:        c.port.host.Names[0],
		SNI:         c.sni,
		ALPNOffered: c.offered,
		TLS:         c.tls,
		Remote:      c.RemoteAddr().String(),
		Local:       c.LocalAddr().String(),
	}
}

// request is the record of a request that came by the connection.
func (c *connection) request() Record {
	c.mu.Lock()
	c.accounted = true
	c.mu.Unlock()
	record := c.record()
	record.Time = time.Now()
	return record
}
