package explain

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/nearest"
)

// unknownHost explains a request that the sidecar took for one to a host that
// nobody has registered.
func unknownHost(c *facts) []evidence.Finding {
	l := c.line
	if l == nil || l.Cluster != evidence.BlackHole && l.Cluster != evidence.Passthrough && l.Route != "block_all" && l.Route != "allow_any" {
		return nil
	}
	if svc, port, i := c.serviceAt(l.DownstreamLocal); svc.Unstructured != nil {
		if port == nil {
			return nil
		}
		return protocolOf(c, svc, port, i)
	}
	host := c.asked.host
	policy := "the mesh lets requests to unknown hosts pass (outboundTrafficPolicy ALLOW_ANY)"
	if l.Cluster == evidence.BlackHole || l.Route == "block_all" {
		policy = "the mesh sends nothing to unknown hosts (outboundTrafficPolicy REGISTRY_ONLY)"
	}
	entries := c.entries(host)
	if len(entries) == 0 {
		if slices.Contains(c.unread, serviceEntries) {
			return nil
		}
		return c.nearOrNone(host, policy)
	}
	if len(entries) > 1 {
		return nil
	}
	se := entries[0]
	if !exported(se, c.client()) {
		return []evidence.Finding{c.finding(se, "spec.exportTo",
			fmt.Sprintf("%s is not exported to namespace %s (spec.exportTo %v), so the sidecar does not know %s.", c.name(se), c.client(), se.texts("spec", "exportTo"), host),
			c.kubectl("edit", se))}
	}
	if f := c.notImported(se); f != nil {
		return f
	}
	port, i := se.port(c.asked.port)
	if port == nil {
		return []evidence.Finding{c.finding(se, "spec.ports",
			fmt.Sprintf("%s does not declare port %d of %s, and %s.", c.name(se), c.asked.port, host, policy), c.kubectl("edit", se))}
	}
	return protocolOf(c, se, port, i)
}

// serviceAt returns the Service that has an address, and its port there.
func (c *facts) serviceAt(address string) (svc object, port map[string]any, i int) {
	ip, text, err := net.SplitHostPort(address)
	if err != nil {
		return object{}, nil, 0
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return object{}, nil, 0
	}
	for _, svc := range c.list(services) {
		if svc.text("spec", "clusterIP") == ip {
			port, i := svc.port(number)
			return svc, port, i
		}
	}
	return object{}, nil, 0
}

// nearOrNone says that no ServiceEntry has a host, or that one has a host that the
// name is a slip of.
func (c *facts) nearOrNone(host, policy string) []evidence.Finding {
	for _, se := range c.list(serviceEntries) {
		hosts := se.texts("spec", "hosts")
		near, found := nearest.Name(host, hosts)
		if !found {
			continue
		}
		i := slices.Index(hosts, near)
		return []evidence.Finding{c.finding(se, fmt.Sprintf("spec.hosts[%d]", i),
			fmt.Sprintf("No ServiceEntry has the host %s; %s has %s (spec.hosts[%d]).", host, c.name(se), near, i), c.kubectl("edit", se))}
	}
	return []evidence.Finding{{
		Cause: fmt.Sprintf("No ServiceEntry has the host %s, and %s.", host, policy),
		Next:  "kubectl get serviceentries -A", Facts: c.withLine(nil), Field: "spec.hosts",
	}}
}

// notImported says that the Sidecar of the pod leaves a ServiceEntry out.
func (c *facts) notImported(se object) []evidence.Finding {
	for _, s := range c.list(sidecars) {
		if s.GetNamespace() != c.client() || !c.selects(s, "spec", "workloadSelector", "labels") {
			continue
		}
		var all []string
		for _, egress := range s.maps("spec", "egress") {
			list, _ := at(egress, "hosts").([]any)
			for _, h := range list {
				text, _ := h.(string)
				all = append(all, text)
			}
		}
		imports := slices.ContainsFunc(all, func(text string) bool {
			namespace, host, ok := strings.Cut(text, "/")
			if !ok {
				return false
			}
			in := namespace == "*" || namespace == se.GetNamespace() || namespace == "." && s.GetNamespace() == se.GetNamespace()
			return in && slices.ContainsFunc(se.texts("spec", "hosts"), func(h string) bool { return host == "*" || serves(host, h) })
		})
		if len(all) == 0 || imports {
			continue
		}
		return []evidence.Finding{c.finding(s, "spec.egress.hosts",
			fmt.Sprintf("%s leaves out %s: its egress.hosts are %s, and the host is in namespace %s.", c.name(s), c.name(se), strings.Join(all, ", "), se.GetNamespace()),
			c.kubectl("edit", s))}
	}
	return nil
}

