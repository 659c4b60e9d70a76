//go:build lab

package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An exec whose connection is cut while the command runs has no exit code,
// wherever on its way it is cut, and whatever the playbook expects:
//
//	egressplay ─ a proxy of ours ─ API server ─ kubelet ─ CRI server ─ command
//	             1                 2            3 4
func TestCutExecHasNoExitCode(t *testing.T) {
	withSample(t)
	for _, c := range []struct {
		where string
		cut   func(t *testing.T, p *proxy)
	}{
		{"client to API server, closed", func(_ *testing.T, p *proxy) { p.cut(false) }},
		{"client to API server, reset", func(_ *testing.T, p *proxy) { p.cut(true) }},
		{"API server to kubelet", func(t *testing.T, _ *proxy) { cutSockets(t, "dport", "=", ":10250") }},
		{"kubelet to CRI server", func(t *testing.T, _ *proxy) { cutStreams(t) }},
		{"kubelet killed", func(t *testing.T, _ *proxy) { killKubelet(t) }},
	} {
		for _, expect := range []string{"expect: {exitCode: 0}", ""} {
			t.Run(c.where+", "+expect, func(t *testing.T) {
				p := newProxy(t)
				// Fractions of a second tell this command from any other.
				duration := fmt.Sprintf("60.%09d", rand.IntN(1e9))
				command := fmt.Sprintf(`command: [sh, -c, "echo begun >>/tmp/%s; exec sleep %[1]s"]`, duration)
				file := playbook(t, "Run\nexec: {in: deploy/sleep, container: sleep, namespace: sample, "+command+"}\n"+expect).file()
				flag, read := reportFlag(t)
				run := begin(t, "run", file, "--kubeconfig", p.kubeconfig(t), "--context", elsewhere, flag)
				eventually(t, func() bool {
					select {
					case <-run.done:
						return true
					default:
						return runs(t, "sleep", duration)
					}
				}, "the command did not start")
				c.cut(t, p)

				e := run.wait()
				e.exits(t, 3)
				assert.Contains(t, e.stdout, "the connection was lost: no exit code came")
				step := read().only(t).stopped(t, "error")
				require.NotNil(t, step.Error)
				assert.Contains(t, *step.Error, "the connection was lost")
				assert.Nil(t, step.ExitCode)

				// There may be an attempt before it that began nothing: a kubelet
				// that has just started takes pods for not ready.
				ready(t)
				begun := playbook(t, "See\nexec: {in: deploy/sleep, container: sleep, namespace: sample, command: cat /tmp/"+duration+"}\nexpect: {stdout: {equals: begun}}").file()
				egressplay(t, "run", begun).exits(t, 0) // a command that has begun is not begun again
			})
		}
	}
}

// runs reports whether a command runs in the lab.
func runs(t *testing.T, argv ...string) bool {
	t.Helper()
	for _, p := range inside(t, first(t)) {
		if slices.Equal(p.argv, argv) {
			return true
		}
	}
	return false
}

// first returns the pid of the lab's first process.
func first(t *testing.T) int {
	t.Helper()
	firstOnce.Do(func() {
		s, err := shared.status(t.Context())
		require.NoError(t, err)
		firstPid = s.Pid
	})
	require.Positive(t, firstPid, "the pid of the lab")
	return firstPid
}

var (
	firstOnce sync.Once
	firstPid  int
)

// kubelet returns the pid of the kubelet.
func kubelet(t *testing.T) int {
	t.Helper()
	return component(t, "kubelet")
}

// component returns the pid of a part of Kubernetes.
func component(t *testing.T, name string) int {
	t.Helper()
	for pid, p := range inside(t, first(t)) {
		if len(p.argv) > 1 && strings.HasSuffix(p.argv[0], "egressplay-components") && p.argv[1] == name {
			return pid
		}
	}
	require.Fail(t, "the lab has no "+name)
	return 0
}

// killComponent kills a part of Kubernetes. The lab starts it again.
func killComponent(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, syscall.Kill(component(t, name), syscall.SIGKILL))
}

// killKubelet kills the kubelet. The lab starts it again.
func killKubelet(t *testing.T) {
	t.Helper()
	require.NoError(t, syscall.Kill(kubelet(t), syscall.SIGKILL))
	t.Cleanup(func() { ready(t) })
}

// ready waits until the lab serves the sample again, without a doubt: by a
// command that runs in it.
func ready(t *testing.T) {
	t.Helper()
	file := playbook(t, "Ready\nexec: {in: deploy/sleep, container: sleep, namespace: sample, command: 'true'}").file()
	eventually(t, func() bool {
		s, err := shared.status(context.Background())
		return err == nil && s.Ready && egressplay(t, "run", file, "--kubeconfig", shared.kubeconfig).code == 0
	}, "the lab does not recover")
}

// inLab runs a program of this machine in the lab's network namespace.
func inLab(t *testing.T, argv ...string) string {
	t.Helper()
	args := []string{"--target", fmt.Sprint(first(t)), "--net"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	out, err := exec.CommandContext(t.Context(), "nsenter", append(append(args, "--"), argv...)...).CombinedOutput()
	require.NoError(t, err, "%s: %s", argv, out)
	return string(out)
}

// cutSockets has the kernel close TCP connections in the lab, in the middle of
// whatever they do.
func cutSockets(t *testing.T, filter ...string) {
	t.Helper()
	out := inLab(t, append([]string{"ss", "--kill", "--tcp", "--numeric", "--no-header", "state", "established"}, filter...)...)
	require.NotEmpty(t, strings.TrimSpace(out), "ss has closed nothing: it needs a kernel with CONFIG_INET_DIAG_DESTROY, and connections to close (%s)", filter)
}

// cutStreams cuts what the kubelet has to the CRI server's streams: its only
// connections on loopback.
func cutStreams(t *testing.T) {
	t.Helper()
	owner := fmt.Sprintf("pid=%d,", kubelet(t))
	cut := 0
	for line := range strings.Lines(inLab(t, "ss", "--tcp", "--numeric", "--processes", "--no-header", "state", "established", "src", "127.0.0.1", "dst", "127.0.0.1")) {
		if strings.Contains(line, owner) {
			// Recv-Q, Send-Q, local and peer address
			columns := strings.Fields(line)
			cutSockets(t, "src", columns[2], "dst", columns[3])
			cut++
		}
	}
	require.Positive(t, cut, "the kubelet has no connection on loopback")
}

// A proxy stands before the API server and can cut what goes through it.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []*net.TCPConn
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l}
	server := strings.TrimPrefix(shared.config.Host, "https://")
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(client.(*net.TCPConn), server) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut(false)
		serving.Wait()
	})
	return p
}

func (p *proxy) serve(client *net.TCPConn, server string) {
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	upstream, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	p.mu.Lock()
	p.conns = append(p.conns, client)
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{upstream, client}, {client, upstream}} {
		both.Go(func() {
			// Either side may be cut at any time; the other one then goes too.
			_, _ = io.Copy(way[0], way[1])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
}

// cut ends the connections there are: by a reset, or as if the other side had
// closed them.
func (p *proxy) cut(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if reset {
			_ = c.SetLinger(0) // it may be closed already
		}
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) kubeconfig(t *testing.T) string {
	return kubeconfigOf(t, "https://"+p.listener.Addr().String(), nil)
}
