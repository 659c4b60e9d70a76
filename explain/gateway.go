package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// gatewayAnswered explains a request that a gateway answered itself, for no route
// of it fits.
func gatewayAnswered(c *facts) []evidence.Finding {
	l := c.further
	if l == nil || !slices.Contains(l.Flags, "NR") && l.Details != "route_not_found" {
		return nil
	}
	host := hostOf(l.Authority)
	if host == "" {
		host = c.asked.host
	}
	for _, vs := range c.list(virtualServices) {
		if !vs.hasHost(host) {
			continue
		}
		for _, name := range vs.texts("spec", "gateways") {
			if name == "mesh" {
				continue
			}
			leg := slices.ContainsFunc(append(append(vs.maps("spec", "http"), vs.maps("spec", "tls")...), vs.maps("spec", "tcp")...), func(r map[string]any) bool {
				return matchesGateway(r, name)
			})
			if !leg {
				return []evidence.Finding{c.finding(vs, "spec.http",
					fmt.Sprintf("%s has no route for gateway %s (the second leg): the gateway itself answers %d.", c.name(vs), name, l.Status), c.kubectl("edit", vs))}
			}
		}
	}
	return nil
}

// matchesGateway reports whether a route may be for a gateway.
func matchesGateway(route map[string]any, gateway string) bool {
	list, _ := at(route, "match").([]any)
	if len(list) == 0 {
		return true
	}
	for _, m := range mappings(list) {
		names, _ := at(m, "gateways").([]any)
		if len(names) == 0 || slices.Contains(names, any(gateway)) {
			return true
		}
	}
	return false
}

// gatewayUnreachable explains a request that the sidecar sent to a gateway which
// did not take it: a Gateway that selects no pod, that has other hosts, or that
// speaks another TLS.
func gatewayUnreachable(c *facts) []evidence.Finding {
	l := c.line
	if l == nil {
		return nil
	}
	u, ok := upstreamOf(l.Cluster)
	if !ok || !strings.HasSuffix(u.host, ".svc.cluster.local") {
		return nil
	}
	refused := slices.ContainsFunc(l.Flags, func(f string) bool { return f == "UF" || f == "UC" || f == "UH" || f == "URX" }) ||
		c.further != nil && (c.further.Details == "filter_chain_not_found" || slices.Contains(c.further.Flags, "NR")) || c.asked.exit != 0
	if !refused {
		return nil
	}
	var service object
	for _, svc := range c.list(services) {
		if svc.GetName()+"."+svc.GetNamespace()+".svc.cluster.local" == u.host {
			service = svc
		}
	}
	if service.Unstructured == nil {
		return nil
	}
	labels, _ := at(service.Object, "spec", "selector").(map[string]any)
	gateway, vs := c.gatewayOf(c.asked.host)
	if gateway.Unstructured == nil {
		return nil
	}
	selector, _ := at(gateway.Object, "spec", "selector").(map[string]any)
	for name, value := range selector {
		if has, known := labels[name]; known && has != value {
			return []evidence.Finding{c.finding(gateway, "spec.selector",
				fmt.Sprintf("%s selects no pod of %s: its selector is %s=%v, the gateway's pods have %s=%v.", c.name(gateway), service.GetName(), name, value, name, has), c.kubectl("edit", gateway))}
		}
	}
	for i, server := range gateway.maps("spec", "servers") {
		list, _ := at(server, "hosts").([]any)
		var hosts []string
		for _, h := range list {
			text, _ := h.(string)
			hosts = append(hosts, text)
		}
		if !slices.ContainsFunc(hosts, func(h string) bool { return serves(h, c.asked.host) }) {
			field := fmt.Sprintf("spec.servers[%d].hosts", i)
			return []evidence.Finding{c.finding(gateway, field,
				fmt.Sprintf("%s takes the host %s (%s), not %s, which %s sends to it.", c.name(gateway), strings.Join(hosts, ", "), field, c.asked.host, c.name(vs)), c.kubectl("edit", gateway))}
		}
		if f := c.mutualOnOneSide(gateway, server, i, u); f != nil {
			return f
		}
	}
	return nil
}

// gatewayOf returns the Gateway to which a VirtualService sends a host, and that
// VirtualService.
func (c *facts) gatewayOf(host string) (gateway, vs object) {
	for _, v := range c.list(virtualServices) {
		if !v.hasHost(host) {
			continue
		}
		for _, name := range v.texts("spec", "gateways") {
			namespace, short, qualified := strings.Cut(name, "/")
			if !qualified {
				namespace, short = v.GetNamespace(), name
			}
			for _, g := range c.list(gateways) {
				if g.GetName() == short && g.GetNamespace() == namespace {
					return g, v
				}
			}
		}
	}
	return object{}, object{}
}

// mutualOnOneSide says that a Gateway wants the mesh's mutual TLS, and the rule for
// its Service has the sidecar speak something else.
func (c *facts) mutualOnOneSide(gateway object, server map[string]any, i int, u upstream) []evidence.Finding {
	if textAt(server, "tls", "mode") != "ISTIO_MUTUAL" || numberAt(server, "port", "number") != u.port {
		return nil
	}
	for _, dr := range c.list(destinationRules) {
		if !c.ruleFor(dr, u.host) {
			continue
		}
		all := c.tlsOf(dr, u)
		if len(all) > 0 && textAt(all[0].settings, "mode") == "ISTIO_MUTUAL" {
			return nil
		}
		if len(all) == 0 {
			return []evidence.Finding{c.finding(dr, "spec.trafficPolicy",
				fmt.Sprintf("%s wants ISTIO_MUTUAL (spec.servers[%d].tls.mode), but %s has the sidecar speak plain HTTP to it.", c.name(gateway), i, c.name(dr)), c.kubectl("edit", dr))}
		}
	}
	return nil
}
