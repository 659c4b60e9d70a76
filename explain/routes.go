package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// routeFamily is about routes that the step expects and that nobody has made. Its
// claims name them: by their name in the access log, by the upstream to which they
// lead, or by what they set.
var routeFamily = family{"A route that is not there", missingRoute, []Cause{
	{"route-missing", "the log's route is another one", "There is no HTTPRoute of the name that the expected route has.", "Apply the HTTPRoute, or correct its name."},
	{"no-route", "the line's upstream is the host itself, or another one", "No VirtualService, HTTPRoute or TLSRoute leads requests for the host to the expected upstream.", "Apply one, or correct its destination."},
	{"no-limit", "no timeout is announced, or an answer comes where 504 was expected", "No VirtualService and no HTTPRoute is for the host, so its requests have no timeout.", "Apply one with `timeout`."},
	{"sidecar-takes-it", "a line where none was expected", "The pod has no annotation that keeps the connection from its sidecar.", "Set `traffic.sidecar.istio.io/includeOutboundIPRanges` or `excludeOutboundIPRanges` in the pod's template."},
}}

func missingRoute(c *facts) []evidence.Finding {
	if c.line == nil {
		return nil
	}
	for _, explain := range []func(*facts) []evidence.Finding{notPastSidecar, routeNamed, noRoute, noLimit} {
		if found := explain(c); found != nil {
			return found
		}
	}
	return nil
}

// notPastSidecar explains a request that was to go past the sidecar, which took it.
// That nothing is to be logged says so only where the sidecar did not know the host:
// a request that it passes on may be left out of its log as well.
func notPastSidecar(c *facts) []evidence.Finding {
	l := c.line
	unknown := l.Cluster == evidence.BlackHole || l.Route == "block_all"
	noLine := func(v *evidence.Verdict) bool { return strings.TrimPrefix(v.Key, "expect.") == "log" && v.Want == "[]" }
	if !c.wanted(directWanted) && !(unknown && c.wanted(noLine)) {
		return nil
	}
	pod := c.source()
	if pod.none() || len(c.registered(c.asked.host, c.asked.port)) > 0 && !c.wanted(directWanted) {
		return nil
	}
	address := evidence.HostOf(l.DownstreamLocal)
	const prefix = "traffic.sidecar.istio.io/"
	has := "no annotation " + prefix + "includeOutboundIPRanges or excludeOutboundIPRanges keeps them from it"
	for _, name := range []string{"includeOutboundIPRanges", "excludeOutboundIPRanges", "excludeOutboundPorts"} {
		if value, set := pod.GetAnnotations()[prefix+name]; set {
			has = fmt.Sprintf("its annotation %s%s is %q", prefix, name, value)
			break
		}
	}
	if address == "" {
		address = c.asked.host
	}
	return one(c.found("sidecar-takes-it", pod, "metadata.annotations", c.kubectl("get", pod)+" -o yaml",
		"The sidecar of pod %s takes its connections to %s: %s.", pod.GetName(), address, has))
}

// ofHTTPRoute matches how the access log names a route that istiod made of a rule of
// an HTTPRoute.
// Source: istio/istio pilot/pkg/config/kube/gateway/conversion.go.
var ofHTTPRoute = regexp.MustCompile(`^([a-z0-9-]+)\.([a-z0-9-]+)\.\d+$`)

// routeNamed reports that a claim about the log names a route whose HTTPRoute does not
// exist.
func routeNamed(c *facts) []evidence.Finding {
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		m := ofHTTPRoute.FindStringSubmatch(strings.Trim(v.Want, `'"`))
		if m == nil || strings.TrimPrefix(v.Key, "expect.") != "log[0].route" || v.Got == v.Want || !c.hasKind(httpRoutes) {
			continue
		}
		if _, gone := c.get(cluster.Ref{APIVersion: gatewayAPIVersion, Kind: "HTTPRoute", Namespace: m[1], Name: m[2]}); !gone {
			continue
		}
		return one(c.found("route-missing", object{}, "metadata.name", fmt.Sprintf("kubectl -n %s get httproutes", m[1]),
			"There is no HTTPRoute %s in namespace %s, whose route the request was to take: it took the route %s.", m[2], m[1], v.Got))
	}
	return nil
}

// noRoute reports that no object leads requests for the host to the upstream that the
// claims name.
func noRoute(c *facts) []evidence.Finding {
	u, ok := c.wantedUpstream()
	got, sent := upstreamOf(c.line)
	unknown := c.line.Cluster == evidence.Passthrough || c.line.Cluster == evidence.BlackHole || c.line.Route == "block_all"
	if !ok || !sent && !(unknown && u.inMesh()) {
		return nil
	}
	if own := slices.Contains(c.names(c.asked.host), u.host) && u.subset == "" && u.port == c.asked.port; own {
		return nil // that needs no route
	}
	if svc, _, _ := c.serviceAt(c.line.DownstreamLocal); !svc.none() && strings.HasPrefix(u.host, svc.GetName()+"."+svc.GetNamespace()+".") {
		return nil // the client has gone to its address
	}
	if sent && !slices.Contains(c.names(c.asked.host), got.host) && !serves(got.host, c.asked.host) {
		return nil // somebody has led it elsewhere
	}
	kinds := []string{"VirtualService"}
	lists := []string{virtualServices}
	if of := map[bool]string{true: tlsRoutes, false: httpRoutes}[c.asked.tls]; c.hasKind(of) {
		kinds, lists = append(kinds, map[bool]string{true: "TLSRoute", false: "HTTPRoute"}[c.asked.tls]), append(lists, of)
	}
	if !c.mayList(lists...) || c.leads(u) || sent && c.led(got) {
		return nil
	}
	to := sentTo(c, got, sent)
	subset := ""
	if u.subset != "" {
		subset = ", subset " + u.subset
	}
	code := "no-route"
	if c.wanted(gatewayWanted) {
		code = "no-route-to-gateway"
	}
	f := c.found(code, object{}, "", "kubectl get "+strings.ToLower(strings.Join(kinds, ","))+" -A",
		"No %s leads requests for %s:%d to %s%s: they go %s.", strings.Join(kinds, " or "), c.asked.host, c.asked.port, u, subset, to)
	return one(f)
}

