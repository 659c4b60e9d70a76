package mesh_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
)

// A web is a mesh whose proxies have connections to one another.
type web struct {
	*clustertest.Fake
	kinds    map[string]string         // sidecar or router, by proxy
	unacked  map[string]bool           // the proxies that have not acknowledged the newest push
	open     map[string]map[string]int // how many connections a pod has, by address
	requests int                       // those that each pod has made to each address
	drains   map[string]bool           // the pods whose proxies drain
	pushes   int
}

func newWeb(kinds map[string]string, objects ...*unstructured.Unstructured) *web {
	w := &web{
		Fake:  clustertest.NewFake(append(objects, clustertest.ReadyPod("istio-system", "istiod-1", map[string]string{"app": "istiod"}, "discovery"))...),
		kinds: kinds, unacked: map[string]bool{}, open: map[string]map[string]int{}, drains: map[string]bool{}, pushes: 5,
	}
	w.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		switch path := r.Command[len(r.Command)-1]; {
		case path == "debug/syncz":
			io.WriteString(r.Stdout, w.syncz())
		case path == "debug/configz":
			io.WriteString(r.Stdout, "[]")
		case path == "metrics":
			fmt.Fprintf(r.Stdout, "pilot_pushcontext_init_seconds_count %d\n", w.pushes)
		case path == "clusters":
			for ip, n := range w.open[r.Pod] {
				fmt.Fprintf(r.Stdout, "outbound|80||a::%s:80::cx_active::%d\noutbound|80||a::%s:80::rq_total::%d\n", ip, n, ip, w.requests)
			}
		case strings.Contains(path, "draining") && w.drains[r.Pod]:
			io.WriteString(r.Stdout, "listener_manager.total_listeners_draining: 1\n")
		}
		return cluster.ExecResult{Trusted: true}, nil
	}
	return w
}

