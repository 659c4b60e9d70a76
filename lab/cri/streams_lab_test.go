//go:build lab

package cri

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	utilexec "k8s.io/utils/exec"
)

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// sizes is a queue of terminal sizes.
type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

func stream(ctx context.Context, t testing.TB, address string, o remotecommand.StreamOptions) error {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	e, err := remotecommand.NewSPDYExecutor(&rest.Config{}, "POST", u)
	require.NoError(t, err)
	return e.StreamWithContext(ctx, o)
}

// streamExec runs a command in the container as kubectl does, to its end.
func (c *running) streamExec(ctx context.Context, o remotecommand.StreamOptions, command ...string) error {
	c.t.Helper()
	r, err := c.Exec(ctx, &runtimeapi.ExecRequest{
		ContainerId: c.id, Cmd: command, Tty: o.Tty, Stdin: o.Stdin != nil, Stdout: o.Stdout != nil, Stderr: o.Stderr != nil,
	})
	require.NoError(c.t, err)
	return stream(ctx, c.t, r.Url, o)
}

func code(err error) int {
	if exit, ok := err.(utilexec.ExitError); ok {
		return exit.ExitStatus()
	}
	return -1
}

func TestExecStreams(t *testing.T) {
	c := newLab(t).run(nil)
	var out, errOut buffer
	err := c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdin: strings.NewReader("from in\n"), Stdout: &out, Stderr: &errOut},
		"sh", "-c", "cat; echo to out; echo to err >&2; exit 7")
	assert.Equal(t, 7, code(err), "%v", err)
	assert.Equal(t, "from in\nto out\n", out.String())
	assert.Equal(t, "to err\n", errOut.String())

	require.NoError(t, c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdout: &out}, "true"))
	assert.Equal(t, 137, code(c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdout: &out}, "sh", "-c", "kill -KILL $$")))
}

func TestExecOutputIsComplete(t *testing.T) {
	c := newLab(t).run(nil)
	for range 20 {
		var out, errOut buffer
		require.NoError(t, c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errOut},
			"sh", "-c", "head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2"))
		require.Len(t, out.String(), 300000)
		require.Len(t, errOut.String(), 200000)
	}
}

func TestExecDoesNotWaitForStdin(t *testing.T) {
	c := newLab(t).run(nil)
	in, _ := io.Pipe() // never closed, never written
	var out buffer
	require.NoError(t, c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdin: in, Stdout: &out}, "echo", "done"))
	assert.Equal(t, "done\n", out.String())
}

func TestExecOfNothing(t *testing.T) {
	c := newLab(t).run(nil)
	_, err := c.ExecSync(c.ctx(), &runtimeapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"nonesuch"}})
	assert.Equal(t, `failed to exec in container: exec: "nonesuch": executable file not found in $PATH`, status.Convert(err).Message())
	err = c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdout: io.Discard}, "nonesuch")
	assert.Equal(t, -1, code(err), "no exit code: nothing has run")
	assert.ErrorContains(t, err, `exec: "nonesuch": executable file not found in $PATH`)
	_, err = c.ExecSync(c.ctx(), &runtimeapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"/etc/passwd"}})
	assert.ErrorContains(t, err, `exec: "/etc/passwd": permission denied`)

	_, err = c.StopContainer(c.ctx(), &runtimeapi.StopContainerRequest{ContainerId: c.id})
	require.NoError(t, err)
	_, err = c.ExecSync(c.ctx(), &runtimeapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"true"}})
	assert.Equal(t, codes.FailedPrecondition, status.Code(err))
}

func TestExecTimeout(t *testing.T) {
	c := newLab(t).run(nil)
	_, err := c.ExecSync(c.ctx(), &runtimeapi.ExecSyncRequest{ContainerId: c.id, Cmd: []string{"sh", "-c", "sleep 1000; true"}, Timeout: 1})
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err), "%v", err)
	require.Eventually(t, func() bool { return c.exec("pgrep", "-x", "-f", "sleep 1000").ExitCode != 0 },
		10*time.Second, 5*time.Millisecond, "its children are gone too")
}

func TestExecNeverSeesTheMachine(t *testing.T) {
	l := newLab(t)
	file, err := os.CreateTemp("/dev/shm", "of-the-machine-") // the tests of two users run side by side
	require.NoError(t, err)
	defer os.Remove(file.Name())
	require.NoError(t, file.Close())
	for range 50 {
		c := l.run(nil)
		r := c.exec("sh", "-c", "cat /etc/hostname; pwd; ls / /dev/shm; readlink /proc/1/exe")
		require.Contains(t, string(r.Stdout), "pod-name\n/\n")
		require.Contains(t, string(r.Stdout), "/sleep\n")
		require.NotContains(t, string(r.Stdout), "of-the-machine")
		require.Empty(t, string(r.Stderr))
	}
}

