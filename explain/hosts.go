package explain

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// hostsFamily is about the objects that register the host that was asked for.
var hostsFamily = family{"The host", hosts, []Cause{
	{"host-not-registered", "`BlackHoleCluster`, 502 or curl 35; or `PassthroughCluster`", "No ServiceEntry has the host.", "Apply a ServiceEntry with the host and the port."},
	{"host-misspelt", "`BlackHoleCluster` or `PassthroughCluster`", "A ServiceEntry has a host that is one slip away.", "Correct `spec.hosts`."},
	{"not-exported", "`BlackHoleCluster` or `PassthroughCluster`; 503 and `NC` at a gateway", "The ServiceEntry is not exported to the namespace of the pod or of the gateway.", "Add the namespace, or `*`, to `spec.exportTo`."},
	{"not-imported", "`BlackHoleCluster` or `PassthroughCluster`", "The Sidecar that selects the pod leaves the host out.", "Add `NAMESPACE/HOST` to the Sidecar's `spec.egress.hosts`."},
	{"port-not-declared", "`BlackHoleCluster` or `PassthroughCluster`", "The ServiceEntry does not declare the port.", "Add the port to `spec.ports`."},
	{"wrong-protocol", "TLS fails (curl 35), or a line without method and path", "The port is declared with another protocol than the client speaks.", "Correct `spec.ports[].protocol`; of a Service the port's name or appProtocol."},
	{"policy-allows", "`PassthroughCluster` where blocked was expected", "The outbound traffic policy lets unknown hosts pass.", "Set `outboundTrafficPolicy.mode: REGISTRY_ONLY` in the mesh's configuration, or in the Sidecar that says otherwise."},
	{"other-host-takes-port", "the line's upstream is another host", "A ServiceEntry without addresses declares the port as TCP and takes all that comes to it.", "Give it `spec.addresses`, or declare the port as TLS or HTTPS."},
	{"host-registered", "answered where blocked was expected", "A ServiceEntry registers the host, and no Sidecar leaves it out.", "Delete it, have a Sidecar leave it out, or expect the answer."},
	{"alias-not-registered", "`BlackHoleCluster` or `PassthroughCluster` for a Service of type ExternalName", "No ServiceEntry has the host behind the Service.", "Apply a ServiceEntry with the host in `spec.externalName`."},
	{"service-missing", "curl 6", "There is no Service of that name.", "Create it, or correct the host."},
	{"host-not-in-lab", "curl 6, in a lab", "The lab's internet has no such host.", "Correct the host, or add it: `egressplay lab internet add`, or `internet` in the playbook."},
	{"name-not-found", "curl 6", "The pod's DNS has no address for the host.", "Correct the host, or let the pod reach the cluster's DNS."},
}}

func hosts(c *facts) []evidence.Finding {
	if c.Kind == "policy" && c.wanted(func(v *evidence.Verdict) bool { return v.Want == "REGISTRY_ONLY" && v.Got == "ALLOW_ANY" }) {
		return c.policy()
	}
	if c.asked.url == nil {
		return nil
	}
	if found := c.otherHost(); found != nil {
		return found
	}
	if l := c.line; l != nil && (l.Cluster == evidence.BlackHole || l.Cluster == evidence.Passthrough || l.Route == "block_all" || l.Route == "allow_any") {
		return c.unknownHost(l)
	}
	if found := c.letPass(c.line); found != nil {
		return found
	}
	if found := c.nameNotFound(); found != nil {
		return found
	}
	return c.wrongProtocol()
}

