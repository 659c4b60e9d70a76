package mesh

import (
	"context"
	"net"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/egressplay/egressplay/cluster"
)

// draining is the path of the counts of what a proxy has replaced and still serves:
// listeners, and parts of them, with the connections from before a change. Envoy keeps
// them for 45 seconds in Istio's default configuration (drainDuration). It ends each
// connection with the next response, because pilot-agent has it drain at once.
// Sources: envoyproxy.io "Draining" and "Listener manager", Statistics; istio/istio
// pkg/envoy/proxy.go, --drain-strategy.
const draining = "stats?filter=^listener_manager.total_(filter_chains|listeners)_draining$"

// Outdated implements [runner.Settler]. A proxy serves a connection by the listener that
// accepted it. Sidecars and gateways keep their connections open for further requests.
func (s *Sync) Outdated(ctx context.Context, pod *cluster.Pod) func(context.Context) (int, error) {
	before := map[cluster.Ref]pool{}
	for _, proxy := range s.onTheWay(pod) {
		p, err := s.outdatedOf(ctx, proxy)
		if err != nil {
			return func(context.Context) (int, error) { return 0, err }
		}
		if p.open > 0 {
			before[proxy] = p
		}
	}
	return func(ctx context.Context) (n int, err error) {
		for proxy, p := range before {
			after, err := s.Mesh.counters(ctx, podOfRef(proxy))
			if err != nil {
				return 0, err
			}
			if after.pool(p.at...).requests != p.requests {
				n += p.open
			}
		}
		return n, nil
	}
}

// onTheWay returns the pods whose proxies may pass on a request of a pod over connections
// that they keep: the pod itself, gateways, and what the run's claims name. Without a
// sidecar each command of the pod connects anew.
func (s *Sync) onTheWay(pod *cluster.Pod) (proxies []cluster.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.changed) == 0 {
		return nil
	}
	own := podRef(proxyName(pod))
	if slices.Contains(pod.Containers, Sidecar) {
		proxies = append(proxies, own)
	}
	for _, p := range s.through {
		if ref := podRef(p); ref != own {
			proxies = append(proxies, ref)
		}
	}
	return proxies
}