// syncz returns what istiod answers to GET debug/syncz.
func (w *web) syncz() string {
	nonce := func(n int) string {
		return fmt.Sprintf("2026-11-24T12:59:37Z/%d%s", n, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
	}
	var states []map[string]any
	for proxy, kind := range w.kinds {
		acked := nonce(w.pushes)
		if w.unacked[proxy] {
			acked = nonce(4)
		}
		listeners := map[string]any{"sent": nonce(w.pushes), "acked": acked}
		states = append(states, map[string]any{"proxy": proxy, "proxy_type": kind, "resources": map[string]any{"type.googleapis.com/envoy.config.listener.v3.Listener": listeners}})
	}
	text, _ := json.Marshal(states)
	return string(text)
}

// podAt returns a ready pod with a proxy.
func podAt(namespace, name, ip string, labels map[string]string) *unstructured.Unstructured {
	pod := clustertest.ReadyPod(namespace, name, labels, mesh.Sidecar)
	_ = unstructured.SetNestedField(pod.Object, ip, "status", "podIP")
	return pod
}

// A request may go over connections from before a change wherever it goes on.
func TestWhereConnectionsFromBeforeAChangeAre(t *testing.T) {
	policy := func(namespace string) evidence.Change {
		return evidence.Change{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: namespace, Name: "gone"}
	}
	const first, second, answers = "10.244.0.1", "10.244.0.2", "10.244.0.3"
	for _, c := range []struct {
		name   string
		change evidence.Change
		bare   bool // the pod has no sidecar
		far    int  // how many other namespaces have sidecars
		before bool // somebody made the change before the run
		from   string
		to     string
		drains string
		want   int
	}{
		{"to a gateway", policy("istio-system"), false, 0, false, "sleep-1", first, "first-1", 3},
		{"that drains nothing", policy("istio-system"), false, 0, false, "sleep-1", first, "answers-1", 0},
		{"from one gateway to another", policy("default"), false, 0, false, "first-1", second, "second-1", 3},
		{"the same, by a pod without a sidecar", policy("default"), true, 0, false, "first-1", second, "second-1", 3},
		{"to a gateway by its Service's address", policy("istio-system"), false, 0, false, "sleep-1", "10.96.0.7", "first-1", 3},
		{"to a gateway by an external address of its Service", policy("istio-system"), false, 0, false, "sleep-1", "192.0.2.7", "first-1", 3},
		{"to another Service", policy("istio-system"), false, 0, false, "sleep-1", "10.96.0.8", "first-1", 0},
		{"to the pod itself", policy("default"), false, 0, false, "sleep-1", "10.244.0.9", "sleep-1", 3},
		{"from a workload that calls another one", policy("istio-system"), false, 0, false, "answers-1", second, "second-1", 3},
		{"to another namespace, by a policy of the whole mesh", policy("istio-system"), false, 0, false, "sleep-1", answers, "answers-1", 3},
		{"the same, among many namespaces", policy("istio-system"), false, 10, false, "sleep-1", answers, "answers-1", 3},
		{"to another namespace, by a change before the run", policy("other"), false, 0, true, "sleep-1", answers, "answers-1", 3},
		{"from one gateway to another, by a change before the run", policy("other"), false, 0, true, "first-1", second, "second-1", 3},
		{"to another namespace, by a policy of the pod's", policy("default"), false, 0, false, "sleep-1", answers, "answers-1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				serves := func(name, ip, app string) *unstructured.Unstructured {
					return clustertest.Object("v1", "Service", "istio-system", name, map[string]any{"spec": map[string]any{
						"clusterIP": ip, "clusterIPs": []any{ip}, "externalIPs": []any{"192.0.2.7"}, "selector": map[string]any{"app": app}}})
				}
				w := newWeb(map[string]string{"sleep-1.default": "sidecar", "first-1.istio-system": "router", "second-1.default": "router", "answers-1.other": "sidecar"},
					podAt("default", "sleep-1", "10.244.0.9", nil), podAt("istio-system", "first-1", first, map[string]string{"app": "first"}),
					podAt("default", "second-1", second, nil), podAt("other", "answers-1", answers, nil),
					serves("first", "10.96.0.7", "first"), serves("other", "10.96.0.8", "other"))
				for n := range c.far {
					w.kinds[fmt.Sprintf("far-1.far-%d", n)] = "sidecar"
				}
				m := &mesh.Mesh{Cluster: w, Namespace: "istio-system", Workloads: "default"}
				defer m.Close()
				s := &mesh.Sync{Mesh: m}
				if !c.before {
					changed(t, s, c.change)
					w.pushes++
				}
				pod := *sleepPod
				if c.bare {
					pod = cluster.Pod{Namespace: "default", Name: "bare-1", Containers: []string{"sleep"}}
				}
				require.NoError(t, s.Wait(t.Context(), &pod, evidence.Needs{}, func(string) {}))
				w.open[c.from] = map[string]int{c.to: 3}
				w.drains[c.drains] = true
				after := s.Outdated(t.Context(), &pod)
				w.requests++
				n, err := after(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.want, n)
			})
		})
	}
}

// A gateway that had not acknowledged everything before a change is not waited for, until
// it has recovered.
func TestAGatewayThatRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ip = "10.244.0.1"
		w := newWeb(map[string]string{"sleep-1.default": "sidecar", "first-1.istio-system": "router"},
			podAt("default", "sleep-1", "10.244.0.9", nil), podAt("istio-system", "first-1", ip, nil))
		m := &mesh.Mesh{Cluster: w, Namespace: "istio-system", Workloads: "default"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		waited := func() (waited bool) {
			require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) { waited = true }))
			return waited
		}
		outdated := func() int {
			after := s.Outdated(t.Context(), sleepPod)
			w.requests++
			n, err := after(t.Context())
			require.NoError(t, err)
			return n
		}
		w.unacked["first-1.istio-system"] = true
		changed(t, s, serviceEntry)
		w.pushes++
		w.open["sleep-1"] = map[string]int{ip: 2}
		w.drains["first-1"] = true
		assert.True(t, waited(), "for the sidecar")
		assert.Equal(t, 2, outdated(), "it may have taken the change up already")
		w.open["sleep-1"][ip] = 1
		assert.False(t, waited())
		assert.Equal(t, 1, outdated())
		w.open["sleep-1"][ip] = 2
		assert.False(t, waited())
		assert.Equal(t, 1, outdated(), "one of them is new")

		delete(w.unacked, "first-1.istio-system")
		assert.True(t, waited(), "for the gateway")
		assert.Equal(t, 2, outdated())
		assert.False(t, waited())
	})
}
