package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// wayFamily is about requests that were answered, and took another way than wanted.
var wayFamily = family{"Another way", otherWay, []Cause{
	{"route-not-for-mesh", "the request goes past the gateway", "The VirtualService that leads to the gateway is not for the mesh's sidecars.", "Add `mesh` to `spec.gateways`, and to the match."},
	{"route-other-port", "the request goes past the gateway", "The route that leads to the gateway is for another port.", "Correct the match's `port`."},
	{"route-other-protocol", "the request goes past the gateway", "The route that leads to the gateway is for another protocol: http routes take no TLS, tls routes no plain HTTP.", "Write the route beneath `http` or `tls`, as the client speaks."},
	{"route-other-host", "the request goes past the gateway", "The VirtualService that leads to the gateway is for another host.", "Correct `spec.hosts`."},
	{"route-other-sni", "the request goes past the gateway", "The tls route that leads to the gateway is for another SNI.", "Correct `match[].sniHosts`."},
	{"route-not-exported", "the request goes past the gateway, or a route has no effect", "The VirtualService is not exported to the client's namespace.", "Add the namespace to `spec.exportTo`."},
	{"route-not-imported", "the same", "The Sidecar that selects the pod leaves the VirtualService out.", "Add it to the Sidecar's `spec.egress.hosts`."},
	{"rival-route", "a route has no effect", "Two VirtualServices have the host: the older one counts.", "Merge the two."},
	{"no-route-to-gateway", "the request goes past the gateway", "No VirtualService, HTTPRoute or TLSRoute leads the host to the gateway.", "Apply one, or correct its host."},
}}

func otherWay(c *facts) []evidence.Finding {
	l := c.line
	if l == nil || len(c.Verdicts) == 0 || !c.mayList(virtualServices) {
		return nil
	}
	h := c.hop(l)
	u, ok := upstreamOf(l)
	if ok && !u.inMesh() && c.wanted(gatewayWanted) {
		return c.pastGateway(h)
	}
	if !ok || l.Status >= 500 {
		return nil
	}
	return c.withoutEffect(h)
}

// pastGateway explains why no VirtualService led a request to a gateway.
func (c *facts) pastGateway(h hop) (found []evidence.Finding) {
	host := c.asked.host
	taken, _ := c.routesFor(h, host)
	some := false
	for _, vs := range c.list(virtualServices) {
		if c.hostFor(vs, host) == "" || !c.leadsToGateway(vs) {
			continue
		}
		some = true
		found = append(found, c.whyNotTaken(h, vs, taken)...)
	}
	if some {
		return found
	}
	for _, vs := range c.list(virtualServices) {
		if !c.leadsToGateway(vs) || !c.changed(vs) && !slices.ContainsFunc(vs.texts("spec", "hosts"), func(v string) bool { return slip(host, v) }) {
			continue
		}
		hosts := vs.texts("spec", "hosts")
		if !slices.ContainsFunc(hosts, func(v string) bool { return domain(v) == domain(host) || slip(host, v) }) {
			continue
		}
		found = append(found, c.found("route-other-host", vs, "spec.hosts", c.kubectl("edit", vs),
			"No VirtualService leads %s to the gateway: %s is for %s (spec.hosts).", host, c.name(vs), strings.Join(hosts, ", ")))
	}
	if len(found) > 0 {
		return found
	}
	kinds := "VirtualService"
	for _, of := range [][2]string{{httpRoutes, "HTTPRoute"}, {tlsRoutes, "TLSRoute"}} {
		if !c.hasKind(of[0]) {
			continue
		}
		if !c.mayList(of[0]) || slices.ContainsFunc(c.list(of[0]), c.toGateway) {
			return nil // that one may be meant
		}
		kinds += " or " + of[1]
	}
	return one(c.found("no-route-to-gateway", object{}, "spec.hosts", "kubectl get virtualservices -A",
		"No %s leads %s to the gateway, so the sidecar sends its requests straight to the host.", kinds, host))
}

// toGateway reports whether a route of the Gateway API is for the host and leads to a
// Service of the cluster.
func (c *facts) toGateway(route object) bool {
	return c.routeHas(route, c.asked.host) && slices.ContainsFunc(references(route), func(r reference) bool { return r.kind == "Service" })
}

// leadsToGateway reports whether a route of a VirtualService leads to a Service of
// the cluster whose pods a Gateway selects.
func (c *facts) leadsToGateway(vs object) bool {
	for _, w := range c.ways(vs, hop{}) {
		if !w.to.inMesh() {
			continue
		}
		svc := c.serviceNamed(w.to.host)
		if svc.none() {
			continue
		}
		labels := c.labelsBehind(svc)
		if gatewayHop.MatchString(svc.GetName()) || slices.ContainsFunc(c.list(gateways), func(g object) bool { return selects(g.labels("spec", "selector"), labels) }) {
			return true
		}
	}
	return false
}

