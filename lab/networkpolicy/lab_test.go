//go:build lab

package networkpolicy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// lab is a node with pods, an API that only stores objects, and a controller.
type lab struct {
	t       testing.TB
	client  *fake.Clientset
	network Network
	pods    map[string]*testPod
	made    []string // the IDs of all pods' networks
	stop    func()   // ends the controller
}

type testPod struct {
	cri.Pod
	ip netip.Addr
	ns *network.Namespace
}

func newLab(t testing.TB) *lab {
	t.Helper()
	client := fake.NewClientset()
	l := &lab{
		t: t, client: client, pods: map[string]*testPod{},
		network: Network{Pods: network.NewPods(t.TempDir()), Controller: New(fakeSource(client), nil)},
	}
	l.start()
	t.Cleanup(func() {
		var removing sync.WaitGroup // one after the other they would take half a second each
		for _, id := range l.made {
			removing.Go(func() { assert.NoError(t, l.network.Remove(context.Background(), id)) })
		}
		removing.Wait()
		l.stop()
	})
	return l
}

func (l *lab) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.network.Controller.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(l.t, <-ended)
	})
}

// namespace makes a namespace, or sets the labels of an existing one.
func (l *lab) namespace(name, labels string) {
	l.t.Helper()
	l.put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: parseLabels(l.t, labels)}})
}

// pod makes a pod, named NAMESPACE/NAME, with the spec of its API object. Servers
// in the pod send back what they get: on TCP 53, 80, 443 and 8080 and on UDP 53.
func (l *lab) pod(name, labels, spec string) *testPod {
	l.t.Helper()
	p := l.bare(name, labels, spec)
	for _, port := range []string{":53", ":80", ":443", ":8080"} {
		listener, err := p.ns.Listen("tcp", port)
		require.NoError(l.t, err)
		l.t.Cleanup(func() { listener.Close() })
		go echo(listener)
	}
	var conn net.PacketConn
	require.NoError(l.t, p.ns.Do(func() (err error) {
		conn, err = net.ListenPacket("udp4", ":53")
		return err
	}))
	l.t.Cleanup(func() { conn.Close() })
	go echoPackets(conn)
	return p
}

// bare makes a pod in which nothing runs.
func (l *lab) bare(name, labels, spec string) *testPod {
	l.t.Helper()
	namespace, name, _ := strings.Cut(name, "/")
	o := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: parseLabels(l.t, labels), UID: types.UID(fmt.Sprint(namespace, name, len(l.pods))),
		},
		Spec: *parse[corev1.PodSpec](l.t, spec),
	}
	l.put(o)
	p := &testPod{Pod: cri.Pod{ID: string(o.UID), Namespace: namespace, Name: name, UID: string(o.UID)}}
	ip, path, err := l.network.Add(l.t.Context(), p.Pod, nil)
	require.NoError(l.t, err)
	p.ip = ip
	l.made = append(l.made, p.ID)
	p.ns, err = network.OpenNamespace(path)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { assert.NoError(l.t, p.ns.Close()) })
	l.pods[namespace+"/"+name] = p
	return p
}

// policy makes a policy, named NAMESPACE/NAME, or replaces its spec.
func (l *lab) policy(name, spec string) {
	l.t.Helper()
	namespace, name, _ := strings.Cut(name, "/")
	l.put(&networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       *parse[networkingv1.NetworkPolicySpec](l.t, spec),
	})
}

