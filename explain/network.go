package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// networkFamily is about connections that are not made in time.
var networkFamily = family{"The network", network, []Cause{
	{"networkpolicy-egress", "503 and `UF` after the connect timeout; curl 28", "A NetworkPolicy that selects the sending pod does not allow the connection.", "Add the destination and the port to `spec.egress`."},
	{"networkpolicy-ingress", "the same", "A NetworkPolicy that selects the receiving pod does not allow the connection.", "Add the sender and the port to `spec.ingress`."},
	{"networkpolicy-istiod", "the sidecar of a new pod does not get ready", "A NetworkPolicy does not allow the pod's sidecar the connection to istiod.", "Allow the namespace of istiod, port 15012."},
	{"no-networkpolicy", "connected where no connection was expected", "No NetworkPolicy keeps the pod from the connection.", "Apply one that selects the pod, or correct the one that allows it."},
	{"networkpolicy-dns", "curl 6 or 28", "A NetworkPolicy does not allow the pod to ask the cluster's DNS.", "Allow port 53 to the namespace of the DNS."},
}}

// A peer is one end of a connection.
type peer struct {
	ip     netip.Addr
	pod    object // the zero object if it is no pod of the cluster
	ports  []port
	anyway bool // the address is not known
}

type port struct {
	number   int
	protocol string
}

func network(c *facts) []evidence.Finding {
	a := c.Attempt
	if a == nil || a.Command == nil || c.asked.url == nil {
		return nil
	}
	if c.asked.exit == 6 || c.asked.exit == 28 && unresolved(a) {
		return c.dnsForbidden()
	}
	if found := c.notKept(); found != nil {
		return found
	}
	if u, known := upstreamOf(c.line); c.elsewhere() && !(known && u.inMesh()) {
		return nil // it is not on the expected way, which may be allowed
	}
	from, to, ok := c.unconnected()
	if !ok || !c.mayList(networkPolicies, pods, namespaces) || len(c.list(networkPolicies)) == 0 {
		return nil
	}
	if from.pod.none() {
		return nil
	}
	dest := to.ip.String()
	if !to.pod.none() {
		dest = "pod " + to.pod.GetName() + " in namespace " + to.pod.GetNamespace()
	} else if !to.ip.IsValid() {
		dest = c.asked.host
	}
	if blocking := c.blocking("Egress", from, to); len(blocking) > 0 {
		return one(c.policyFinding("networkpolicy-egress", "spec.egress", blocking, from.pod, "to "+dest, to.ports[0].number))
	}
	if !to.pod.none() {
		if blocking := c.blocking("Ingress", to, peer{ip: from.ip, pod: from.pod, ports: to.ports}); len(blocking) > 0 {
			return one(c.policyFinding("networkpolicy-ingress", "spec.ingress", blocking, to.pod, "from pod "+from.pod.GetName()+" in namespace "+from.pod.GetNamespace(), to.ports[0].number))
		}
	}
	return nil
}

func (c *facts) policyFinding(code, field string, blocking []object, of object, where string, number int) evidence.Finding {
	var names []string
	for _, p := range blocking {
		names = append(names, p.GetName())
	}
	verb, kind := "does not allow", "NetworkPolicy"
	if len(names) > 1 {
		verb, kind = "do not allow", "NetworkPolicies"
	}
	return c.found(code, blocking[0], field, c.kubectl("get", blocking[0])+" -o yaml",
		"%s %s in namespace %s %s pod %s the connection %s port %d (%s).", kind, strings.Join(names, ", "), of.GetNamespace(), verb, of.GetName(), where, number, field)
}

// unconnected returns the two ends of the connection that was not made, and whether
// there is such a connection: that of the last proxy, or curl's own.
func (c *facts) unconnected() (from, to peer, ok bool) {
	l := c.last()
	if l == nil {
		if c.asked.exit != 28 && c.asked.exit != 7 && c.asked.exit != 35 && c.asked.exit != 56 && c.asked.exit != 52 {
			return from, to, false
		}
		if from.pod = c.source(); from.pod.none() {
			return from, to, false
		}
		if !c.Attempt.Command.Pod.Sidecar {
			to = c.peerAt(c.asked.transfer.Remote)
		} else {
			to = c.firstDestination()
		}
	} else {
		if !has(l, "UF", "UH", "DC") && l.Details != "upstream_reset_before_response_started" && l.Flags != nil && c.asked.exit == 0 {
			return from, to, false
		}
		if has(l, "NR", "NC") || has(l, "UC") || l.Cluster == evidence.BlackHole || strings.Contains(l.TransportFailure, "TLS") || refusedText(l.TransportFailure) {
			return from, to, false
		}
		if !has(l, "UF", "DC") && c.asked.exit == 0 {
			return from, to, false
		}
		h := c.hop(l)
		for _, p := range c.list(pods) {
			if p.GetName() == h.pod && p.GetNamespace() == h.namespace {
				from.pod = p
			}
		}
		to = c.peerAt(l.UpstreamHost)
		if l.UpstreamLocal != "" && !has(l, "UF") {
			return from, to, false // it was connected
		}
	}
	from.ip, _ = netip.ParseAddr(from.pod.text("status", "podIP"))
	return from, to, len(to.ports) > 0
}