// unknownHost explains a request whose host the sidecar does not know.
func (c *facts) unknownHost(l *evidence.Line) []evidence.Finding {
	if !c.mayList(serviceEntries, services) {
		return nil
	}
	host, port := c.asked.host, c.asked.port
	all := c.registered(host, port)
	if svc, p, i := c.serviceAt(l.DownstreamLocal); !svc.none() && !slices.ContainsFunc(all, func(t target) bool { return t.Unstructured == svc.Unstructured }) {
		all = append(all, target{svc, p, i})
	}
	blocked := l.Cluster == evidence.BlackHole || l.Route == "block_all"
	if !blocked && c.wanted(blockedWanted) {
		return c.policy()
	}
	policy := "the mesh lets requests to unknown hosts pass (outboundTrafficPolicy ALLOW_ANY)"
	if blocked {
		policy = "the mesh sends nothing to unknown hosts (outboundTrafficPolicy REGISTRY_ONLY)"
	}
	if len(all) == 0 {
		if !blocked && c.asked.status < 400 && c.asked.exit == 0 && !c.claimed("log", "path", "counter") {
			return nil // nobody wanted it registered
		}
		return c.nearOrNone(host, policy)
	}
	seen := c.visible(all)
	if len(seen) == 0 {
		return c.notVisible(all, host)
	}
	if found := c.aliasOf(seen, policy); found != nil {
		return found
	}
	var declared []target
	for _, t := range seen {
		if t.port != nil {
			declared = append(declared, t)
		}
	}
	if len(declared) == 0 && len(seen) == 1 {
		t := seen[0]
		return one(c.found("port-not-declared", t.object, "spec.ports", c.kubectl("edit", t.object),
			"%s does not declare port %d of %s (it declares %s), and %s.", c.name(t.object), port, host, portsOf(t.object), policy))
	}
	var found []evidence.Finding
	for _, t := range declared {
		found = append(found, c.protocolOf(t)...)
	}
	if len(found) == 0 && len(declared) == 1 && c.asked.tls {
		return c.otherSNI()
	}
	return found
}

// otherSNI reports that the tls routes of the host's VirtualService are for other SNIs.
// They take the place of the host's own route.
func (c *facts) otherSNI() []evidence.Finding {
	if !c.mayList(virtualServices) {
		return nil
	}
	h := c.hop(c.line)
	taken, _ := c.routesFor(h, c.asked.host)
	var near []way
	for _, vs := range taken {
		for i, r := range vs.maps("spec", "tls") {
			if matches, _ := c.matched(vs, r, "tls", h); matches {
				return nil
			}
			near = append(near, way{vs: vs, kind: "tls", route: i, rule: r})
		}
	}
	return c.unmatched(near)
}

func portsOf(o object) string {
	var all []string
	for _, p := range o.maps("spec", "ports") {
		all = append(all, strconv.Itoa(max(numberAt(p, "number"), numberAt(p, "port"))))
	}
	return strings.Join(all, ", ")
}

// notVisible explains a host that is registered where the client's sidecar does not see
// it.
func (c *facts) notVisible(all []target, host string) (found []evidence.Finding) {
	sidecar := c.sidecarOf()
	entries := slices.ContainsFunc(all, func(t target) bool { return t.GetKind() == "ServiceEntry" })
	for _, t := range all {
		if t.GetKind() == "Service" && !exported(t.object, c.client()) {
			none := ""
			if !entries {
				none = fmt.Sprintf("No ServiceEntry has the host %s, and ", host)
			}
			const annotation = "networking.istio.io/exportTo"
			found = append(found, c.found("not-exported", t.object, "metadata.annotations", c.kubectl("get", t.object)+" -o yaml",
				"%s%s is not exported to namespace %s (its annotation %s is %s): the sidecar does not know the host.", none, c.name(t.object), c.client(), annotation, t.GetAnnotations()[annotation]))
			continue
		}
		if !exported(t.object, c.client()) {
			field := "spec.exportTo"
			found = append(found, c.found("not-exported", t.object, field, c.kubectl("edit", t.object),
				"%s is not exported to namespace %s (%s: %s), so the sidecar does not know %s.", c.name(t.object), c.client(), field, strings.Join(t.texts("spec", "exportTo"), ", "), host))
			continue
		}
		found = append(found, c.found("not-imported", sidecar, "spec.egress.hosts", c.kubectl("edit", sidecar),
			"%s leaves out %s: its egress.hosts are %s, and %s is in namespace %s.", c.name(sidecar), c.name(t.object), strings.Join(egressHosts(sidecar), ", "), host, t.GetNamespace()))
	}
	return found
}

