package mesh_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
)

// An istiod is a cluster whose istiod reports two proxies: sleep-1.default and
// gateway-1.istio-system.
type istiod struct {
	*clustertest.Fake

	mu      sync.Mutex
	sent    map[string]int // the number of the newest push, by proxy
	acked   map[string]int
	pushes  int           // how many istiod has begun
	refused string        // sleep-1's refusal of its newest push
	warming int           // how often sleep-1 still says that a cluster is warming
	late    time.Duration // how much later the gateway acknowledges a push
	err     error         // of asking istiod
	unread  string        // the name of an object that istiod has not read

	cold *coldness // of sleep-1, nil if it waits for no Secret

	listeners int // the number of the newest push of listeners to sleep-1, 0 for none

	draining string // what the gateway answers to how many listeners it drains
	open     int    // sleep-1's connections to the gateway
	requests int    // those that it has made to the gateway
}

// A coldness is a proxy that holds its acknowledgement of clusters back.
type coldness struct {
	listener, secret int    // the numbers of the pushes that it has acknowledged of them
	warming          string // the transport socket of the cluster that is not used yet
	missing          string // the Secret that it waits for
	active           bool   // the cluster replaces one
}

// dump returns what Envoy answers to GET config_dump.
func (c *coldness) dump(path string) string {
	config := func(text string) string { return `{"configs": [` + text + `]}` }
	switch {
	case strings.Contains(path, "dynamic_warming_clusters"):
		return config(`{"cluster": {"name": "outbound|80||a", "transport_socket": {"name": "` + c.warming + `"}}}`)
	case strings.Contains(path, "dynamic_warming_secrets"):
		return config(`{"name": "` + c.missing + `"}`)
	case strings.Contains(path, "dynamic_active_clusters") && c.active:
		return config(`{"cluster": {"name": "outbound|80||a"}}`)
	}
	return "{}"
}

const sleeper, gateway = "sleep-1.default", "gateway-1.istio-system"

func newIstiod() *istiod {
	i := &istiod{
		Fake: clustertest.NewFake(
			clustertest.ReadyPod("default", "sleep-1", map[string]string{"app": "sleep"}, "sleep", mesh.Sidecar),
			clustertest.ReadyPod("istio-system", "gateway-1", map[string]string{"istio": "egressgateway"}, mesh.Sidecar),
			clustertest.ReadyPod("istio-system", "istiod-1", map[string]string{"app": "istiod"}, "discovery"),
		),
		sent: map[string]int{sleeper: 5, gateway: 5}, acked: map[string]int{sleeper: 5, gateway: 5}, pushes: 5,
	}
	i.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if r.Command[0] != "pilot-discovery" {
			if r.Pod == "sleep-1" && i.warming > 0 {
				i.warming--
				io.WriteString(r.Stdout, "cluster_manager.warming_clusters: 1\n")
			}
			switch path := r.Command[len(r.Command)-1]; {
			case r.Pod == "gateway-1" && strings.Contains(path, "draining"):
				io.WriteString(r.Stdout, i.draining)
			case r.Pod == "sleep-1" && path == "clusters":
				fmt.Fprintf(r.Stdout, "outbound|80||gw::10.244.1.10:8080::cx_active::%d\noutbound|80||gw::10.244.1.10:8080::rq_total::%d\noutbound|80||a::10.244.1.11:80::cx_active::7\n", i.open, i.requests)
			}
			if path := r.Command[len(r.Command)-1]; strings.HasPrefix(path, "config_dump") && r.Pod == "sleep-1" && i.cold != nil {
				io.WriteString(r.Stdout, i.cold.dump(path))
			}
			return cluster.ExecResult{Trusted: true}, nil
		}
		if i.err != nil {
			return cluster.ExecResult{}, i.err
		}
		switch path := r.Command[len(r.Command)-1]; path {
		case "debug/syncz":
			io.WriteString(r.Stdout, i.syncz())
		case "debug/configz":
			io.WriteString(r.Stdout, i.configz())
		case "metrics":
			fmt.Fprintf(r.Stdout, "# TYPE pilot_pushcontext_init_seconds histogram\npilot_pushcontext_init_seconds_bucket{le=\"0.1\"} 3\npilot_pushcontext_init_seconds_count %d\n", i.pushes)
		default:
			return cluster.ExecResult{}, fmt.Errorf("istiod was asked for %s", path)
		}
		return cluster.ExecResult{Trusted: true}, nil
	}
	return i
}

