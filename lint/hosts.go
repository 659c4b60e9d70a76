package lint

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// undeclaredHosts tells of hosts outside the mesh that a VirtualService or a
// DestinationRule is about and that no ServiceEntry in reach declares. istiod takes
// such a rule, and it does nothing, or the request ends with cluster_not_found.
func undeclaredHosts(w *world) (problems []Problem) {
	for _, o := range slices.Concat(w.of("VirtualService"), w.of("DestinationRule")) {
		told := map[string]bool{}
		for _, host := range namedHosts(o) {
			if told[host.Value] || !outside(host.Value) || w.declares(host.Value, o.namespace) {
				continue
			}
			told[host.Value] = true
			problems = append(problems, o.problem("undeclared-host", host, "apply a ServiceEntry with this host, or write behind it: # lint: ignore undeclared-host WHY",
				"no ServiceEntry of this playbook declares %s", host.Value))
		}
	}
	return problems
}

// namedHosts returns the hosts that an object is about. Those that a VirtualService
// names itself count only where it holds for sidecars.
func namedHosts(o object) []*yaml.Node {
	if o.kind == "DestinationRule" {
		return at(o.node, "spec", "host")
	}
	var hosts []*yaml.Node
	gateways := at(o.node, "spec", "gateways")
	if len(gateways) == 0 || slices.ContainsFunc(gateways, func(n *yaml.Node) bool { return n.Value == "mesh" }) {
		hosts = at(o.node, "spec", "hosts")
	}
	return append(hosts, destinations(o)...)
}

// destinations returns the hosts to which a VirtualService sends requests.
func destinations(o object) (hosts []*yaml.Node) {
	for _, protocol := range []string{"http", "tls", "tcp"} {
		hosts = append(hosts, at(o.node, "spec", protocol, "route", "destination", "host")...)
	}
	hosts = append(hosts, at(o.node, "spec", "http", "mirror", "host")...)
	return append(hosts, at(o.node, "spec", "http", "mirrors", "destination", "host")...)
}

// outside reports whether a host, by its name, cannot be a Service of the cluster.
// The names of Services have one part, or are NAME.NAMESPACE, or have a part svc.
func outside(host string) bool {
	parts := strings.Split(host, ".")
	if strings.Contains(host, "${") || slices.Contains(parts, "svc") || strings.HasSuffix(host, ".local") {
		return false
	}
	return len(parts) > 2 || len(parts) == 2 && slices.Contains(domains, parts[1])
}

// domains are ends of names in the internet that nobody calls a namespace.
var domains = []string{"com", "edu", "gov", "info", "io", "net", "org"}

// declares reports whether a ServiceEntry declares a host for a namespace.
func (w *world) declares(host, namespace string) bool {
	return slices.ContainsFunc(w.of("ServiceEntry"), func(o object) bool {
		exports := at(o.node, "spec", "exportTo")
		reaches := len(exports) == 0 || slices.ContainsFunc(exports, func(n *yaml.Node) bool {
			return n.Value == "*" || n.Value == namespace || n.Value == "." && o.namespace == namespace || strings.Contains(n.Value, "${")
		})
		return reaches && slices.ContainsFunc(at(o.node, "spec", "hosts"), func(n *yaml.Node) bool { return covers(n.Value, host) || covers(host, n.Value) })
	})
}

// covers reports whether a host that is declared, perhaps by a wildcard, is or has
// another one.
func covers(declared, host string) bool {
	if suffix, wild := strings.CutPrefix(declared, "*"); wild {
		return strings.HasSuffix(host, suffix)
	}
	return declared == host || strings.Contains(declared, "${")
}
