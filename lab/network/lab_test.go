//go:build lab

package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/egressplay/egressplay/lab/network/networktest"
)

const (
	standIn      = "203.0.113.10"
	otherStandIn = "198.35.26.96" // not of the documentation range
	nobody       = "203.0.113.99" // no stand-in has it
)

// internet is the internet of the node in which the tests run.
var internet *Namespace

func TestMain(m *testing.M) { networktest.Main(m, setUpLab) }

func setUpLab() error {
	ctx := context.Background()
	if err := SetUpNode(ctx); err != nil {
		return err
	}
	if err := SetUpNode(ctx); err != nil {
		return fmt.Errorf("a second time: %w", err)
	}
	var err error
	internet, err = NewInternet(ctx, []netip.Addr{netip.MustParseAddr(standIn), netip.MustParseAddr(otherStandIn)})
	return err
}

// testPod is a pod with a server on port 8080 that answers each connection
// with the address it came from.
type testPod struct {
	id, path string
	ip       netip.Addr
	ns       *Namespace
}

func newPod(t *testing.T, pods *Pods, id string) testPod {
	t.Helper()
	ip, path, err := pods.Add(t.Context(), id, nil)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pods.Remove(context.Background(), id)) })
	ns, err := OpenNamespace(path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, ns.Close()) })
	listener, err := ns.Listen("tcp", ":8080")
	require.NoError(t, err)
	tellCallers(t, listener)
	return testPod{id: id, path: path, ip: ip, ns: ns}
}

func (p testPod) addr() string { return p.ip.String() + ":8080" }

// tellCallers answers each connection with the address it came from, until
// the end of the test.
func tellCallers(t *testing.T, listener net.Listener) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, err = io.WriteString(conn, conn.RemoteAddr().(*net.TCPAddr).IP.String())
			assert.NoError(t, errors.Join(err, conn.Close()))
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
}

// seen returns the address from which dial's other side was called.
func seen(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error), addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := dial(ctx, "tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(got)
}

var fromNode = new(net.Dialer).DialContext

// podToService sends traffic for a Service to a pod, as kube-proxy does.
func podToService(t *testing.T, service, pod string) {
	t.Helper()
	for _, chain := range []string{"PREROUTING", "OUTPUT"} {
		rule := []string{chain, "-p", "tcp", "-d", service, "--dport", "80", "-j", "DNAT", "--to-destination", pod}
		iptables(t, append([]string{"-A"}, rule...)...)
		t.Cleanup(func() { iptables(t, append([]string{"-D"}, rule...)...) })
	}
}

func iptables(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("iptables", append([]string{"-w", "-t", "nat"}, args...)...)
	cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE="+filepath.Join(t.TempDir(), "lock"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestTraffic(t *testing.T) {
	t.Run("as the kernel is", testTraffic)
	t.Run("without bridge-nf-call-iptables", func(t *testing.T) {
		const file = "/proc/sys/net/bridge/bridge-nf-call-iptables"
		before, err := os.ReadFile(file)
		if err != nil {
			t.Skip("this kernel has no br_netfilter")
		}
		require.NoError(t, os.WriteFile(file, []byte("0"), 0))
		t.Cleanup(func() { assert.NoError(t, os.WriteFile(file, before, 0)) })
		testTraffic(t)
	})
}

func testTraffic(t *testing.T) {
	pods := NewPods(t.TempDir())
	a, b := newPod(t, pods, "a"), newPod(t, pods, "b")
	for _, addr := range []string{standIn, otherStandIn} {
		listener, err := internet.Listen("tcp", addr+":80")
		require.NoError(t, err)
		tellCallers(t, listener)
	}
	listener, err := net.Listen("tcp", NodeIP+":6443")
	require.NoError(t, err)
	tellCallers(t, listener)
	service := "10.96.0.77"
	podToService(t, service, b.addr())

	tests := []struct {
		name string
		dial func(ctx context.Context, network, addr string) (net.Conn, error)
		to   string
		want string // the source that the other side sees
	}{
		{"pod to pod", a.ns.Dial, b.addr(), a.ip.String()},
		{"and back", b.ns.Dial, a.addr(), b.ip.String()},
		{"pod to itself", a.ns.Dial, a.addr(), a.ip.String()},
		{"pod to its loopback", a.ns.Dial, "127.0.0.1:8080", "127.0.0.1"},
		{"pod to service", a.ns.Dial, service + ":80", a.ip.String()},
		{"pod to node", a.ns.Dial, NodeIP + ":6443", a.ip.String()},
		{"pod to stand-in", a.ns.Dial, standIn + ":80", a.ip.String()},
		{"pod to stand-in of another range", b.ns.Dial, otherStandIn + ":80", b.ip.String()},
		{"node to pod", fromNode, a.addr(), NodeIP},
		{"node to service", fromNode, service + ":80", NodeIP},
		{"node to stand-in", fromNode, standIn + ":80", NodeIP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, seen(t, tt.dial, tt.to))
		})
	}
	t.Run("dial by path", func(t *testing.T) {
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			return Dial(ctx, a.path, network, addr)
		}
		assert.Equal(t, "127.0.0.1", seen(t, dial, "127.0.0.1:8080"))
	})
}