// put makes or updates an object, and returns once the controller has seen it.
func (l *lab) put(o metav1.Object) {
	l.t.Helper()
	ctx := l.t.Context()
	var err error
	switch o := o.(type) {
	case *corev1.Namespace:
		if _, err = l.client.CoreV1().Namespaces().Update(ctx, o, metav1.UpdateOptions{}); err != nil {
			_, err = l.client.CoreV1().Namespaces().Create(ctx, o, metav1.CreateOptions{})
		}
	case *corev1.Pod:
		if _, err = l.client.CoreV1().Pods(o.Namespace).Update(ctx, o, metav1.UpdateOptions{}); err != nil {
			_, err = l.client.CoreV1().Pods(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
		}
	case *networkingv1.NetworkPolicy:
		if _, err = l.client.NetworkingV1().NetworkPolicies(o.Namespace).Update(ctx, o, metav1.UpdateOptions{}); err != nil {
			_, err = l.client.NetworkingV1().NetworkPolicies(o.Namespace).Create(ctx, o, metav1.CreateOptions{})
		}
	}
	require.NoError(l.t, err)
	l.settle()
}

// remove deletes a policy, and returns once the controller has seen it.
func (l *lab) remove(policy string) {
	l.t.Helper()
	namespace, name, _ := strings.Cut(policy, "/")
	require.NoError(l.t, l.client.NetworkingV1().NetworkPolicies(namespace).Delete(l.t.Context(), name, metav1.DeleteOptions{}))
	l.settle()
}

// settle returns once the controller has set rules from everything in the API.
func (l *lab) settle() {
	l.t.Helper()
	c := l.network.Controller
	const all = metav1.NamespaceAll
	require.Eventually(l.t, func() bool {
		ctx := context.Background()
		pods, err1 := l.client.CoreV1().Pods(all).List(ctx, metav1.ListOptions{})
		namespaces, err2 := l.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		policies, err3 := l.client.NetworkingV1().NetworkPolicies(all).List(ctx, metav1.ListOptions{})
		c.mu.Lock()
		defer c.mu.Unlock()
		return errors.Join(err1, err2, err3) == nil && c.pods != nil &&
			holds(c.pods, pods.Items) && holds(c.namespaces, namespaces.Items) && holds(c.policies, policies.Items)
	}, 20*time.Second, time.Millisecond)
	// From now on a situation has everything, and AddPod waits for the rules of the
	// next one.
	for _, p := range l.pods {
		again := p.Pod
		again.ID = "again"
		require.NoError(l.t, c.AddPod(l.t.Context(), again, netip.MustParseAddr("10.244.255.254")))
		c.RemovePod(again.ID)
		return
	}
}

// holds reports whether the store has exactly these objects.
func holds[T any](store cache.Store, items []T) bool {
	if len(store.ListKeys()) != len(items) {
		return false
	}
	for i := range items {
		o, ok, err := store.Get(&items[i])
		if err != nil || !ok || !reflect.DeepEqual(o, &items[i]) {
			return false
		}
	}
	return true
}

func parseLabels(t testing.TB, text string) map[string]string {
	return *parse[map[string]string](t, "{"+text+"}")
}

func echo(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

func echoPackets(conn net.PacketConn) {
	for buf := make([]byte, 16); ; {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		conn.WriteTo(buf[:n], from)
	}
}

// How long a call may take. A call that should fail gets little time. So on a busy
// machine a test may miss a call that passes although it should not; it never fails for
// a call that is as it should be.
const patience, impatience = 20 * time.Second, 300 * time.Millisecond

// caller returns a function that calls from a pod or the node to a port, within a
// limit. from and to are NAMESPACE/NAME, node, or an address; udp may precede the host
// of to.
func (l *lab) caller(from, to string) func(ctx context.Context, limit time.Duration) error {
	protocol := "tcp"
	if rest, ok := strings.CutPrefix(to, "udp "); ok {
		protocol, to = "udp", rest
	}
	host, port, _ := strings.Cut(to, ":")
	if host == "node" {
		host = network.NodeIP
	} else if p := l.pods[host]; p != nil {
		host = p.ip.String()
	}
	dial := new(net.Dialer).DialContext
	if from != "node" {
		dial = l.pods[from].ns.Dial
	}
	return func(ctx context.Context, limit time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		conn, err := dial(ctx, protocol, host+":"+port)
		if err != nil {
			return err
		}
		defer conn.Close()
		return say(ctx, conn)
	}
}

// say sends a byte and waits until it comes back.
func say(ctx context.Context, conn net.Conn) error {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

// check makes calls, written as FROM -> TO, at once, and asserts that each of
// the first is answered and that nothing at all comes of the others.
func (l *lab) check(open, shut []string) {
	l.t.Helper()
	var calls sync.WaitGroup
	for _, c := range open {
		from, to, _ := strings.Cut(c, " -> ")
		call := l.caller(from, to)
		calls.Go(func() { assert.NoError(l.t, call(l.t.Context(), patience), c) })
	}
	for _, c := range shut {
		from, to, _ := strings.Cut(c, " -> ")
		call := l.caller(from, to)
		calls.Go(func() {
			err := call(l.t.Context(), impatience)
			var timeout net.Error
			if assert.ErrorAs(l.t, err, &timeout, c) {
				assert.True(l.t, timeout.Timeout(), "%s: %v", c, err)
			}
		})
	}
	calls.Wait()
}

// service sends traffic for port 80 of an address to a pod's port, as kube-proxy does.
func (l *lab) service(address string, p *testPod, port int) {
	l.t.Helper()
	nft(l.t, fmt.Sprintf(`
add table ip services
add chain ip services prerouting { type nat hook prerouting priority dstnat; }
add chain ip services output { type nat hook output priority -100; }
add chain ip services postrouting { type nat hook postrouting priority srcnat; }
add rule ip services prerouting ip daddr %[1]s tcp dport 80 dnat to %[2]s:%[3]d
add rule ip services output ip daddr %[1]s tcp dport 80 dnat to %[2]s:%[3]d
add rule ip services postrouting ip saddr %[2]s ip daddr %[2]s masquerade
`, address, p.ip, port))
	l.t.Cleanup(func() { nft(l.t, "delete table ip services") })
}

func nft(t testing.TB, text string) {
	t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
