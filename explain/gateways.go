package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// gatewayFamily is about requests that the sidecar sends to a gateway that does not
// take them or has no route for them.
var gatewayFamily = family{"The gateway", atGateway, []Cause{
	{"gateway-selects-no-pod", "503 and `UF`, connection refused", "The Gateway's selector selects none of the gateway's pods, so that nothing listens there.", "Correct `spec.selector`."},
	{"gateway-other-hosts", "503 and `UF`; 404 and `NR`; `filter_chain_not_found`", "The Gateway takes other hosts than the one that is sent to it.", "Correct `spec.servers[].hosts`."},
	{"gateway-other-namespace", "503 and `UF`; 404 and `NR`", "The Gateway takes the host for routes of other namespaces alone.", "Correct the namespace before the `/` in `spec.servers[].hosts`, or move the VirtualService."},
	{"gateway-other-port", "503 and `UF`, connection refused", "The Gateway has no server on the port to which the request is sent.", "Correct `spec.servers[].port.number` or the route's port."},
	{"gateway-conflict", "503 and `UF`, connection refused; `filter_chain_not_found`", "An older Gateway for the same pods has the port for another protocol, or the same host on a port of TLS: the newer server has no effect.", "Give one of the two another port or another host, or merge them."},
	{"gateway-not-named", "404 and `NR`; 503 and `UF`", "No VirtualService for the host names the Gateway.", "Add the Gateway to `spec.gateways`."},
	{"gateway-missing", "404 and `NR`; 503 and `UF`", "A VirtualService names a Gateway that is not there.", "Create the Gateway, or correct `spec.gateways`."},
	{"no-second-leg", "404 and `NR` at the gateway", "The VirtualService has no route for the gateway.", "Add a route whose match names the gateway."},
	{"mutual-on-one-side", "503 and `UC` or `UF`; the gateway logs `filter_chain_not_found` or nothing", "The Gateway wants the mesh's mutual TLS and the sidecar speaks plain HTTP, or the other way round.", "Set `tls.mode: ISTIO_MUTUAL` in the DestinationRule for the gateway's Service, or drop it in the Gateway."},
	{"gateway-wants-tls", "503 and `UC` or `UF`", "The Gateway passes TLS on by its SNI, and the sidecar sends plain HTTP.", "Make the server's protocol HTTP, or send TLS."},
	{"gateway-protocol", "curl 35 or 56; 400 or 404", "The Gateway's server speaks another protocol than what is sent to it.", "Correct `spec.servers[].port.protocol` and `tls.mode`."},
	{"gateway-secret", "503 and `UF`; a reset", "The Secret of the Gateway's own certificate is not there.", "Create it in the namespace of the gateway's pods, or correct `credentialName`."},
}}

func atGateway(c *facts) []evidence.Finding {
	u, ok := upstreamOf(c.line)
	if !ok || !u.inMesh() {
		return nil
	}
	refused := has(c.line, "UF", "UC", "UH", "URX", "UPE") || c.line.Status >= 400 || c.asked.exit != 0
	if !refused || !c.mayList(gateways, virtualServices, services) {
		return nil
	}
	svc := c.serviceNamed(u.host)
	if svc.none() || len(svc.labels("spec", "selector")) == 0 {
		return nil
	}
	g := hop{line: c.further, namespace: svc.GetNamespace(), labels: c.labelsBehind(svc), gateway: true}
	if c.further != nil {
		g = c.hop(c.further)
		g.line = c.further
	}
	if c.further != nil && c.further.Cluster != "" && !has(c.further, "NR") {
		return nil // it went on
	}
	return c.notTaken(g, svc, u)
}

// labelsBehind returns the labels of a pod of a Service, or the Service's selector if
// no pod can be seen.
func (c *facts) labelsBehind(svc object) map[string]string {
	selector := svc.labels("spec", "selector")
	for _, p := range c.list(pods) {
		if p.GetNamespace() == svc.GetNamespace() && p.GetDeletionTimestamp() == nil && selects(selector, p.GetLabels()) {
			return p.GetLabels()
		}
	}
	return selector
}

// A server is a server of a Gateway.
type server struct {
	gateway object
	index   int
	data    map[string]any
}

func (s server) field(of string) string { return fmt.Sprintf("spec.servers[%d].%s", s.index, of) }
func (s server) port() int              { return numberAt(s.data, "port", "number") }
func (s server) mode() string           { return textAt(s.data, "tls", "mode") }
func (s server) protocol() string       { return strings.ToUpper(textAt(s.data, "port", "protocol")) }

