package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// noCluster explains a request whose route leads to an upstream cluster that the
// proxy has not (NC): a subset that nobody defines, or not where the client looks;
// a Secret that is not there.
func noCluster(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !slices.Contains(l.Flags, "NC") && l.Details != "cluster_not_found" {
		return nil
	}
	// The line of such a request names no cluster: where it was to go say the
	// routes for its host.
	for _, u := range c.destinations(l) {
		if f := c.missingSecret(u); f != nil {
			return f
		}
		if f := c.missingSubset(u); f != nil {
			return f
		}
	}
	return nil
}

// destinations returns the upstreams to which a request may have been meant to go.
func (c *facts) destinations(l *evidence.Line) (all []upstream) {
	if u, ok := upstreamOf(l.Cluster); ok {
		return []upstream{u}
	}
	for _, vs := range c.list(virtualServices) {
		of := vs.texts("spec", "gateways")
		if l.Proxy == evidence.Sidecar && len(of) > 0 && !slices.Contains(of, "mesh") {
			continue
		}
		if !vs.hasHost(c.asked.host) {
			continue
		}
		for _, d := range vs.destinations() {
			if d.to.port == 0 {
				d.to.port = c.asked.port
			}
			all = append(all, d.to)
		}
	}
	if len(all) == 0 && c.asked.host != "" {
		all = append(all, upstream{port: c.asked.port, host: c.asked.host})
	}
	return all
}

// missingSubset says that nobody defines the subset of an upstream, or not where
// the client looks.
func (c *facts) missingSubset(u upstream) []evidence.Finding {
	if u.subset == "" {
		return nil
	}
	vs, i := c.routeTo(u)
	sender := "The route"
	if vs.Unstructured != nil {
		sender = c.name(vs)
	}
	looked := []string{c.client(), c.IstioNamespace}
	short, _, _ := strings.Cut(u.host, ".")
	var same, elsewhere, without []object
	for _, dr := range c.list(destinationRules) {
		if !c.ruleFor(dr, u.host) {
			continue
		}
		has := slices.ContainsFunc(dr.maps("spec", "subsets"), func(s map[string]any) bool { return textAt(s, "name") == u.subset })
		seen := slices.Contains(looked, dr.GetNamespace()) || dr.GetNamespace() == c.hostNamespace(u.host)
		switch {
		case has && seen:
			same = append(same, dr)
		case has:
			elsewhere = append(elsewhere, dr)
		case seen:
			without = append(without, dr)
		}
	}
	switch {
	case len(same) > 0:
		return nil
	case len(elsewhere) == 1:
		dr := elsewhere[0]
		return []evidence.Finding{c.finding(dr, "metadata.namespace",
			fmt.Sprintf("Subset %s of %s is defined by DestinationRule %s in namespace %s, where the sidecar of namespace %s does not look.", u.subset, short, dr.GetName(), dr.GetNamespace(), c.client()),
			c.kubectl("get", dr)+" -o yaml")}
	case len(without) == 1:
		dr := without[0]
		var names []string
		for _, s := range dr.maps("spec", "subsets") {
			names = append(names, textAt(s, "name"))
		}
		has := "no subset"
		if len(names) > 0 {
			has = strings.Join(names, ", ")
		}
		return []evidence.Finding{c.finding(dr, "spec.subsets",
			fmt.Sprintf("%s sends to subset %s of %s, which %s does not define: it has %s.", sender, u.subset, short, c.name(dr), has), c.kubectl("edit", dr))}
	case len(without) == 0 && vs.Unstructured != nil:
		return []evidence.Finding{c.finding(vs, fmt.Sprintf("spec.http[%d].route", i),
			fmt.Sprintf("%s sends to subset %s of %s, but no DestinationRule is for that host.", sender, u.subset, u.host), c.kubectl("edit", vs))}
	}
	return nil
}

// hostNamespace returns the namespace that a Service's name says.
func (c *facts) hostNamespace(host string) string {
	parts := strings.Split(host, ".")
	if len(parts) >= 3 && parts[2] == "svc" {
		return parts[1]
	}
	return ""
}

