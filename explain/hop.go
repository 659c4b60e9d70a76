package explain

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// A hop is a proxy on the request's way.
type hop struct {
	line      *evidence.Line // nil if it wrote none
	namespace string
	pod       string
	labels    map[string]string
	gateway   bool
	ports     []int // at a gateway, those of its Service and of its pod to which the request came
}

// hop returns the proxy that wrote a line.
func (c *facts) hop(l *evidence.Line) hop {
	if l == nil || l.Proxy == evidence.Sidecar {
		h := hop{line: l, namespace: c.client(), pod: c.Attempt.Command.Pod.Name}
		if pod := c.source(); !pod.none() {
			h.labels = pod.GetLabels()
		}
		return h
	}
	h := hop{line: l, namespace: c.IstioNamespace, pod: l.Pod, gateway: true}
	for _, p := range c.Attempt.Proxies {
		if p.Pod.Name == l.Pod && l.Pod != "" {
			h.namespace = p.Pod.Namespace
		}
	}
	if pod, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: h.namespace, Name: h.pod}); !pod.none() {
		h.labels = pod.GetLabels()
	} else if u, ok := upstreamOf(c.line); ok {
		h.labels = c.serviceNamed(u.host).labels("spec", "selector")
	}
	if u, ok := upstreamOf(c.line); ok && u.inMesh() {
		svc := c.serviceNamed(u.host)
		h.ports = []int{u.port}
		if target, err := strconv.Atoi(targetPort(svc, u.port)); err == nil {
			h.ports = append(h.ports, target)
		}
	}
	return h
}

// An upstream has the parts of the name of a proxy's upstream cluster.
// Source: istio/istio pilot/pkg/model/push_context.go, BuildSubsetKey.
type upstream struct {
	port   int
	subset string
	host   string
}

func (u upstream) String() string { return u.host + ":" + strconv.Itoa(u.port) }

// upstreamOf returns the upstream of a line, and whether it names one.
func upstreamOf(l *evidence.Line) (u upstream, ok bool) {
	if l == nil {
		return u, false
	}
	// Envoy's own copy of a cluster has a suffix, such as ";" of its statistics.
	parts := strings.Split(strings.TrimSuffix(l.Cluster, ";"), "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return u, false
	}
	port, err := strconv.Atoi(parts[1])
	return upstream{port, parts[2], parts[3]}, err == nil
}

// key returns the name of the upstream's cluster.
func (u upstream) key() string {
	return "outbound|" + strconv.Itoa(u.port) + "|" + u.subset + "|" + u.host
}

// inMesh reports whether an upstream is a Service of the cluster.
func (u upstream) inMesh() bool { return strings.HasSuffix(u.host, ".svc.cluster.local") }

// short returns the upstream's host as a reader knows it.
func (u upstream) short() string {
	if u.inMesh() {
		name, _, _ := strings.Cut(u.host, ".")
		return name
	}
	return u.host
}

// serviceNamed returns the Service that has a host, the zero object if there is none.
func (c *facts) serviceNamed(host string) object {
	for _, svc := range c.list(services) {
		if svc.GetName()+"."+svc.GetNamespace()+".svc.cluster.local" == host {
			return svc
		}
	}
	return object{}
}

// names returns the names that a host may stand for at a client: the host itself, and
// if it is short, what the pod's DNS completes it to.
func (c *facts) names(host string) []string {
	all := []string{host}
	switch n := strings.Count(host, "."); {
	case n == 0:
		all = append(all, host+"."+c.client()+".svc.cluster.local")
	case n == 1:
		all = append(all, host+".svc.cluster.local")
	case strings.HasSuffix(host, ".svc"):
		all = append(all, host+".cluster.local")
	}
	return all
}

// A target is an object that registers a host, and the port that is asked for; nil if
// the object does not declare that port.
type target struct {
	object
	port  map[string]any
	index int
}

