package explain

import (
	"fmt"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// tlsFamily is about TLS that one side speaks and the other does not.
var tlsFamily = family{"TLS on one side", oneSide, []Cause{
	{"no-tls-origination", "400 from a port of TLS, or `UC`", "No DestinationRule has the proxy originate TLS for the host and port, to which it sends plain HTTP.", "Apply a DestinationRule with `tls.mode: SIMPLE` for the host and the port."},
	{"rule-without-selector", "400 from a port of TLS", "A DestinationRule has `credentialName` and no `workloadSelector`: a sidecar then ignores its TLS settings.", "Add `spec.workloadSelector`."},
	{"rule-selects-other-pods", "400 from a port of TLS", "The `workloadSelector` of the DestinationRule does not select the pod.", "Correct `spec.workloadSelector`."},
	{"rule-elsewhere", "400 from a port of TLS", "The DestinationRule is where the proxy does not look, or another one comes before it.", "Move it into the client's namespace, export it, or merge the two."},
	{"rule-other-port", "400 from a port of TLS", "The DestinationRule originates TLS for another port.", "Correct `portLevelSettings[].port.number`."},
	{"rule-other-subset", "400 from a port of TLS", "TLS is originated in a subset to which the route does not send.", "Add the subset to the route's destination."},
	{"rule-other-host", "400 from a port of TLS", "The DestinationRule that originates TLS is for a host that is one slip away.", "Correct `spec.host`."},
	{"tls-disabled", "400 from a port of TLS", "The DestinationRule says `tls.mode: DISABLE`.", "Set `SIMPLE`."},
	{"tls-in-tls", "curl 35", "A DestinationRule originates TLS for a port where the client speaks TLS already.", "Originate TLS for the port of HTTP alone."},
	{"tls-to-plain", "503 and `UF` with WRONG_VERSION_NUMBER; curl 35", "TLS is sent to a port that speaks plain HTTP.", "Correct the route's port, the rule or `targetPort`."},
	{"http2-to-http1", "502 and `UPE`", "A ServiceEntry or a DestinationRule has the proxy speak HTTP/2 to a server that speaks HTTP/1.1.", "Declare the port as HTTP, or drop `h2UpgradePolicy`."},
	{"strict-mutual", "503 and `UC`; curl 56", "The destination wants the mesh's mutual TLS (PeerAuthentication STRICT), and the client speaks plain HTTP.", "Give the client a sidecar, or do not switch TLS off in the DestinationRule."},
}}

func oneSide(c *facts) []evidence.Finding {
	for _, explain := range []func(*facts) []evidence.Finding{tlsInTLS, tlsToPlain, strict, http2ToHTTP1, plainToTLS} {
		if found := explain(c); found != nil {
			return found
		}
	}
	return nil
}

// plainToTLS explains plain HTTP that came to a port of TLS.
func plainToTLS(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || l.Status != 400 && !has(l, "UC", "UPE") || l.Method == "" {
		return nil
	}
	u, ok := upstreamOf(l)
	if !ok || !c.mayList(destinationRules, virtualServices, serviceEntries) {
		return nil
	}
	// A pod of the mesh may speak mutual TLS that no rule names, so there the far end
	// has to say so itself.
	if told := c.toldPlain(l); !told && (u.inMesh() || !c.isTLS(u, l)) {
		return nil
	}
	h := c.hop(l)
	t := c.tlsOf(h, u)
	if f := c.inForce(h, u); f.known && f.tls && !f.matches {
		return nil // it speaks TLS: the far end said so itself
	}
	unselected := t.credential() != "" && !h.gateway && len(t.rule.labels("spec", "workloadSelector", "matchLabels")) == 0
	switch {
	case t.originates() && unselected:
		return one(c.found("rule-without-selector", t.rule, "spec.workloadSelector", c.kubectl("edit", t.rule),
			"%s has a credentialName without workloadSelector: a sidecar ignores its TLS settings then, and speaks plain HTTP to port %d.", c.name(t.rule), u.port))
	case t.originates():
		return c.secret(h, u) // else it has the proxy originate TLS
	case t.mode() == "DISABLE":
		return one(c.found("tls-disabled", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
			"%s switches TLS off for %s (%s.mode DISABLE), so the proxy sends plain HTTP to it.", c.name(t.rule), u, t.field))
	}
	if found := c.ruleWithoutEffect(h, u); found != nil {
		return found
	}
	w := c.routeTo(h, u)
	who := "the proxy"
	if !w.vs.none() {
		who = c.name(w.vs)
	}
	rule := "No DestinationRule has"
	if c.hasKind(backendTLSPolicies) {
		if !c.mayList(backendTLSPolicies) {
			return nil
		}
		if p := c.backendPolicy(u); !p.none() {
			return nil // it should originate TLS, and does not
		}
		rule = "No DestinationRule and no BackendTLSPolicy has"
	}
	var f evidence.Finding
	if near := c.nearRule(u); !near.none() {
		f = c.found("rule-other-host", near, "spec.host", c.kubectl("edit", near),
			"%s the proxy originate TLS for %s, to which %s sends plain HTTP; %s is for %s (spec.host).", rule, u, who, c.name(near), near.text("spec", "host"))
		return one(f)
	}
	f = c.found("no-tls-origination", object{}, "spec.trafficPolicy", "kubectl get destinationrules -A",
		"%s the proxy originate TLS for %s, to which %s sends plain HTTP.", rule, u, who)
	if !w.vs.none() {
		f.Field = w.field
		f.Object = &evidence.Change{APIVersion: w.vs.GetAPIVersion(), Kind: w.vs.GetKind(), Namespace: w.vs.GetNamespace(), Name: w.vs.GetName()}
	}
	return one(f)
}

// toldPlain reports whether the far end answered that it got plain HTTP on a port of
// TLS, in the words of nginx or of Go.
func (c *facts) toldPlain(l *evidence.Line) bool {
	out := c.Attempt.Command.Stdout
	return l.Status == 400 && (strings.Contains(out, "plain HTTP request was sent to HTTPS port") || strings.Contains(out, "Client sent an HTTP request to an HTTPS server"))
}

// isTLS reports whether the far end speaks TLS on the port of an upstream, judged by
// the port's number and registration.
func (c *facts) isTLS(u upstream, l *evidence.Line) bool {
	port := portOf(l.UpstreamHost)
	if port == "" {
		port = fmt.Sprint(u.port)
	}
	for _, t := range c.registered(u.host, u.port) {
		if t.port != nil {
			if declared, _, _ := declaredProtocol(t.object, t.port, t.index); declared == "TLS" {
				return true
			}
			if target := numberAt(t.port, "targetPort"); target != 0 {
				port = fmt.Sprint(target)
			}
		}
	}
	return port == "443" || port == "8443"
}

// ruleWithoutEffect explains a rule that would originate TLS for an upstream and that
// the proxy does not use for it.
func (c *facts) ruleWithoutEffect(h hop, u upstream) (found []evidence.Finding) {
	used, unused := c.rules(h, u.host)
	for _, dr := range used {
		spec := mapAt(dr.Object, "spec")
		for i, s := range dr.maps("spec", "subsets") {
			if t, ok := tlsIn(dr, fmt.Sprintf("spec.subsets[%d]", i), s, u.port); ok && t.originates() && textAt(s, "name") != u.subset {
				found = append(found, c.found("rule-other-subset", dr, t.field, c.kubectl("get", dr)+" -o yaml",
					"%s originates TLS for subset %s alone (%s), and the request goes to %s.", c.name(dr), textAt(s, "name"), t.field, subsetText(u)))
			}
		}
		for i, s := range mapsAt(spec, "trafficPolicy", "portLevelSettings") {
			port := numberAt(s, "port", "number")
			if mode := textAt(s, "tls", "mode"); mode != "" && mode != "DISABLE" && port != u.port {
				field := fmt.Sprintf("spec.trafficPolicy.portLevelSettings[%d].port.number", i)
				found = append(found, c.found("rule-other-port", dr, field, c.kubectl("edit", dr),
					"%s originates TLS for port %d (%s), but the request goes to port %d of %s in plain HTTP.", c.name(dr), port, field, u.port, u.host))
			}
		}
		if t, ok := tlsIn(dr, "spec", spec, u.port); ok && t.originates() && len(used) > 1 && dr.Unstructured != used[0].Unstructured {
			found = append(found, c.found("rule-elsewhere", dr, t.field, c.kubectl("get", used[0])+" -o yaml",
				"The trafficPolicy of %s, which originates TLS for %s, is not used: %s is older and has one for the same host.", c.name(dr), u, c.name(used[0])))
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, dr := range unused {
		t, ok := tlsIn(dr, "spec", mapAt(dr.Object, "spec"), u.port)
		if !ok || !t.originates() {
			continue
		}
		selector := dr.labels("spec", "workloadSelector", "matchLabels")
		switch {
		case dr.GetNamespace() == h.namespace && len(selector) > 0 && !selects(selector, h.labels):
			found = append(found, c.found("rule-selects-other-pods", dr, "spec.workloadSelector", c.kubectl("edit", dr),
				"%s originates TLS for %s, but its workloadSelector (%s) does not select the pod of the proxy.", c.name(dr), u, labelsText(selector)))
		case dr.GetNamespace() != h.namespace && len(selector) > 0:
			found = append(found, c.found("rule-elsewhere", dr, "spec.workloadSelector", c.kubectl("edit", dr),
				"%s originates TLS for %s for pods of its own namespace alone (workloadSelector); the proxy is in namespace %s.", c.name(dr), u, h.namespace))
		case dr.GetNamespace() != h.namespace && !exported(dr, h.namespace):
			found = append(found, c.found("rule-elsewhere", dr, "spec.exportTo", c.kubectl("edit", dr),
				"%s originates TLS for %s, but is not exported to namespace %s (spec.exportTo).", c.name(dr), u, h.namespace))
		case len(used) > 0:
			found = append(found, c.found("rule-elsewhere", dr, "spec.host", c.kubectl("get", used[0])+" -o yaml",
				"%s originates TLS for %s, but the proxy uses %s for that host, which does not.", c.name(dr), u, c.name(used[0])))
		default:
			found = append(found, c.found("rule-elsewhere", dr, "metadata.namespace", c.kubectl("get", dr)+" -o yaml",
				"DestinationRule %s, which originates TLS for %s, is in namespace %s, where the proxy of namespace %s does not look.", dr.GetName(), u, dr.GetNamespace(), h.namespace))
		}
	}
	return found
}

func subsetText(u upstream) string {
	if u.subset == "" {
		return "none"
	}
	return "subset " + u.subset
}

// nearRule returns the only DestinationRule that originates TLS for another host, and
// was probably meant for this one: one of the same domain that this run has changed
// or whose host nobody has registered, or one that is a slip away.
func (c *facts) nearRule(u upstream) (near object) {
	for _, dr := range c.list(destinationRules) {
		named := dr.text("spec", "host")
		t, ok := tlsIn(dr, "spec", mapAt(dr.Object, "spec"), u.port)
		if !ok || !t.originates() || serves(named, u.host) {
			continue
		}
		kin := domain(named) == domain(u.host) && (c.changed(dr) || len(c.registered(named, u.port)) == 0)
		if !kin && !slip(u.host, named) {
			continue
		}
		if !near.none() {
			return object{}
		}
		near = dr
	}
	return near
}

// tlsInTLS explains a client's TLS that a rule has the proxy wrap in TLS again.
func tlsInTLS(c *facts) []evidence.Finding {
	l := c.line
	if l == nil || !c.asked.tls || c.asked.exit != 35 {
		return nil
	}
	u, ok := upstreamOf(l)
	if !ok {
		return nil
	}
	if u.inMesh() && c.further != nil {
		if u, ok = upstreamOf(c.further); !ok {
			return nil
		}
		l = c.further
	}
	t := c.tlsOf(c.hop(l), u)
	if !t.originates() || t.mode() == "ISTIO_MUTUAL" {
		return nil
	}
	return one(c.found("tls-in-tls", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
		"%s originates TLS for port %d (%s.mode: %s), where the client already speaks TLS: TLS in TLS.", c.name(t.rule), u.port, t.field, t.mode()))
}

// tlsToPlain explains TLS that came to a port of plain HTTP.
func tlsToPlain(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !wrongVersion(l.TransportFailure) {
		return nil
	}
	u, ok := upstreamOf(l)
	if !ok {
		return nil
	}
	t := c.tlsOf(c.hop(l), u)
	port := portOf(l.UpstreamHost)
	if port == "" {
		port = fmt.Sprint(u.port)
	}
	if !t.originates() {
		p := c.backendPolicy(u)
		if p.none() {
			return nil
		}
		return one(c.found("tls-to-plain", p, "spec.targetRefs", c.kubectl("edit", p),
			"%s has the proxy speak TLS to port %s of %s, which answers in plain text%s.", c.name(p), port, u.host, c.targetPortOf(u)))
	}
	return one(c.found("tls-to-plain", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
		"%s has the proxy speak TLS to port %s of %s (%s.mode %s), which answers in plain text.", c.name(t.rule), port, u.host, t.field, t.mode()))
}

// targetPortOf returns the port that a ServiceEntry's port leads to, "" if several
// register it.
func (c *facts) targetPortOf(u upstream) string {
	all := c.registered(u.host, u.port)
	if len(all) != 1 || all[0].GetKind() != "ServiceEntry" || all[0].port == nil {
		return ""
	}
	field := fmt.Sprintf("spec.ports[%d]", all[0].index)
	if target := numberAt(all[0].port, "targetPort"); target != 0 {
		return fmt.Sprintf(" (%s: %s.targetPort %d)", c.name(all[0].object), field, target)
	}
	return fmt.Sprintf(" (%s gives %s no targetPort)", c.name(all[0].object), field)
}

// backendPolicy returns the BackendTLSPolicy for an upstream, the zero object if there
// is none.
func (c *facts) backendPolicy(u upstream) object {
	all := c.registered(u.host, u.port)
	for _, p := range c.list(backendTLSPolicies) {
		for _, ref := range p.maps("spec", "targetRefs") {
			for _, t := range all {
				section := textAt(ref, "sectionName")
				if textAt(ref, "kind") == t.GetKind() && textAt(ref, "name") == t.GetName() && p.GetNamespace() == t.GetNamespace() && (section == "" || section == textAt(t.port, "name")) {
					return p
				}
			}
			if textAt(ref, "kind") == "Hostname" && textAt(ref, "name") == u.host {
				return p
			}
		}
	}
	return object{}
}

// http2ToHTTP1 explains HTTP/2 without TLS that came to a server of HTTP/1.1.
func http2ToHTTP1(c *facts) []evidence.Finding {
	l := c.last()
	u, ok := upstreamOf(l)
	if !ok || !has(l, "UPE") || !strings.Contains(l.Details+l.TransportFailure, "protocol_error") || !c.mayList(destinationRules, serviceEntries, services) {
		return nil
	}
	h := c.hop(l)
	if c.tlsOf(h, u).originates() {
		return nil // there both agree on it
	}
	dr, field, pool := c.limits(h, u, "connectionPool")
	if textAt(pool, "http", "h2UpgradePolicy") == "UPGRADE" {
		field += ".http.h2UpgradePolicy"
		return one(c.found("http2-to-http1", dr, field, c.kubectl("edit", dr),
			"%s has the proxy speak HTTP/2 to %s (%s UPGRADE), and the server does not answer in HTTP/2.", c.name(dr), u, field))
	}
	all := c.registered(u.host, u.port)
	if len(all) != 1 || all[0].port == nil {
		return nil
	}
	_, field, value := declaredProtocol(all[0].object, all[0].port, all[0].index)
	if word, _, _ := strings.Cut(strings.ToUpper(value), "-"); word != "HTTP2" && word != "GRPC" {
		return nil
	}
	return one(c.found("http2-to-http1", all[0].object, field, c.kubectl("edit", all[0].object),
		"%s declares port %d as %s (%s), so the proxy speaks HTTP/2 to %s, and the server does not answer in HTTP/2.", c.name(all[0].object), u.port, value, field, u.host))
}

// strict explains plain HTTP to a workload that wants the mesh's mutual TLS.
func strict(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !has(l, "UC", "UF") || !c.mayList(peerAuthentications) {
		return nil
	}
	u, ok := upstreamOf(l)
	if !ok || !u.inMesh() {
		return nil
	}
	t := c.tlsOf(c.hop(l), u)
	if t.rule.none() || t.mode() != "DISABLE" {
		return nil
	}
	svc := c.serviceNamed(u.host)
	if svc.none() {
		return nil
	}
	labels := c.labelsBehind(svc)
	for _, pa := range c.list(peerAuthentications) {
		in := pa.GetNamespace() == svc.GetNamespace() || pa.GetNamespace() == c.IstioNamespace && len(pa.labels("spec", "selector", "matchLabels")) == 0
		if in && pa.text("spec", "mtls", "mode") == "STRICT" && selects(pa.labels("spec", "selector", "matchLabels"), labels) {
			return one(c.found("strict-mutual", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
				"%s switches TLS off (%s.mode DISABLE), but %s has %s take nothing but mutual TLS (spec.mtls.mode STRICT).", c.name(t.rule), t.field, c.name(pa), u.short()))
		}
	}
	return nil
}