// configz returns what istiod answers to GET debug/configz: the objects of the cluster,
// except that which it has not read yet.
func (i *istiod) configz() string {
	objects := []map[string]any{}
	for _, o := range i.State() {
		ref := cluster.Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
		if now, err := i.Get(context.Background(), ref); err == nil && o.GetName() != i.unread {
			objects = append(objects, now.Object)
		}
	}
	text, _ := json.Marshal(objects)
	return string(text)
}

// syncz returns what istiod answers to GET debug/syncz.
func (i *istiod) syncz() string {
	var states []map[string]any
	for _, proxy := range []string{sleeper, gateway} {
		nonce := func(n int) string {
			return fmt.Sprintf("2026-11-24T12:59:37Z/%d%s", n, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
		}
		resource := map[string]any{"sent": nonce(i.sent[proxy]), "acked": nonce(i.acked[proxy])}
		if proxy == sleeper && i.refused != "" {
			resource["lastError"] = i.refused
		}
		resources := map[string]any{"type.googleapis.com/envoy.config.cluster.v3.Cluster": resource}
		if proxy == sleeper && i.cold != nil {
			resource["acked"] = nonce(0)
			resources["type.googleapis.com/envoy.config.listener.v3.Listener"] = map[string]any{"sent": nonce(i.sent[proxy]), "acked": nonce(i.cold.listener)}
			resources["type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"] = map[string]any{"sent": nonce(i.cold.secret), "acked": nonce(i.cold.secret)}
		}
		if proxy == sleeper && i.listeners > 0 {
			resources["type.googleapis.com/envoy.config.listener.v3.Listener"] = map[string]any{"sent": nonce(i.listeners), "acked": nonce(i.listeners)}
		}
		kind := "sidecar"
		if proxy == gateway {
			kind = "router"
		}
		states = append(states, map[string]any{"proxy": proxy, "proxy_type": kind, "resources": resources})
	}
	text, _ := json.Marshal(states)
	return string(text)
}

// push sends a newer configuration to proxies, which acknowledge it a little
// later.
func (i *istiod) push(proxies ...string) {
	i.mu.Lock()
	number := max(i.sent[sleeper], i.sent[gateway]) + 1
	i.pushes++
	for _, p := range proxies {
		i.sent[p] = number
	}
	i.mu.Unlock()
	for _, p := range proxies {
		takes := 50 * time.Millisecond
		if p == gateway {
			takes += i.late
		}
		time.AfterFunc(takes, func() {
			i.mu.Lock()
			defer i.mu.Unlock()
			if i.refused == "" {
				i.acked[p] = max(i.acked[p], number)
			}
		})
	}
}

var (
	serviceEntry = evidence.Change{APIVersion: "networking.istio.io/v1", Kind: "ServiceEntry", Namespace: "default", Name: "a"}
	service      = evidence.Change{APIVersion: "v1", Kind: "Service", Namespace: "default", Name: "a"}
	secret       = evidence.Change{APIVersion: "v1", Kind: "Secret", Namespace: "default", Name: "a"}
	configMapped = evidence.Change{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "a"}
	job          = evidence.Change{APIVersion: "batch/v1", Kind: "Job", Namespace: "default", Name: "a"}
	sleepPod     = &cluster.Pod{Namespace: "default", Name: "sleep-1", Containers: []string{"sleep", mesh.Sidecar}}
)

// changed announces changes before they are made, and reports them afterwards.
func changed(t *testing.T, s *mesh.Sync, changes ...evidence.Change) {
	w := s.Watch()
	for _, c := range changes {
		w.Before(t.Context(), c)
	}
	w.After(t.Context(), changes)
}

// istiod is asked before and after a change for which it certainly pushes something.
func TestIstiodIsAskedOnlyAboutWhatItReads(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []evidence.Change
		asked   int // how often: its metrics and its sync status, and afterwards what it has read
	}{
		{"nothing that it reads", []evidence.Change{job}, 0},
		{"what it seldom reads", []evidence.Change{configMapped, secret}, 0},
		{"what it reads", []evidence.Change{serviceEntry}, 5},
		{"what it does not list", []evidence.Change{service}, 4},
		{"several objects", []evidence.Change{job, serviceEntry, secret, serviceEntry}, 5},
		{"a kind that is not known", []evidence.Change{{Kind: "serviceentries", Name: "a"}}, 2},
	} {
		i := newIstiod()
		s := &mesh.Sync{Mesh: &mesh.Mesh{Cluster: i, Namespace: "istio-system"}}
		changed(t, s, c.changes...)
		asked := 0
		for _, call := range i.Calls() {
			if call.Verb == "exec" {
				asked++
			}
		}
		assert.Equal(t, c.asked, asked, c.name)
	}
}