// refusedText reports whether a transport failure is a refused connection: somebody
// answered.
func refusedText(reason string) bool {
	return strings.Contains(reason, "111") || strings.Contains(strings.ToLower(reason), "refused")
}

// peerAt returns what has an address.
func (c *facts) peerAt(address string) peer {
	number, err := strconv.Atoi(portOf(address))
	ip, ipErr := netip.ParseAddr(evidence.HostOf(address))
	if err != nil || ipErr != nil {
		return peer{}
	}
	p := peer{ip: ip.Unmap(), ports: []port{{number, "TCP"}}}
	for _, pod := range c.list(pods) {
		if hostNetwork, _ := at(pod.Object, "spec", "hostNetwork").(bool); pod.text("status", "podIP") == p.ip.String() && !hostNetwork {
			p.pod = pod
		}
	}
	return p
}

// firstDestination returns where the sidecar was to send the request first.
func (c *facts) firstDestination() peer {
	ways := c.destinations(c.hop(nil))
	if len(ways) != 1 {
		return peer{}
	}
	u := ways[0].to
	if svc := c.serviceNamed(u.host); !svc.none() {
		selector := svc.labels("spec", "selector")
		number, err := strconv.Atoi(targetPort(svc, u.port))
		for _, p := range c.list(pods) {
			if err == nil && len(selector) > 0 && p.GetNamespace() == svc.GetNamespace() && selects(selector, p.GetLabels()) {
				ip, _ := netip.ParseAddr(p.text("status", "podIP"))
				return peer{ip: ip, pod: p, ports: []port{{number, "TCP"}}}
			}
		}
		return peer{}
	}
	to := c.peerAt(c.asked.transfer.Remote)
	if len(to.ports) == 0 {
		to = peer{anyway: true, ports: []port{{c.asked.port, "TCP"}}}
	}
	return to
}

// blocking returns the NetworkPolicies that together forbid a connection of a pod:
// all that select it for that direction, if none of them allows it.
// Source: kubernetes.io "Network Policies".
func (c *facts) blocking(direction string, of, other peer) (all []object) {
	for _, p := range c.list(networkPolicies) {
		if p.GetNamespace() != of.pod.GetNamespace() || !matchesSelector(mapAt(p.Object, "spec", "podSelector"), of.pod.GetLabels()) {
			continue
		}
		field := "egress"
		types := p.texts("spec", "policyTypes")
		if direction == "Ingress" {
			field = "ingress"
		}
		concerns := slices.Contains(types, direction) || len(types) == 0 && (direction == "Ingress" || at(p.Object, "spec", "egress") != nil)
		if !concerns {
			continue
		}
		for _, rule := range p.maps("spec", field) {
			if c.allows(rule, direction, p.GetNamespace(), other) {
				return nil
			}
		}
		all = append(all, p)
	}
	return all
}

// allows reports whether a rule of a NetworkPolicy allows a connection. If that is not
// known, it returns true.
func (c *facts) allows(rule map[string]any, direction, namespace string, other peer) bool {
	if ports := mapsAt(rule, "ports"); len(ports) > 0 && !slices.ContainsFunc(ports, func(p map[string]any) bool { return portAllows(p, other.ports) }) {
		return false
	}
	side := "to"
	if direction == "Ingress" {
		side = "from"
	}
	peers := mapsAt(rule, side)
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p map[string]any) bool { return c.peerAllows(p, namespace, other) })
}

