package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// apiGatewayFamily is about Gateways of the Gateway API to which the sidecar sends a
// request: what their listeners take, and the routes that are attached to them.
var apiGatewayFamily = family{"A Gateway of the Gateway API", atAPIGateway, []Cause{
	{"no-route-at-gateway", "404 and `NR` at the gateway; 503 and `UF`, connection refused", "No HTTPRoute or TLSRoute of the Gateway is for the host.", "Apply one whose `parentRefs` names the Gateway."},
	{"gateway-route-other-host", "the same", "The route of the Gateway is for another host.", "Correct `spec.hostnames`."},
	{"listener-other-host", "the same", "The Gateway's listener is for another host.", "Correct `spec.listeners[].hostname`."},
	{"listener-other-port", "503 and `UF`", "The Gateway has no listener on the port to which the request is sent.", "Correct `spec.listeners[].port` or the route's port."},
	{"listener-wants-mutual", "503 and `UC`; the gateway logs `filter_chain_not_found`", "The Gateway's listener wants the mesh's mutual TLS, and no DestinationRule has the sidecar speak it.", "Apply a DestinationRule with `tls.mode: ISTIO_MUTUAL` for the gateway's Service."},
}}

// A listener is a listener of a Gateway of the Gateway API.
type listener struct {
	gateway object
	index   int
	data    map[string]any
}

func (l listener) field(of string) string { return fmt.Sprintf("spec.listeners[%d].%s", l.index, of) }

// passesOn reports whether the listener passes TLS on by its SNI.
func (l listener) passesOn() bool { return textAt(l.data, "tls", "mode") == "Passthrough" }

// mutual reports whether the listener wants the mesh's mutual TLS.
func (l listener) mutual() bool {
	return textAt(l.data, "tls", "options", "gateway.istio.io/tls-terminate-mode") == "ISTIO_MUTUAL"
}

func (l listener) takes(host string) bool {
	hostname := textAt(l.data, "hostname")
	return hostname == "" || serves(hostname, host)
}

// routes returns the list of the kind of routes that fit the listener, and the kind;
// "" for a listener of TCP.
func (l listener) routes() (list, kind string) {
	protocol := textAt(l.data, "protocol")
	switch {
	case l.passesOn():
		return tlsRoutes, "TLSRoute"
	case protocol == "HTTP" || protocol == "HTTPS":
		return httpRoutes, "HTTPRoute"
	}
	return "", ""
}

func atAPIGateway(c *facts) []evidence.Finding {
	u, ok := upstreamOf(c.line)
	if !ok || !u.inMesh() || c.further != nil && c.further.Cluster != "" {
		return nil
	}
	refused := has(c.line, "UF", "UC", "URX", "UPE", "UR") || c.line.Status >= 400 || c.asked.exit != 0
	svc := c.serviceNamed(u.host)
	if !refused || svc.none() || !c.mayList(apiGateways, httpRoutes, tlsRoutes) {
		return nil
	}
	gw := c.apiGatewayOf(svc)
	if gw.none() || len(c.falseOnes(gw, gw.maps("status", "conditions"), "")) > 0 {
		return nil
	}
	var on []listener
	var ports []string
	for i, l := range gw.maps("spec", "listeners") {
		ports = append(ports, fmt.Sprint(numberAt(l, "port")))
		if numberAt(l, "port") == u.port {
			on = append(on, listener{gw, i, l})
		}
	}
	if len(on) == 0 {
		return one(c.found("listener-other-port", gw, "spec.listeners", c.kubectl("edit", gw),
			"%s has no listener on port %d, to which the sidecar sends: it has port %s (spec.listeners).", c.name(gw), u.port, strings.Join(ports, ", ")))
	}
	taking := slices.DeleteFunc(slices.Clone(on), func(l listener) bool { return !l.takes(c.asked.host) })
	switch {
	case len(taking) == 0 && len(on) == 1:
		return one(c.found("listener-other-host", gw, on[0].field("hostname"), c.kubectl("edit", gw),
			"%s takes the host %s on port %d (%s), not %s.", c.name(gw), textAt(on[0].data, "hostname"), u.port, on[0].field("hostname"), c.asked.host))
	case len(taking) != 1:
		return nil
	}
	if found := c.mutualMissing(taking[0], u); found != nil {
		return found
	}
	return c.notAttached(taking[0])
}

