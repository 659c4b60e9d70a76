package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/spdystream"
	corev1 "k8s.io/api/core/v1"
)

// portForwardProtocol is the protocol that the server has to speak.
// Source: k8s.io/client-go/tools/portforward.
const portForwardProtocol = "portforward.k8s.io"

// Dial implements [Interface].
//
//	POST .../portforward ─ 101 ─ SPDY ─┬─ error ── why nobody listens
//	                                   └─ data ─── the connection
func (c *Client) Dial(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
	to := c.rest.Post().AbsPath("/api/v1/namespaces", namespace, "pods", pod, "portforward").URL()
	conn, resp, err := c.upgrade(ctx, to, portForwardProtocol)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		defer resp.Body.Close()
		return nil, c.refused(ctx, ExecRequest{Namespace: namespace, Pod: pod}, resp)
	}
	session, err := spdystream.NewConnection(netConn{conn}, false)
	if err != nil {
		conn.Close()
		return nil, err
	}
	go session.Serve(spdystream.NoOpStreamHandler)
	d := &dialed{raw: conn}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	open := func(kind string) (*spdystream.Stream, error) {
		s, err := session.CreateStream(http.Header{
			http.CanonicalHeaderKey(corev1.StreamType):                 {kind},
			http.CanonicalHeaderKey(corev1.PortHeader):                 {strconv.Itoa(port)},
			http.CanonicalHeaderKey(corev1.PortForwardRequestIDHeader): {"0"},
		}, nil, false)
		if err != nil {
			return nil, err
		}
		go takeReply(session, s)
		return s, nil
	}
	errs, err := open(corev1.StreamTypeError)
	if err == nil {
		err = errs.Close() // we write nothing there
	}
	if err == nil {
		d.data, err = open(corev1.StreamTypeData)
	}
	if err != nil {
		d.Close()
		return nil, lostOr(ctx, err)
	}
	d.failed = make(chan error, 1)
	go func() {
		why, _ := io.ReadAll(io.LimitReader(errs, 4<<10)) // its end is always io.EOF
		if len(why) > 0 {
			d.failed <- fmt.Errorf("connect to port %d of pod %s: %s", port, pod, strings.TrimSpace(string(why)))
			conn.Close()
		}
		close(d.failed)
	}()
	return d, nil
}

// A dialed is a connection to a port of a pod.
type dialed struct {
	raw    io.Closer
	data   *spdystream.Stream
	failed chan error // the server's message about a connection that it could not make
}

func (d *dialed) Read(p []byte) (int, error) {
	n, err := d.data.Read(p)
	if err != nil {
		select {
		case why, ok := <-d.failed:
			if ok {
				return n, why
			}
		default:
		}
	}
	return n, err
}

func (d *dialed) Write(p []byte) (int, error) { return d.data.Write(p) }

func (d *dialed) Close() error { return d.raw.Close() }

func (d *dialed) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (d *dialed) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// errNoDeadline reports that a dialed connection has no deadlines, only its context.
var errNoDeadline = errors.New("a connection to a pod has no deadlines of its own")

func (d *dialed) SetDeadline(t time.Time) error      { return deadline(t) }
func (d *dialed) SetReadDeadline(t time.Time) error  { return deadline(t) }
func (d *dialed) SetWriteDeadline(t time.Time) error { return deadline(t) }

func deadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return errNoDeadline
}