// aliasOf explains a Service of type ExternalName: the sidecar knows it only where
// the host behind it is registered.
func (c *facts) aliasOf(seen []target, policy string) []evidence.Finding {
	if len(seen) != 1 || seen[0].text("spec", "type") != "ExternalName" {
		return nil
	}
	svc, behind := seen[0].object, seen[0].text("spec", "externalName")
	if len(c.registered(behind, c.asked.port)) > 0 || !c.claimed("log", "path", "counter") && c.asked.status < 400 {
		return nil
	}
	return one(c.found("alias-not-registered", svc, "spec.externalName", "kubectl get serviceentries -A",
		"No ServiceEntry has the host %s, of which %s is another name (spec.externalName), and %s.", behind, c.name(svc), policy))
}

// letPass explains a request that was to be blocked, to a host that is registered.
func (c *facts) letPass(l *evidence.Line) []evidence.Finding {
	u, ok := upstreamOf(l)
	if !ok || !c.wanted(plainlyBlocked) || l.Status >= 400 || !c.mayList(serviceEntries, services, sidecars) {
		return nil
	}
	seen := c.visible(c.registered(c.asked.host, c.asked.port))
	seen = slices.DeleteFunc(seen, func(t target) bool { return t.port == nil })
	if len(seen) != 1 || !serves(u.host, c.asked.host) && u.host != c.asked.host {
		return nil
	}
	t, field := seen[0], "metadata.name"
	if i := slices.IndexFunc(t.texts("spec", "hosts"), func(h string) bool { return serves(h, c.asked.host) }); i >= 0 {
		field = fmt.Sprintf("spec.hosts[%d]", i)
	}
	without := "no Sidecar leaves it out"
	if sidecar := c.sidecarOf(); !sidecar.none() {
		without = c.name(sidecar) + " does not leave it out"
	}
	return one(c.found("host-registered", t.object, field, c.kubectl("get", t.object)+" -o yaml",
		"%s registers %s and its port %d (%s), and %s: so the sidecar does not block the request.", c.name(t.object), c.asked.host, c.asked.port, field, without))
}

// policy explains why unknown hosts may pass.
func (c *facts) policy() []evidence.Finding {
	sidecar := c.sidecarOf()
	if mode := sidecar.text("spec", "outboundTrafficPolicy", "mode"); mode == "ALLOW_ANY" {
		return one(c.found("policy-allows", sidecar, "spec.outboundTrafficPolicy.mode", c.kubectl("edit", sidecar),
			"%s lets requests of the pod to unknown hosts pass (spec.outboundTrafficPolicy.mode ALLOW_ANY), whatever the mesh says.", c.name(sidecar)))
	}
	cm, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: c.IstioNamespace, Name: c.meshConfigMap()})
	if cm.none() {
		return nil
	}
	mode := policyMode(cm.text("data", "mesh"))
	if mode == "REGISTRY_ONLY" {
		return nil // it is set as wanted, but not in force
	}
	said := "its outboundTrafficPolicy.mode is ALLOW_ANY"
	if mode == "" {
		said = "it has no outboundTrafficPolicy, and ALLOW_ANY is the default"
	}
	return one(c.found("policy-allows", cm, "data.mesh", c.kubectl("get", cm)+" -o yaml",
		"The mesh lets requests to unknown hosts pass: ConfigMap %s in namespace %s says so (%s).", cm.GetName(), cm.GetNamespace(), said))
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

// nearOrNone reports that no ServiceEntry has a host, or that the name is a slip of the
// host of one.
func (c *facts) nearOrNone(host, policy string) []evidence.Finding {
	if se, near, i := c.near(host); !se.none() {
		return one(c.found("host-misspelt", se, fmt.Sprintf("spec.hosts[%d]", i), c.kubectl("edit", se),
			"No ServiceEntry has the host %s; %s has %s (spec.hosts[%d]).", host, c.name(se), near, i))
	}
	what, field := "host", "spec.hosts"
	if net.ParseIP(host) != nil {
		what, field = "address", "spec.addresses"
	}
	return one(c.found("host-not-registered", object{}, field, "kubectl get serviceentries -A",
		"No ServiceEntry has the %s %s, and %s.", what, host, policy))
}

