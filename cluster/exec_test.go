package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// An execServer is the part of an API server that an exec needs. It accepts the
// streams, as the kubelet's side does, and passes them to end.
type execServer struct {
	protocols []string
	end       func(s *execStreams) // the command, with its streams
}

type execStreams struct {
	byKind map[string]httpstream.Stream
	conn   httpstream.Connection
}

func (s *execStreams) status(status any) {
	text, ok := status.(string)
	if !ok {
		b, _ := json.Marshal(status)
		text = string(b)
	}
	io.WriteString(s.byKind[errorStream], text)
}

func exited(code string) metav1.Status {
	return metav1.Status{
		Status: metav1.StatusFailure,
		Reason: remotecommand.NonZeroExitCodeReason,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: remotecommand.ExitCodeCauseType, Message: code},
		}},
	}
}

var succeeded = metav1.Status{Status: metav1.StatusSuccess}

func (e *execServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocols := e.protocols
	if protocols == nil {
		protocols = []string{remotecommand.StreamProtocolV5Name, remotecommand.StreamProtocolV4Name}
	}
	if _, err := httpstream.Handshake(r, w, protocols); err != nil {
		return
	}
	want := 1
	for _, kind := range []string{stdinStream, stdoutStream, stderrStream} {
		if r.URL.Query().Get(kind) == "true" {
			want++
		}
	}
	streams := make(chan httpstream.Stream, want)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	got := &execStreams{byKind: map[string]httpstream.Stream{}, conn: conn}
	for range want {
		select {
		case s := <-streams:
			got.byKind[s.Headers().Get(corev1.StreamType)] = s
		case <-conn.CloseChan():
			return
		}
	}
	e.end(got)
}

// newTestClient returns a client for a server with this handler.
func newTestClient(t *testing.T, handler http.Handler) *Client {
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	c, err := newClient("test", "default", &rest.Config{
		Host:            server.URL,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
	})
	require.NoError(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(c.upgrader) })
	return c
}

func request(command ...string) ExecRequest {
	return ExecRequest{Namespace: "default", Pod: "sleep-1", Container: "sleep", Command: command}
}

func TestExecReturnsTheExitCodeThatWasSent(t *testing.T) {
	for _, test := range []struct {
		name   string
		status any
		want   int
	}{
		{"success", succeeded, 0},
		{"exit code", exited("35"), 35},
		{"signal", exited("137"), 137},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newTestClient(t, &execServer{end: func(s *execStreams) {
				io.WriteString(s.byKind[stdoutStream], "out")
				io.WriteString(s.byKind[stderrStream], "err")
				s.status(test.status)
			}})
			var out, errOut bytes.Buffer
			r := request("curl", "-sI", "https://www.baidu.com")
			r.Stdout, r.Stderr = &out, &errOut
			got, err := c.Exec(t.Context(), r)
			require.NoError(t, err)
			assert.Equal(t, ExecResult{ExitCode: test.want, Trusted: true}, got)
			assert.Equal(t, "out", out.String())
			assert.Equal(t, "err", errOut.String())
		})
	}
}

func TestExecSendsInput(t *testing.T) {
	input := strings.Repeat("0123456789", 10_000)
	var got []byte
	c := newTestClient(t, &execServer{end: func(s *execStreams) {
		got, _ = io.ReadAll(s.byKind[stdinStream])
		s.status(succeeded)
	}})
	r := request("cat")
	r.Stdin = strings.NewReader(input)
	_, err := c.Exec(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, input, string(got))
}

func TestExecAsksForWhatIsGiven(t *testing.T) {
	var got *http.Request
	server := &execServer{end: func(s *execStreams) { s.status(succeeded) }}
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		server.ServeHTTP(w, r)
	}))
	_, err := c.Exec(t.Context(), request("sh", "-c", "echo a b; exit 1"))
	require.NoError(t, err)
	assert.Equal(t, "/api/v1/namespaces/default/pods/sleep-1/exec", got.URL.Path)
	assert.Equal(t, []string{"sh", "-c", "echo a b; exit 1"}, got.URL.Query()["command"])
	assert.Equal(t, "sleep", got.URL.Query().Get("container"))
	assert.Empty(t, got.URL.Query().Get("stdin"))
}