// whyNotTaken explains why a sidecar does not take the route of a VirtualService
// that has the host.
func (c *facts) whyNotTaken(h hop, vs object, taken []object) []evidence.Finding {
	name, edit := c.name(vs), c.kubectl("edit", vs)
	sidecar := c.sidecarOf()
	switch {
	case !exported(vs, h.namespace):
		return one(c.found("route-not-exported", vs, "spec.exportTo", edit,
			"%s is not exported to namespace %s (spec.exportTo: %s), so the sidecar does not know its routes.", name, h.namespace, strings.Join(vs.texts("spec", "exportTo"), ", ")))
	case !c.boundTo(vs, h):
		return one(c.found("route-not-for-mesh", vs, "spec.gateways", edit,
			"%s is for gateway %s alone (spec.gateways), not for mesh: sidecars do not take its routes.", name, strings.Join(vs.texts("spec", "gateways"), ", ")))
	case !sidecar.none() && !imports(sidecar, vs.GetNamespace(), vs.texts("spec", "hosts")):
		return one(c.found("route-not-imported", sidecar, "spec.egress.hosts", c.kubectl("edit", sidecar),
			"%s leaves out %s: its egress.hosts are %s.", c.name(sidecar), name, strings.Join(egressHosts(sidecar), ", ")))
	}
	if i := slices.IndexFunc(taken, func(o object) bool { return o.Unstructured == vs.Unstructured }); i > 0 {
		return one(c.rival(taken[0], vs))
	}
	return c.routeDoesNotFit(h, vs)
}

// rival reports that an older VirtualService for the host decides.
func (c *facts) rival(older, vs object) evidence.Finding {
	return c.found("rival-route", vs, "spec.hosts", c.kubectl("get", older)+" -o yaml",
		"%s has no effect for %s: %s is older and has the host as well (spec.hosts).", c.name(vs), c.asked.host, c.name(older))
}

// routeDoesNotFit reports which condition of the routes to a gateway the request does
// not meet.
func (c *facts) routeDoesNotFit(h hop, vs object) (found []evidence.Finding) {
	edit := c.kubectl("edit", vs)
	for _, w := range c.ways(vs, h) {
		if !w.to.inMesh() {
			continue
		}
		fits := !(c.asked.tls && w.kind == "http") && !(!c.asked.tls && w.kind == "tls")
		if w.matches && fits {
			return nil // it is another one that decides
		}
		if !fits {
			speaks := "plain HTTP"
			if c.asked.tls {
				speaks = "TLS"
			}
			found = append(found, c.found("route-other-protocol", vs, w.at(), edit,
				"The route of %s to the gateway is a route of %s (%s), but the client speaks %s.", c.name(vs), w.kind, w.at(), speaks))
			continue
		}
		for j, m := range mapsAt(w.rule, "match") {
			field := fmt.Sprintf("%s.match[%d]", w.at(), j)
			names := textsAt(m, "gateways")
			port := numberAt(m, "port")
			hosts := textsAt(m, "sniHosts")
			switch {
			case len(names) > 0 && !slices.Contains(names, "mesh"):
				found = append(found, c.found("route-not-for-mesh", vs, field+".gateways", edit,
					"The route of %s to the gateway is for gateway %s alone (%s.gateways), not for mesh: sidecars do not take it.", c.name(vs), strings.Join(names, ", "), field))
			case port != 0 && port != c.asked.port:
				found = append(found, c.found("route-other-port", vs, field+".port", edit,
					"The route of %s to the gateway is for port %d (%s.port), and the request is for port %d.", c.name(vs), port, field, c.asked.port))
			case len(hosts) > 0 && !slices.ContainsFunc(hosts, func(s string) bool { return serves(s, c.asked.host) }):
				found = append(found, c.found("route-other-sni", vs, field+".sniHosts", edit,
					"The route of %s to the gateway is for SNI %s (%s.sniHosts), not %s.", c.name(vs), strings.Join(hosts, ", "), field, c.asked.host))
			}
		}
	}
	return found
}

// withoutEffect reports a VirtualService that this run has changed and that has no
// effect at the sidecar. It does so if a claim about the effect of a route did not
// hold.
func (c *facts) withoutEffect(h hop) (found []evidence.Finding) {
	if !c.claimed("responses", "status", "elapsed", "arrived", "log", "path", "counter", "body", "stdout") {
		return nil
	}
	taken, not := c.routesFor(h, c.asked.host)
	for _, vs := range slices.Concat(taken[min(1, len(taken)):], not) {
		if !c.changed(vs) || vs.GetKind() != "VirtualService" || h.gateway {
			continue
		}
		if i := slices.IndexFunc(taken, func(o object) bool { return o.Unstructured == vs.Unstructured }); i > 0 {
			found = append(found, c.rival(taken[0], vs))
			continue
		}
		if !exported(vs, h.namespace) || len(taken) == 0 && !c.boundTo(vs, h) {
			found = append(found, c.whyNotTaken(h, vs, taken)...)
		}
	}
	return found
}