// near returns the ServiceEntry whose host was probably meant by a mistyped name. If
// several could be meant, it returns none.
func (c *facts) near(host string) (found object, name string, index int) {
	for _, se := range c.list(serviceEntries) {
		for i, h := range se.texts("spec", "hosts") {
			if !slip(host, h) {
				continue
			}
			if !found.none() {
				return object{}, "", 0
			}
			found, name, index = se, h, i
		}
	}
	return found, name, index
}

// otherHost explains a request that went to another host's upstream: that of a
// ServiceEntry that takes everything that comes to a port.
func (c *facts) otherHost() []evidence.Finding {
	u, ok := upstreamOf(c.line)
	if !ok || u.inMesh() || c.line.Method != "" || serves(u.host, c.asked.host) || u.host == c.asked.host {
		return nil
	}
	h := c.hop(c.line)
	if taken, _ := c.routesFor(h, c.asked.host); len(taken) > 0 {
		return nil // a VirtualService may say so
	}
	for _, t := range c.registered(u.host, u.port) {
		if t.GetKind() != "ServiceEntry" || t.port == nil || len(t.texts("spec", "addresses")) > 0 {
			continue
		}
		if declared, field, value := declaredProtocol(t.object, t.port, t.index); declared == "TCP" {
			return one(c.found("other-host-takes-port", t.object, "spec.addresses", c.kubectl("edit", t.object),
				"%s takes all that comes to port %d, for it declares that as %s (%s) and has no spec.addresses: the request for %s went to %s.", c.name(t.object), u.port, value, field, c.asked.host, u.host))
		}
	}
	return nil
}

// nameNotFound explains curl's exit code 6.
func (c *facts) nameNotFound() []evidence.Finding {
	if c.asked.exit != 6 || !c.mayList(serviceEntries) {
		return nil
	}
	pod := c.Attempt.Command.Pod
	next := fmt.Sprintf("kubectl -n %s exec %s -c %s -- getent hosts %s", pod.Namespace, pod.Name, pod.Container, c.asked.host)
	if se, near, i := c.near(c.asked.host); !se.none() && len(c.registered(c.asked.host, c.asked.port)) == 0 {
		return one(c.found("host-misspelt", se, fmt.Sprintf("spec.hosts[%d]", i), next,
			"The pod's DNS has no address for %s; %s has %s (spec.hosts[%d]).", c.asked.host, c.name(se), near, i))
	}
	for _, name := range c.names(c.asked.host) {
		parts := strings.Split(name, ".")
		if !strings.HasSuffix(name, ".svc.cluster.local") || len(parts) != 5 || !c.mayList(services) || !c.serviceNamed(name).none() {
			continue
		}
		// Of a name with two labels the second one may be a domain of the internet.
		if !c.mayList(namespaces) || !slices.ContainsFunc(c.list(namespaces), func(n object) bool { return n.GetName() == parts[1] }) {
			continue
		}
		var here, elsewhere []string
		for _, svc := range c.list(services) {
			switch {
			case svc.GetNamespace() == parts[1]:
				here = append(here, svc.GetName())
			case svc.GetName() == parts[0]:
				elsewhere = append(elsewhere, svc.GetNamespace())
			}
		}
		near := nearOf(parts[0], here)
		if near == "" && len(elsewhere) == 1 {
			near = "; there is one in namespace " + elsewhere[0]
		}
		return one(c.found("service-missing", object{}, "metadata.name", "kubectl -n "+parts[1]+" get services",
			"The pod's DNS has no address for %s: there is no Service %s in namespace %s%s.", c.asked.host, parts[0], parts[1], near))
	}
	if found := c.notInLab(); found != nil {
		return found
	}
	return one(c.found("name-not-found", object{}, "", next, "The pod's DNS has no address for %s.", c.asked.host))
}