func portAllows(p map[string]any, ports []port) bool {
	return slices.ContainsFunc(ports, func(want port) bool {
		protocol := textAt(p, "protocol")
		if protocol == "" {
			protocol = "TCP"
		}
		if protocol != want.protocol {
			return false
		}
		switch at(p, "port").(type) {
		case nil, string: // a port by its name is not looked up
			return true
		}
		from, to := numberAt(p, "port"), numberAt(p, "endPort")
		return want.number == from || to > 0 && want.number >= from && want.number <= to
	})
}

func (c *facts) peerAllows(p map[string]any, namespace string, other peer) bool {
	if block := mapAt(p, "ipBlock"); block != nil {
		prefix, err := netip.ParsePrefix(textAt(block, "cidr"))
		if err != nil || !other.ip.IsValid() {
			return true
		}
		return prefix.Contains(other.ip) && !slices.ContainsFunc(textsAt(block, "except"), func(e string) bool {
			except, err := netip.ParsePrefix(e)
			return err == nil && except.Contains(other.ip)
		})
	}
	if other.pod.none() {
		return false // a selector means pods of the cluster
	}
	if at(p, "namespaceSelector") != nil {
		i := slices.IndexFunc(c.list(namespaces), func(n object) bool { return n.GetName() == other.pod.GetNamespace() })
		if i < 0 || !matchesSelector(mapAt(p, "namespaceSelector"), c.list(namespaces)[i].GetLabels()) {
			return false
		}
	} else if other.pod.GetNamespace() != namespace {
		return false
	}
	return at(p, "podSelector") == nil || matchesSelector(mapAt(p, "podSelector"), other.pod.GetLabels())
}

// matchesSelector reports whether a label selector selects labels.
func matchesSelector(selector map[string]any, labels map[string]string) bool {
	if !selects(labelsAt(selector, "matchLabels"), labels) {
		return false
	}
	for _, e := range mapsAt(selector, "matchExpressions") {
		value, has := labels[textAt(e, "key")]
		in := has && slices.Contains(textsAt(e, "values"), value)
		switch textAt(e, "operator") {
		case "In":
			if !in {
				return false
			}
		case "NotIn":
			if in {
				return false
			}
		case "Exists":
			if !has {
				return false
			}
		case "DoesNotExist":
			if has {
				return false
			}
		}
	}
	return true
}

// unresolved reports whether curl gave up while it waited for the DNS.
func unresolved(a *evidence.Attempt) bool {
	return strings.Contains(a.Command.Stderr, "Resolving timed out") ||
		slices.ContainsFunc(a.Transfers, func(t evidence.Transfer) bool { return strings.Contains(t.Error, "Resolving timed out") })
}

// notSelected returns labels that a peer of a rule selects and no namespace has, "" if
// the policies have no such peer.
func (c *facts) notSelected(policies []object) string {
	for _, p := range policies {
		for i, rule := range p.maps("spec", "egress") {
			for j, peer := range mapsAt(rule, "to") {
				selector := mapAt(peer, "namespaceSelector")
				if labels := labelsAt(selector, "matchLabels"); len(labels) > 0 && !slices.ContainsFunc(c.list(namespaces), func(n object) bool { return matchesSelector(selector, n.GetLabels()) }) {
					return fmt.Sprintf("; no namespace has the label %s (spec.egress[%d].to[%d].namespaceSelector)", labelsText(labels), i, j)
				}
			}
		}
	}
	return ""
}

// notKept explains a connection that was made although it should not have been: no
// NetworkPolicy keeps the pod from it. It is reported if the claims are about the
// connection itself.
func (c *facts) notKept() []evidence.Finding {
	t := c.asked.transfer
	connection := func(v *evidence.Verdict) bool {
		key := strings.TrimPrefix(v.Key, "expect.")
		return key == "stderr" && strings.Contains(v.Want, "Connected to") || strings.HasPrefix(key, "connection")
	}
	refused := func(v *evidence.Verdict) bool {
		return strings.TrimPrefix(v.Key, "expect.") == "exitCode" && (v.Want == "28" || v.Want == "7") && v.Got == "0"
	}
	if t == nil || t.ExitCode != 0 || c.line != nil || !c.wanted(refused) || !c.wanted(connection) || !c.mayList(networkPolicies, pods, namespaces) {
		return nil
	}
	pod := c.source()
	to := c.peerAt(t.Remote)
	if pod.none() || len(to.ports) == 0 {
		return nil
	}
	var selecting []object
	for _, p := range c.list(networkPolicies) {
		egress := slices.Contains(p.texts("spec", "policyTypes"), "Egress") || at(p.Object, "spec", "egress") != nil
		if egress && p.GetNamespace() == pod.GetNamespace() && matchesSelector(mapAt(p.Object, "spec", "podSelector"), pod.GetLabels()) {
			selecting = append(selecting, p)
		}
	}
	if len(selecting) == 0 {
		return one(c.found("no-networkpolicy", object{}, "spec.podSelector", fmt.Sprintf("kubectl -n %s get networkpolicies", pod.GetNamespace()),
			"No NetworkPolicy selects pod %s in namespace %s for egress, so nothing keeps it from %s.", pod.GetName(), pod.GetNamespace(), t.Remote))
	}
	own, _ := netip.ParseAddr(pod.text("status", "podIP"))
	if len(selecting) > 1 || len(c.blocking("Egress", peer{ip: own, pod: pod}, to)) > 0 {
		return nil
	}
	return one(c.found("no-networkpolicy", selecting[0], "spec.egress", c.kubectl("get", selecting[0])+" -o yaml",
		"NetworkPolicy %s in namespace %s allows pod %s the connection to %s (spec.egress).", selecting[0].GetName(), pod.GetNamespace(), pod.GetName(), t.Remote))
}