func (s server) takes(host string) bool {
	return slices.ContainsFunc(textsAt(s.data, "hosts"), func(h string) bool {
		if _, after, ok := strings.Cut(h, "/"); ok {
			h = after
		}
		return serves(h, host)
	})
}

// admits reports whether the server takes a host for the routes of a namespace.
// Source: istio.io, "Gateway", hosts of a Server.
func (s server) admits(namespace, host string) bool {
	return slices.ContainsFunc(textsAt(s.data, "hosts"), func(h string) bool {
		from, name, ok := strings.Cut(h, "/")
		if !ok {
			return serves(h, host)
		}
		in := from == "*" || from == namespace || from == "." && s.gateway.GetNamespace() == namespace
		return in && serves(name, host)
	})
}

func serversOf(g object) (all []server) {
	for i, s := range g.maps("spec", "servers") {
		all = append(all, server{g, i, s})
	}
	return all
}

// notTaken explains why a gateway does not take a request for a host: it walks from
// the VirtualService that leads to the gateway's Service to the Gateways that it
// names.
func (c *facts) notTaken(g hop, svc object, u upstream) []evidence.Finding {
	host := c.asked.host
	w := c.routeTo(hop{namespace: c.client(), labels: c.hop(nil).labels}, u)
	if w.vs.none() {
		return nil // it is not a VirtualService that leads there
	}
	var named, missing []string
	var these []object
	for _, name := range w.vs.texts("spec", "gateways") {
		if name == "mesh" {
			continue
		}
		if one := c.gatewayNamed(name, w.vs.GetNamespace()); !one.none() {
			named, these = append(named, name), append(these, one)
		} else {
			missing = append(missing, name)
		}
	}
	// Another VirtualService may have the second leg.
	var others []object
	for _, vs := range c.list(virtualServices) {
		if vs.Unstructured == w.vs.Unstructured || c.hostFor(vs, host) == "" {
			continue
		}
		for _, name := range vs.texts("spec", "gateways") {
			if name == "mesh" {
				continue
			}
			if one := c.gatewayNamed(name, vs.GetNamespace()); !one.none() {
				these, others = append(these, one), append(others, vs)
			} else if len(named) == 0 {
				missing = append(missing, name)
				others = append(others, vs)
			}
		}
	}
	these = slices.CompactFunc(these, func(a, b object) bool { return a.Unstructured == b.Unstructured })
	if len(these) == 0 {
		if len(missing) == 1 {
			vs := w.vs
			if len(others) > 0 {
				vs = others[0]
			}
			return c.gatewayMissing(vs, missing[0])
		}
		return c.notNamed(g, w, host)
	}
	var here []object
	for _, one := range these {
		if c.gatewaySelects(one, g) {
			here = append(here, one)
		}
	}
	if len(here) == 0 {
		if len(these) > 1 || len(missing) > 0 {
			return nil
		}
		one_ := these[0]
		selector := one_.labels("spec", "selector")
		return one(c.found("gateway-selects-no-pod", one_, "spec.selector", c.kubectl("edit", one_),
			"%s selects no pod of Service %s: its selector is %s, the gateway's pods have %s.", c.name(one_), svc.GetName(), labelsText(selector), labelsText(sameNames(selector, g.labels, svc.labels("spec", "selector")))))
	}
	return c.atServers(g, svc, u, w, here, others)
}

// sameNames returns the labels of a pod whose names a selector has; if the pod has none
// of them, those by which its Service selects it.
func sameNames(selector, labels, otherwise map[string]string) map[string]string {
	same := map[string]string{}
	for name := range selector {
		if value, ok := labels[name]; ok {
			same[name] = value
		}
	}
	if len(same) == 0 {
		return otherwise
	}
	return same
}

func (c *facts) gatewayMissing(vs object, name string) []evidence.Finding {
	near := ""
	var names []string
	for _, g := range c.list(gateways) {
		if g.GetNamespace() == vs.GetNamespace() {
			names = append(names, g.GetName())
		} else if g.GetName() == name {
			near = fmt.Sprintf("; there is %s/%s", g.GetNamespace(), name)
		}
	}
	if near == "" {
		near = nearOf(name, names)
	}
	return one(c.found("gateway-missing", vs, "spec.gateways", c.kubectl("edit", vs),
		"%s names Gateway %s (spec.gateways), which is not there%s.", c.name(vs), name, near))
}

