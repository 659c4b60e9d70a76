package mesh

import (
	"context"
	"net"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// draining is the path of the counts of what a proxy has replaced and still serves:
// listeners, and parts of them, with the connections from before a change. Envoy keeps
// them for 45 seconds in Istio's default configuration (drainDuration). It ends each
// connection with the next response, because pilot-agent has it drain at once.
// Sources: envoyproxy.io "Draining" and "Listener manager", Statistics; istio/istio
// pkg/envoy/proxy.go, --drain-strategy.
const draining = "stats?filter=^listener_manager.total_(filter_chains|listeners)_draining$"

// Outdated implements [runner.Settler]. A gateway serves a connection by the listener
// that accepted it. A sidecar keeps its connections to gateways open for further requests.
func (s *Sync) Outdated(ctx context.Context, pod *cluster.Pod) func(context.Context) (int, error) {
	before, err := s.outdatedOf(ctx, pod)
	if err != nil || before.open == 0 {
		return func(context.Context) (int, error) { return 0, err }
	}
	return func(ctx context.Context) (int, error) {
		after, err := s.Mesh.counters(ctx, *pod)
		if err != nil || after.pool(before.at...).requests == before.requests {
			return 0, err
		}
		return before.open, nil
	}
}

// outdatedOf returns those connections of a pod's proxy that may be from before a change.
func (s *Sync) outdatedOf(ctx context.Context, pod *cluster.Pod) (pool, error) {
	if !slices.Contains(pod.Containers, Sidecar) {
		return pool{}, nil // each command connects anew
	}
	s.mu.Lock()
	before, looked := s.outdated[proxyName(pod)]
	changed := slices.Clone(s.changed)
	s.mu.Unlock()
	if len(changed) == 0 || looked && len(before) == 0 {
		return pool{}, nil
	}
	counters, err := s.Mesh.counters(ctx, *pod)
	if err != nil {
		return pool{}, err
	}
	if !looked {
		if before, err = s.Mesh.addresses(ctx, changed); err != nil {
			return pool{}, err
		}
	}
	left := map[string]outdated{}
	var all pool
	for ip, o := range before {
		p := counters.pool(ip)
		// Nobody can tell a new connection from an old one, but the old ones only get fewer.
		if looked {
			p.open = min(p.open, o.open)
		}
		if p.open == 0 {
			continue
		}
		drains, err := s.Mesh.drains(ctx, o.proxy)
		switch {
		case err != nil:
			return pool{}, err
		case drains:
			left[ip] = outdated{o.proxy, p.open}
			all.at = append(all.at, ip)
			all.open += p.open
			all.requests += p.requests
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outdated[proxyName(pod)] = left
	return all, nil
}

// An outdated has those connections to a proxy that may be from before a change.
type outdated struct {
	proxy cluster.Ref // its pod
	open  int         // how many there may be
}

// addresses returns the pods of proxies by their addresses.
func (m *Mesh) addresses(ctx context.Context, proxies []string) (map[string]outdated, error) {
	found := map[string]outdated{}
	listed := map[string]bool{}
	for _, p := range proxies {
		namespace := p[strings.LastIndex(p, ".")+1:]
		if listed[namespace] {
			continue
		}
		listed[namespace] = true
		pods, err := m.Cluster.List(ctx, "Pod", namespace, "")
		if err != nil {
			return nil, err
		}
		for i := range pods {
			ip, _, _ := unstructured.NestedString(pods[i].Object, "status", "podIP")
			if name := pods[i].GetName(); ip != "" && slices.Contains(proxies, name+"."+namespace) {
				found[ip] = outdated{proxy: cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name}}
			}
		}
	}
	return found, nil
}

// drains reports whether a pod's proxy still serves connections from before a change. One
// that is gone does not.
func (m *Mesh) drains(ctx context.Context, pod cluster.Ref) (bool, error) {
	text, err := m.Ask(ctx, pod.Namespace, pod.Name, draining)
	if err != nil {
		if _, gone := m.Cluster.Get(ctx, pod); apierrors.IsNotFound(gone) {
			return false, nil
		}
	}
	return anyCount(text), err
}

// A pool has the connections of a proxy to some addresses.
type pool struct {
	at       []string // the addresses
	open     int      // how many connections there are
	requests int64    // how many requests the proxy has made to the addresses so far
}

// pool returns the connections to addresses.
func (c *Counters) pool(ips ...string) pool {
	p := pool{at: ips}
	for u, values := range c.hosts {
		if ip, _, err := net.SplitHostPort(u.Host); err == nil && slices.Contains(ips, ip) {
			p.open += int(values["cx_active"])
			p.requests += values["rq_total"]
		}
	}
	return p
}

// anyCount reports whether one of a proxy's statistics is not 0.
func anyCount(stats string) bool {
	for line := range strings.Lines(stats) {
		if _, n, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && n != "0" {
			return true
		}
	}
	return false
}

// proxyName returns the name of a pod's proxy in istiod.
func proxyName(pod *cluster.Pod) string { return pod.Name + "." + pod.Namespace }
