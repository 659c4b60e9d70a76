package internet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/egressplay/egressplay/lab/pki"
)

// Config configures an [Internet].
type Config struct {
	Hosts []Host  // served from the beginning; the network has their addresses
	CA    *pki.CA // issues the hosts' certificates

	Network Network // the network of the hosts

	// NameServer is the address and port of the name server.
	NameServer string

	// Record gets each [Record] as lines of JSON, each in one write: one when something
	// has arrived, and one before the client has its answer. So a client that has its
	// answer finds the line.
	Record io.Writer
}

// Network is a network that has the addresses of hosts.
type Network interface {
	// Listen makes a listener at an address and a port; network is "tcp".
	Listen(network, addr string) (net.Listener, error)

	// ListenPacket makes a socket at an address and a port; network is "udp".
	ListenPacket(network, addr string) (net.PacketConn, error)

	// AddAddress adds an address to the network, and DeleteAddress removes it again.
	AddAddress(addr netip.Addr) error
	DeleteAddress(addr netip.Addr) error
}

// Internet is a set of hosts and their name server. Hosts can be added and removed
// while it is served.
type Internet struct {
	config  Config
	changes chan change
	ended   chan struct{} // closed when Serve has returned
}

// New returns an Internet, which can be served once.
func New(config Config) *Internet {
	return &Internet{config: config, changes: make(chan change), ended: make(chan struct{})}
}

// Serve lets the hosts and their name server answer until ctx ends. Then all
// connections are closed, nothing more is recorded, and it returns nil. It returns an
// error if it cannot listen or record: readers must be able to rely on the record.
func (i *Internet) Serve(ctx context.Context) error {
	defer close(i.ended)
	recorder := newRecorder(i.config.Record)
	defer recorder.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	s := &serving{config: i.config, recorder: recorder, group: group, usual: newWebServer(), h2c: newWebServer()}
	s.h2c.server.Protocols = new(http.Protocols)
	s.h2c.server.Protocols.SetHTTP1(true)
	s.h2c.server.Protocols.SetHTTP2(true)
	s.h2c.server.Protocols.SetUnencryptedHTTP2(true)
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("serve the internet: %w", err)
	}
	group.Go(func() error {
		err := s.keep(ctx, i.changes)
		stop()
		return errors.Join(err, s.end())
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("serve the internet: %w", err)
	}
	return nil
}

// serving is an [Internet] that is being served.
type serving struct {
	config     Config
	recorder   *recorder
	group      *errgroup.Group
	usual, h2c *webServer
	names      *nameServer

	directory directory
	sites     []*site // of [Config.Hosts]
	added     []*addition
}

// start opens and serves everything, or nothing.
func (s *serving) start(ctx context.Context) (err error) {
	hosts := s.hosts()
	if err := s.directory.set(hosts); err != nil {
		return err
	}
	if s.sites, err = s.open(hosts); err != nil {
		return err
	}
	if s.names, err = listenForNames(s.config.Network, s.config.NameServer, &s.directory); err != nil {
		return errors.Join(fmt.Errorf("name server: %w", err), closeAll(s.sites))
	}
	for _, web := range []*webServer{s.usual, s.h2c} {
		s.group.Go(func() error { return web.serve(ctx) })
	}
	s.group.Go(func() error { return s.names.byUDP(ctx) })
	s.group.Go(func() error { return s.names.byTCP(ctx, s.group) })
	s.accept(ctx, s.sites)
	return nil
}

// keep makes changes until ctx ends or a record cannot be written.
func (s *serving) keep(ctx context.Context, changes <-chan change) error {
	for {
		select {
		case change := <-changes:
			change.do(ctx, s)
			close(change.done)
		case err := <-s.recorder.failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// end closes everything.
func (s *serving) end() error {
	errs := []error{s.usual.server.Close(), s.h2c.server.Close(), s.names.close(), closeAll(s.sites)}
	for _, of := range s.added {
		errs = append(errs, closeAll(of.sites))
	}
	return errors.Join(errs...)
}

// webServer serves HTTP on connections that [port.prepare] has prepared.
type webServer struct {
	server *http.Server
	conns  chan net.Conn
}

func newWebServer() *webServer {
	return &webServer{conns: make(chan net.Conn), server: &http.Server{
		Handler:           http.HandlerFunc(serve),
		ReadHeaderTimeout: silence,
		// No IdleTimeout: a proxy keeps its connections, and must not meet
		// one that is being closed.
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, conn)
		},
	}}
}

// serve serves connections until ctx ends.
func (w *webServer) serve(ctx context.Context) error {
	if err := w.server.Serve(queue{w.conns, ctx.Done()}); ctx.Err() == nil {
		return err
	}
	return nil
}

// queue is the listener of a [webServer].
type queue struct {
	conns <-chan net.Conn
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

// connectionOf returns the connection by which a request came.
func connectionOf(r *http.Request) *connection {
	conn := r.Context().Value(connectionKey{})
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	return conn.(*connection)
}

// serve records a request, answers it, and records the answer.
func serve(w http.ResponseWriter, r *http.Request) {
	c := connectionOf(r)
	record := c.request()
	record.describe(r)
	if r.Host != "" {
		record.Owner = c.port.owner(r.Host)
	}
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
			answer.status(http.StatusOK) // the server's status if the handler set none
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
		http.Error(w, fmt.Sprintf("This is %s, which does not serve %q.", p.site.name(), r.Host), http.StatusMisdirectedRequest)
	default:
		p.HTTP.ServeHTTP(w, r)
	}
}

// serves reports whether a request with this Host header is for the host. It returns
// true without a Host header, as in HTTP/1.0.
func (p *port) serves(authority string) bool {
	return p.site.host.AnyName || authority == "" || p.site.directory.now().serving(nameIn(authority)) == p.site.host
}

// owner returns the first name of the host that has the name in a Host header or in the
// SNI, "" if none has it.
func (p *port) owner(authority string) string {
	if host := p.site.directory.now().serving(nameIn(authority)); authority != "" && host != nil {
		return host.Names[0]
	}
	return ""
}

// nameIn returns the name in a Host header or in the SNI, in the form of [Host].
func nameIn(authority string) string {
	name := authority
	if host, _, err := net.SplitHostPort(authority); err == nil {
		name = host
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