// fromIstiod explains why the sidecar of a pod does not get its configuration: a
// NetworkPolicy keeps it from istiod.
func (c *facts) fromIstiod(pod object) []evidence.Finding {
	if !c.mayList(networkPolicies, pods, namespaces) {
		return nil
	}
	own, _ := netip.ParseAddr(pod.text("status", "podIP"))
	for _, istiod := range c.list(pods) {
		if istiod.GetNamespace() != c.IstioNamespace || istiod.GetLabels()["app"] != "istiod" {
			continue
		}
		ip, _ := netip.ParseAddr(istiod.text("status", "podIP"))
		blocking := c.blocking("Egress", peer{ip: own, pod: pod}, peer{ip: ip, pod: istiod, ports: []port{{15012, "TCP"}}})
		if len(blocking) == 0 {
			return nil
		}
		return one(c.found("networkpolicy-istiod", blocking[0], "spec.egress", c.kubectl("get", blocking[0])+" -o yaml",
			"NetworkPolicy %s in namespace %s does not allow the sidecar of pod %s the connection to istiod (port 15012 in namespace %s)%s.",
			blocking[0].GetName(), blocking[0].GetNamespace(), pod.GetName(), c.IstioNamespace, c.notSelected(blocking)))
	}
	return nil
}

// dnsForbidden reports that a NetworkPolicy keeps a pod from the cluster's DNS.
func (c *facts) dnsForbidden() []evidence.Finding {
	pod := c.source()
	if pod.none() || !c.mayList(networkPolicies, pods, namespaces) || len(c.list(networkPolicies)) == 0 {
		return nil
	}
	for _, dns := range c.list(pods) {
		if dns.GetNamespace() != "kube-system" || dns.GetLabels()["k8s-app"] != "kube-dns" {
			continue
		}
		ip, _ := netip.ParseAddr(dns.text("status", "podIP"))
		own, _ := netip.ParseAddr(pod.text("status", "podIP"))
		for _, number := range []int{53, containerPort(dns, "dns")} {
			if number != 0 && len(c.blocking("Egress", peer{ip: own, pod: pod}, peer{ip: ip, pod: dns, ports: []port{{number, "UDP"}}})) == 0 {
				return nil
			}
		}
		blocking := c.blocking("Egress", peer{ip: own, pod: pod}, peer{ip: ip, pod: dns, ports: []port{{53, "UDP"}}})
		if len(blocking) == 0 {
			return nil
		}
		return one(c.found("networkpolicy-dns", blocking[0], "spec.egress", c.kubectl("get", blocking[0])+" -o yaml",
			"NetworkPolicy %s in namespace %s does not allow pod %s to ask the cluster's DNS (UDP port 53 in namespace kube-system; spec.egress), so it finds no address of %s%s.", blocking[0].GetName(), blocking[0].GetNamespace(), pod.GetName(), c.asked.host, c.notSelected(blocking)))
	}
	return nil
}

// containerPort returns the number of a pod's port with a name, 0 if there is none.
func containerPort(pod object, name string) int {
	for _, container := range pod.maps("spec", "containers") {
		for _, p := range mapsAt(container, "ports") {
			if textAt(p, "name") == name {
				return numberAt(p, "containerPort")
			}
		}
	}
	return 0
}