// selects reports whether the labels at a path of an object select the pod; none
// select every pod.
func (c *facts) selects(o object, path ...string) bool {
	labels, _ := at(o.Object, path...).(map[string]any)
	if len(labels) == 0 {
		return true
	}
	pod := c.source()
	if pod == nil {
		return false
	}
	for name, value := range labels {
		if pod.GetLabels()[name] != value {
			return false
		}
	}
	return true
}

// protocolOf says that a port is declared with another protocol than the client
// speaks.
func protocolOf(c *facts, o object, port map[string]any, i int) []evidence.Finding {
	declared, field, value := declaredProtocol(o, port, i)
	number := c.asked.port
	switch {
	case c.asked.tls && declared == "HTTP":
		return []evidence.Finding{c.finding(o, field,
			fmt.Sprintf("%s declares port %d as %s (%s), but the client speaks TLS there: want HTTPS or TLS.", c.name(o), number, value, field), c.kubectl("edit", o))}
	case !c.asked.tls && declared == "TCP":
		return []evidence.Finding{c.finding(o, field,
			fmt.Sprintf("%s declares port %d as %s (%s), so the sidecar does no HTTP there: no route, no header, no path.", c.name(o), number, value, field), c.kubectl("edit", o))}
	case !c.asked.tls && declared == "TLS":
		return []evidence.Finding{c.finding(o, field,
			fmt.Sprintf("%s declares port %d as %s (%s), but the client speaks plain HTTP there.", c.name(o), number, value, field), c.kubectl("edit", o))}
	}
	return nil
}

// declaredProtocol returns the protocol of a port in one of four words, the field
// that says so, and its value.
// Source: istio.io, "Protocol Selection".
func declaredProtocol(o object, port map[string]any, i int) (protocol, field, value string) {
	value, field = textAt(port, "protocol"), fmt.Sprintf("spec.ports[%d].protocol", i)
	if o.GetKind() == "Service" {
		value, field = textAt(port, "name"), fmt.Sprintf("spec.ports[%d].name", i)
		if app := textAt(port, "appProtocol"); app != "" {
			value, field = app, fmt.Sprintf("spec.ports[%d].appProtocol", i)
		}
	}
	prefix, _, _ := strings.Cut(strings.ToUpper(value), "-")
	switch prefix {
	case "HTTP", "HTTP2", "GRPC":
		return "HTTP", field, value
	case "HTTPS", "TLS":
		return "TLS", field, value
	case "TCP", "MONGO", "MYSQL", "REDIS":
		return "TCP", field, value
	}
	return "", field, value
}

// wrongProtocol explains a request that came to the host's own cluster, which
// expects another protocol.
func wrongProtocol(c *facts) []evidence.Finding {
	// With TLS on a port of HTTP no request was understood; a port of TCP shows in
	// a line without a request.
	if c.asked.url == nil || c.asked.tls && c.asked.exit == 0 || !c.asked.tls && c.line != nil && c.line.Method != "" {
		return nil
	}
	var found []evidence.Finding
	for _, se := range c.entries(c.asked.host) {
		if port, i := se.port(c.asked.port); port != nil {
			found = append(found, protocolOf(c, se, port, i)...)
		}
	}
	short, _, _ := strings.Cut(c.asked.host, ".")
	for _, svc := range c.list(services) {
		namespace := strings.TrimPrefix(strings.TrimPrefix(c.asked.host, short), ".")
		namespace, _, _ = strings.Cut(namespace, ".")
		if svc.GetName() != short || namespace != "" && namespace != svc.GetNamespace() || namespace == "" && svc.GetNamespace() != c.client() {
			continue
		}
		if port, i := svc.port(c.asked.port); port != nil {
			found = append(found, protocolOf(c, svc, port, i)...)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found
}
