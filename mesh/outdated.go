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
//
// While the run has changed nothing, somebody else may have: the run before it, which has
// put something back. Then what cannot be known is left out.
func (s *Sync) Outdated(ctx context.Context, pod *cluster.Pod) func(context.Context) (int, error) {
	if s.Pending() {
		return s.watchOutdated(ctx, pod)
	}
	if err := s.begin(ctx, pod); err != nil {
		return func(context.Context) (int, error) { return 0, nil }
	}
	after := s.watchOutdated(ctx, pod)
	return func(ctx context.Context) (int, error) {
		n, _ := after(ctx)
		return n, nil
	}
}

// begin takes all proxies for changed, once for the pods of each namespace.
func (s *Sync) begin(ctx context.Context, pod *cluster.Pod) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if begun, known := s.begun[pod.Namespace]; known {
		return begun
	}
	if s.begun == nil {
		s.begun = map[string]error{}
	}
	now, err := s.Mesh.sync(ctx, false)
	if s.begun[pod.Namespace] = err; err != nil {
		return err
	}
	near, _ := now.others([]*change{{everywhere: true}}, pod, nil)
	s.mayServeOld(near, func(p string) bool { return isGatewayIn(now, p) })
	return nil
}

// mayServeOld notes that proxies may serve connections from before a change, and which of
// them may pass on requests of any pod.
func (s *Sync) mayServeOld(proxies []string, passesOn func(string) bool) {
	s.outdated = map[cluster.Ref]map[string]outdated{}
	for _, p := range proxies {
		if !slices.Contains(s.changed, p) {
			s.changed = append(s.changed, p)
		}
		if passesOn(p) && !slices.Contains(s.through, p) {
			s.through = append(s.through, p)
		}
	}
}

func isGatewayIn(now *snapshot, proxy string) bool {
	_, state := now.of(proxy)
	return state.isGateway()
}

// watchOutdated is [Sync.Outdated] once it is known which proxies were changed.
func (s *Sync) watchOutdated(ctx context.Context, pod *cluster.Pod) func(context.Context) (int, error) {
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

// maxAsked is how many changed proxies there may be for all of them to be asked whether a
// request may have gone on over one of their connections. Otherwise only gateways, and
// what the run's claims name, are asked.
const maxAsked = 12

// onTheWay returns the pods whose proxies may pass on a request of a pod over connections
// that they keep. Without a sidecar each command of the pod itself connects anew.
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
	passOn := s.through
	if len(s.changed) <= maxAsked {
		passOn = s.changed
	}
	for _, p := range passOn {
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
		s.forget(proxy)
		before, looked = nil, true
	default:
		return pool{}, err
	}
	if !looked {
		if before, err = s.addresses(ctx, proxy, counters); err != nil {
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

// forget forgets the proxy of a pod that is gone.
func (s *Sync) forget(pod cluster.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isIt := func(proxy string) bool { return podRef(proxy) == pod }
	s.changed = slices.DeleteFunc(s.changed, isIt)
	s.through = slices.DeleteFunc(s.through, isIt)
}

// An outdated has those connections to an address that may be from before a change.
type outdated struct {
	proxies []cluster.Ref // the pods of which one has accepted them
	open    int           // how many there may be
}

// maxListed is in how many namespaces all pods are listed. If the changed proxies are in
// more, a pod far from the request is looked for by its address.
const maxListed = 5

// addresses returns the pods of the proxies that may serve connections from before a
// change, by their addresses. A Service's address leads to each of its pods; Services are
// looked for if a proxy has connections to other addresses than those of pods.
func (s *Sync) addresses(ctx context.Context, of cluster.Ref, counters *Counters) (map[string]outdated, error) {
	s.mu.Lock()
	changed, through := slices.Clone(s.changed), slices.Clone(s.through)
	s.mu.Unlock()
	namespaces := namespacesOf(changed)
	all := len(namespaces) <= maxListed
	if !all {
		namespaces = namespacesOf(append(through, of.Name+"."+of.Namespace))
	}
	found := map[string]outdated{}
	add := func(ip string, pods ...cluster.Ref) {
		found[ip] = outdated{proxies: append(found[ip].proxies, pods...)}
	}
	pods := map[string][]*unstructured.Unstructured{} // by namespace
	for _, namespace := range namespaces {
		listed, err := s.Mesh.Cluster.List(ctx, "Pod", namespace, "")
		if err != nil {
			return nil, err
		}
		for i := range listed {
			ip, _, _ := unstructured.NestedString(listed[i].Object, "status", "podIP")
			if ref := refOfPod(&listed[i]); ip != "" && slices.Contains(changed, ref.Name+"."+ref.Namespace) {
				add(ip, ref)
				pods[namespace] = append(pods[namespace], &listed[i])
			}
		}
	}
	if len(counters.connectedBeside(found)) == 0 {
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
				add(ip, behind...)
			}
		}
	}
	if all {
		return found, nil
	}
	for _, ip := range counters.connectedBeside(found) {
		pod, err := s.Mesh.Cluster.PodAt(ctx, ip)
		if err != nil {
			return nil, err
		}
		if pod != nil && slices.Contains(changed, proxyName(pod)) {
			add(ip, podRef(proxyName(pod)))
		}
	}
	return found, nil
}

// namespacesOf returns the namespaces of proxies, each once.
func namespacesOf(proxies []string) (namespaces []string) {
	for _, p := range proxies {
		namespaces = append(namespaces, podRef(p).Namespace)
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// connectedBeside returns the other addresses than these to which a proxy has connections.
func (c *Counters) connectedBeside(these map[string]outdated) (ips []string) {
	for u, values := range c.hosts {
		ip, _, err := net.SplitHostPort(u.Host)
		if _, known := these[ip]; err == nil && !known && values["cx_active"] > 0 {
			ips = append(ips, ip)
		}
	}
	slices.Sort(ips)
	return slices.Compact(ips)
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
