package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/moby/spdystream"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// maxStatus bounds what is read of a Status; a real one has some hundred
	// bytes.
	maxStatus = 1 << 20
	// pingPeriod is how often a ping is sent on a quiet connection, because load
	// balancers cut idle ones. It is client-go's value.
	pingPeriod = 5 * time.Second
	// replyPeriod is how often it is checked that the connection, on which the reply to
	// a stream has to come, is still open.
	replyPeriod = time.Second
)

// stream runs the command over a SPDY connection, and returns the Status that the
// server sent about its end. It closes conn, and writes nothing to the request's
// writers after it has returned.
func stream(ctx context.Context, conn io.ReadWriteCloser, r ExecRequest) (*metav1.Status, error) {
	defer conn.Close()
	session, err := spdystream.NewConnection(netConn{conn}, false)
	if err != nil {
		return nil, &LostError{Err: err}
	}
	go session.Serve(spdystream.NoOpStreamHandler)
	go keepAlive(session)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	// Request all streams at once: client-go waits for the reply to each, which costs a
	// round trip to the node for each.
	opened := make(map[string]*spdystream.Stream)
	kinds := []string{errorStream, stdoutStream, stderrStream}
	if r.Stdin != nil {
		kinds = append(kinds, stdinStream)
	}
	for _, kind := range kinds {
		s, err := session.CreateStream(http.Header{http.CanonicalHeaderKey(corev1.StreamType): {kind}}, nil, false)
		if err != nil {
			return nil, lostOr(ctx, err)
		}
		opened[kind] = s
		go takeReply(session, s)
	}

	if r.Stdin != nil {
		go func() { // ends with conn, unless Read blocks
			in := opened[stdinStream]
			io.Copy(in, struct{ io.Reader }{r.Stdin}) // in small pieces: WriteTo would send everything as one frame
			in.Close()
		}()
	}
	var (
		readers        sync.WaitGroup
		status         []byte
		outErr, errErr error
	)
	readers.Go(func() {
		status, _ = io.ReadAll(io.LimitReader(opened[errorStream], maxStatus)) // its end is always io.EOF
		io.Copy(io.Discard, opened[errorStream])
	})
	readers.Go(func() { outErr = copyOut(r.Stdout, opened[stdoutStream]) })
	readers.Go(func() { errErr = copyOut(r.Stderr, opened[stderrStream]) })
	readers.Wait()

	got, err := parseStatus(status)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case outErr != nil:
		return nil, fmt.Errorf("keep the standard output: %w", outErr)
	case errErr != nil:
		return nil, fmt.Errorf("keep the standard error: %w", errErr)
	}
	return got, nil
}

func lostOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &LostError{Started: true, Err: err}
}

// copyOut copies a stream to w and returns the error of w. It always reads to the end,
// because an unread stream blocks the others of its connection.
func copyOut(w io.Writer, s io.Reader) error {
	if w == nil {
		w = io.Discard
	}
	_, err := io.Copy(w, s)
	io.Copy(io.Discard, s)
	return err
}

// takeReply receives the reply to a new stream. Until somebody receives a refusal, it
// blocks the whole session; the stream ends after it. spdystream does not report that
// no reply can come any more.
func takeReply(session *spdystream.Connection, s *spdystream.Stream) {
	for last := false; ; {
		if err := s.WaitTimeout(replyPeriod); err != spdystream.ErrTimeout || last {
			return
		}
		select {
		case <-session.CloseChan():
			last = true // frames that have come may still be processed
		default:
		}
	}
}

func keepAlive(session *spdystream.Connection) {
	t := time.NewTicker(pingPeriod)
	defer t.Stop()
	for {
		select {
		case <-session.CloseChan():
			return
		case <-t.C:
		}
		if _, err := session.Ping(); err != nil {
			return // the readers see the end of the connection
		}
	}
}

// netConn makes a [net.Conn] of an upgraded connection. spdystream uses only these
// three methods.
type netConn struct{ io.ReadWriteCloser }

func (netConn) LocalAddr() net.Addr              { return nil }
func (netConn) RemoteAddr() net.Addr             { return nil }
func (netConn) SetDeadline(time.Time) error      { return nil }
func (netConn) SetReadDeadline(time.Time) error  { return nil }
func (netConn) SetWriteDeadline(time.Time) error { return nil }