func TestAChangeIsInForceOnceTheProxiesHaveAcknowledgedIt(t *testing.T) {
	all := []string{sleeper, gateway}
	for _, c := range []struct {
		name   string
		change evidence.Change
		pushes func(i *istiod) // after the change
		needs  evidence.Needs
		// How long the wait takes, to within a poll or two.
		atLeast, atMost time.Duration
		err             string
	}{
		{"a push after the change", serviceEntry, func(i *istiod) { time.AfterFunc(300*time.Millisecond, func() { i.push(all...) }) },
			evidence.Needs{}, 350 * time.Millisecond, time.Second, ""},
		{"nobody acknowledges", serviceEntry, func(*istiod) {}, evidence.Needs{}, 19 * time.Second, 21 * time.Second, "within 20s"},
		{"a push for others alone", serviceEntry, func(i *istiod) { i.push(gateway) }, evidence.Needs{}, 400 * time.Millisecond, time.Second, ""},
		{"a push for others alone, that comes late", serviceEntry, func(i *istiod) { time.AfterFunc(2*time.Second, func() { i.push(gateway) }) },
			evidence.Needs{}, 2 * time.Second, 3 * time.Second, ""},
		{"a push that may not come", secret, func(*istiod) {}, evidence.Needs{}, 400 * time.Millisecond, time.Second, ""},
		{"one that came all the same", configMapped, func(i *istiod) { i.push(all...) }, evidence.Needs{}, 400 * time.Millisecond, time.Second, ""},
		{"an object that istiod does not read", job, func(*istiod) {}, evidence.Needs{}, 0, time.Millisecond, ""},
		{"a gateway that is on the way", serviceEntry, func(i *istiod) { i.late = time.Second; i.push(all...) },
			evidence.Needs{Way: true}, time.Second, 2 * time.Second, ""},
		{"a gateway that nobody names", serviceEntry, func(i *istiod) { i.late = time.Second; i.push(all...) },
			evidence.Needs{}, time.Second, 2 * time.Second, ""},
		{"a proxy that refuses it", serviceEntry, func(i *istiod) { i.refused = "no such cluster"; i.push(all...) },
			evidence.Needs{}, 0, time.Second, "the proxy sleep-1.default refuses its configuration (Cluster)"},
		{"a cluster that warms", serviceEntry, func(i *istiod) { i.warming = 5; i.push(all...) }, evidence.Needs{}, 200 * time.Millisecond, 2 * time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIstiod()
				m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
				defer m.Close()
				s := &mesh.Sync{Mesh: m}
				changed(t, s, c.change)
				c.pushes(i)
				began, said := time.Now(), 0
				err := s.Wait(t.Context(), sleepPod, c.needs, func(string) { said++ })
				took := time.Since(began)
				if c.err == "" {
					require.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, c.err)
				}
				assert.GreaterOrEqual(t, took, c.atLeast)
				assert.LessOrEqual(t, took, c.atMost)
				assert.LessOrEqual(t, said, 1)
				assert.Empty(t, s.Unknown())

				began = time.Now()
				if err == nil {
					require.NoError(t, s.Wait(t.Context(), sleepPod, c.needs, func(string) {}))
					assert.Zero(t, time.Since(began), "it is waited for once")
				}
			})
		})
	}
}