// notNamed reports that the VirtualService that leads to a gateway names none of its
// Gateways, although one of them takes the host.
func (c *facts) notNamed(g hop, w way, host string) []evidence.Finding {
	for _, one_ := range c.list(gateways) {
		if !c.gatewaySelects(one_, g) {
			continue
		}
		for _, s := range serversOf(one_) {
			if s.takes(host) && !slices.Contains(textsAt(s.data, "hosts"), "*") {
				return one(c.found("gateway-not-named", w.vs, "spec.gateways", c.kubectl("edit", w.vs),
					"%s sends %s to the gateway, but does not name %s (spec.gateways), which takes it there.", c.name(w.vs), host, c.name(one_)))
			}
		}
	}
	return nil
}

// atServers explains a request that none of the Gateways' servers takes, or none of
// the routes behind it.
func (c *facts) atServers(g hop, svc object, u upstream, w way, these, others []object) []evidence.Finding {
	host := c.asked.host
	target := targetPort(svc, u.port)
	var onPort, taking []server
	var all []server
	for _, gw := range these {
		for _, s := range serversOf(gw) {
			all = append(all, s)
			if s.port() == u.port || strconv.Itoa(s.port()) == target {
				onPort = append(onPort, s)
				if s.takes(host) {
					taking = append(taking, s)
				}
			}
		}
	}
	switch {
	case len(onPort) == 0 && len(all) == 1:
		s := all[0]
		return one(c.found("gateway-other-port", s.gateway, s.field("port.number"), c.kubectl("edit", s.gateway),
			"%s has its server on port %d (%s), but %s sends to port %d of %s.", c.name(s.gateway), s.port(), s.field("port.number"), c.name(w.vs), u.port, u.short()))
	case len(onPort) == 0:
		return nil
	case len(taking) == 0 && len(onPort) == 1:
		s := onPort[0]
		return one(c.found("gateway-other-hosts", s.gateway, s.field("hosts"), c.kubectl("edit", s.gateway),
			"%s takes the host %s (%s), not %s, which %s sends to it.", c.name(s.gateway), strings.Join(textsAt(s.data, "hosts"), ", "), s.field("hosts"), host, c.name(w.vs)))
	case len(taking) != 1:
		return nil
	}
	s := taking[0]
	if found := c.otherProtocol(s, u, w); found != nil {
		return found
	}
	if name := textAt(s.data, "tls", "credentialName"); name != "" {
		for _, f := range c.secretOf(g, name, true, s.gateway, s.field("tls.credentialName")) {
			f.Code = "gateway-secret"
			return one(f)
		}
	}
	if found := c.secondLeg(g, s, w, append([]object{w.vs}, others...)); found != nil {
		return found
	}
	return c.conflict(g, s)
}

// conflict reports an older Gateway for the gateway's pods with a server that cannot be
// merged with s. Source: istio/istio pilot/pkg/model/gateway.go, mergeGateways.
func (c *facts) conflict(g hop, s server) (found []evidence.Finding) {
	ends := func(s server) bool { return s.protocol() == "HTTPS" || s.protocol() == "TLS" }
	for _, older := range c.list(gateways) {
		if older.Unstructured == s.gateway.Unstructured {
			break // the others are younger
		}
		if !c.gatewaySelects(older, g) || older.GetCreationTimestamp() == s.gateway.GetCreationTimestamp() {
			continue
		}
		for _, o := range serversOf(older) {
			sameHost := ends(o) && ends(s) && o.takes(c.asked.host)
			otherKind := ends(o) != ends(s) || (o.protocol() == "TCP") != (s.protocol() == "TCP")
			if o.port() != s.port() || !sameHost && !otherKind {
				continue
			}
			found = append(found, c.found("gateway-conflict", s.gateway, s.field("port"), c.kubectl("get", older)+" -o yaml",
				"The server of %s has no effect (%s): %s is older and has port %d at the same pods, for %s and %s (%s).",
				c.name(s.gateway), s.field("port"), c.name(older), o.port(), o.protocol(), strings.Join(textsAt(o.data, "hosts"), ", "), o.field("hosts")))
			break
		}
	}
	if len(found) > 1 {
		return nil
	}
	return found
}