// notInLab reports that the cluster is a lab whose internet does not have the host, and
// which hosts it has.
func (c *facts) notInLab() []evidence.Finding {
	lab, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "kube-public", Name: "egressplay-lab"})
	if lab.none() || strings.Count(c.asked.host, ".") == 0 || strings.HasSuffix(c.asked.host, ".cluster.local") {
		return nil
	}
	names := strings.Fields(lab.text("data", "hosts"))
	if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return serves(n, c.asked.host) }) {
		return nil
	}
	near := ""
	for _, n := range names {
		if slip(c.asked.host, n) {
			near = ": it has " + n
		}
	}
	f := c.found("host-not-in-lab", object{}, "",
		fmt.Sprintf(`printf 'apiVersion: egressplay/v1\nkind: Internet\nhosts: [{names: [%s]}]\n' | egressplay lab internet add -`, c.asked.host),
		"The lab's internet has no host %s%s.", c.asked.host, near)
	f.Facts = append(f.Facts, "it has "+strings.Join(names, ", "), fmt.Sprintf("a playbook brings its own: internet: [{names: [%s]}]", c.asked.host))
	return one(f)
}

// protocolOf reports a port that is declared with another protocol than the client
// speaks.
func (c *facts) protocolOf(t target) []evidence.Finding {
	declared, field, value := declaredProtocol(t.object, t.port, t.index)
	number, name, next := c.asked.port, c.name(t.object), c.kubectl("edit", t.object)
	switch {
	case c.asked.proxied: // what is spoken with a proxy may be TCP as well as HTTP
		return nil
	case c.asked.tls && declared == "HTTP":
		return one(c.found("wrong-protocol", t.object, field, next,
			"%s declares port %d as %s (%s), but the client speaks TLS there: want HTTPS or TLS.", name, number, value, field))
	case !c.asked.tls && declared == "TCP":
		return one(c.found("wrong-protocol", t.object, field, next,
			"%s declares port %d as %s (%s), so the sidecar does no HTTP there: no route, no header, no path.", name, number, value, field))
	case !c.asked.tls && declared == "TLS":
		return one(c.found("wrong-protocol", t.object, field, next,
			"%s declares port %d as %s (%s), but the client speaks plain HTTP there.", name, number, value, field))
	}
	return nil
}

// declaredProtocol returns the protocol of a port in one of three words, "" if the
// proxy detects it; the field that declares it; and the value of that field. Source:
// istio.io, "Protocol Selection".
func declaredProtocol(o object, port map[string]any, i int) (protocol, field, value string) {
	value, field = textAt(port, "protocol"), fmt.Sprintf("spec.ports[%d].protocol", i)
	if o.GetKind() == "Service" {
		value, field = textAt(port, "name"), fmt.Sprintf("spec.ports[%d].name", i)
		if app := textAt(port, "appProtocol"); app != "" {
			value, field = app, fmt.Sprintf("spec.ports[%d].appProtocol", i)
		}
	}
	word := strings.ToUpper(value)
	if o.GetKind() == "Service" {
		word, _, _ = strings.Cut(word, "-")
	}
	switch word {
	case "HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY", "KUBERNETES.IO/H2C", "KUBERNETES.IO/WS":
		return "HTTP", field, value
	case "HTTPS", "TLS", "KUBERNETES.IO/WSS":
		return "TLS", field, value
	case "TCP", "MONGO", "MYSQL", "REDIS":
		return "TCP", field, value
	}
	return "", field, value
}

// wrongProtocol explains a request that came to the host's own cluster, which
// expects another protocol.
func (c *facts) wrongProtocol() []evidence.Finding {
	// TLS on a port of HTTP leaves no request that was understood; a port of TCP leaves
	// a line without a request.
	if c.asked.tls && c.asked.exit == 0 || !c.asked.tls && (c.line == nil || c.line.Method != "") {
		return nil
	}
	if c.asked.tls && c.line != nil && c.line.Cluster != "" {
		return nil // a listener for TLS took it
	}
	var found []evidence.Finding
	for _, t := range c.visible(c.registered(c.asked.host, c.asked.port)) {
		if t.port != nil {
			found = append(found, c.protocolOf(t)...)
		}
	}
	return found
}