func sentTo(c *facts, got upstream, sent bool) string {
	switch {
	case !sent && c.line.Cluster == evidence.Passthrough:
		return "straight on (" + evidence.Passthrough + ")"
	case !sent:
		return "nowhere"
	}
	return "to " + got.String()
}

// leads reports whether a route of any kind, for any proxy, leads requests for the host
// to an upstream.
func (c *facts) leads(u upstream) bool {
	for _, vs := range c.list(virtualServices) {
		if c.hostFor(vs, c.asked.host) == "" && !slices.ContainsFunc(vs.texts("spec", "hosts"), func(h string) bool {
			return slip(c.asked.host, h) || domain(h) == domain(c.asked.host) && c.changedWithGateway(vs)
		}) {
			continue
		}
		for _, w := range c.ways(vs, hop{}) {
			if w.to.host == u.host && (w.to.port == 0 || w.to.port == u.port) && (w.to.subset == u.subset || u.inMesh()) {
				return true
			}
		}
	}
	for _, kind := range []string{httpRoutes, tlsRoutes} {
		for _, route := range c.list(kind) {
			if c.routeHas(route, c.asked.host) && c.routeLeads(route, u) {
				return true
			}
		}
	}
	return false
}

// led reports whether a route for the client's sidecar leads requests for the host to
// the upstream to which they went: then that route decides.
func (c *facts) led(got upstream) bool {
	h := c.hop(nil)
	taken, _ := c.routesFor(h, c.asked.host)
	for _, vs := range taken {
		for _, w := range c.ways(vs, h) {
			fits := w.kind == "tcp" || c.asked.tls == (w.kind == "tls")
			if fits && w.matches && w.to.host == got.host && w.to.subset == got.subset && (w.to.port == 0 || w.to.port == got.port) {
				return true
			}
		}
	}
	for _, kind := range []string{httpRoutes, tlsRoutes} {
		if slices.ContainsFunc(c.list(kind), func(r object) bool { return c.routeHas(r, c.asked.host) && c.routeLeads(r, got) }) {
			return true
		}
	}
	return false
}

// changedWithGateway reports whether this run has changed a VirtualService that leads
// to a gateway: it may be meant for another host of the same domain by mistake.
func (c *facts) changedWithGateway(vs object) bool { return c.changed(vs) && c.leadsToGateway(vs) }

// routeLeads reports whether a route of the Gateway API leads to an upstream.
func (c *facts) routeLeads(route object, u upstream) bool {
	for _, r := range route.maps("spec", "rules") {
		for _, b := range mapsAt(r, "backendRefs") {
			namespace := textAt(b, "namespace")
			if namespace == "" {
				namespace = route.GetNamespace()
			}
			host := textAt(b, "name")
			if kind := textAt(b, "kind"); kind == "" || kind == "Service" {
				host += "." + namespace + ".svc.cluster.local"
			}
			if port := numberAt(b, "port"); host == u.host && (port == 0 || port == u.port) {
				return true
			}
		}
	}
	return false
}

// noLimit explains why no timeout is announced to the service: no object for the host
// could set one.
func noLimit(c *facts) []evidence.Finding {
	const header = "x-envoy-expected-rq-timeout-ms"
	limit := func(v *evidence.Verdict) bool {
		return v.Got == "{absent: true}" && (strings.Contains(strings.ToLower(v.JSONPath), header) || strings.Contains(strings.ToLower(v.Key), header))
	}
	u, ok := upstreamOf(c.line)
	if !ok || !c.wanted(limit) && !(c.wanted(timeoutWanted) && c.line.Status < 500) || !c.mayList(virtualServices) {
		return nil
	}
	kinds := "No VirtualService"
	if c.hasKind(httpRoutes) {
		if kinds = "No VirtualService and no HTTPRoute"; !c.mayList(httpRoutes) {
			return nil
		}
	}
	for _, host := range []string{c.asked.host, u.host} {
		if slices.ContainsFunc(c.list(virtualServices), func(vs object) bool { return c.hostFor(vs, host) != "" }) ||
			slices.ContainsFunc(c.list(httpRoutes), func(r object) bool { return c.routeHas(r, host) }) {
			return nil
		}
	}
	if !c.wanted(limit) {
		return one(c.found("no-limit", object{}, "spec.http[].timeout", "kubectl get virtualservices -A",
			"%s is for %s, so the sidecar sets no timeout for its requests, and waits for the answer however late it comes.", kinds, u.host))
	}
	return one(c.found("no-limit", object{}, "spec.http[].timeout", "kubectl get virtualservices -A",
		"%s is for %s, so the sidecar sets no timeout for its requests and announces none (header %s).", kinds, u.host, header))
}
