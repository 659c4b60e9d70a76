package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// rules returns the DestinationRules that a proxy uses for a host, and those for the
// host that it does not use. It looks in its own namespace, then in that of the
// host, then in the root namespace, and takes what the first of them has; there the
// most specific host, and rules that select the pod before those without a selector.
// Source: istio/istio pilot/pkg/model/push_context.go, destinationRule.
func (c *facts) rules(h hop, host string) (used, unused []object) {
	var all []object
	for _, dr := range c.list(destinationRules) {
		if serves(fqdn(dr.text("spec", "host"), dr.GetNamespace()), c.full(dr, host)) {
			all = append(all, dr)
		}
	}
	for _, namespace := range []string{h.namespace, c.namespaceOf(host), c.IstioNamespace} {
		var here, selected []object
		best := ""
		for _, dr := range all {
			if dr.GetNamespace() != namespace || namespace != h.namespace && !exported(dr, h.namespace) {
				continue
			}
			selector := dr.labels("spec", "workloadSelector", "matchLabels")
			if len(selector) > 0 && (namespace != h.namespace || !selects(selector, h.labels)) {
				continue
			}
			named := fqdn(dr.text("spec", "host"), dr.GetNamespace())
			if specific(named) < specific(best) {
				continue
			}
			if specific(named) > specific(best) {
				best, here, selected = named, nil, nil
			}
			if len(selector) > 0 {
				selected = append(selected, dr)
			}
			here = append(here, dr)
		}
		if len(selected) > 0 {
			here = selected
		}
		if used = here; len(used) > 0 {
			break
		}
	}
	for _, dr := range all {
		if !slices.ContainsFunc(used, func(o object) bool { return o.Unstructured == dr.Unstructured }) {
			unused = append(unused, dr)
		}
	}
	return used, unused
}

// full completes a rule's host with two parts, such as reviews.shop.
func (c *facts) full(dr object, host string) string {
	named := dr.text("spec", "host")
	if strings.Count(named, ".") == 1 && named+".svc.cluster.local" == host {
		return named
	}
	return host
}

// specific returns how specific a host is: the more, the fewer names it covers.
func specific(host string) int {
	if host != "" && !strings.HasPrefix(host, "*") {
		return 1000 + len(host)
	}
	return len(host)
}

// namespaceOf returns the namespace of what registers a host.
func (c *facts) namespaceOf(host string) string {
	if parts := strings.Split(host, "."); len(parts) >= 3 && parts[2] == "svc" {
		return parts[1]
	}
	for _, se := range c.list(serviceEntries) {
		if slices.Contains(se.texts("spec", "hosts"), host) && exported(se, c.client()) {
			return se.GetNamespace()
		}
	}
	return ""
}

// A tls is the part of a DestinationRule about TLS, and its place in the rule.
type tls struct {
	rule     object
	field    string
	settings map[string]any
}

func (t tls) mode() string { return textAt(t.settings, "mode") }

func (t tls) credential() string {
	name := textAt(t.settings, "credentialName")
	if strings.HasPrefix(name, "builtin://") {
		return ""
	}
	return name
}

// originates reports whether it has a proxy speak TLS.
func (t tls) originates() bool { return !t.rule.none() && t.mode() != "" && t.mode() != "DISABLE" }

// tlsOf returns the settings for TLS to an upstream in the rules that a proxy uses; the
// zero value if there are none. A subset's settings take precedence over its rule's,
// and a port's over those for all ports.
func (c *facts) tlsOf(h hop, u upstream) tls {
	used, _ := c.rules(h, u.host)
	for _, dr := range used {
		for i, s := range dr.maps("spec", "subsets") {
			if u.subset != "" && textAt(s, "name") == u.subset {
				if t, ok := tlsIn(dr, fmt.Sprintf("spec.subsets[%d]", i), s, u.port); ok {
					return t
				}
			}
		}
	}
	for _, dr := range used {
		if t, ok := tlsIn(dr, "spec", mapAt(dr.Object, "spec"), u.port); ok {
			return t
		}
		if at(dr.Object, "spec", "trafficPolicy") != nil {
			break // if a host has several rules, the first one with a policy counts
		}
	}
	return tls{}
}

func mapAt(m map[string]any, path ...string) map[string]any {
	one, _ := at(m, path...).(map[string]any)
	return one
}

