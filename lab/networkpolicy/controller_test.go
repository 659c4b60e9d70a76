package networkpolicy

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/knftables"

	"github.com/egressplay/egressplay/lab/cri"
)

// kernel is a fake that counts transactions, and that can be made to refuse some.
type kernel struct {
	*knftables.Fake

	mu     sync.Mutex
	runs   int
	refuse int // how many more times
}

func newKernel() *kernel {
	return &kernel{Fake: knftables.NewFake(knftables.IPv4Family, table)}
}

func (k *kernel) Run(ctx context.Context, tx *knftables.Transaction) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse > 0 {
		k.refuse--
		return errors.New("busy")
	}
	k.runs++
	return k.Fake.Run(ctx, tx)
}

// count returns how often the rules were set, once nothing changes any more.
func (k *kernel) count() int {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.runs
}

// known returns the addresses of the kernel's pods.
func (k *kernel) known(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	elements, err := k.ListElements(t.Context(), "set", "pods")
	require.NoError(t, err)
	var addresses []string
	for _, e := range elements {
		addresses = append(addresses, e.Key...)
	}
	return addresses
}

// run runs a controller until the end of the test, and returns when it is idle.
func run(t *testing.T, k *kernel) (*Controller, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset()
	c := New(fakeSource(client), nil)
	c.nft = k
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	synctest.Wait()
	return c, client
}

// fakeSource returns a source of an API that only stores objects.
func fakeSource(client *fake.Clientset) Source {
	of := func(list func(context.Context, metav1.ListOptions) (runtime.Object, error), watch cache.WatchFuncWithContext) cache.ListerWatcher {
		return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{ListWithContextFunc: list, WatchFuncWithContext: watch}, client)
	}
	pods, namespaces, policies := client.CoreV1().Pods(""), client.CoreV1().Namespaces(), client.NetworkingV1().NetworkPolicies("")
	return Source{
		Pods: of(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return pods.List(ctx, o) }, pods.Watch),
		Namespaces: of(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return namespaces.List(ctx, o)
		}, namespaces.Watch),
		Policies: of(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return policies.List(ctx, o) }, policies.Watch),
	}
}

func create(t *testing.T, client *fake.Clientset, pod cri.Pod) {
	t.Helper()
	o := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: types.UID(pod.UID)}}
	_, err := client.CoreV1().Pods(pod.Namespace).Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
}

func numbered(i byte) (cri.Pod, netip.Addr) {
	name := string('a' + rune(i))
	return cri.Pod{ID: "id-" + name, Namespace: "shop", Name: name, UID: "uid-" + name}, netip.AddrFrom4([4]byte{10, 244, 1, i})
}

func TestAddPodWaitsForThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		c, client := run(t, k)
		pod, ip := numbered(1)
		earlier := pod
		earlier.UID = "of one with the same name"
		create(t, client, earlier)
		added := make(chan error, 1)
		go func() { added <- c.AddPod(t.Context(), pod, ip) }()
		assert.Empty(t, k.known(t), "the labels are those of another pod")
		assert.Empty(t, added)

		require.NoError(t, client.CoreV1().Pods("shop").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}))
		create(t, client, pod)
		require.NoError(t, <-added)
		assert.Equal(t, []string{"10.244.1.1"}, k.known(t))

		require.ErrorContains(t, c.AddPod(t.Context(), pod, ip), "pod shop/b: it was added before")
		c.RemovePod(pod.ID)
		assert.Empty(t, k.known(t))
		c.RemovePod(pod.ID)
		require.NoError(t, c.AddPod(t.Context(), pod, ip), "again")
	})
}

func TestAddPodGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		c, client := run(t, k)
		pod, ip := numbered(1)
		began := time.Now()
		require.ErrorContains(t, c.AddPod(t.Context(), pod, ip), "pod shop/b: not done within 20s: the API does not show the pod")
		assert.Equal(t, 20*time.Second, time.Since(began))

		interrupted := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(interrupted)
		require.ErrorIs(t, c.AddPod(ctx, pod, ip), interrupted)

		create(t, client, pod)
		assert.Empty(t, k.known(t), "it was not added")
		require.NoError(t, c.AddPod(t.Context(), pod, ip))
	})
}

func TestAddPodSaysWhyItGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod, ip := numbered(1)
		err := New(fakeSource(fake.NewClientset()), nil).AddPod(t.Context(), pod, ip)
		require.ErrorContains(t, err, "the controller of network policies does not run")

		k := newKernel()
		c, client := run(t, k)
		create(t, client, pod)
		k.mu.Lock()
		k.refuse = 1000
		k.mu.Unlock()
		require.ErrorContains(t, c.AddPod(t.Context(), pod, ip), "not done within 20s: busy")
	})
}

// oneNetwork makes no real network.
type oneNetwork struct{ made string }

func (n *oneNetwork) Add(_ context.Context, id string, _ map[string]string) (netip.Addr, string, error) {
	n.made = id
	_, ip := numbered(1)
	return ip, "/run/netns/" + id, nil
}

func (n *oneNetwork) Remove(_ context.Context, id string) error {
	n.made = strings.TrimPrefix(n.made, id)
	return nil
}