// apiGatewayOf returns the Gateway for which Istio made a Service, the zero object if
// there is none.
func (c *facts) apiGatewayOf(svc object) object {
	name := svc.GetLabels()["gateway.networking.k8s.io/gateway-name"]
	for _, gw := range c.list(apiGateways) {
		if name != "" && gw.GetName() == name && gw.GetNamespace() == svc.GetNamespace() {
			return gw
		}
	}
	return object{}
}

// mutualMissing reports a listener that wants the mesh's mutual TLS, which the sidecar
// does not speak to it.
func (c *facts) mutualMissing(l listener, u upstream) []evidence.Finding {
	h := c.hop(nil)
	h.line = c.line
	t := c.tlsOf(h, u)
	if !l.mutual() || t.mode() == "ISTIO_MUTUAL" || !c.mayList(destinationRules) {
		return nil
	}
	if f := c.inForce(h, u); f.known && f.tls && !f.matches {
		return nil // it speaks TLS all the same
	}
	field := l.field("tls.options")
	if t.rule.none() {
		return one(c.found("listener-wants-mutual", l.gateway, field, "kubectl get destinationrules -A",
			"%s wants the mesh's mutual TLS (%s), but no DestinationRule has the sidecar speak it to %s.", c.name(l.gateway), field, u))
	}
	return one(c.found("listener-wants-mutual", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
		"%s wants the mesh's mutual TLS (%s), but %s has mode %s for it (%s.mode).", c.name(l.gateway), field, c.name(t.rule), t.mode(), t.field))
}

// notAttached explains that no route of a listener is for the host.
func (c *facts) notAttached(l listener) []evidence.Finding {
	f := c.further
	if f != nil && !has(f, "NR") && f.Details != "route_not_found" {
		return nil
	}
	if f == nil && !refusedText(c.line.TransportFailure) {
		return nil
	}
	list, kind := l.routes()
	if list == "" || slices.ContainsFunc(c.list(grpcRoutes), func(r object) bool { return attached(r, l) }) {
		return nil
	}
	var others []object
	for _, route := range c.list(list) {
		if !attached(route, l) {
			continue
		}
		hosts := route.texts("spec", "hostnames")
		if len(hosts) == 0 || slices.ContainsFunc(hosts, func(h string) bool { return serves(h, c.asked.host) }) {
			return nil // it is for the host: its matches or its status decide
		}
		others = append(others, route)
	}
	answer := "nothing listens there for it"
	if f != nil {
		answer = "the gateway ends the connection"
		if f.Status != 0 {
			answer = fmt.Sprintf("the gateway itself answers %d", f.Status)
		}
	}
	if len(others) == 1 {
		return one(c.found("gateway-route-other-host", others[0], "spec.hostnames", c.kubectl("edit", others[0]),
			"%s, the only one of %s, is for %s (spec.hostnames), not %s: %s.", c.name(others[0]), c.name(l.gateway), strings.Join(others[0].texts("spec", "hostnames"), ", "), c.asked.host, answer))
	}
	return one(c.found("no-route-at-gateway", l.gateway, l.field("name"), fmt.Sprintf("kubectl get %ss -A", strings.ToLower(kind)),
		"No %s of %s is for %s: %s.", kind, c.name(l.gateway), c.asked.host, answer))
}

// attached reports whether a route names a listener's Gateway as its parent.
func attached(route object, l listener) bool {
	return slices.ContainsFunc(route.maps("spec", "parentRefs"), func(ref map[string]any) bool {
		namespace, section, port := textAt(ref, "namespace"), textAt(ref, "sectionName"), numberAt(ref, "port")
		if namespace == "" {
			namespace = route.GetNamespace()
		}
		kind := textAt(ref, "kind")
		return (kind == "" || kind == "Gateway") && textAt(ref, "name") == l.gateway.GetName() && namespace == l.gateway.GetNamespace() &&
			(section == "" || section == textAt(l.data, "name")) && (port == 0 || port == numberAt(l.data, "port"))
	})
}

// badReference explains a reference that leads nowhere according to a condition
// ResolvedRefs: its object does not exist, or is in a namespace that does not grant the
// reference.
func (c *facts) badReference(o object, reason string) []evidence.Finding {
	for _, r := range references(o) {
		switch reason {
		case "BackendNotFound":
			if found := c.backendMissing(o, r); found != nil {
				return found
			}
		case "RefNotPermitted":
			if found := c.notGranted(o, r); found != nil {
				return found
			}
		}
	}
	return nil
}

