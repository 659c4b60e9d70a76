package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// dialTimeout is how long a connection to a pod's own port may take.
const dialTimeout = 10 * time.Second

// PortForward implements the RuntimeService: it returns the URL to connect to.
func (s *Server) PortForward(_ context.Context, r *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	if _, err := s.readySandbox(r.PodSandboxId); err != nil {
		return nil, err
	}
	return s.streams.GetPortForward(r)
}

// PortForward implements [streaming.Runtime]. It connects to a port of the pod by the
// pod's localhost, so it also reaches a server that listens on 127.0.0.1 or [::1] only.
// It returns when the pod closes the connection.
func (st streamer) PortForward(ctx context.Context, id string, port int32, stream io.ReadWriteCloser) error {
	sb, err := st.readySandbox(id)
	if err != nil {
		return err
	}
	conn, err := sb.dial(ctx, strconv.Itoa(int(port)))
	if err != nil {
		return fmt.Errorf("connect to port %d in the pod: %w", port, err)
	}
	defer conn.Close()
	go func() { // the client may end its side and still wait for an answer
		if _, err := io.Copy(conn, stream); err != nil {
			conn.Close()
			return
		}
		conn.CloseWrite()
	}()
	_, err = io.Copy(stream, conn)
	if errors.Is(err, net.ErrClosed) {
		return nil // the client is gone
	}
	return err
}

func (s *Server) readySandbox(id string) (*sandbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb := s.sandboxes[id]
	if sb == nil {
		return nil, errNoSandbox(id)
	}
	if !sb.ready {
		return nil, status.Errorf(codes.FailedPrecondition, "pod sandbox %s is stopped", id)
	}
	return sb, nil
}

// dial connects to a port of the pod's loopback, by IPv4 or, if that fails, by IPv6.
func (sb *sandbox) dial(ctx context.Context, port string) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := dialIn(ctx, sb.net, net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		var err6 error
		if conn, err6 = dialIn(ctx, sb.net, net.JoinHostPort("::1", port)); err6 != nil {
			return nil, fmt.Errorf("%w; %w", err, err6)
		}
	}
	return conn, nil
}

// dialIn connects within a network namespace; "" is this one. A socket belongs to the
// namespace of the thread that makes it, and Go dials an address of one given family on
// the calling thread.
func dialIn(ctx context.Context, namespace, addr string) (*net.TCPConn, error) {
	var conn net.Conn
	err := onThread(func() (err error) {
		if namespace != "" {
			if err := setns(namespace, unix.CLONE_NEWNET); err != nil {
				return err
			}
		}
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