// A pod whose rules cannot be set has no network either.
func TestNetworkIsRemovedWhenAddPodFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := run(t, newKernel())
		pods := new(oneNetwork)
		n := Network{Pods: pods, Controller: c}
		pod, ip := numbered(1)
		_, _, err := n.Add(t.Context(), pod, nil)
		require.ErrorContains(t, err, "the API does not show the pod")
		assert.Empty(t, pods.made)

		create(t, client, pod)
		got, path, err := n.Add(t.Context(), pod, nil)
		require.NoError(t, err)
		assert.Equal(t, ip, got)
		assert.Equal(t, "/run/netns/id-b", path)
		require.NoError(t, n.Remove(t.Context(), pod.ID))
		assert.Empty(t, pods.made)
	})
}

func TestManyChangesAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		c, client := run(t, k)
		<-c.Ready()
		require.Equal(t, 1, k.count(), "without any pod")
		for i := range byte(50) {
			pod, _ := numbered(i)
			create(t, client, pod)
		}
		assert.Equal(t, 1, k.count(), "pods without an address are nothing to the rules")

		k.mu.Lock() // the first of them waits, and the others behind it
		var adding sync.WaitGroup
		for i := range byte(50) {
			adding.Go(func() {
				pod, ip := numbered(i)
				assert.NoError(t, c.AddPod(t.Context(), pod, ip))
			})
		}
		k.mu.Unlock()
		adding.Wait()
		assert.Len(t, k.known(t), 50)
		runs := k.count()
		assert.LessOrEqual(t, runs, 1+50)

		pods := client.CoreV1().Pods("shop")
		o, err := pods.Get(t.Context(), "b", metav1.GetOptions{})
		require.NoError(t, err)
		o.Status.Phase = corev1.PodRunning
		_, err = pods.UpdateStatus(t.Context(), o, metav1.UpdateOptions{})
		require.NoError(t, err)
		assert.Equal(t, runs, k.count(), "nothing that the rules depend on")
	})
}

func TestRulesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		c, client := run(t, k)
		pod, ip := numbered(1)
		create(t, client, pod)
		synctest.Wait()
		k.mu.Lock()
		k.refuse = 3
		k.mu.Unlock()
		began := time.Now()
		require.NoError(t, c.AddPod(t.Context(), pod, ip))
		assert.Equal(t, firstPause*(1+2+4), time.Since(began))
		assert.Equal(t, []string{"10.244.1.1"}, k.known(t))
	})
}

// Pods that are isolated alike share their chains; pods that are not isolated are in no
// map.
func TestTransaction(t *testing.T) {
	k := newKernel()
	s := testSituation()
	s.policies = append(s.policies, &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a"},
		Spec:       *parse[networkingv1.NetworkPolicySpec](t, `{podSelector: {matchLabels: {app: client}}, egress: [{ports: [{port: 1}]}, {}]}`),
	})
	require.NoError(t, k.Run(t.Context(), s.rules().transaction(k)))
	assert.Equal(t, `add table ip networkpolicy
add chain ip networkpolicy egress-0
add chain ip networkpolicy forward { type filter hook forward priority 0 ; }
add chain ip networkpolicy ingress-0
add chain ip networkpolicy input { type filter hook input priority 0 ; }
add set ip networkpolicy itself { type ipv4_addr . ipv4_addr ; }
add set ip networkpolicy pods { type ipv4_addr ; }
add map ip networkpolicy egress { type ipv4_addr : verdict ; }
add map ip networkpolicy ingress { type ipv4_addr : verdict ; }
add rule ip networkpolicy egress-0 tcp dport 1 return
add rule ip networkpolicy egress-0 return
add rule ip networkpolicy egress-0 drop
add rule ip networkpolicy forward ct state established,related accept
add rule ip networkpolicy forward ip saddr . ip daddr @itself accept
add rule ip networkpolicy forward ip saddr 10.244.0.0/16 ip saddr != @pods drop
add rule ip networkpolicy forward ip daddr 10.244.0.0/16 ip daddr != @pods drop
add rule ip networkpolicy forward ip saddr vmap @egress
add rule ip networkpolicy forward ip daddr vmap @ingress
add rule ip networkpolicy ingress-0 drop
add rule ip networkpolicy input ct state established,related accept
add rule ip networkpolicy input ip saddr 10.244.0.1 accept
add rule ip networkpolicy input ip saddr 10.244.0.0/16 ip saddr != @pods drop
add rule ip networkpolicy input ip saddr vmap @egress
add element ip networkpolicy itself { 10.244.1.1 . 10.244.1.1 }
add element ip networkpolicy itself { 10.244.1.2 . 10.244.1.2 }
add element ip networkpolicy itself { 10.244.1.3 . 10.244.1.3 }
add element ip networkpolicy itself { 10.244.1.10 . 10.244.1.10 }
add element ip networkpolicy pods { 10.244.1.1 }
add element ip networkpolicy pods { 10.244.1.2 }
add element ip networkpolicy pods { 10.244.1.3 }
add element ip networkpolicy pods { 10.244.1.10 }
add element ip networkpolicy egress { 10.244.1.2 : jump egress-0 }
add element ip networkpolicy egress { 10.244.1.10 : jump egress-0 }
add element ip networkpolicy ingress { 10.244.1.2 : jump ingress-0 }
add element ip networkpolicy ingress { 10.244.1.10 : jump ingress-0 }
`, k.Dump())
}