// A reference leads from a route's rule or a Gateway's listener to an object.
type reference struct {
	group, kind, namespace, name, field string
}

func references(o object) (all []reference) {
	add := func(ref map[string]any, kind, field string) {
		r := reference{textAt(ref, "group"), textAt(ref, "kind"), textAt(ref, "namespace"), textAt(ref, "name"), field}
		if r.kind == "" {
			r.kind = kind
		}
		if r.namespace == "" {
			r.namespace = o.GetNamespace()
		}
		all = append(all, r)
	}
	for i, rule := range o.maps("spec", "rules") {
		for j, ref := range mapsAt(rule, "backendRefs") {
			add(ref, "Service", fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j))
		}
	}
	for i, l := range o.maps("spec", "listeners") {
		for j, ref := range mapsAt(l, "tls", "certificateRefs") {
			add(ref, "Secret", fmt.Sprintf("spec.listeners[%d].tls.certificateRefs[%d]", i, j))
		}
	}
	return all
}

// backendMissing reports a route that leads to a host that nobody registers, or to a
// Service that does not exist.
func (c *facts) backendMissing(o object, r reference) []evidence.Finding {
	switch {
	case r.kind == "Hostname" && c.mayList(serviceEntries, services):
		// A host with a wildcard does not count here as a host with the name.
		all := c.registered(r.name, 0)
		if slices.ContainsFunc(all, func(t target) bool { return slices.Contains(c.hostsOf(t.object), r.name) }) {
			return nil
		}
		near := ""
		if se, name, _ := c.near(r.name); !se.none() {
			near = fmt.Sprintf("; %s has %s", c.name(se), name)
		} else if len(all) == 1 {
			near = fmt.Sprintf(" itself; %s has %s", c.name(all[0].object), strings.Join(c.hostsOf(all[0].object), ", "))
		}
		return one(c.found("backend-missing", o, r.field, "kubectl get serviceentries -A",
			"%s leads to the host %s (%s), which no ServiceEntry has%s.", c.name(o), r.name, r.field, near))
	case r.kind == "Service" && c.mayList(services) && c.serviceNamed(r.name+"."+r.namespace+".svc.cluster.local").none():
		var names []string
		for _, svc := range c.list(services) {
			if svc.GetNamespace() == r.namespace {
				names = append(names, svc.GetName())
			}
		}
		return one(c.found("backend-missing", o, r.field, fmt.Sprintf("kubectl -n %s get services", r.namespace),
			"%s leads to Service %s in namespace %s (%s), which is not there%s.", c.name(o), r.name, r.namespace, r.field, nearOf(r.name, names)))
	}
	return nil
}

// notGranted reports that no ReferenceGrant allows a reference into another namespace.
func (c *facts) notGranted(o object, r reference) []evidence.Finding {
	if r.namespace == o.GetNamespace() || !c.hasKind(referenceGrants) || !c.mayList(referenceGrants) {
		return nil
	}
	group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
	var there []string
	for _, g := range c.list(referenceGrants) {
		if g.GetNamespace() != r.namespace {
			continue
		}
		there = append(there, g.GetName())
		from := slices.ContainsFunc(g.maps("spec", "from"), func(f map[string]any) bool {
			return textAt(f, "group") == group && textAt(f, "kind") == o.GetKind() && textAt(f, "namespace") == o.GetNamespace()
		})
		to := slices.ContainsFunc(g.maps("spec", "to"), func(t map[string]any) bool {
			return textAt(t, "group") == r.group && textAt(t, "kind") == r.kind && (textAt(t, "name") == "" || textAt(t, "name") == r.name)
		})
		if from && to {
			return nil
		}
	}
	has := "there is none"
	if len(there) > 0 {
		has = "there is " + strings.Join(there, ", ")
	}
	return one(c.found("reference-not-granted", o, r.field, fmt.Sprintf("kubectl -n %s get referencegrants", r.namespace),
		"%s refers to %s %s in namespace %s (%s), and no ReferenceGrant there allows that to %ss of namespace %s: %s.",
		c.name(o), r.kind, r.name, r.namespace, r.field, o.GetKind(), o.GetNamespace(), has))
}