// forGateway reports whether a condition of a route is for a gateway's proxy, whatever
// else it wants.
func (c *facts) forGateway(vs object, rule map[string]any, h hop) bool {
	return slices.ContainsFunc(mapsAt(rule, "match"), func(m map[string]any) bool {
		return slices.ContainsFunc(textsAt(m, "gateways"), func(name string) bool {
			g := c.gatewayNamed(name, vs.GetNamespace())
			return !g.none() && c.gatewaySelects(g, h)
		})
	})
}

// notBound explains why a gateway does not have the routes of a VirtualService that
// names its Gateway.
func (c *facts) notBound(g hop, s server, vs object) []evidence.Finding {
	host := c.asked.host
	if !s.admits(vs.GetNamespace(), host) {
		return one(c.found("gateway-other-namespace", s.gateway, s.field("hosts"), c.kubectl("edit", s.gateway),
			"%s takes %s for routes of some namespaces alone (%s: %s), not for VirtualService %s in namespace %s.", c.name(s.gateway), host, s.field("hosts"), strings.Join(textsAt(s.data, "hosts"), ", "), vs.GetName(), vs.GetNamespace()))
	}
	if !exported(vs, g.namespace) {
		return one(c.found("route-not-exported", vs, "spec.exportTo", c.kubectl("edit", vs),
			"%s is not exported to namespace %s (spec.exportTo: %s), so the gateway there does not know its routes.", c.name(vs), g.namespace, strings.Join(vs.texts("spec", "exportTo"), ", ")))
	}
	return nil
}

// targetPort returns the port of the pods behind a Service's port.
func targetPort(svc object, port int) string {
	p, _ := svc.port(port)
	switch v := at(p, "targetPort").(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.Itoa(int(v))
	}
	return strconv.Itoa(port)
}

// otherProtocol reports that a Gateway's server expects another protocol than the
// sidecar speaks to it.
func (c *facts) otherProtocol(s server, u upstream, w way) []evidence.Finding {
	h := c.hop(nil)
	h.line = c.line
	t := c.tlsOf(h, u)
	mutual := t.mode() == "ISTIO_MUTUAL"
	if f := c.inForce(h, u); f.known && f.exists && t.rule.none() && f.tls && s.mode() != "ISTIO_MUTUAL" {
		mutual = false // TLS of the mesh's own, where both sides can
	}
	used, _ := c.rules(h, u.host)
	if with := withSubset(used, u.subset); len(with) > 0 {
		used = with
	}
	passedOn := c.asked.tls && w.kind != "http" // the client's TLS goes through
	switch {
	case s.mode() == "ISTIO_MUTUAL" && !mutual && !t.originates() && len(used) == 1:
		return one(c.found("mutual-on-one-side", used[0], "spec.trafficPolicy", c.kubectl("edit", used[0]),
			"%s wants ISTIO_MUTUAL (%s), but %s has the sidecar speak plain HTTP to it.", c.name(s.gateway), s.field("tls.mode"), c.name(used[0])))
	case s.mode() == "ISTIO_MUTUAL" && !mutual && !t.originates() && len(used) == 0:
		return one(c.found("mutual-on-one-side", s.gateway, s.field("tls.mode"), c.kubectl("edit", s.gateway),
			"%s wants ISTIO_MUTUAL (%s), but no DestinationRule has the sidecar speak it to %s: it speaks plain HTTP.", c.name(s.gateway), s.field("tls.mode"), u.short()))
	case s.mode() == "ISTIO_MUTUAL" && t.originates() && !mutual:
		return one(c.found("mutual-on-one-side", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
			"%s wants ISTIO_MUTUAL (%s), but %s has the sidecar speak TLS of mode %s to it (%s.mode).", c.name(s.gateway), s.field("tls.mode"), c.name(t.rule), t.mode(), t.field))
	case s.mode() == "ISTIO_MUTUAL":
		if sni := textAt(t.settings, "sni"); sni != "" && !s.takes(sni) {
			return one(c.found("gateway-other-hosts", t.rule, t.field+".sni", c.kubectl("edit", t.rule),
				"%s has the sidecar send the SNI %s (%s.sni), which %s does not take: it takes %s.", c.name(t.rule), sni, t.field, c.name(s.gateway), strings.Join(textsAt(s.data, "hosts"), ", ")))
		}
	case s.protocol() == "HTTP" && t.originates():
		return one(c.found("mutual-on-one-side", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
			"%s has the sidecar speak TLS (%s.mode %s) to %s, whose server speaks plain HTTP (%s).", c.name(t.rule), t.field, t.mode(), c.name(s.gateway), s.field("port.protocol")))
	case s.mode() == "PASSTHROUGH" && !passedOn && !t.originates():
		return one(c.found("gateway-wants-tls", s.gateway, s.field("tls.mode"), c.kubectl("edit", s.gateway),
			"%s passes TLS on by its SNI (%s PASSTHROUGH), but the sidecar sends plain HTTP to it.", c.name(s.gateway), s.field("tls.mode")))
	case passedOn && s.protocol() == "HTTP":
		return one(c.found("gateway-protocol", s.gateway, s.field("port.protocol"), c.kubectl("edit", s.gateway),
			"%s expects plain HTTP on port %d (%s), but %s sends the client's TLS to it.", c.name(s.gateway), s.port(), s.field("port.protocol"), c.name(w.vs)))
	case passedOn && (s.mode() == "SIMPLE" || s.mode() == "MUTUAL"):
		return one(c.found("gateway-protocol", s.gateway, s.field("tls.mode"), c.kubectl("edit", s.gateway),
			"%s ends TLS itself (%s %s), but %s sends the client's TLS to it: want PASSTHROUGH.", c.name(s.gateway), s.field("tls.mode"), s.mode(), c.name(w.vs)))
	}
	return nil
}