// A proxy that holds its acknowledgement back because of a Secret that istiod does
// not send has taken up what was changed, unless it still uses an older cluster.
func TestAClusterThatWaitsForASecret(t *testing.T) {
	const push = 6 // the number of the push that follows the change
	waits := coldness{listener: push, secret: push, warming: "kubernetes://a", missing: "kubernetes://a"}
	for _, c := range []struct {
		name   string
		change func(*coldness)
		ok     bool
	}{
		{"that istiod does not send", func(*coldness) {}, true},
		{"in the place of another one", func(c *coldness) { c.active = true }, false},
		{"about which istiod has not answered yet", func(c *coldness) { c.secret = push - 1 }, false},
		{"in a push that it has not read yet", func(c *coldness) { c.listener = push - 1 }, false},
		{"that another one waits for", func(c *coldness) { c.missing = "kubernetes://b" }, false},
		{"that has come", func(c *coldness) { c.missing = "" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIstiod()
				m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
				defer m.Close()
				s := &mesh.Sync{Mesh: m}
				changed(t, s, serviceEntry)
				cold := waits
				c.change(&cold)
				i.cold = &cold
				i.push(sleeper, gateway)
				began := time.Now()
				err := s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {})
				if c.ok {
					require.NoError(t, err)
					assert.GreaterOrEqual(t, time.Since(began), time.Second)
					assert.Less(t, time.Since(began), 3*time.Second)
				} else {
					assert.ErrorContains(t, err, "within 20s")
				}
			})
		})
	}
}

// A gateway that nobody names may be on the way of a request: what was changed must
// be in force there, too, unless the gateway was broken before.
func TestAGatewayThatNobodyNames(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(*istiod) // the changes
		after  func(*istiod)
		err    string
	}{
		{"acknowledges nothing", func(*istiod) {}, func(i *istiod) { i.late = time.Hour }, "was not acknowledged by all of gateway-1.istio-system, sleep-1.default"},
		{"acknowledged nothing before", func(i *istiod) { i.acked[gateway] = 4 }, func(i *istiod) { i.late = time.Hour }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIstiod()
				m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
				defer m.Close()
				s := &mesh.Sync{Mesh: m}
				c.before(i)
				changed(t, s, serviceEntry)
				c.after(i)
				i.push(sleeper, gateway)
				changed(t, s, serviceEntry) // while the gateway has not acknowledged the one before
				i.push(sleeper, gateway)
				bare := &cluster.Pod{Namespace: "default", Name: "bare-1", Containers: []string{"sleep"}}
				err := s.Wait(t.Context(), bare, evidence.Needs{}, func(string) {})
				if c.err == "" {
					require.NoError(t, err)
				} else {
					assert.ErrorContains(t, err, c.err)
				}
			})
		})
	}
}

// A push that was under way when the change was made may not contain it; it does
// where istiod then stays quiet.
func TestAPushDuringAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		w := s.Watch()
		w.Before(t.Context(), serviceEntry)
		i.push(sleeper, gateway)
		w.After(t.Context(), []evidence.Change{serviceEntry})
		began := time.Now()
		require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))
		assert.GreaterOrEqual(t, time.Since(began), 400*time.Millisecond)
		assert.Less(t, time.Since(began), time.Second)
	})
}