// tlsIn returns a traffic policy's settings for TLS to a port.
func tlsIn(dr object, field string, from map[string]any, port int) (tls, bool) {
	for i, s := range mapsAt(from, "trafficPolicy", "portLevelSettings") {
		if settings := mapAt(s, "tls"); settings != nil && numberAt(s, "port", "number") == port {
			return tls{dr, fmt.Sprintf("%s.trafficPolicy.portLevelSettings[%d].tls", field, i), settings}, true
		}
	}
	if settings := mapAt(from, "trafficPolicy", "tls"); settings != nil {
		return tls{dr, field + ".trafficPolicy.tls", settings}, true
	}
	return tls{}, false
}

// A way is where a route of a VirtualService leads.
type way struct {
	vs      object
	kind    string // http, tls or tcp
	route   int    // its index among those of its kind
	field   string // spec.http[0].route[0].destination
	to      upstream
	rule    map[string]any
	matches bool // as far as is known without the request's headers
	sure    bool
}

// at returns the route's path in its VirtualService.
func (w way) at() string { return fmt.Sprintf("spec.%s[%d]", w.kind, w.route) }

// routesFor returns the VirtualServices for a host that a proxy may take, the
// oldest first, and those for which it is not meant or that it does not see.
func (c *facts) routesFor(h hop, host string) (taken, not []object) {
	sidecar := object{}
	if !h.gateway {
		sidecar = c.sidecarOf()
	}
	best := 0
	for _, vs := range c.list(virtualServices) {
		named := c.hostFor(vs, host)
		if named == "" {
			continue
		}
		ok := c.boundTo(vs, h) && exported(vs, h.namespace) && (sidecar.none() || imports(sidecar, vs.GetNamespace(), []string{named}))
		switch {
		case !ok:
			not = append(not, vs)
		case specific(named) > best:
			best = specific(named)
			not, taken = append(not, taken...), []object{vs}
		case specific(named) == best:
			taken = append(taken, vs)
		default:
			not = append(not, vs)
		}
	}
	return taken, not
}

// hostFor returns the host of a VirtualService that covers a name, "" if none does.
func (c *facts) hostFor(vs object, name string) string {
	for _, h := range vs.texts("spec", "hosts") {
		h = fqdn(h, vs.GetNamespace())
		for _, n := range c.names(name) {
			if serves(h, n) {
				return h
			}
		}
	}
	return ""
}

// boundTo reports whether a VirtualService is for a proxy: for sidecars by "mesh",
// which it is if it names no gateway, for a gateway by a Gateway that selects its pod.
func (c *facts) boundTo(vs object, h hop) bool {
	names := vs.texts("spec", "gateways")
	if !h.gateway {
		return len(names) == 0 || slices.Contains(names, "mesh")
	}
	return slices.ContainsFunc(names, func(name string) bool {
		g := c.gatewayNamed(name, vs.GetNamespace())
		return !g.none() && c.gatewaySelects(g, h)
	})
}

// gatewayNamed returns the Gateway that a VirtualService of a namespace names, the zero
// object if there is none.
func (c *facts) gatewayNamed(name, namespace string) object {
	if ns, short, qualified := strings.Cut(name, "/"); qualified {
		if name = short; ns != "." {
			namespace = ns
		}
	}
	for _, g := range c.list(gateways) {
		if g.GetName() == name && g.GetNamespace() == namespace {
			return g
		}
	}
	return object{}
}

func (c *facts) gatewaySelects(g object, h hop) bool {
	return selects(g.labels("spec", "selector"), h.labels)
}

// ways returns where the routes of a VirtualService lead a request at a proxy.
func (c *facts) ways(vs object, h hop) (all []way) {
	for _, kind := range []string{"http", "tls", "tcp"} {
		for i, rule := range vs.maps("spec", kind) {
			matches, sure := c.matched(vs, rule, kind, h)
			for j, d := range mapsAt(rule, "route") {
				w := way{vs: vs, kind: kind, route: i, rule: rule, matches: matches, sure: sure, field: fmt.Sprintf("spec.%s[%d].route[%d].destination", kind, i, j)}
				w.to = upstream{port: numberAt(d, "destination", "port", "number"), subset: textAt(d, "destination", "subset"), host: c.destination(textAt(d, "destination", "host"), vs.GetNamespace())}
				all = append(all, w)
			}
		}
	}
	return all
}

// destination completes the host of a destination.
func (c *facts) destination(host, namespace string) string {
	if strings.Count(host, ".") == 1 {
		if svc := c.serviceNamed(host + ".svc.cluster.local"); !svc.none() {
			return host + ".svc.cluster.local"
		}
	}
	return fqdn(host, namespace)
}

