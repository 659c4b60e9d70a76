package internet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// site is a host that is served.
type site struct {
	host      *Host
	directory *directory
	ports     []*port

	mu     sync.Mutex
	closed bool
	conns  map[*connection]struct{} // that are open
}

// name returns the site's name in a [Record].
func (s *site) name() string { return s.host.Names[0] }

// port is a port of a site, at one of its addresses.
type port struct {
	Port
	site     *site
	secured  *tls.Config
	listener net.Listener
	recorder *recorder
}

// open opens all ports of hosts, or none.
func (s *serving) open(hosts []*Host) (sites []*site, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(sites))
			sites = nil
		}
	}()
	for _, host := range hosts {
		site := &site{host: host, directory: &s.directory, conns: map[*connection]struct{}{}}
		sites = append(sites, site)
		if err := site.open(s.config, s.recorder); err != nil {
			return sites, fmt.Errorf("host %s: %w", site.name(), err)
		}
	}
	return sites, nil
}

func (s *site) open(config Config, recorder *recorder) error {
	certificate, err := s.host.Certificate.issue(config.CA, s.host.Names)
	if err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(s.host.Ports)) {
		of := s.host.Ports[number]
		secured := s.host.tlsConfig(of, certificate, config.CA, s.directory)
		for _, addr := range s.host.addrs() {
			listener, err := config.Network.Listen("tcp", netip.AddrPortFrom(addr, number).String())
			if err != nil {
				return err
			}
			s.ports = append(s.ports, &port{of, s, secured, listener, recorder})
		}
	}
	return nil
}

// closeAll closes sites: their ports, and the connections to them.
func closeAll(sites []*site) (err error) {
	for _, site := range sites {
		open := site.close() // close the site first, so that accept adds none
		for _, port := range site.ports {
			err = errors.Join(err, port.listener.Close())
		}
		for conn := range open {
			_ = conn.Conn.Close() // the client may be gone
		}
	}
	return err
}

// close refuses new connections and returns the open ones.
func (s *site) close() map[*connection]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return maps.Clone(s.conns)
}

func (s *site) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// enter adds a connection, if the site is open, and leave removes it.
func (s *site) enter(c *connection) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c] = struct{}{}
	}
	return !s.closed
}

func (s *site) leave(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// accept accepts connections to sites until they are closed.
func (s *serving) accept(ctx context.Context, sites []*site) {
	for _, site := range sites {
		for _, port := range site.ports {
			web := s.usual
			if port.H2C {
				web = s.h2c
			}
			s.group.Go(func() error { return port.accept(ctx, s, web) })
		}
	}
}

func (p *port) accept(ctx context.Context, s *serving, web *webServer) error {
	for {
		conn, err := p.listener.Accept()
		switch {
		case err == nil:
		case p.site.isClosed(), ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			// Clients wait in the kernel until others are gone.
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		default:
			return fmt.Errorf("host %s: %w", p.site.name(), err)
		}
		c := &connection{Conn: conn, port: p, id: p.recorder.newID(), time: time.Now()}
		if !p.site.enter(c) {
			_ = conn.Close() // the client may be gone
			return nil
		}
		s.group.Go(func() error {
			p.prepare(ctx, c, web)
			return nil
		})
	}
}

// prepare does what comes before the first request, and passes the connection to the
// HTTP server. At a port without HTTP it does everything.
func (p *port) prepare(ctx context.Context, c *connection, web *webServer) {
	c.open()
	conn := net.Conn(c)
	if p.TLS {
		var err error
		if conn, err = c.secure(p.secured); err != nil {
			c.end(err.Error())
			c.linger()
			_ = c.Close() // it has failed already
			return
		}
	}
	if p.HTTP == nil {
		c.talk(conn)
		return
	}
	select {
	case web.conns <- conn:
	case <-ctx.Done():
		_ = conn.Close() // the client may be gone
	}
}