// An address comes and goes while the internet is there.
func TestAddressesOfTheInternetChange(t *testing.T) {
	pod := newPod(t, NewPods(t.TempDir()), "a")
	addr := netip.MustParseAddr("192.0.2.7")
	for range 2 {
		require.NoError(t, internet.AddAddress(addr))
		require.NoError(t, internet.AddAddress(addr), "a second time")
		listener, err := internet.Listen("tcp", "192.0.2.7:80")
		require.NoError(t, err)
		tellCallers(t, listener)
		assert.Equal(t, pod.ip.String(), seen(t, pod.ns.Dial, "192.0.2.7:80"))
		require.NoError(t, listener.Close())
		require.NoError(t, internet.DeleteAddress(addr))
		require.NoError(t, internet.DeleteAddress(addr), "a second time")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err = pod.ns.Dial(ctx, "tcp", "192.0.2.7:80")
		require.ErrorIs(t, err, unix.EHOSTUNREACH)
	}
	require.ErrorContains(t, internet.AddAddress(netip.IPv6Loopback()), "no IPv4 address")
}

// The name server of the internet is asked by UDP.
func TestPackets(t *testing.T) {
	server, err := internet.ListenPacket("udp", NameServerIP+":53")
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(question[:n], from)
		}
	}()
	pod := newPod(t, NewPods(t.TempDir()), "a")
	conn, err := pod.ns.Dial(t.Context(), "udp", NameServerIP+":53")
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	answer := make([]byte, 5)
	_, err = io.ReadFull(conn, answer)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(answer))
	_, err = internet.ListenPacket("udp", "localhost:53")
	require.Error(t, err, "a name is not resolved in there")
}

// Without the internet's "no route" the calls would go unanswered for minutes.
func TestUnknownAddressIsUnreachable(t *testing.T) {
	pod := newPod(t, NewPods(t.TempDir()), "a")
	for name, dial := range map[string]func(ctx context.Context, network, addr string) (net.Conn, error){
		"pod": pod.ns.Dial, "node": fromNode,
	} {
		for _, addr := range []string{nobody + ":443", "8.8.8.8:53"} {
			t.Run(name+" "+addr, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				defer cancel()
				for range 2 {
					_, err := dial(ctx, "tcp", addr)
					require.ErrorIs(t, err, unix.EHOSTUNREACH)
				}
			})
		}
	}
}

func TestSysctls(t *testing.T) {
	pods := NewPods(t.TempDir())
	const start = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
	before, err := os.ReadFile(start)
	require.NoError(t, err)
	_, path, err := pods.Add(t.Context(), "a", map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "0",
		"net.ipv4.ip_local_port_range":        "20000 20999",
		"net.ipv4.conf.eth0.forwarding":       "1",
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pods.Remove(context.Background(), "a")) })

	ns, err := OpenNamespace(path)
	require.NoError(t, err)
	defer ns.Close()
	for file, want := range map[string]string{
		start:                                    "0\n",
		"/proc/sys/net/ipv4/ip_local_port_range": "20000\t20999\n",
		"/proc/sys/net/ipv4/conf/eth0/forwarding": "1\n",
	} {
		require.NoError(t, ns.Do(func() error {
			got, err := os.ReadFile(file)
			assert.Equal(t, want, string(got), file)
			return err
		}))
	}
	after, err := os.ReadFile(start)
	require.NoError(t, err)
	assert.Equal(t, before, after, "the node's own")
}

func TestAddFailsHalfWay(t *testing.T) {
	dir := t.TempDir()
	pods := NewPods(dir)
	before := interfaces(t)
	tests := []struct{ name, sysctl, value, want string }{
		{"no such sysctl", "net.ipv4.no_such", "1", "this kernel has none of that name"},
		{"no such value", "net.ipv4.ip_unprivileged_port_start", "a lot", "invalid argument"},
		{"not kept", "net.ipv4.tcp_syn_retries", "0x7", "the kernel keeps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := pods.Add(t.Context(), "a", map[string]string{tt.sysctl: tt.value})
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "pod a")
			require.ErrorContains(t, err, tt.sysctl)
			assert.Equal(t, before, interfaces(t))
			assertNoNamespaces(t, dir)
		})
	}
	ip, _, err := pods.Add(t.Context(), "a", nil)
	require.NoError(t, err, "the same pod, once more")
	assert.Equal(t, "10.244.1.4", ip.String(), "the addresses of the failed ones are not handed out again yet")

	_, _, err = pods.Add(t.Context(), "a", nil)
	require.ErrorContains(t, err, "it has one already")
	require.NoError(t, pods.Remove(t.Context(), "a"))
}