// ruleFor reports whether a DestinationRule is for a host; a short name is one of
// its own namespace.
func (c *facts) ruleFor(dr object, host string) bool {
	named := dr.text("spec", "host")
	if serves(named, host) {
		return true
	}
	if strings.Contains(named, ".") {
		parts := strings.Split(named, ".")
		return len(parts) == 2 && named+".svc.cluster.local" == host
	}
	return named+"."+dr.GetNamespace()+".svc.cluster.local" == host
}

// routeTo returns a VirtualService that sends to an upstream, and which of its
// routes does; the zero object where there is none.
func (c *facts) routeTo(u upstream) (found object, route int) {
	for _, vs := range c.list(virtualServices) {
		for _, d := range vs.destinations() {
			if d.to.host == u.host && d.to.subset == u.subset {
				found, route = vs, d.route
			}
		}
	}
	return found, route
}

// A destination is where a route of a VirtualService leads.
type destination struct {
	route int      // its index among the routes of its kind
	to    upstream // with the port 0 where the route names none
}

// destinations returns where the routes of a VirtualService lead. A short name is
// one of its own namespace.
func (o object) destinations() (all []destination) {
	for _, kind := range []string{"http", "tls", "tcp"} {
		for i, r := range o.maps("spec", kind) {
			list, _ := at(r, "route").([]any)
			for _, d := range mappings(list) {
				u := upstream{port: numberAt(d, "destination", "port", "number"), subset: textAt(d, "destination", "subset"), host: textAt(d, "destination", "host")}
				if u.host != "" && !strings.Contains(u.host, ".") {
					u.host += "." + o.GetNamespace() + ".svc.cluster.local"
				}
				all = append(all, destination{i, u})
			}
		}
	}
	return all
}

// missingSecret says that a rule for the upstream names a Secret that is not
// there.
func (c *facts) missingSecret(u upstream) []evidence.Finding {
	for _, dr := range c.list(destinationRules) {
		if !c.ruleFor(dr, u.host) || !c.selects(dr, "spec", "workloadSelector", "matchLabels") {
			continue
		}
		for _, tls := range c.tlsOf(dr, u) {
			name := textAt(tls.settings, "credentialName")
			if name == "" || strings.HasPrefix(name, "builtin://") {
				continue
			}
			if slices.ContainsFunc(c.list(secrets), func(s object) bool { return s.GetName() == name && s.GetNamespace() == c.client() }) {
				continue
			}
			if slices.Contains(c.unread, secrets) {
				continue
			}
			return []evidence.Finding{c.finding(dr, tls.field+".credentialName",
				fmt.Sprintf("There is no Secret %s in namespace %s, which %s names (%s.credentialName).", name, c.client(), c.name(dr), tls.field),
				fmt.Sprintf("kubectl -n %s get secrets", c.client()))}
		}
	}
	return nil
}

// A tls is a part of a DestinationRule about TLS, and where it is.
type tls struct {
	field    string
	settings map[string]any
}

// tlsOf returns what a rule says of TLS to an upstream, the most specific first.
func (c *facts) tlsOf(dr object, u upstream) (all []tls) {
	of := func(field string, from map[string]any) {
		list, _ := at(from, "trafficPolicy", "portLevelSettings").([]any)
		for i, s := range mappings(list) {
			if settings, ok := at(s, "tls").(map[string]any); ok && numberAt(s, "port", "number") == u.port {
				all = append(all, tls{fmt.Sprintf("%s.trafficPolicy.portLevelSettings[%d].tls", field, i), settings})
			}
		}
		if settings, ok := at(from, "trafficPolicy", "tls").(map[string]any); ok {
			all = append(all, tls{field + ".trafficPolicy.tls", settings})
		}
	}
	for i, s := range dr.maps("spec", "subsets") {
		if u.subset != "" && textAt(s, "name") == u.subset {
			of(fmt.Sprintf("spec.subsets[%d]", i), s)
		}
	}
	if spec, ok := at(dr.Object, "spec").(map[string]any); ok {
		of("spec", spec)
	}
	return all
}

