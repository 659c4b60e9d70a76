package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// decidedFamily is about requests that a proxy answers itself, because an object for
// the request's own route says so, or because none of its routes fits.
var decidedFamily = family{"Answered on the way", decided, []Cause{
	{"fault-injected", "a status with `FI`, or an answer that comes late with `DI`", "A VirtualService injects the fault.", "Drop `fault` from the route."},
	{"route-answers", "a status with `direct_response`", "A VirtualService answers the request itself, or redirects it.", "Give the route a destination in place of `directResponse` or `redirect`."},
	{"route-does-not-match", "404 and `NR`", "A VirtualService is for the host, and none of its routes fits the request.", "Correct `match`, or add a route without one."},
	{"rate-limited", "429 and `RL`", "A rate limit that an EnvoyFilter sets refuses the request.", "Raise the limit, or wait."},
	{"token-refused", "401 and `jwt_authn_access_denied`", "A RequestAuthentication refuses the request's token.", "Send a token of the issuer in `jwtRules`, or correct the rule."},
}}

// decided explains a request that the last proxy on its way answered itself.
func decided(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || l.Cluster == evidence.BlackHole || l.Route == "block_all" {
		return nil
	}
	h := c.hop(l)
	switch {
	case has(l, "FI") || strings.HasPrefix(l.Details, "fault_filter_"),
		has(l, "DI") && (c.asked.exit == 28 || has(l, "DC") || c.claimed("elapsed")): // a delay decides nothing else
		return c.byRoute(h, "fault-injected", "fault", "injects a fault into requests for")
	case l.Details == "direct_response":
		if found := c.byRoute(h, "route-answers", "directResponse", "answers itself the requests for"); found != nil {
			return found
		}
		return c.byRoute(h, "route-answers", "redirect", "redirects the requests for")
	case has(l, "NR") && l.Details == "route_not_found" && !h.gateway:
		return c.noMatch(h)
	case has(l, "RL") || strings.HasSuffix(l.Details, "rate_limited"):
		return c.limited(h)
	case strings.HasPrefix(l.Details, "jwt_authn_access_denied"):
		return c.token(h, l)
	}
	return nil
}

// byRoute names the route for the request that has the field key, by which a proxy
// answers itself, if it is the only such route.
func (c *facts) byRoute(h hop, code, key, does string) (found []evidence.Finding) {
	if !c.mayList(virtualServices) {
		return nil
	}
	taken, _ := c.routesFor(h, c.asked.host)
	for _, vs := range taken[:min(len(taken), 1)] { // of several the oldest counts
		for i, r := range vs.maps("spec", "http") {
			matches, sure := c.matched(vs, r, "http", h)
			if !matches {
				continue
			}
			if set := mapAt(r, key); set != nil {
				field := fmt.Sprintf("spec.http[%d].%s", i, key)
				found = append(found, c.found(code, vs, field, c.kubectl("edit", vs),
					"%s %s %s: %s (%s).", c.name(vs), does, c.asked.host, setText(set), field))
			}
			if sure {
				break // what follows is not reached
			}
		}
	}
	if len(found) > 1 {
		return nil // the headers decide which
	}
	return found
}

// setText returns a short text for a fault, a direct response or a redirect.
func setText(m map[string]any) string {
	var all []string
	for key, v := range m {
		switch v := v.(type) {
		case map[string]any:
			if key != "percentage" {
				all = append(all, key+" "+setText(v))
			}
		default:
			all = append(all, fmt.Sprintf("%s %v", key, v))
		}
	}
	slices.Sort(all)
	return short(strings.Join(all, ", "), 60)
}

// noMatch reports that none of the routes for the host fits the request.
func (c *facts) noMatch(h hop) []evidence.Finding {
	if !c.mayList(virtualServices) {
		return nil
	}
	taken, _ := c.routesFor(h, c.asked.host)
	if len(taken) == 0 {
		return nil
	}
	vs := taken[0] // of several the oldest counts
	var near []way
	for i, r := range vs.maps("spec", "http") {
		matches, sure := c.matched(vs, r, "http", h)
		if matches && sure {
			return nil // it fits, so this VirtualService does not decide
		}
		near = append(near, way{vs: vs, kind: "http", route: i, rule: r})
	}
	return c.unmatched(near)
}

// unmatched reports what the routes of a VirtualService want, if none of them fits the
// request.
func (c *facts) unmatched(near []way) []evidence.Finding {
	near = slices.CompactFunc(near, func(a, b way) bool { return a.vs.Unstructured == b.vs.Unstructured && a.at() == b.at() })
	if len(near) == 0 || slices.ContainsFunc(near, func(w way) bool { return w.vs.Unstructured != near[0].vs.Unstructured }) {
		return nil
	}
	vs := near[0].vs
	var wants []string
	for _, w := range near {
		for _, m := range mapsAt(w.rule, "match") {
			if text := matchText(m); text != "" && len(wants) < 3 {
				wants = append(wants, fmt.Sprintf("%s (%s.match)", text, w.at()))
			}
		}
	}
	if len(wants) == 0 {
		return nil
	}
	path := "/"
	if c.asked.url != nil && c.asked.url.EscapedPath() != "" {
		path = c.asked.url.EscapedPath()
	}
	return one(c.found("route-does-not-match", vs, near[0].at()+".match", c.kubectl("edit", vs),
		"No route of %s fits the request for %s%s at the %s: want %s.", c.name(vs), c.asked.host, short(path, 60), c.last().Proxy, short(strings.Join(wants, " or "), 120)))
}