func TestExecEndsWithItsClient(t *testing.T) {
	c := newLab(t).run(nil)
	for _, tty := range []bool{false, true} {
		ctx, cancel := context.WithCancel(c.ctx())
		ended := make(chan error, 1)
		go func() {
			ended <- c.streamExec(ctx, remotecommand.StreamOptions{Stdout: io.Discard, Tty: tty}, "sh", "-c", "sleep 1000; true")
		}()
		sleeping := func() bool { return c.exec("pgrep", "-x", "-f", "sleep 1000").ExitCode == 0 }
		require.Eventually(t, sleeping, 10*time.Second, 5*time.Millisecond)
		cancel()
		require.Error(t, <-ended)
		require.Eventually(t, func() bool { return !sleeping() }, 10*time.Second, 5*time.Millisecond, "the command runs on")
	}
}

func TestExecBackground(t *testing.T) {
	c := newLab(t).run(nil)
	assert.Equal(t, "first\nlast\n", c.output("(sleep 0.3; echo last) & echo first"), "what holds the output is waited for")
	assert.Equal(t, "first\n", c.output("sleep 1000 >/dev/null 2>&1 & echo first"), "what does not is not")
}

func TestTerminal(t *testing.T) {
	c := newLab(t).run(nil, securityContext(func(sc *runtimeapi.LinuxContainerSecurityContext) {
		sc.RunAsUser = &runtimeapi.Int64Value{Value: 1337}
	}))
	in, write := io.Pipe()
	var out buffer
	queue := make(sizes, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdin: in, Stdout: &out, Tty: true, TerminalSizeQueue: queue}, "sh")
	}()
	says := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), want) }, 10*time.Second, 5*time.Millisecond, "want %q in %q", want, &out)
	}
	queue <- remotecommand.TerminalSize{Width: 97, Height: 31}
	require.Eventually(t, func() bool {
		fmt.Fprintln(write, "stty size")
		return strings.Contains(out.String(), "31 97\r\n")
	}, 10*time.Second, 20*time.Millisecond)
	queue <- remotecommand.TerminalSize{Width: 120, Height: 50}
	require.Eventually(t, func() bool {
		fmt.Fprintln(write, "stty size")
		return strings.Contains(out.String(), "50 120\r\n")
	}, 10*time.Second, 20*time.Millisecond)
	fmt.Fprintln(write, "tty; echo TERM=$TERM; ls -l $(tty); test -t 2 && echo stderr is one")
	says("/dev/pts/0\r\n")
	says("TERM=xterm\r\n")
	says(" istio-proxy tty ")
	says("stderr is one\r\n")
	fmt.Fprintln(write, "sleep 1000")
	require.Eventually(t, func() bool { return c.exec("pgrep", "-x", "-f", "sleep 1000").ExitCode == 0 }, 10*time.Second, 5*time.Millisecond)
	fmt.Fprint(write, "\x03") // Ctrl-C
	fmt.Fprintln(write, "echo code $?")
	says("code 130\r\n")
	fmt.Fprintln(write, "exit 7")
	assert.Equal(t, 7, code(<-ended))
	close(queue)
}

func TestCtrlCEndsTheCommand(t *testing.T) {
	c := newLab(t).run(nil)
	in, write := io.Pipe()
	go func() {
		assert.Eventually(t, func() bool { return c.exec("pgrep", "-x", "-f", "sleep 1000").ExitCode == 0 }, 10*time.Second, 5*time.Millisecond)
		fmt.Fprint(write, "\x03")
	}()
	assert.Equal(t, 130, code(c.streamExec(c.ctx(), remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard, Tty: true}, "sleep", "1000")))
}

func TestIgnoredSignalsAreDefaultInContainers(t *testing.T) {
	require.NotZero(t, ignoredAtStart&(1<<(unix.SIGINT-1)), "the test itself must ignore SIGINT")
	c := newLab(t).sh("grep SigIgn /proc/self/status; exec sleep infinity")
	require.Eventually(t, func() bool { return c.logged() != "" }, 10*time.Second, time.Millisecond)
	assert.Equal(t, "stdout F SigIgn:\t0000000000000000\n", c.logged())
	assert.Equal(t, "SigIgn:\t0000000000000000\n", c.output("grep SigIgn /proc/self/status"))
}