// A connection that ends before the exit code came must never look like
// success, wherever it is cut.
func TestExecNoticesThatTheExitCodeNeverCame(t *testing.T) {
	for name, end := range map[string]func(s *execStreams){
		"nothing is sent":              func(*execStreams) {},
		"the error stream ends empty":  func(s *execStreams) { s.byKind[errorStream].Close() },
		"the error stream is reset":    func(s *execStreams) { s.byKind[errorStream].Reset() },
		"all streams end empty":        func(s *execStreams) { closeAll(s) },
		"output, then nothing":         func(s *execStreams) { io.WriteString(s.byKind[stdoutStream], "HTTP/2 200"); closeAll(s) },
		"half a status":                func(s *execStreams) { s.status(`{"kind":"Status","status":"Succ`) },
		"a status of another language": func(s *execStreams) { s.status(`{"status":"Fine"}`) },
		"plain text":                   func(s *execStreams) { s.status("error: gone") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestClient(t, &execServer{end: end})
			var out bytes.Buffer
			r := request("curl")
			r.Stdout = &out
			got, err := c.Exec(t.Context(), r)
			lost, ok := errors.AsType[*LostError](err)
			require.True(t, ok, "got %+v, %v", got, err)
			assert.True(t, lost.Started)
			assert.Zero(t, got)
		})
	}
}

func closeAll(s *execStreams) {
	for _, stream := range s.byKind {
		stream.Close()
	}
}

// The same if the connection itself is cut, between client and server.
func TestExecNoticesACutConnection(t *testing.T) {
	for _, how := range []string{"closed", "reset"} {
		for _, when := range []string{"before the streams", "while the command runs"} {
			t.Run(how+" "+when, func(t *testing.T) {
				cut := make(chan struct{}, 1)
				server := httptest.NewUnstartedServer(nil)
				if when == "before the streams" {
					server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
						w.Header().Set(httpstream.HeaderUpgrade, spdy.HeaderSpdy31)
						w.Header().Set(httpstream.HeaderProtocolVersion, remotecommand.StreamProtocolV5Name)
						w.WriteHeader(http.StatusSwitchingProtocols)
						conn, _, err := http.NewResponseController(w).Hijack()
						if assert.NoError(t, err) {
							conn.Read(make([]byte, 1)) // the client asks for its first stream
							cut <- struct{}{}
							t.Cleanup(func() { conn.Close() })
						}
					})
				} else {
					server.Config.Handler = &execServer{end: func(s *execStreams) {
						io.WriteString(s.byKind[stdoutStream], "HTTP/2 200")
						cut <- struct{}{}
						<-s.conn.CloseChan()
					}}
				}
				server.Start()
				t.Cleanup(server.Close)
				relay := newRelay(t, server.Listener.Addr().String())
				go func() {
					<-cut
					relay.cut(how == "reset")
				}()
				c, err := newClient("test", "default", &rest.Config{Host: "http://" + relay.addr})
				require.NoError(t, err)

				got, err := c.Exec(t.Context(), request("curl"))
				lost, ok := errors.AsType[*LostError](err)
				require.True(t, ok, "got %+v, %v", got, err)
				assert.True(t, lost.Started)
			})
		}
	}
}

// A relay passes connections on until it cuts them.
type relay struct {
	addr  string
	conns chan net.Conn
}

func newRelay(t *testing.T, target string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	r := &relay{l.Addr().String(), make(chan net.Conn, 10)}
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", target)
			if err != nil {
				a.Close()
				continue
			}
			r.conns <- a
			go func() { io.Copy(a, b); a.Close() }()
			go func() { io.Copy(b, a); b.Close() }()
		}
	}()
	return r
}

func (r *relay) cut(reset bool) {
	conn := (<-r.conns).(*net.TCPConn)
	if reset {
		conn.SetLinger(0)
	}
	conn.Close()
}