// outdatedOf returns those connections of a pod's proxy that may be from before a change.
func (s *Sync) outdatedOf(ctx context.Context, proxy cluster.Ref) (pool, error) {
	s.mu.Lock()
	before, looked := s.outdated[proxy]
	s.mu.Unlock()
	if looked && len(before) == 0 {
		return pool{}, nil
	}
	left := map[string]outdated{}
	var all pool
	counters, err := s.Mesh.counters(ctx, podOfRef(proxy))
	switch {
	case err == nil:
	case s.Mesh.isGone(ctx, proxy):
		before, looked = nil, true
	default:
		return pool{}, err
	}
	if !looked {
		if before, err = s.addresses(ctx, counters); err != nil {
			return pool{}, err
		}
	}
	for ip, o := range before {
		p := counters.pool(ip)
		// Nobody can tell a new connection from an old one, but the old ones only get fewer.
		if looked {
			p.open = min(p.open, o.open)
		}
		if p.open == 0 {
			continue
		}
		drains, err := s.Mesh.drains(ctx, o.proxies)
		switch {
		case err != nil:
			return pool{}, err
		case drains:
			left[ip] = outdated{o.proxies, p.open}
			all.at = append(all.at, ip)
			all.open += p.open
			all.requests += p.requests
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outdated[proxy] = left
	return all, nil
}

// An outdated has those connections to an address that may be from before a change.
type outdated struct {
	proxies []cluster.Ref // the pods of which one has accepted them
	open    int           // how many there may be
}

// addresses returns the pods of the proxies that may serve connections from before a
// change, by their addresses. A Service's address leads to each of its pods; Services are
// looked for if there are connections to other addresses than those of pods.
func (s *Sync) addresses(ctx context.Context, counters *Counters) (map[string]outdated, error) {
	s.mu.Lock()
	changed := slices.Clone(s.changed)
	s.mu.Unlock()
	found := map[string]outdated{}
	pods := map[string][]*unstructured.Unstructured{} // by namespace
	for _, p := range changed {
		namespace := podRef(p).Namespace
		if _, listed := pods[namespace]; listed {
			continue
		}
		all, err := s.Mesh.Cluster.List(ctx, "Pod", namespace, "")
		if err != nil {
			return nil, err
		}
		pods[namespace] = nil
		for i := range all {
			pod := &all[i]
			ip, _, _ := unstructured.NestedString(pod.Object, "status", "podIP")
			if ref := refOfPod(pod); ip != "" && slices.Contains(changed, ref.Name+"."+ref.Namespace) {
				found[ip] = outdated{proxies: append(found[ip].proxies, ref)}
				pods[namespace] = append(pods[namespace], pod)
			}
		}
	}
	if !counters.connectsElsewhere(found) {
		return found, nil
	}
	for namespace, pods := range pods {
		services, err := s.Mesh.Cluster.List(ctx, "Service", namespace, "")
		if err != nil {
			return nil, err
		}
		for i := range services {
			behind := podsBehind(&services[i], pods)
			if len(behind) == 0 {
				continue
			}
			for _, ip := range addressesOf(&services[i]) {
				found[ip] = outdated{proxies: append(found[ip].proxies, behind...)}
			}
		}
	}
	return found, nil
}

// connectsElsewhere reports whether a proxy has connections to other addresses than these.
func (c *Counters) connectsElsewhere(than map[string]outdated) bool {
	for u, values := range c.hosts {
		ip, _, err := net.SplitHostPort(u.Host)
		if _, known := than[ip]; err == nil && !known && values["cx_active"] > 0 {
			return true
		}
	}
	return false
}

// podsBehind returns those of the pods that a Service selects.
func podsBehind(service *unstructured.Unstructured, pods []*unstructured.Unstructured) (behind []cluster.Ref) {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	if len(selector) == 0 {
		return nil
	}
	for _, pod := range pods {
		if labels.SelectorFromSet(selector).Matches(labels.Set(pod.GetLabels())) {
			behind = append(behind, refOfPod(pod))
		}
	}
	return behind
}

// addressesOf returns the addresses at which a Service is reached.
func addressesOf(service *unstructured.Unstructured) []string {
	ips, _, _ := unstructured.NestedStringSlice(service.Object, "spec", "clusterIPs")
	ip, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	external, _, _ := unstructured.NestedStringSlice(service.Object, "spec", "externalIPs")
	ips = append(append(ips, ip), external...)
	ingress, _, _ := unstructured.NestedSlice(service.Object, "status", "loadBalancer", "ingress")
	for _, one := range ingress {
		one, _ := one.(map[string]any)
		ip, _, _ := unstructured.NestedString(one, "ip")
		ips = append(ips, ip)
	}
	slices.Sort(ips)
	ips = slices.Compact(ips)
	return slices.DeleteFunc(ips, func(ip string) bool { return net.ParseIP(ip) == nil })
}

// drains reports whether the proxy of one of the pods still serves connections from before
// a change. One that is gone does not.
func (m *Mesh) drains(ctx context.Context, pods []cluster.Ref) (bool, error) {
	for _, pod := range pods {
		text, err := m.Ask(ctx, pod.Namespace, pod.Name, draining)
		switch {
		case err != nil && !m.isGone(ctx, pod):
			return false, err
		case err == nil && anyCount(text):
			return true, nil
		}
	}
	return false, nil
}

// isGone reports whether a pod certainly does not exist any more.
func (m *Mesh) isGone(ctx context.Context, pod cluster.Ref) bool {
	_, err := m.Cluster.Get(ctx, pod)
	return apierrors.IsNotFound(err)
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

// podRef returns the pod of a proxy that has this name in istiod.
func podRef(proxy string) cluster.Ref {
	i := strings.LastIndex(proxy, ".")
	return cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: proxy[i+1:], Name: proxy[:max(i, 0)]}
}

func refOfPod(pod *unstructured.Unstructured) cluster.Ref {
	return cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: pod.GetNamespace(), Name: pod.GetName()}
}

// podOfRef returns a pod of which only the name is known.
func podOfRef(ref cluster.Ref) cluster.Pod {
	return cluster.Pod{Namespace: ref.Namespace, Name: ref.Name}
}