func TestAttach(t *testing.T) {
	for _, tty := range []bool{false, true} {
		t.Run(fmt.Sprintf("tty %t", tty), func(t *testing.T) {
			l := newLab(t)
			c := l.sh("while read line; do echo got $line; done; echo end", func(c *runtimeapi.ContainerConfig) {
				c.Stdin, c.StdinOnce, c.Tty = true, true, tty
			})
			r, err := l.Attach(l.ctx(), &runtimeapi.AttachRequest{ContainerId: c.id, Stdin: true, Stdout: true, Stderr: !tty, Tty: tty})
			require.NoError(t, err)
			in, write := io.Pipe()
			var out, errOut buffer
			o := remotecommand.StreamOptions{Stdin: in, Stdout: &out, Tty: tty}
			if !tty {
				o.Stderr = &errOut
			}
			ended := make(chan error, 1)
			go func() { ended <- stream(l.ctx(), t, r.Url, o) }()
			fmt.Fprintln(write, "one")
			require.Eventually(t, func() bool { return strings.Contains(out.String(), "got one") }, 10*time.Second, time.Millisecond)
			if tty {
				fmt.Fprint(write, "\x04") // Ctrl-D
			} else {
				write.Close()
			}
			require.NoError(t, <-ended)
			assert.Contains(t, out.String(), "end")
			assert.EqualValues(t, 0, c.wait().ExitCode)
			assert.Contains(t, c.logged(), "F got one")
		})
	}
}

func TestPortForward(t *testing.T) {
	l := newLab(t)
	c := l.run(nil)
	var listeners []net.Listener
	namespace := filepath.Join(l.network.dir, c.pod)
	listen := func(addr string) int {
		var ln net.Listener
		require.NoError(t, onThread(func() (err error) {
			if err := setns(namespace, unix.CLONE_NEWNET); err != nil {
				return err
			}
			ln, err = net.Listen("tcp", addr)
			return err
		}))
		listeners = append(listeners, ln)
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { // answers only once the client has ended its side
					b, _ := io.ReadAll(conn)
					fmt.Fprintf(conn, "got %s at %s", b, addr)
					conn.Close()
				}()
			}
		}()
		return ln.Addr().(*net.TCPAddr).Port
	}
	four, six := listen("127.0.0.1:0"), listen("[::1]:0")
	defer func() {
		for _, ln := range listeners {
			ln.Close()
		}
	}()

	r, err := l.PortForward(l.ctx(), &runtimeapi.PortForwardRequest{PodSandboxId: c.pod, Port: []int32{int32(four), int32(six)}})
	require.NoError(t, err)
	u, err := url.Parse(r.Url)
	require.NoError(t, err)
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	require.NoError(t, err)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", u)
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.New(dialer, []string{fmt.Sprintf("0:%d", four), fmt.Sprintf("0:%d", six), "0:1"}, stop, ready, io.Discard, io.Discard)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	<-ready
	ports, err := f.GetPorts()
	require.NoError(t, err)
	ask := func(port uint16) string {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprint(conn, "hello")
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		b, _ := io.ReadAll(conn)
		return string(b)
	}
	assert.Equal(t, "got hello at 127.0.0.1:0", ask(ports[0].Local))
	assert.Equal(t, "got hello at [::1]:0", ask(ports[1].Local))
	assert.Empty(t, ask(ports[2].Local), "nothing listens")
	close(stop)
	<-ended
}

// BenchmarkExec measures what an exec costs a step of a playbook besides its command.
func BenchmarkExec(b *testing.B) {
	c := newLab(b).run(nil)
	b.Run("sync", func(b *testing.B) {
		for b.Loop() {
			c.exec("true")
		}
	})
	b.Run("stream", func(b *testing.B) {
		for b.Loop() {
			if err := c.streamExec(b.Context(), remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard}, "true"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStart measures the time from a container's creation to the start of its
// program.
func BenchmarkStart(b *testing.B) {
	l := newLab(b)
	pod, config := l.pod()
	for b.Loop() {
		c, err := l.createIn(pod, config, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.start(); err != nil {
			b.Fatal(err)
		}
		if _, err := l.RemoveContainer(l.ctx(), &runtimeapi.RemoveContainerRequest{ContainerId: c.id}); err != nil {
			b.Fatal(err)
		}
	}
}
