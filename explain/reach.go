package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// reachFamily is about connections that the last proxy tries in vain to make, where an
// object says to which address or port.
var reachFamily = family{"No connection", notReached, []Cause{
	{"endpoint-unreachable", "503 and `UF`; curl 35", "Nothing takes connections at the address that a ServiceEntry gives.", "Correct `spec.endpoints`."},
	{"connection-refused", "503 and `UF`, connection refused; curl 35", "The port to which a ServiceEntry or a Service leads refuses connections: mostly, nothing listens there.", "Correct `spec.ports[].targetPort`, the port of the endpoint, or the port that is asked for."},
}}

// notReached explains a connection that could not be made to the address or port that
// an object gives.
func notReached(c *facts) []evidence.Finding {
	l := c.last()
	u, ok := upstreamOf(l)
	if !ok || !has(l, "UF") || c.elsewhere() || !c.mayList(serviceEntries, services, destinationRules) {
		return nil
	}
	said := strings.ReplaceAll(l.TransportFailure+" "+l.Details, "_", " ")
	if strings.Contains(said, "TLS") || strings.Contains(said, "SSL") || strings.Contains(said, "Secret") {
		return nil
	}
	if u.inMesh() {
		return c.nothingListens(l, u, said)
	}
	all := c.registered(u.host, u.port)
	if len(all) != 1 || all[0].GetKind() != "ServiceEntry" || all[0].port == nil || l.UpstreamHost == "" {
		return nil
	}
	t := all[0]
	refused := refusedText(said)
	how := "no connection is made (" + noConnection(said) + ")"
	if refused {
		how = "the connection is refused"
	}
	ip, number := evidence.HostOf(l.UpstreamHost), portOf(l.UpstreamHost)
	if f, found := c.atEndpoint(t, ip, number, how, refused); found {
		return one(f)
	}
	if !refused {
		return nil // what is in the way is not known
	}
	if target := numberAt(t.port, "targetPort"); target != 0 && fmt.Sprint(target) == number {
		field := fmt.Sprintf("spec.ports[%d].targetPort", t.index)
		return one(c.found("connection-refused", t.object, field, c.kubectl("edit", t.object),
			"%s leads port %d of %s to port %s (%s), where %s.", c.name(t.object), u.port, u.host, number, field, how))
	}
	return one(c.found("connection-refused", t.object, fmt.Sprintf("spec.ports[%d]", t.index), c.kubectl("edit", t.object),
		"%s refuses connections at port %s (%s), which %s declares (spec.ports[%d]).", u.host, number, l.UpstreamHost, c.name(t.object), t.index))
}

// atEndpoint explains a connection to an address or a port that an endpoint of a
// ServiceEntry gives.
func (c *facts) atEndpoint(t target, ip, number, how string, refused bool) (evidence.Finding, bool) {
	endpoints := t.maps("spec", "endpoints")
	i := slices.IndexFunc(endpoints, func(e map[string]any) bool { return textAt(e, "address") == ip })
	if i < 0 && len(endpoints) == 1 && !isAddress(textAt(endpoints[0], "address")) {
		i = 0 // a name, which led there
	}
	if i < 0 {
		return evidence.Finding{}, false
	}
	field := fmt.Sprintf("spec.endpoints[%d].address", i)
	if port := numberAt(endpoints[i], "ports", textAt(t.port, "name")); port != 0 && refused {
		field = fmt.Sprintf("spec.endpoints[%d].ports.%s", i, textAt(t.port, "name"))
		return c.found("connection-refused", t.object, field, c.kubectl("edit", t.object),
			"%s leads to port %s of %s (%s), where %s.", c.name(t.object), number, textAt(endpoints[i], "address"), field, how), true
	}
	address := textAt(endpoints[i], "address")
	if address != ip {
		address += ", " + ip
	}
	return c.found("endpoint-unreachable", t.object, field, c.kubectl("edit", t.object),
		"%s leads to %s (%s), where %s at port %s.", c.name(t.object), address, field, how, number), true
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// noConnection returns a short text for why no connection was made.
func noConnection(said string) string {
	switch {
	case strings.Contains(said, "No route to host"), strings.Contains(said, "113"):
		return "no route to the host"
	case strings.Contains(said, "Network is unreachable"), strings.Contains(said, "101"):
		return "the network cannot be reached"
	}
	return "nobody answers"
}

// nothingListens explains a connection that the pod of a Service refuses.
func (c *facts) nothingListens(l *evidence.Line, u upstream, said string) []evidence.Finding {
	svc := c.serviceNamed(u.host)
	to := c.peerAt(l.UpstreamHost)
	if svc.none() || !refusedText(said) || to.pod.none() || !c.mayList(gateways, apiGateways) {
		return nil
	}
	forGateways := slices.ContainsFunc(c.list(gateways), func(g object) bool {
		return selects(g.labels("spec", "selector"), to.pod.GetLabels())
	})
	if forGateways || gatewayHop.MatchString(svc.GetName()) || !c.apiGatewayOf(svc).none() {
		return nil // it listens where Gateways and routes say
	}
	_, i := svc.port(u.port)
	field := fmt.Sprintf("spec.ports[%d].targetPort", i)
	return one(c.found("connection-refused", svc, field, c.kubectl("edit", svc),
		"%s leads port %d to port %s of pod %s (%s), which refuses connections.", c.name(svc), u.port, portOf(l.UpstreamHost), to.pod.GetName(), field))
}