// timedOut explains a request that a route's timeout ended.
func timedOut(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !slices.Contains(l.Flags, "UT") {
		return nil
	}
	host := hostOf(l.Authority)
	var found []evidence.Finding
	for _, vs := range c.list(virtualServices) {
		if !vs.hasHost(host) {
			continue
		}
		for i, r := range vs.maps("spec", "http") {
			timeout := textAt(r, "timeout")
			if timeout == "" {
				continue
			}
			field := fmt.Sprintf("spec.http[%d].timeout", i)
			found = append(found, c.finding(vs, field, fmt.Sprintf("%s gives requests to %s %s (%s), and the service takes longer.", c.name(vs), host, timeout, field), c.kubectl("edit", vs)))
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found
}

// certificate explains a certificate that a proxy has refused.
func certificate(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !strings.Contains(l.TransportFailure, "CERTIFICATE_VERIFY_FAILED") {
		return nil
	}
	u, ok := upstreamOf(l.Cluster)
	if !ok {
		return nil
	}
	for _, dr := range c.list(destinationRules) {
		if !c.ruleFor(dr, u.host) {
			continue
		}
		for _, tls := range c.tlsOf(dr, u) {
			return []evidence.Finding{c.finding(dr, tls.field,
				fmt.Sprintf("%s refuses the certificate of %s:%d (%s): %s.", c.name(dr), u.host, u.port, tls.field, strings.TrimSpace(l.TransportFailure)), c.kubectl("get", dr)+" -o yaml")}
		}
	}
	return nil
}

// plainToTLS explains plain HTTP that came to a port of TLS.
func plainToTLS(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || l.Status != 400 && !slices.Contains(l.Flags, "UC") && !slices.Contains(l.Flags, "UPE") {
		return nil
	}
	u, ok := upstreamOf(l.Cluster)
	if !ok || u.port != 443 && l.Status != 400 {
		return nil
	}
	if f := c.missingSecret(u); f != nil {
		return f
	}
	for _, dr := range c.list(destinationRules) {
		if !c.ruleFor(dr, u.host) {
			continue
		}
		for _, tls := range c.tlsOf(dr, u) {
			if l.Proxy == evidence.Sidecar && textAt(tls.settings, "credentialName") != "" && at(dr.Object, "spec", "workloadSelector") == nil {
				return []evidence.Finding{c.finding(dr, "spec.workloadSelector",
					fmt.Sprintf("%s has a credentialName without workloadSelector: a sidecar ignores its TLS settings then, and speaks plain HTTP to port %d.", c.name(dr), u.port), c.kubectl("edit", dr))}
			}
			return nil // it has the proxy originate TLS: the far end said so itself
		}
	}
	if se := c.entries(u.host); len(se) == 1 {
		if port, _ := se[0].port(u.port); port != nil && numberAt(port, "targetPort") == 0 && u.port != 443 {
			return nil
		}
	}
	vs, i := c.routeTo(u)
	if vs.Unstructured == nil {
		return []evidence.Finding{{
			Cause: fmt.Sprintf("No DestinationRule has the proxy originate TLS for %s:%d, to which it sends plain HTTP.", u.host, u.port),
			Next:  "kubectl get destinationrules -A", Facts: c.withLine(nil), Field: "spec.trafficPolicy",
		}}
	}
	return []evidence.Finding{c.finding(vs, fmt.Sprintf("spec.http[%d].route", i),
		fmt.Sprintf("No DestinationRule has the proxy originate TLS for %s:%d, to which %s sends plain HTTP.", u.host, u.port, c.name(vs)),
		"kubectl get destinationrules -A")}
}

// tlsInTLS explains a client's TLS in which a rule has the proxy put another.
func tlsInTLS(c *facts) []evidence.Finding {
	l := c.line
	if l == nil || !c.asked.tls || c.asked.exit != 35 {
		return nil
	}
	u, ok := upstreamOf(l.Cluster)
	if !ok {
		return nil
	}
	for _, dr := range c.list(destinationRules) {
		if !c.ruleFor(dr, u.host) || !c.selects(dr, "spec", "workloadSelector", "matchLabels") {
			continue
		}
		for _, tls := range c.tlsOf(dr, u) {
			mode := textAt(tls.settings, "mode")
			if mode == "" || mode == "DISABLE" {
				return nil
			}
			return []evidence.Finding{c.finding(dr, tls.field+".mode",
				fmt.Sprintf("%s originates TLS for port %d (%s.mode: %s), where the client already speaks TLS: TLS in TLS.", c.name(dr), u.port, tls.field, mode), c.kubectl("edit", dr))}
		}
	}
	return nil
}
