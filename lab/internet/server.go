package internet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/egressplay/egressplay/lab/pki"
)

// Config is what [Serve] needs.
type Config struct {
	Hosts []Host
	CA    *pki.CA // issues the hosts' certificates

	Network Network // where the hosts are

	// NameServer is the address, with a port, at which their names are asked for.
	NameServer string

	// Record gets each [Record] as lines of JSON, each in one write: one when it
	// has arrived, and one before the client has its answer. Who has the answer
	// finds the line.
	Record io.Writer
}

// Network is a network that has the addresses of hosts.
type Network interface {
	// Listen makes a listener at an address and a port; network is "tcp".
	Listen(network, addr string) (net.Listener, error)

	// ListenPacket makes a socket at an address and a port; network is "udp".
	ListenPacket(network, addr string) (net.PacketConn, error)
}

// Serve lets the hosts and their name server answer until ctx ends. Then all connections are
// closed, nothing more is recorded, and it returns nil. It ends with an error
// when it cannot listen or record: who looks at the record must be able to
// rely on it.
func Serve(ctx context.Context, config Config) error {
	if err := run(ctx, config); err != nil {
		return fmt.Errorf("serve the internet: %w", err)
	}
	return nil
}

func run(ctx context.Context, config Config) error {
	recorder := newRecorder(config.Record)
	defer recorder.close()
	hosts, err := index(config.Hosts)
	if err != nil {
		return err
	}
	ports, err := open(config, hosts, recorder)
	if err != nil {
		return err
	}
	names, err := listenForNames(config.Network, config.NameServer, hosts)
	if err != nil {
		return errors.Join(fmt.Errorf("name server: %w", err), closeAll(ports))
	}
	group, ctx := errgroup.WithContext(ctx)
	usual, h2c := newServer(), newServer()
	h2c.Protocols = new(http.Protocols)
	h2c.Protocols.SetHTTP1(true)
	h2c.Protocols.SetUnencryptedHTTP2(true)
	ready := map[*http.Server]queue{}
	for _, server := range []*http.Server{usual, h2c} {
		conns := queue{conns: make(chan net.Conn), done: ctx.Done()}
		ready[server] = conns
		group.Go(func() error {
			if err := server.Serve(conns); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	for _, port := range ports {
		conns := ready[usual]
		if port.H2C {
			conns = ready[h2c]
		}
		group.Go(func() error { return port.accept(ctx, group, conns) })
	}
	group.Go(func() error { return names.byUDP(ctx) })
	group.Go(func() error { return names.byTCP(ctx, group) })
	group.Go(func() error {
		select {
		case err := <-recorder.failed:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error {
		<-ctx.Done()
		return errors.Join(usual.Close(), h2c.Close(), closeAll(ports), names.close())
	})
	return group.Wait()
}

func closeAll(ports []*port) (err error) {
	for _, port := range ports {
		err = errors.Join(err, port.listener.Close())
	}
	return err
}

// newServer makes a server of HTTP for connections that are made ready before.
func newServer() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(serve),
		ReadHeaderTimeout: silence,
		// No IdleTimeout: a proxy keeps its connections, and must not meet
		// one that is being closed.
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, conn)
		},
	}
}

// port is a port of a host, at one of its addresses.
type port struct {
	Port
	host     *Host
	hosts    hostsByName
	secured  *tls.Config
	listener net.Listener
	recorder *recorder
}

// open makes all the ports, or none.
func open(config Config, hosts hostsByName, recorder *recorder) (ports []*port, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(ports))
			ports = nil
		}
	}()
	for i := range config.Hosts {
		host := &config.Hosts[i]
		certificate, err := host.Certificate.issue(config.CA, host.Names)
		if err != nil {
			return ports, err
		}
		for _, number := range slices.Sorted(maps.Keys(host.Ports)) {
			of := host.Ports[number]
			secured := host.tlsConfig(of, certificate, config.CA, hosts)
			for _, addr := range host.addrs() {
				listener, err := config.Network.Listen("tcp", netip.AddrPortFrom(addr, number).String())
				if err != nil {
					return ports, fmt.Errorf("host %s: %w", host.Names[0], err)
				}
				ports = append(ports, &port{of, host, hosts, secured, listener, recorder})
			}
		}
	}
	return ports, nil
}

// accept takes connections, does their handshakes, and queues them for the
// HTTP server.
func (p *port) accept(ctx context.Context, group *errgroup.Group, ready queue) error {
	for {
		conn, err := p.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				return conn.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			// Clients wait in the kernel until others have gone.
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			return fmt.Errorf("host %s: %w", p.host.Names[0], err)
		}
		c := &connection{Conn: conn, port: p, id: p.recorder.newID(), time: time.Now()}
		c.stop = context.AfterFunc(ctx, func() { c.Conn.Close() })
		group.Go(func() error {
			p.prepare(ctx, c, ready)
			return nil
		})
	}
}

// prepare does what comes before the first request, and hands the connection to
// the HTTP server. At a port of TCP it does all that there is to do.
func (p *port) prepare(ctx context.Context, c *connection, ready queue) {
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
	case ready.conns <- conn:
	case <-ctx.Done():
		_ = conn.Close() // by now the other side may be gone
	}
}

// queue is the listener of the HTTP server.
type queue struct {
	conns chan net.Conn
	done  <-chan struct{}
}

func (q queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

func (q queue) Close() error   { return nil }
func (q queue) Addr() net.Addr { return &net.TCPAddr{} }

type connectionKey struct{}

// connectionOf is the connection by which a request came.
func connectionOf(r *http.Request) *connection {
	conn := r.Context().Value(connectionKey{})
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return conn.(*connection)
}

// serve records a request, answers it, and records how.
func serve(w http.ResponseWriter, r *http.Request) {
	c := connectionOf(r)
	record := c.request()
	record.describe(r)
	c.port.recorder.write(record)
	answer := &answer{ResponseWriter: w}
	answer.tell = func(status int) {
		record.Status, record.Open, record.Error = status, false, answer.brokenOff
		if answer.brokenOff == "" {
			record.GRPCStatus = grpcStatusIn(w.Header())
		}
		c.port.recorder.write(record)
	}
	ended := false
	defer func() {
		if ended {
			answer.status(http.StatusOK) // what the server says for a handler that said nothing
		} else if !answer.told {
			answer.brokenOff = "the host broke off"
			answer.status(0)
		}
	}()
	c.port.serve(answer, r)
	ended = true
}

// serve answers a request that may not be meant for the port.
func (p *port) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case p.TLS && r.TLS == nil:
		w.Header().Set("Connection", "close")
		http.Error(w, "Client sent an HTTP request to an HTTPS server.", http.StatusBadRequest)
	case !p.serves(r.Host):
		http.Error(w, fmt.Sprintf("This is %s, which does not serve %q.", p.host.Names[0], r.Host), http.StatusMisdirectedRequest)
	default:
		p.HTTP.ServeHTTP(w, r)
	}
}

// serves reports whether a request with this Host header is for the host. A
// request without one, as HTTP/1.0 has it, is.
func (p *port) serves(authority string) bool {
	return p.host.AnyName || authority == "" || p.hosts.serving(nameIn(authority)) == p.host
}

// nameIn is the name of a host in a Host header or in SNI, as [Host] has it.
func nameIn(authority string) string {
	name := authority
	if host, _, err := net.SplitHostPort(authority); err == nil {
		name = host
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