func TestExecTellsWhenNothingStarted(t *testing.T) {
	t.Run("nothing listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		l.Close()
		c, err := newClient("test", "default", &rest.Config{Host: "http://" + l.Addr().String()})
		require.NoError(t, err)
		_, err = c.Exec(t.Context(), request("curl"))
		lost, ok := errors.AsType[*LostError](err)
		require.True(t, ok, "%v", err)
		assert.False(t, lost.Started)
		unreachable, ok := errors.AsType[*UnreachableError](err)
		require.True(t, ok, "%v", err)
		assert.Contains(t, unreachable.Error(), "connection refused")
		assert.NotEmpty(t, unreachable.Hint())
	})
	t.Run("the server hangs up", func(t *testing.T) {
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if assert.NoError(t, err) {
				conn.Close()
			}
		}))
		_, err := c.Exec(t.Context(), request("curl"))
		lost, ok := errors.AsType[*LostError](err)
		require.True(t, ok, "%v", err)
		assert.False(t, lost.Started)
	})
	t.Run("the API server does not reach the node", func(t *testing.T) {
		c := newTestClient(t, answer(500, metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: 500,
			Reason: metav1.StatusReasonInternalError, Message: "error dialing backend: dial tcp 10.244.0.1:10250: connect: connection refused",
		}))
		_, err := c.Exec(t.Context(), request("curl"))
		lost, ok := errors.AsType[*LostError](err)
		require.True(t, ok, "%v", err)
		assert.False(t, lost.Started)
		assert.ErrorContains(t, err, "error dialing backend")
		assert.True(t, apierrors.IsInternalError(err))
	})
}

// answer returns a handler that answers every request with one body.
func answer(code int, body any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text, ok := body.(string)
		if !ok {
			w.Header().Set("Content-Type", "application/json")
			b, _ := json.Marshal(body)
			text = string(b)
		}
		w.WriteHeader(code)
		io.WriteString(w, text)
	})
}

func TestExecTellsWhyACommandCannotStart(t *testing.T) {
	status := func(code int32, reason metav1.StatusReason, message string) metav1.Status {
		return metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message,
		}
	}
	for _, test := range []struct {
		name  string
		code  int
		body  any
		check func(t *testing.T, err error)
	}{
		{"no such pod", 404, status(404, metav1.StatusReasonNotFound, `pods "sleep-1" not found`), func(t *testing.T, err error) {
			assert.True(t, apierrors.IsNotFound(err))
			assert.EqualError(t, err, `pods "sleep-1" not found`)
		}},
		{"forbidden", 403, status(403, metav1.StatusReasonForbidden, `pods "sleep-1" is forbidden: User "x" cannot create resource "pods/exec"`), func(t *testing.T, err error) {
			assert.True(t, apierrors.IsForbidden(err))
			forbidden, ok := errors.AsType[*ForbiddenError](err)
			require.True(t, ok)
			assert.Contains(t, forbidden.Hint(), "role")
			assert.ErrorContains(t, err, `cannot create resource "pods/exec"`)
		}},
		{"wrong credentials", 401, status(401, metav1.StatusReasonUnauthorized, "Unauthorized"), func(t *testing.T, err error) {
			assert.True(t, apierrors.IsUnauthorized(err))
			assert.ErrorContains(t, err, "credentials of test")
		}},
		{"no such container", 400, status(400, metav1.StatusReasonBadRequest, "container other is not valid for pod sleep-1"), func(t *testing.T, err error) {
			notReady, ok := errors.AsType[*NotReadyError](err)
			require.True(t, ok)
			assert.True(t, notReady.Final)
			assert.NotEmpty(t, notReady.Hint())
		}},
		{"the container does not run", 500, `unable to upgrade connection: container not found ("sleep")`, func(t *testing.T, err error) {
			notReady, ok := errors.AsType[*NotReadyError](err)
			require.True(t, ok)
			assert.False(t, notReady.Final)
			assert.Contains(t, notReady.Reason, "container sleep is not running")
		}},
		{"the pod is gone from the node", 404, "pod does not exist", func(t *testing.T, err error) {
			assert.True(t, apierrors.IsNotFound(err))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newTestClient(t, answer(test.code, test.body)).Exec(t.Context(), request("curl"))
			require.Error(t, err)
			assert.NotErrorAs(t, err, new(*LostError))
			test.check(t, err)
		})
	}
	t.Run("no such program", func(t *testing.T) {
		c := newTestClient(t, &execServer{end: func(s *execStreams) {
			s.status(status(500, metav1.StatusReasonInternalError, `exec: "nope": executable file not found in $PATH`))
		}})
		_, err := c.Exec(t.Context(), request("nope"))
		assert.EqualError(t, err, `run nope: exec: "nope": executable file not found in $PATH`)
		assert.NotErrorAs(t, err, new(*LostError))
	})
}