// If NewInternet fails, the link of another internet must stay.
func TestNewInternetFailsHalfWay(t *testing.T) {
	before := interfaces(t)
	_, err := NewInternet(t.Context(), nil) // an internet exists already
	require.ErrorIs(t, err, unix.EEXIST)
	require.ErrorContains(t, err, "make interface internet")
	assert.Equal(t, before, interfaces(t), "that of the other is still there")

	_, err = NewInternet(t.Context(), []netip.Addr{netip.IPv6Loopback()})
	require.ErrorContains(t, err, "::1 is no IPv4 address")
}

func TestRemoveWhileInUse(t *testing.T) {
	dir := t.TempDir()
	pods := NewPods(dir)
	before := interfaces(t)
	pod := newPod(t, pods, "a")
	conn, err := net.Dial("tcp", pod.addr())
	require.NoError(t, err)
	defer conn.Close()

	require.NoError(t, pods.Remove(t.Context(), "a"))
	assert.Equal(t, before, interfaces(t))
	assertNoNamespaces(t, dir)
	require.NoError(t, pods.Remove(t.Context(), "a"), "a second time")
}

func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	pods := NewPods(dir)
	cycle := func() {
		var group errgroup.Group
		for i := range 10 {
			id := fmt.Sprint("pod", i)
			group.Go(func() error {
				if _, _, err := pods.Add(t.Context(), id, nil); err != nil {
					return err
				}
				return pods.Remove(t.Context(), id)
			})
		}
		require.NoError(t, group.Wait())
	}
	cycle() // the threads and files of the runtime itself
	links, goroutines, threads, files := interfaces(t), runtime.NumGoroutine(), count(t, "/proc/self/task"), count(t, "/proc/self/fd")
	for range 5 {
		cycle()
	}
	assert.Equal(t, links, interfaces(t))
	assertNoNamespaces(t, dir)
	assert.Equal(t, files, count(t, "/proc/self/fd"))
	// The condition itself runs in a goroutine, and the runtime keeps idle threads of
	// its own, but not one for each pod.
	assert.Eventually(t, func() bool {
		return runtime.NumGoroutine() < goroutines+10 && count(t, "/proc/self/task") < threads+10
	}, 20*time.Second, 10*time.Millisecond)
}

// Others enter the lab's namespaces by the first thread.
func TestFirstThreadKeepsItsNamespace(t *testing.T) {
	first := func() string {
		link, err := os.Readlink("/proc/self/ns/net")
		require.NoError(t, err)
		return link
	}
	before := first()
	for range 200 {
		require.NoError(t, internet.Do(func() error {
			assert.NotEqual(t, unix.Getpid(), unix.Gettid())
			return nil
		}))
	}
	assert.Equal(t, before, first())
}

func TestDoReturnsTheError(t *testing.T) {
	err := errors.New("no")
	assert.Equal(t, err, internet.Do(func() error { return err }))
}

func TestNamesAreNotResolvedInNamespaces(t *testing.T) {
	_, err := internet.Dial(t.Context(), "tcp", "localhost:80")
	require.ErrorContains(t, err, "dial in network namespace")
	_, err = internet.Listen("tcp", "localhost:80")
	require.ErrorContains(t, err, "listen in network namespace")
	_, err = Dial(t.Context(), filepath.Join(t.TempDir(), "none"), "tcp", "127.0.0.1:80")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func BenchmarkPod(b *testing.B) {
	pods := NewPods(b.TempDir())
	for b.Loop() {
		_, _, err := pods.Add(b.Context(), "a", nil)
		require.NoError(b, err)
		require.NoError(b, pods.Remove(b.Context(), "a"))
	}
}

// BenchmarkAdd measures Add without the removal.
func BenchmarkAdd(b *testing.B) {
	pods := NewPods(b.TempDir())
	for b.Loop() {
		_, _, err := pods.Add(b.Context(), "a", nil)
		b.StopTimer()
		require.NoError(b, err)
		require.NoError(b, pods.Remove(b.Context(), "a"))
		b.StartTimer()
	}
}

func interfaces(t *testing.T) []string {
	t.Helper()
	links, err := netlink.LinkList()
	require.NoError(t, err)
	var names []string
	for _, link := range links {
		names = append(names, link.Attrs().Name)
	}
	return names
}

// assertNoNamespaces asserts that neither a file nor a mount is left.
func assertNoNamespaces(t *testing.T, dir string) {
	t.Helper()
	assert.Zero(t, count(t, dir))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		assert.NotContains(t, line, dir)
	}
}

func count(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(entries)
}