// withSubset returns the rules that define a subset.
func withSubset(rules []object, name string) (all []object) {
	for _, dr := range rules {
		if name != "" && slices.ContainsFunc(dr.maps("spec", "subsets"), func(s map[string]any) bool { return textAt(s, "name") == name }) {
			all = append(all, dr)
		}
	}
	return all
}

// secondLeg reports that no VirtualService has a route for the gateway.
func (c *facts) secondLeg(g hop, s server, w way, all []object) []evidence.Finding {
	if c.further != nil && !has(c.further, "NR") && c.further.Details != "route_not_found" && c.further.Details != "filter_chain_not_found" {
		return nil
	}
	kinds := []string{"http"}
	if s.mode() == "PASSTHROUGH" {
		kinds = []string{"tls", "tcp"}
	} else if s.protocol() == "TLS" || s.protocol() == "TCP" {
		kinds = []string{"tcp", "tls"}
	}
	at := hop{line: g.line, namespace: g.namespace, labels: g.labels, gateway: true, pod: g.pod, ports: []int{s.port()}}
	otherKind := ""
	var unbound []evidence.Finding
	var near []way // those for the gateway whose other conditions do not fit
	for _, vs := range all {
		if !slices.ContainsFunc(vs.texts("spec", "gateways"), func(name string) bool {
			return c.gatewayNamed(name, vs.GetNamespace()).Unstructured == s.gateway.Unstructured
		}) {
			continue
		}
		if not := c.notBound(g, s, vs); not != nil {
			unbound = append(unbound, not...)
			continue
		}
		for _, way := range c.ways(vs, at) {
			switch {
			case way.matches && slices.Contains(kinds, way.kind):
				if way.sure {
					return nil // there is one
				}
				near = append(near, way)
			case way.matches:
				otherKind = way.at()
			case slices.Contains(kinds, way.kind) && c.forGateway(vs, way.rule, at):
				near = append(near, way)
			}
		}
	}
	if len(unbound) > 0 {
		return unbound
	}
	if len(near) > 0 && c.further == nil {
		return nil // it was not asked for a route
	}
	if len(near) > 0 {
		return c.unmatched(near)
	}
	answer := "the gateway has no listener for it"
	if c.further != nil {
		answer = fmt.Sprintf("the gateway itself answers %d", c.further.Status)
		if c.further.Status == 0 {
			answer = "the gateway ends the connection"
		}
	}
	if otherKind != "" {
		return one(c.found("no-second-leg", w.vs, "spec."+kinds[0], c.kubectl("edit", w.vs),
			"%s has no %s route for gateway %s (the second leg), only %s, which does not fit %s %s: %s.", c.name(w.vs), kinds[0], s.gateway.GetName(), otherKind, s.field("port.protocol"), s.protocol(), answer))
	}
	return one(c.found("no-second-leg", w.vs, "spec."+kinds[0], c.kubectl("edit", w.vs),
		"%s has no route for gateway %s (the second leg): %s.", c.name(w.vs), s.gateway.GetName(), answer))
}
