package internet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// silence is how long a client may be connected without a request.
const silence = 30 * time.Second

// lingering is how long a host waits until a refused client closes its side.
const lingering = 5 * time.Second

// recordTypeHandshake is the first byte of a TLS connection (RFC 8446, 5.1).
const recordTypeHandshake = 0x16

// connection is a connection that a client made to a port of a host.
type connection struct {
	net.Conn
	port *port
	id   uint64 // of its record
	time time.Time

	mu      sync.Mutex
	peeked  []byte // read ahead, not yet read by the server
	sni     string
	offered []string
	tls     bool

	received int64 // how many bytes, at a port of TCP
	settled  bool  // its record has a request, or says how the connection ended
}

// secure looks at the client's first byte. If the client speaks TLS, secure does the
// handshake. Otherwise, at a port for HTTP, it returns the connection as it is: an
// answer by HTTP is the best way to say that the port wants TLS.
func (c *connection) secure(config *tls.Config) (net.Conn, error) {
	if err := c.awaitFirst(); err != nil {
		return nil, err
	}
	if c.peeked[0] != recordTypeHandshake {
		if c.port.HTTP == nil {
			return nil, errors.New("the client does not speak TLS")
		}
		return c, c.SetDeadline(time.Time{})
	}
	c.mu.Lock()
	c.tls = true
	c.mu.Unlock()
	// Without a context: its end would close the connection before there is an error to
	// record.
	conn := tls.Server(c, config)
	if err := conn.Handshake(); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	c.open() // with what the handshake showed
	return conn, c.SetDeadline(time.Time{})
}

// reset ends the connection by a reset once the client has sent something, so the
// client always gets the reset while it waits for an answer.
func (c *connection) reset() {
	reason := hostReset
	if err := c.awaitFirst(); err != nil {
		reason = err.Error()
	}
	c.end(reason)
	c.abort()
	_ = c.Close() // for the rest of the clean-up
}

// abort sends the client a reset, if the client is not gone.
func (c *connection) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close a reset
	}
	_ = c.Conn.Close()
}

// awaitFirst reads the first byte, which [connection.Read] then reads again.
func (c *connection) awaitFirst() error {
	if err := c.SetDeadline(c.time.Add(silence)); err != nil {
		return err
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(c.Conn, first); err != nil {
		return fmt.Errorf("the client said nothing: %w", err)
	}
	c.peeked = first
	return nil
}

// linger waits until the client has closed its side too. Otherwise a client that has
// sent its request along with its part of the handshake would get a reset, and not read
// why it was refused.
func (c *connection) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.SetDeadline(time.Now().Add(lingering)) != nil {
		return // the client is gone
	}
	_, _ = io.Copy(io.Discard, c.Conn) // however it ends
}

// hello notes the contents of the ClientHello.
func (c *connection) hello(hello *tls.ClientHelloInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sni, c.offered = hello.ServerName, hello.SupportedProtos
}

// Read first returns what was read ahead. There is one reader at a time.
func (c *connection) Read(p []byte) (int, error) {
	if len(c.peeked) > 0 {
		n := copy(p, c.peeked)
		c.peeked = c.peeked[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// open records that the connection exists and that no request has come yet.
func (c *connection) open() {
	record := c.record()
	record.Open = true
	c.port.recorder.write(record)
}

// Close closes the connection. If no request came, it records that.
func (c *connection) Close() error {
	c.port.site.leave(c)
	c.end("it ended before a request")
	return c.Conn.Close()
}

// end records how the connection ended, unless a request came.
func (c *connection) end(reason string) {
	if c.settle() {
		return
	}
	record := c.record()
	record.Error = reason
	c.port.recorder.write(record)
}

// settle reports whether the connection was settled already. It is from now on.
func (c *connection) settle() (already bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	already, c.settled = c.settled, true
	return already
}

// record returns a record with what is known of the connection alone.
func (c *connection) record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	record := Record{
		ID:          c.id,
		Time:        c.time,
		Site:        c.port.site.name(),
		SNI:         c.sni,
		ALPNOffered: c.offered,
		TLS:         c.tls,
		Received:    c.received,
		Remote:      c.RemoteAddr().String(),
		Local:       c.LocalAddr().String(),
	}
	if c.port.HTTP == nil {
		record.Protocol = protocolTCP
	}
	record.Owner = c.port.owner(c.sni)
	return record
}

// request returns the record of a request that came by the connection. The first
// request takes over the record of the connection.
func (c *connection) request() Record {
	record := c.record()
	if c.settle() {
		record.ID = c.port.recorder.newID()
	}
	record.Open, record.Time = true, time.Now()
	return record
}