func TestExecRefusesOldProtocols(t *testing.T) {
	c := newTestClient(t, &execServer{protocols: []string{remotecommand.StreamProtocolV3Name, remotecommand.StreamProtocolV1Name}})
	_, err := c.Exec(t.Context(), request("curl"))
	assert.ErrorContains(t, err, "unable to negotiate protocol")
	assert.NotErrorAs(t, err, new(*LostError))

	c = newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
		w.Header().Set(httpstream.HeaderUpgrade, spdy.HeaderSpdy31)
		w.WriteHeader(http.StatusSwitchingProtocols) // it does not name its protocol
	}))
	_, err = c.Exec(t.Context(), request("curl"))
	assert.ErrorContains(t, err, "v4.channel.k8s.io")
}

func TestExecEndsWithItsContext(t *testing.T) {
	started := make(chan struct{})
	c := newTestClient(t, &execServer{end: func(s *execStreams) {
		close(started)
		<-s.conn.CloseChan() // the client's connection is closed
	}})
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-started
		cancel(stopped)
	}()
	_, err := c.Exec(ctx, request("sleep", "infinity"))
	assert.ErrorIs(t, err, stopped)
	assert.NotErrorAs(t, err, new(*LostError))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestExecTellsThatOutputCouldNotBeKept(t *testing.T) {
	full := errors.New("disk is full")
	c := newTestClient(t, &execServer{end: func(s *execStreams) {
		for range 100 {
			s.byKind[stdoutStream].Write(make([]byte, 10_000))
		}
		s.status(succeeded)
	}})
	r := request("cat")
	r.Stdout = writerFunc(func([]byte) (int, error) { return 0, full })
	_, err := c.Exec(t.Context(), r)
	assert.ErrorIs(t, err, full)
}

func TestExecLeavesNothingBehind(t *testing.T) {
	stop := make(chan struct{})
	c := newTestClient(t, &execServer{end: func(s *execStreams) {
		select {
		case <-stop:
			s.status(succeeded)
		default:
		}
	}})
	run := func() {
		for range 20 {
			c.Exec(t.Context(), request("curl"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.Exec(ctx, request("curl"))
	}
	run()
	close(stop)
	run()
	assert.Eventually(t, func() bool { return execGoroutines() == 0 }, 10*time.Second, 10*time.Millisecond)
}

// execGoroutines counts the goroutines of our side of an exec. The server's
// are not ours to end.
func execGoroutines() int {
	buf := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "cluster.stream") || strings.Contains(g, "cluster.keepAlive") {
			n++
		}
	}
	return n
}

// serveWebSocket serves an exec over WebSocket as an API server does: each
// message begins with the number of its stream.
func serveWebSocket(t *testing.T, w http.ResponseWriter, r *http.Request, status metav1.Status) {
	upgrader := websocket.Upgrader{Subprotocols: []string{remotecommand.StreamProtocolV5Name}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if !assert.NoError(t, err) {
		return
	}
	defer conn.Close()
	body, err := json.Marshal(status)
	assert.NoError(t, err)
	for _, message := range [][]byte{
		append([]byte{remotecommand.StreamStdOut}, "HTTP/2 200"...),
		append([]byte{remotecommand.StreamErr}, body...),
	} {
		assert.NoError(t, conn.WriteMessage(websocket.BinaryMessage, message))
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	assert.NoError(t, conn.WriteMessage(websocket.CloseMessage, bye))
}

func TestExecFallsBackToWebSocket(t *testing.T) {
	posts := 0
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
			http.Error(w, "no upgrades here", http.StatusMethodNotAllowed)
			return
		}
		serveWebSocket(t, w, r, exited("35"))
	}))
	for range 2 {
		var out bytes.Buffer
		r := request("curl")
		r.Stdout = &out
		got, err := c.Exec(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, ExecResult{ExitCode: 35, Trusted: false}, got)
		assert.Equal(t, "HTTP/2 200", out.String())
	}
	assert.Equal(t, 1, posts, "it is remembered that SPDY is refused")
}

func TestExecOverWebSocketTellsWhyACommandCannotStart(t *testing.T) {
	c := newTestClient(t, answer(404, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: 404,
		Reason: metav1.StatusReasonNotFound, Message: `pods "sleep-1" not found`,
	}))
	c.webSocketOnly.Store(true)
	_, err := c.Exec(t.Context(), request("curl"))
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
}

func TestExecFindsNoWayThrough(t *testing.T) {
	c := newTestClient(t, answer(http.StatusMethodNotAllowed, "no"))
	_, err := c.Exec(t.Context(), request("curl"))
	assert.ErrorContains(t, err, "neither SPDY nor WebSocket")
}