// What was sent after a change need not have it.
func TestAPushThatDoesNotHaveTheChange(t *testing.T) {
	policy := clustertest.Object("security.istio.io/v1", "AuthorizationPolicy", "default", "late", nil)
	late := evidence.Change{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "default", Name: "late"}
	set := func(i *istiod, f func()) {
		i.mu.Lock()
		defer i.mu.Unlock()
		f()
	}
	for _, c := range []struct {
		name    string
		change  evidence.Change
		around  func(*istiod) // between the announcement and the change
		after   func(*istiod)
		atLeast time.Duration
		atMost  time.Duration
	}{
		{"it was prepared before, and is sent later", serviceEntry,
			func(i *istiod) { i.pushes++ },
			func(i *istiod) {
				time.AfterFunc(20*time.Millisecond, func() {
					i.push(sleeper, gateway)
					set(i, func() { i.pushes-- })
				})
				time.AfterFunc(300*time.Millisecond, func() { i.push(sleeper, gateway) })
			}, 300 * time.Millisecond, time.Second},
		{"it was under way", serviceEntry, func(*istiod) {},
			func(i *istiod) {
				time.AfterFunc(5*time.Millisecond, func() { i.push(sleeper, gateway) })
				time.AfterFunc(250*time.Millisecond, func() { i.push(sleeper, gateway) })
			}, 250 * time.Millisecond, time.Second},
		{"it began before istiod had read everything", late, func(i *istiod) { i.unread = "late" },
			func(i *istiod) {
				time.AfterFunc(100*time.Millisecond, func() { i.push(sleeper, gateway) })
				time.AfterFunc(800*time.Millisecond, func() { set(i, func() { i.unread = "" }) })
				time.AfterFunc(900*time.Millisecond, func() { i.push(sleeper, gateway) })
			}, 900 * time.Millisecond, 2 * time.Second},
		{"istiod leaves the object out", late, func(i *istiod) { i.unread = "late" },
			func(i *istiod) { time.AfterFunc(100*time.Millisecond, func() { i.push(sleeper, gateway) }) },
			3 * time.Second, 5 * time.Second},
		{"a part of it is missing", serviceEntry, func(i *istiod) { i.listeners = 5 },
			func(i *istiod) {
				time.AfterFunc(100*time.Millisecond, func() { i.push(sleeper, gateway) })
				time.AfterFunc(230*time.Millisecond, func() { set(i, func() { i.listeners = 6 }) })
			}, 230 * time.Millisecond, time.Second},
		{"it has everything", serviceEntry, func(i *istiod) { i.listeners = 5 },
			func(i *istiod) {
				time.AfterFunc(100*time.Millisecond, func() {
					i.push(sleeper, gateway)
					set(i, func() { i.listeners = 6 })
				})
			}, 150 * time.Millisecond, 400 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIstiod()
				i.Put(policy)
				m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
				defer m.Close()
				s := &mesh.Sync{Mesh: m}
				w := s.Watch()
				w.Before(t.Context(), c.change)
				set(i, func() { c.around(i) })
				w.After(t.Context(), []evidence.Change{c.change})
				c.after(i)
				began := time.Now()
				require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))
				assert.GreaterOrEqual(t, time.Since(began), c.atLeast)
				assert.LessOrEqual(t, time.Since(began), c.atMost)
			})
		})
	}
}

// A gateway serves a connection from before a change as if nothing had been changed.
func TestConnectionsFromBeforeAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		changed := func(draining string, open int) {
			i.draining, i.open = draining, open
			changed(t, s, serviceEntry)
			i.push(sleeper, gateway)
			require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))
		}
		outdatedOf := func(pod *cluster.Pod, requests int) int {
			after := s.Outdated(t.Context(), pod)
			i.requests += requests
			n, err := after(t.Context())
			require.NoError(t, err)
			return n
		}
		outdated := func() int { return outdatedOf(sleepPod, 1) }
		const none, one = "listener_manager.total_filter_chains_draining: 0\nlistener_manager.total_listeners_draining: 0\n",
			"listener_manager.total_filter_chains_draining: 1\nlistener_manager.total_listeners_draining: 0\n"
		changed(none, 2)
		assert.Zero(t, outdated(), "the gateway drains nothing")
		i.draining = one
		assert.Zero(t, outdated(), "what it drains later belongs to another change")

		changed(one, 2)
		assert.Equal(t, 2, outdated())
		i.open = 1
		assert.Equal(t, 1, outdated())
		i.open = 2
		assert.Equal(t, 1, outdated(), "one of them is new")
		bare := *sleepPod
		bare.Containers = []string{"sleep"}
		assert.Zero(t, outdatedOf(&bare, 1), "without a sidecar each request has a connection of its own")
		assert.Zero(t, outdatedOf(sleepPod, 0), "no request went to the gateway")

		changed(one, 2)
		assert.Equal(t, 2, outdated(), "a further change")
		i.draining = none
		assert.Zero(t, outdated(), "the end of draining")

		changed(one, 2)
		i.Remove(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "istio-system", Name: "gateway-1"})
		assert.Zero(t, outdated(), "the gateway is gone, and its connections with it")
	})
}

func TestWhereIstiodCannotBeAskedThatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		i.err = apierrors.NewForbidden(schema.GroupResource{Resource: "pods/exec"}, "istiod-1", nil)
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		changed(t, s, job)
		assert.Empty(t, s.Unknown(), "nothing was changed that istiod reads")
		changed(t, s, serviceEntry)
		assert.Contains(t, s.Unknown(), "istiod cannot be asked")
		require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))
	})
}

func TestAnIstiodThatIsAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		away := &cluster.NotReadyError{Query: "app=istiod", Reason: "pod istiod-1: not ready"}
		i.err = away
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		changed(t, s, serviceEntry)
		assert.Empty(t, s.Unknown())
		err := s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {})
		assert.ErrorIs(t, err, away)
		i.err = nil
		time.AfterFunc(time.Second, func() { i.push(sleeper, gateway) })
		assert.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))
	})
}

// An istiod that has started since the change has it in its first push, and pushes
// nothing more for it.
func TestAnIstiodThatHasStartedSinceHasTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		i.err = &cluster.NotReadyError{Query: "app=istiod", Reason: "pod istiod-1: not ready"}
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		changed(t, s, serviceEntry)
		i.err = nil
		began := time.Now()
		require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))
		assert.GreaterOrEqual(t, time.Since(began), time.Second, "a push may still be to come")
	})
}

// A change that may undo a refused configuration is waited for; any other change is
// not.
func TestARefusalThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system"}
		defer m.Close()
		s := &mesh.Sync{Mesh: m}
		change := func() { changed(t, s, serviceEntry) }
		refused := func() {
			assert.ErrorContains(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}), "no such filter")
		}

		i.refused = "no such filter"
		change()
		i.push(sleeper)
		refused()

		change()
		time.AfterFunc(200*time.Millisecond, func() {
			i.mu.Lock()
			i.refused = ""
			i.mu.Unlock()
			i.push(sleeper)
		})
		require.NoError(t, s.Wait(t.Context(), sleepPod, evidence.Needs{}, func(string) {}))

		i.refused = "no such filter"
		change()
		i.push(sleeper)
		refused()
		change()
		began := time.Now()
		refused()
		assert.Less(t, time.Since(began), 5*time.Second, "a change that does not mend it")
	})
}

// A change that was waited for is in force. One that follows it, and for which
// istiod has nothing to push, does not make it be waited for again.
func TestAChangeThatFollowsOneInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIstiod()
		answer := i.ExecFunc
		i.ExecFunc = func(ctx context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
			if r.Command[0] == "true" {
				return cluster.ExecResult{Trusted: true}, nil
			}
			return answer(ctx, r)
		}
		i.FailFunc = func(call clustertest.Call) error {
			if call.Verb == "apply" && call.Ref.Kind == "ServiceEntry" {
				time.AfterFunc(100*time.Millisecond, func() { i.push(sleeper, gateway) })
			}
			return nil
		}
		apply := func(text string) runner.Action { return &steps.Apply{Manifest: steps.Manifest{Text: text}} }
		look := &steps.Exec{In: steps.Pod{Name: "sleep-1"}, Argv: steps.Words{"true"}}
		var p runner.Playbook
		for n, action := range []runner.Action{
			apply("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a]}\n"), look,
			apply("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"), look,
		} {
			p.Steps = append(p.Steps, runner.Step{
				StepInfo: runner.StepInfo{Index: n + 1}, Holds: 1, Within: 30 * time.Second,
				Bind: func(runner.Lookup) (runner.Action, []runner.Check, error) { return action, nil, nil },
			})
		}
		m := &mesh.Mesh{Cluster: i, Namespace: "istio-system", Workloads: "default"}
		defer m.Close()
		var e ended
		r := &runner.Runner{Cluster: i, Sink: &e, Namespace: "default", Settler: &mesh.Sync{Mesh: m}}
		result := r.Run(t.Context(), []*runner.Playbook{&p})
		assert.Equal(t, runner.Passed, result.Summary.Status(), "%v", e.problem)
		assert.Less(t, e.took, 5*time.Second, "the last step")
	})
}

// ended is how the last step ended.
type ended struct {
	took    time.Duration
	problem *runner.Problem
}

func (e *ended) Send(event runner.Event) {
	if event.Kind == runner.StepFinished {
		e.took, e.problem = event.Took, event.Problem
	}
}

func TestARefusalSaysWhatToDo(t *testing.T) {
	err := error(&mesh.RefusedError{Proxy: sleeper, Kind: "Listener", Err: "no such cluster"})
	hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err)
	require.True(t, ok)
	assert.NotEmpty(t, hinted.Hint())
	assert.True(t, strings.HasSuffix(err.Error(), "no such cluster"))
}