// matched reports whether a route may be for the request, and whether that is sure.
func (c *facts) matched(vs object, rule map[string]any, kind string, h hop) (matches, sure bool) {
	list := mapsAt(rule, "match")
	if len(list) == 0 {
		return true, true
	}
	for _, m := range list {
		ok, certain := c.matchedBy(vs, m, kind, h)
		if ok {
			return true, certain
		}
	}
	return false, true
}

// matchedBy reports the same about one of the conditions of a route.
func (c *facts) matchedBy(vs object, m map[string]any, kind string, h hop) (ok, sure bool) {
	if names := textsAt(m, "gateways"); len(names) > 0 {
		bound := slices.ContainsFunc(names, func(name string) bool {
			if !h.gateway {
				return name == "mesh"
			}
			g := c.gatewayNamed(name, vs.GetNamespace())
			return !g.none() && c.gatewaySelects(g, h)
		})
		if !bound {
			return false, true
		}
	}
	ports := []int{c.asked.port}
	if h.gateway {
		ports = h.ports
	}
	if port := numberAt(m, "port"); port != 0 && len(ports) > 0 && !slices.Contains(ports, port) {
		return false, true
	}
	if hosts := textsAt(m, "sniHosts"); len(hosts) > 0 && !slices.ContainsFunc(hosts, func(s string) bool { return serves(s, c.asked.host) }) {
		return false, true
	}
	if labels := labelsAt(m, "sourceLabels"); len(labels) > 0 && !h.gateway && !selects(labels, h.labels) {
		return false, true
	}
	if uri := mapAt(m, "uri"); uri != nil && c.asked.url != nil {
		path := c.asked.url.EscapedPath()
		if path == "" {
			path = "/"
		}
		prefix, exact := textAt(uri, "prefix"), textAt(uri, "exact")
		if prefix != "" && !strings.HasPrefix(path, prefix) || exact != "" && path != exact {
			return false, true
		}
	}
	sure = kind != "http" || at(m, "headers") == nil && at(m, "queryParams") == nil && at(m, "method") == nil &&
		at(m, "withoutHeaders") == nil && textAt(m, "uri", "regex") == "" && at(m, "authority") == nil
	return true, sure
}

// destinations returns where the request was to go from a proxy: the upstream of its
// line, or if the line names none, where the VirtualServices for its host lead.
func (c *facts) destinations(h hop) (all []way) {
	if u, ok := upstreamOf(h.line); ok {
		w := way{to: u, matches: true, sure: true}
		taken, _ := c.routesFor(h, c.asked.host)
		for _, vs := range taken {
			for _, candidate := range c.ways(vs, h) {
				if candidate.to.host == u.host && candidate.to.subset == u.subset && (candidate.to.port == 0 || candidate.to.port == u.port) {
					candidate.to = u
					return []way{candidate}
				}
			}
		}
		return []way{w}
	}
	taken, _ := c.routesFor(h, c.asked.host)
	for _, vs := range taken {
		for _, w := range c.ways(vs, h) {
			if !w.matches || !c.asked.tls && !h.gateway && w.kind == "tls" || c.asked.tls && !h.gateway && w.kind == "http" {
				continue
			}
			if w.to.port == 0 {
				w.to.port = c.onlyPort(w.to.host)
			}
			all = append(all, w)
			if w.sure && len(mapsAt(w.rule, "route")) == 1 {
				return all // what follows is not reached
			}
		}
		if len(all) > 0 {
			return all
		}
	}
	if len(all) == 0 && c.asked.host != "" {
		all = append(all, way{to: upstream{port: c.asked.port, host: c.asked.host}, matches: true, sure: true})
	}
	return all
}

// onlyPort returns the port of a destination that names none: the only one of its
// Service, else the one that was asked for.
func (c *facts) onlyPort(host string) int {
	for _, t := range c.registered(host, c.asked.port) {
		if ports := t.maps("spec", "ports"); len(ports) == 1 {
			return max(numberAt(ports[0], "number"), numberAt(ports[0], "port"))
		}
	}
	return c.asked.port
}

// routeTo returns the route that leads a request of the sidecar or of a gateway to an
// upstream; its object is the zero one if none does.
func (c *facts) routeTo(h hop, u upstream) way {
	for _, w := range c.destinations(hop{line: &evidence.Line{Cluster: u.key(), Proxy: "?"}, namespace: h.namespace, labels: h.labels, gateway: h.gateway}) {
		return w
	}
	return way{}
}
