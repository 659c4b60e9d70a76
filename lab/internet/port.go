package internet

import (
	"errors"
	"io"
	"net"
	"net/http"
)

// The ports that a browser uses.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// Port is an open port of a [Host].
type Port struct {
	// HTTP answers requests. If it is nil, the port speaks TCP as the field TCP says.
	HTTP http.Handler
	TCP  TCP

	// TLS has the port speak TLS, with the host's certificate.
	TLS bool

	// H2C has a port without TLS speak HTTP/2 too, with clients that know it.
	H2C bool
}

// TCP says what a port does with connections that are not HTTP. The zero value reads
// everything and sends nothing. Except with Reset, the connection ends when the client
// closes it.
type TCP struct {
	Banner string // is sent at once
	Echo   bool   // sends back what comes
	Reset  bool   // resets the connection once the client has sent something
}

// web returns the ports of a site; a nil handler leaves its port closed.
func web(http, https http.Handler) map[uint16]Port {
	ports := map[uint16]Port{}
	if http != nil {
		ports[portHTTP] = Port{HTTP: http}
	}
	if https != nil {
		ports[portHTTPS] = Port{HTTP: https, TLS: true}
	}
	return ports
}

// resetting returns the ports of a site that resets every connection.
func resetting() map[uint16]Port {
	reset := Port{TCP: TCP{Reset: true}}
	return map[uint16]Port{portHTTP: reset, portHTTPS: reset}
}

// talk speaks TCP with the client of c over conn, which is c itself or TLS over it,
// until one side ends the connection. The connection is recorded as soon as the client
// has sent something, before the host answers, and at the end.
func (c *connection) talk(conn net.Conn) {
	says := c.port.TCP
	if says.Reset {
		c.reset()
		return
	}
	err := c.converse(conn, says)
	if errors.Is(err, io.EOF) {
		c.end("") // the regular end
	} else {
		c.end(err.Error())
	}
	_ = conn.Close() // by now the client may be gone
}

func (c *connection) converse(conn net.Conn, says TCP) error {
	if _, err := io.WriteString(conn, says.Banner); err != nil {
		return err
	}
	for buffer := make([]byte, 32<<10); ; {
		n, err := conn.Read(buffer)
		if n > 0 && c.receive(n) {
			c.open()
		}
		if n > 0 && says.Echo {
			if _, err := conn.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// receive counts bytes of the client, and reports whether they are its first ones.
func (c *connection) receive(n int) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first = c.received == 0
	c.received += int64(n)
	return first
}