// matchText returns a short text for what a condition of a route wants of a request.
func matchText(m map[string]any) string {
	var all []string
	for _, key := range []string{"uri", "method", "authority", "scheme"} {
		if v := mapAt(m, key); v != nil {
			all = append(all, key+" "+stringMatch(v))
		}
	}
	for _, key := range []string{"headers", "queryParams", "withoutHeaders"} {
		word := map[string]string{"headers": "header", "queryParams": "query parameter", "withoutHeaders": "no header"}[key]
		of := mapAt(m, key)
		var names []string
		for name := range of {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			text := word + " " + name
			if is := stringMatch(mapAt(of, name)); is != "" {
				text += " " + is
			}
			all = append(all, text)
		}
	}
	if port := numberAt(m, "port"); port != 0 {
		all = append(all, fmt.Sprintf("port %d", port))
	}
	if hosts := textsAt(m, "sniHosts"); len(hosts) > 0 {
		all = append(all, "SNI "+strings.Join(hosts, ", "))
	}
	for name, value := range labelsAt(m, "sourceLabels") {
		all = append(all, "a client with the label "+name+"="+value)
	}
	return strings.Join(all, ", ")
}

func stringMatch(m map[string]any) string {
	for _, key := range []string{"exact", "prefix", "regex"} {
		if text := textAt(m, key); text != "" {
			return strings.TrimPrefix(key+" ", "exact ") + text
		}
	}
	return ""
}

// limited names the only EnvoyFilter for a proxy that sets a rate limit.
func (c *facts) limited(h hop) (found []evidence.Finding) {
	if !c.mayList(envoyFilters) {
		return nil
	}
	for _, f := range c.filtersOf(h) {
		for i, p := range f.maps("spec", "configPatches") {
			if name := textAt(p, "patch", "value", "name"); strings.Contains(name, "ratelimit") {
				found = append(found, c.found("rate-limited", f, fmt.Sprintf("spec.configPatches[%d]", i), c.kubectl("get", f)+" -o yaml",
					"%s sets a rate limit at the proxy of pod %s (spec.configPatches[%d]: %s), and this request is over it.", c.name(f), h.pod, i, name))
				break
			}
		}
	}
	if len(found) > 1 {
		return nil
	}
	return found
}

// token names the RequestAuthentication by which a proxy refuses the request's token,
// if it is the only one for that proxy.
func (c *facts) token(h hop, l *evidence.Line) (found []evidence.Finding) {
	if !c.mayList(requestAuthentications) {
		return nil
	}
	_, reason, _ := strings.Cut(l.Details, "{")
	reason = strings.ReplaceAll(strings.TrimSuffix(reason, "}"), "_", " ")
	for _, a := range c.list(requestAuthentications) {
		in := a.GetNamespace() == h.namespace || a.GetNamespace() == c.IstioNamespace && len(a.labels("spec", "selector", "matchLabels")) == 0
		if !in || !selects(a.labels("spec", "selector", "matchLabels"), h.labels) || at(a.Object, "spec", "targetRefs") != nil || at(a.Object, "spec", "targetRef") != nil {
			continue
		}
		found = append(found, c.found("token-refused", a, "spec.jwtRules", c.kubectl("get", a)+" -o yaml",
			"%s has the %s refuse the token of the request (spec.jwtRules): %s.", c.name(a), l.Proxy, short(strings.TrimSuffix(reason, "."), 100)))
	}
	if len(found) > 1 {
		return nil
	}
	return found
}

// rewritten returns what a route changed in the request before the far end answered; ""
// if none did.
func (c *facts) rewritten() string {
	l := c.last()
	if l == nil || l.Status < 400 || l.UpstreamHost == "" || !c.mayList(virtualServices) {
		return ""
	}
	taken, _ := c.routesFor(c.hop(l), c.asked.host)
	for _, vs := range taken[:min(len(taken), 1)] { // of several the oldest counts
		for i, r := range vs.maps("spec", "http") {
			matches, sure := c.matched(vs, r, "http", c.hop(l))
			if rewrite := mapAt(r, "rewrite"); matches && rewrite != nil {
				return fmt.Sprintf("%s rewrites the request: %s (spec.http[%d].rewrite)", c.name(vs), setText(rewrite), i)
			}
			if matches && sure {
				break // what follows is not reached
			}
		}
	}
	return ""
}
