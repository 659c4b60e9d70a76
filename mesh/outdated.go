package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

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
		after, err := s.Mesh.pool(ctx, pod, before.at)
		if err != nil || after.requests == before.requests {
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
	at, err := s.drainingAt(ctx)
	if err != nil || len(at) == 0 {
		return pool{}, err
	}
	p, err := s.Mesh.pool(ctx, pod, at)
	if err != nil {
		return pool{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nobody can tell a new connection from an old one, but the old ones only get fewer.
	id := proxyName(pod)
	if known, ok := s.outdated[id]; ok {
		p.open = min(p.open, known)
	}
	s.outdated[id] = p.open
	return p, nil
}

// drainingAt returns the addresses of the changed proxies that still serve connections
// from before the change.
func (s *Sync) drainingAt(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	changed := slices.Clone(s.changed)
	s.mu.Unlock()
	ips, errs := make([]string, len(changed)), make([]error, len(changed))
	var asking sync.WaitGroup
	for i, proxy := range changed {
		asking.Go(func() { ips[i], errs[i] = s.Mesh.drainingAt(ctx, proxy) })
	}
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, proxy := range changed {
		if ips[i] == "" {
			s.changed = slices.DeleteFunc(s.changed, func(p string) bool { return p == proxy })
		}
	}
	return slices.DeleteFunc(ips, func(ip string) bool { return ip == "" }), nil
}

// drainingAt returns a proxy's address, "" if it serves no connections from before its
// last change, or is gone with all of them.
func (m *Mesh) drainingAt(ctx context.Context, proxy string) (string, error) {
	i := strings.LastIndex(proxy, ".")
	ref := cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: proxy[i+1:], Name: proxy[:i]}
	text, asked := m.Ask(ctx, ref.Namespace, ref.Name, draining)
	if asked == nil && !anyCount(text) {
		return "", nil
	}
	pod, err := m.Cluster.Get(ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case asked != nil:
		return "", asked
	case err != nil:
		return "", err
	}
	status, _ := pod.Object["status"].(map[string]any)
	ip, _ := status["podIP"].(string)
	if ip == "" {
		return "", fmt.Errorf("%s has no address", ref)
	}
	return ip, nil
}

// A pool has the connections of a proxy to some addresses.
type pool struct {
	at       []string // the addresses
	open     int      // how many connections there are
	requests int      // how many requests the proxy has made to the addresses so far
}

// pool reads the connections of a pod's proxy to some addresses.
func (m *Mesh) pool(ctx context.Context, pod *cluster.Pod, ips []string) (p pool, err error) {
	counters, err := m.counters(ctx, *pod)
	if err != nil {
		return pool{}, err
	}
	p.at = ips
	for u, values := range counters.hosts {
		if ip, _, err := net.SplitHostPort(u.Host); err == nil && slices.Contains(ips, ip) {
			p.open += int(values["cx_active"])
			p.requests += int(values["rq_total"])
		}
	}
	return p, nil
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