// registered returns the ServiceEntries and Services that have a host, whoever sees
// them. An exact host takes precedence over one with a wildcard.
func (c *facts) registered(host string, port int) (all []target) {
	exact := false
	for _, se := range c.list(serviceEntries) {
		for _, h := range se.texts("spec", "hosts") {
			if serves(h, host) || addressed(se, host) {
				p, i := se.port(port)
				all = append(all, target{se, p, i})
				exact = exact || h == host
				break
			}
		}
	}
	if exact {
		all = slices.DeleteFunc(all, func(t target) bool { return !slices.Contains(t.texts("spec", "hosts"), host) })
	}
	for _, name := range c.names(host) {
		if svc := c.serviceNamed(name); !svc.none() {
			p, i := svc.port(port)
			all = append(all, target{svc, p, i})
		}
	}
	return all
}

// addressed reports whether a ServiceEntry has an address, alone or in a range.
func addressed(se object, host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(se.texts("spec", "addresses"), func(a string) bool {
		within, err := netip.ParsePrefix(a)
		return a == host || err == nil && within.Contains(ip)
	})
}

// visible returns the targets that the client's sidecar knows.
func (c *facts) visible(all []target) (seen []target) {
	sidecar := c.sidecarOf()
	for _, t := range all {
		if exported(t.object, c.client()) && (sidecar.none() || imports(sidecar, t.GetNamespace(), c.hostsOf(t.object))) {
			seen = append(seen, t)
		}
	}
	return seen
}

func (c *facts) hostsOf(o object) []string {
	if o.GetKind() == "Service" {
		return []string{o.GetName() + "." + o.GetNamespace() + ".svc.cluster.local"}
	}
	return o.texts("spec", "hosts")
}

// port returns the port of a ServiceEntry or a Service with this number, and its
// index; nil for none.
func (o object) port(number int) (port map[string]any, index int) {
	for i, p := range o.maps("spec", "ports") {
		if numberAt(p, "number") == number || numberAt(p, "port") == number {
			return p, i
		}
	}
	return nil, 0
}

// sidecarOf returns the Sidecar that decides what the client's proxy knows: one that
// selects the pod takes precedence over that of the namespace, and this over that of
// the root namespace. It returns the zero object if there is none. Source: istio.io
// "Sidecar".
func (c *facts) sidecarOf() object {
	var own, ofNamespace, ofRoot object
	var labels map[string]string
	if pod := c.source(); !pod.none() {
		labels = pod.GetLabels()
	}
	for _, s := range c.list(sidecars) {
		selector := s.labels("spec", "workloadSelector", "labels")
		in := s.GetNamespace() == c.client()
		switch {
		case in && len(selector) > 0 && selects(selector, labels) && own.none():
			own = s
		case in && len(selector) == 0 && ofNamespace.none():
			ofNamespace = s
		case s.GetNamespace() == c.IstioNamespace && len(selector) == 0 && ofRoot.none():
			ofRoot = s
		}
	}
	for _, s := range []object{own, ofNamespace, ofRoot} {
		if !s.none() {
			return s
		}
	}
	return object{}
}

// egressHosts returns the hosts that a Sidecar lets its proxies know.
func egressHosts(sidecar object) (all []string) {
	for _, e := range sidecar.maps("spec", "egress") {
		all = append(all, textsAt(e, "hosts")...)
	}
	return all
}

// imports reports whether a Sidecar imports one of the hosts of a namespace.
func imports(sidecar object, namespace string, hosts []string) bool {
	all := egressHosts(sidecar)
	return len(all) == 0 || slices.ContainsFunc(all, func(text string) bool {
		from, host, ok := strings.Cut(text, "/")
		if !ok {
			return false
		}
		in := from == "*" || from == namespace || from == "." && sidecar.GetNamespace() == namespace
		return in && slices.ContainsFunc(hosts, func(h string) bool { return serves(host, h) || serves(h, host) })
	})
}
