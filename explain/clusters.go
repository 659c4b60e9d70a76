package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// clusterFamily is about the upstream cluster of the route: whether it is there, and
// has hosts.
var clusterFamily = family{"The upstream cluster", upstreamCluster, []Cause{
	{"secret-missing", "`NC`, `UF` with \"Secret is not supplied by SDS\", or 400 from a port of TLS", "A Secret that a rule or a Gateway names is not there.", "Create the Secret in the namespace of the pod's proxy, or correct `credentialName`."},
	{"secret-unreadable", "the same", "The pod's service account may not read Secrets, so istiod does not send it the Secret.", "Bind a Role that allows get, list and watch of secrets to the service account."},
	{"secret-wrong-keys", "the same", "The Secret has not the keys that are needed.", "Create it with `tls.key`, `tls.crt` and for mutual TLS `ca.crt`."},
	{"certificate-file-missing", "the same", "The proxy has not a file that a DestinationRule names: `caCertificates`, `clientCertificate` or `privateKey`.", "Mount it into the container istio-proxy, correct its path, or use `credentialName`."},
	{"subset-not-defined", "503 and `NC`", "A VirtualService sends to a subset that no DestinationRule defines.", "Define the subset, or correct its name."},
	{"subset-elsewhere", "503 and `NC`", "The subset is defined in a namespace where the proxy does not look.", "Move the DestinationRule into the client's namespace."},
	{"subset-selects-nothing", "503 and `NC` or `UH`", "No endpoint has the labels by which a DestinationRule defines the subset.", "Correct `spec.subsets[].labels`, drop them for a host outside of the mesh, or label the endpoints."},
	{"subset-not-exported", "503 and `NC`", "The DestinationRule with the subset is not exported to the client's namespace.", "Add the namespace to `spec.exportTo`."},
	{"destination-port-missing", "503 and `NC`", "A route leads to a port that its destination does not declare.", "Correct the route's port, or declare it."},
	{"destination-unknown", "503 and `NC`", "A route leads to a host that nobody has registered, or that the proxy does not see.", "Register the host, or correct the destination."},
	{"no-endpoints", "503 and `UH`; curl 7 without a sidecar", "The ServiceEntry or the Service has no endpoint.", "Add endpoints; scale up the workload; correct the selector."},
	{"resolution-none", "503 and `UH` at the gateway", "The ServiceEntry has resolution NONE: only a sidecar knows the address for which the client asked.", "Set `spec.resolution: DNS`, or give endpoints."},
	{"endpoint-unresolved", "503 and `UH`", "The name that the proxy looks up for the host has no address.", "Correct `spec.endpoints` or the host."},
	{"host-in-capitals", "503 and `NC`", "A ServiceEntry has the host in capital letters, of which no route leads to its upstream.", "Write `spec.hosts` in small letters."},
	{"rival-entry", "503 and `NC`", "Two ServiceEntries of a namespace have the host, and only one declares the port.", "Merge the two."},
	{"host-ejected", "503 and `UH`", "A DestinationRule has a host of the upstream left out after it failed (outlier detection).", "Wait until it is taken back, or correct `outlierDetection`."},
	{"too-many-requests", "503 and `UO`", "A DestinationRule allows the upstream fewer requests or connections at a time.", "Raise the limit in `connectionPool`."},
	{"gateway-scaled-down", "503 and `UH`", "The gateway has no pod.", "Scale the gateway's Deployment up."},
}}

func upstreamCluster(c *facts) []evidence.Finding {
	l := c.last()
	switch {
	case l == nil:
		return c.nobodyBehind()
	case l.Cluster == evidence.BlackHole:
		return nil // it has no host on purpose
	case has(l, "NC") || l.Details == "cluster_not_found":
		return c.noCluster(c.hop(l))
	case strings.Contains(l.TransportFailure, "SDS") || strings.Contains(l.TransportFailure, "Secret_is_not_supplied"):
		if u, ok := upstreamOf(l); ok {
			return c.secret(c.hop(l), u)
		}
	case has(l, "UO"):
		if u, ok := upstreamOf(l); ok {
			return c.overflow(c.hop(l), u)
		}
	case has(l, "UH") || l.Details == "no_healthy_upstream":
		return c.noHosts(c.hop(l))
	}
	return nil
}

// noCluster explains a request whose route leads to an upstream cluster that the proxy
// does not have. The line of such a request may name no cluster; the routes for its
// host say where it was to go.
func (c *facts) noCluster(h hop) (found []evidence.Finding) {
	if !c.mayList(virtualServices, destinationRules, serviceEntries) {
		return nil
	}
	for _, explain := range []func(*facts) []evidence.Finding{inCapitals, rivalEntry} {
		if found := explain(c); found != nil {
			return found
		}
	}
	ways := c.destinations(h)
	for _, w := range ways {
		if f := c.inForce(h, w.to); f.known && f.exists && !f.warming && len(ways) > 1 {
			continue // this one is there
		}
		of := c.secret(h, w.to)
		if of == nil {
			of = c.missingDestination(h, w)
		}
		if of == nil {
			of = c.missingSubset(h, w)
		}
		for _, f := range of {
			if !slices.ContainsFunc(found, func(g evidence.Finding) bool { return g.Cause == f.Cause }) {
				found = append(found, f)
			}
		}
	}
	return found
}

// inCapitals reports a ServiceEntry that has the host in capital letters: its route
// then leads to an upstream whose name does not exist.
func inCapitals(c *facts) []evidence.Finding {
	all := c.registered(c.asked.host, c.asked.port)
	if len(all) != 1 || all[0].GetKind() != "ServiceEntry" {
		return nil
	}
	se := all[0].object
	for i, h := range se.texts("spec", "hosts") {
		if h != strings.ToLower(h) && strings.EqualFold(h, c.asked.host) {
			field := fmt.Sprintf("spec.hosts[%d]", i)
			return one(c.found("host-in-capitals", se, field, c.kubectl("edit", se),
				"%s has %s in capital letters (%s): write %s.", c.name(se), h, field, strings.ToLower(h)))
		}
	}
	return nil
}

// rivalEntry reports two ServiceEntries for the host, one of which does not declare the
// port: the proxy may then have the route of one of them without its upstream.
func rivalEntry(c *facts) []evidence.Finding {
	u := upstream{port: c.asked.port, host: c.asked.host}
	if ways := c.destinations(hop{namespace: c.client(), labels: c.hop(nil).labels}); len(ways) != 1 || ways[0].to != u {
		return nil // it was led elsewhere
	}
	all := c.visible(c.registered(u.host, u.port))
	if len(all) != 2 || all[0].GetNamespace() != all[1].GetNamespace() || (all[0].port == nil) == (all[1].port == nil) {
		return nil
	}
	with, without := all[0], all[1]
	if with.port == nil {
		with, without = without, with
	}
	if with.GetKind() != "ServiceEntry" || without.GetKind() != "ServiceEntry" {
		return nil
	}
	return one(c.found("rival-entry", without.object, "spec.hosts", c.kubectl("get", without.object)+" -o yaml",
		"%s and %s both have %s (spec.hosts), and only the first one declares port %d: the proxy has no upstream for it. Merge the two.", c.name(with.object), c.name(without.object), u.host, u.port))
}

// limits returns the part at key of the traffic policy that a proxy uses for an
// upstream, and where it is; the zero object if there is none.
func (c *facts) limits(h hop, u upstream, key string) (dr object, field string, part map[string]any) {
	used, _ := c.rules(h, u.host)
	look := func(dr object, field string, from map[string]any) (string, map[string]any) {
		for i, s := range mapsAt(from, "trafficPolicy", "portLevelSettings") {
			if part := mapAt(s, key); part != nil && numberAt(s, "port", "number") == u.port {
				return fmt.Sprintf("%s.trafficPolicy.portLevelSettings[%d].%s", field, i, key), part
			}
		}
		return field + ".trafficPolicy." + key, mapAt(from, "trafficPolicy", key)
	}
	for _, dr := range used {
		for i, s := range dr.maps("spec", "subsets") {
			if u.subset == "" || textAt(s, "name") != u.subset {
				continue
			}
			if field, part := look(dr, fmt.Sprintf("spec.subsets[%d]", i), s); part != nil {
				return dr, field, part
			}
		}
	}
	for _, dr := range used {
		if field, part := look(dr, "spec", mapAt(dr.Object, "spec")); part != nil {
			return dr, field, part
		}
		if at(dr.Object, "spec", "trafficPolicy") != nil {
			break // if a host has several rules, the first one with a policy counts
		}
	}
	return object{}, "", nil
}

// overflow explains a request that exceeded what an upstream may have at a time.
func (c *facts) overflow(h hop, u upstream) []evidence.Finding {
	if !c.mayList(destinationRules) {
		return nil
	}
	dr, field, part := c.limits(h, u, "connectionPool")
	if dr.none() {
		return nil
	}
	return one(c.found("too-many-requests", dr, field, c.kubectl("edit", dr),
		"%s limits what goes to %s at a time (%s: %s), and the request was more than that.", c.name(dr), u, field, setText(part)))
}

// ejected explains an upstream whose hosts are left out because they have failed.
func (c *facts) ejected(h hop, u upstream) []evidence.Finding {
	text, ok := c.admin(h, "clusters")
	if !ok || !c.mayList(destinationRules) {
		return nil
	}
	out := false
	for line := range strings.Lines(text) {
		if rest, is := strings.CutPrefix(line, u.key()+"::"); is && strings.Contains(rest, "::health_flags::") && strings.Contains(rest, "failed_outlier_check") {
			out = true
		}
	}
	dr, field, part := c.limits(h, u, "outlierDetection")
	if !out || dr.none() {
		return nil
	}
	return one(c.found("host-ejected", dr, field, c.kubectl("edit", dr),
		"%s has the proxy leave out hosts of %s that fail (%s: %s), and it has left out all for now.", c.name(dr), u, field, setText(part)))
}

// sender returns the words for what leads a request somewhere.
func (c *facts) sender(w way) string {
	if w.vs.none() {
		return "The route"
	}
	return c.name(w.vs)
}

// missingDestination reports a route that leads to a host or a port that is not
// registered.
func (c *facts) missingDestination(h hop, w way) []evidence.Finding {
	if w.vs.none() {
		return nil
	}
	all := c.registered(w.to.host, w.to.port)
	if len(all) == 0 {
		if !c.mayList(services) {
			return nil
		}
		near := ""
		if strings.HasSuffix(w.to.host, ".invalid") && c.mayList(envoyFilters) && len(c.filtersOf(h)) == 0 {
			near = "; nothing ever has that name, and no EnvoyFilter is there that takes the request before"
		} else if se, name, _ := c.near(w.to.host); !se.none() {
			near = fmt.Sprintf("; %s has %s", c.name(se), name)
		} else if w.to.inMesh() {
			near = "; there is no such Service"
		}
		return one(c.found("destination-unknown", w.vs, w.field+".host", c.kubectl("edit", w.vs),
			"%s sends to %s (%s.host), which nobody has registered%s.", c.name(w.vs), w.to.host, w.field, near))
	}
	if !h.gateway {
		if seen := c.visible(all); len(seen) == 0 {
			return c.notVisible(all, w.to.host)
		}
	} else if len(all) == 1 && !exported(all[0].object, h.namespace) {
		se := all[0].object
		return one(c.found("not-exported", se, "spec.exportTo", c.kubectl("edit", se),
			"%s is not exported to namespace %s (spec.exportTo: %s), so the gateway there does not know %s.", c.name(se), h.namespace, strings.Join(se.texts("spec", "exportTo"), ", "), w.to.host))
	}
	if slices.ContainsFunc(all, func(t target) bool { return t.port != nil }) || len(all) > 1 {
		return nil
	}
	return one(c.found("destination-port-missing", w.vs, w.field+".port.number", c.kubectl("edit", w.vs),
		"%s sends to port %d of %s (%s.port), but %s declares only %s.", c.name(w.vs), w.to.port, w.to.short(), w.field, c.name(all[0].object), portsOf(all[0].object)))
}

// missingSubset reports a subset that no DestinationRule defines, or none where the
// proxy looks.
func (c *facts) missingSubset(h hop, w way) []evidence.Finding {
	u := w.to
	if u.subset == "" {
		return nil
	}
	defines := func(dr object) bool {
		return slices.ContainsFunc(dr.maps("spec", "subsets"), func(s map[string]any) bool { return textAt(s, "name") == u.subset })
	}
	used, unused := c.rules(h, u.host)
	if i := slices.IndexFunc(used, defines); i >= 0 {
		return c.emptySubset(used[i], u)
	}
	who := "sidecar"
	if h.gateway {
		who = "gateway"
	}
	var found []evidence.Finding
	for _, dr := range unused {
		if !defines(dr) {
			continue
		}
		selector := dr.labels("spec", "workloadSelector", "matchLabels")
		switch {
		case dr.GetNamespace() != h.namespace && !exported(dr, h.namespace):
			found = append(found, c.found("subset-not-exported", dr, "spec.exportTo", c.kubectl("edit", dr),
				"Subset %s of %s is defined by DestinationRule %s in namespace %s, which is not exported to namespace %s (spec.exportTo).", u.subset, u.short(), dr.GetName(), dr.GetNamespace(), h.namespace))
		case dr.GetNamespace() == h.namespace && len(selector) > 0 && !selects(selector, h.labels):
			found = append(found, c.found("subset-elsewhere", dr, "spec.workloadSelector", c.kubectl("edit", dr),
				"Subset %s of %s is defined by %s, whose workloadSelector does not select the pod of the %s.", u.subset, u.short(), c.name(dr), who))
		case !slices.Contains([]string{h.namespace, c.namespaceOf(u.host), c.IstioNamespace}, dr.GetNamespace()):
			found = append(found, c.found("subset-elsewhere", dr, "metadata.namespace", c.kubectl("get", dr)+" -o yaml",
				"Subset %s of %s is defined by DestinationRule %s in namespace %s, where the %s of namespace %s does not look.", u.subset, u.short(), dr.GetName(), dr.GetNamespace(), who, h.namespace))
		case len(used) == 1:
			found = append(found, c.found("subset-elsewhere", dr, "metadata.namespace", c.kubectl("get", used[0])+" -o yaml",
				"Subset %s of %s is defined by %s, but %s comes before it for the %s of namespace %s, and has no such subset.", u.subset, u.short(), c.name(dr), c.name(used[0]), who, h.namespace))
		}
	}
	if len(found) > 0 {
		return found
	}
	switch {
	case len(used) == 1:
		dr := used[0]
		names := "no subset"
		if subsets := dr.maps("spec", "subsets"); len(subsets) > 0 {
			var all []string
			for _, s := range subsets {
				all = append(all, textAt(s, "name"))
			}
			names = strings.Join(all, ", ")
		}
		return one(c.found("subset-not-defined", dr, "spec.subsets", c.kubectl("edit", dr),
			"%s sends to subset %s of %s, which %s does not define: it has %s.", c.sender(w), u.subset, u.short(), c.name(dr), names))
	case len(used) == 0 && !w.vs.none():
		return one(c.found("subset-not-defined", w.vs, w.field+".subset", c.kubectl("edit", w.vs),
			"%s sends to subset %s of %s, but no DestinationRule is for that host.", c.sender(w), u.subset, u.host))
	case !w.vs.none():
		return one(c.found("subset-not-defined", w.vs, w.field+".subset", c.kubectl("edit", w.vs),
			"%s sends to subset %s of %s (%s.subset), which none of the DestinationRules for that host defines.", c.sender(w), u.subset, u.short(), w.field))
	}
	return nil
}

// emptySubset reports a subset whose labels no endpoint of the upstream has.
func (c *facts) emptySubset(dr object, u upstream) []evidence.Finding {
	subsets := dr.maps("spec", "subsets")
	i := slices.IndexFunc(subsets, func(s map[string]any) bool { return textAt(s, "name") == u.subset })
	all := c.registered(u.host, u.port)
	if i < 0 || len(all) != 1 {
		return nil
	}
	labels, by := labelsAt(subsets[i], "labels"), all[0].object
	if len(labels) == 0 || at(by.Object, "spec", "workloadSelector") != nil {
		return nil
	}
	what := "endpoint"
	if by.GetKind() == "Service" {
		selector := by.labels("spec", "selector")
		what = "pod"
		if len(selector) == 0 || !c.mayList(pods) || slices.ContainsFunc(c.list(pods), func(p object) bool {
			return p.GetNamespace() == by.GetNamespace() && selects(selector, p.GetLabels()) && selects(labels, p.GetLabels())
		}) {
			return nil
		}
	} else if slices.ContainsFunc(by.maps("spec", "endpoints"), func(e map[string]any) bool { return selects(labels, labelsAt(e, "labels")) }) {
		return nil
	}
	field := fmt.Sprintf("spec.subsets[%d].labels", i)
	return one(c.found("subset-selects-nothing", dr, field, c.kubectl("edit", dr),
		"%s defines subset %s by the labels %s (%s), which no %s of %s has.", c.name(dr), u.subset, labelsText(labels), field, what, c.name(by)))
}

// noHosts explains an upstream without a host that takes requests.
func (c *facts) noHosts(h hop) (found []evidence.Finding) {
	for _, w := range c.destinations(h) {
		if out := c.ejected(h, w.to); out != nil {
			found = append(found, out...)
			continue
		}
		if w.to.subset != "" {
			if empty := c.missingSubset(h, w); empty != nil {
				found = append(found, empty...)
				continue
			}
		}
		if w.to.inMesh() {
			found = append(found, c.noPods(w.to)...)
			continue
		}
		all := c.registered(w.to.host, w.to.port)
		if !h.gateway {
			all = c.visible(all)
		}
		if len(all) != 1 {
			continue
		}
		found = append(found, c.noEndpoints(h, all[0].object, w.to)...)
	}
	return found
}

// nobodyBehind explains a connection of a pod without a sidecar to a Service, which
// is refused because the Service has no endpoint.
func (c *facts) nobodyBehind() []evidence.Finding {
	if c.asked.exit != 7 || c.Attempt.Command.Pod.Sidecar {
		return nil
	}
	svc := object{}
	for _, m := range triedAddress.FindAllStringSubmatch(c.Attempt.Command.Stderr+" "+c.asked.transfer.Error, -1) {
		svc, _, _ = c.serviceAt(m[1] + ":" + m[2])
	}
	if svc.none() {
		svc, _, _ = c.serviceAt(c.asked.transfer.Remote)
	}
	for _, name := range c.names(c.asked.host) {
		if svc.none() {
			svc = c.serviceNamed(name)
		}
	}
	if svc.none() || svc.text("spec", "type") == "ExternalName" {
		return nil
	}
	if len(svc.labels("spec", "selector")) > 0 {
		return c.noPods(upstream{host: svc.GetName() + "." + svc.GetNamespace() + ".svc.cluster.local"})
	}
	if !c.mayList(endpointSlices, endpoints) {
		return nil
	}
	for _, kind := range []string{endpointSlices, endpoints} {
		for _, o := range c.list(kind) {
			of := o.GetLabels()["kubernetes.io/service-name"] == svc.GetName() || o.GetName() == svc.GetName()
			if of && o.GetNamespace() == svc.GetNamespace() && len(o.maps("endpoints"))+len(o.maps("subsets")) > 0 {
				return nil
			}
		}
	}
	return one(c.found("no-endpoints", svc, "spec.selector", fmt.Sprintf("kubectl -n %s get endpointslices -l kubernetes.io/service-name=%s", svc.GetNamespace(), svc.GetName()),
		"%s has no selector, and no Endpoints and no EndpointSlice give it an address.", c.name(svc)))
}

// triedAddress matches the address in curl's message that it could not connect.
var triedAddress = regexp.MustCompile(`connect to ([0-9a-f.:]+) port (\d+)`)

// noPods explains a Service without an endpoint.
func (c *facts) noPods(u upstream) []evidence.Finding {
	svc := c.serviceNamed(u.host)
	selector := map[string]string{}
	if !svc.none() {
		selector = svc.labels("spec", "selector")
	}
	if len(selector) == 0 || !c.mayList(pods) {
		return nil
	}
	ready := 0
	var those []object
	for _, p := range c.list(pods) {
		if p.GetNamespace() == svc.GetNamespace() && p.GetDeletionTimestamp() == nil && selects(selector, p.GetLabels()) {
			those = append(those, p)
			if isReady(p) {
				ready++
			}
		}
	}
	if ready > 0 {
		return nil
	}
	for _, d := range c.list(workloadsOfControllers) {
		none := at(d.Object, "spec", "replicas") != nil && numberAt(d.Object, "spec", "replicas") == 0
		if d.GetNamespace() == svc.GetNamespace() && none && selects(selector, d.labels("spec", "template", "metadata", "labels")) {
			return one(c.found("gateway-scaled-down", d, "spec.replicas", c.kubectl("scale --replicas 1", d),
				"Service %s has no pod: Deployment %s in namespace %s has 0 replicas (spec.replicas).", svc.GetName(), d.GetName(), d.GetNamespace()))
		}
	}
	if len(those) > 0 {
		return one(c.found("no-endpoints", those[0], "status", c.kubectl("describe", those[0]),
			"No pod of Service %s in namespace %s is ready: %s.", svc.GetName(), svc.GetNamespace(), whyNotReady(those[0])))
	}
	return one(c.found("no-endpoints", svc, "spec.selector", fmt.Sprintf("kubectl -n %s get pods --show-labels", svc.GetNamespace()),
		"%s selects no pod: its selector is %s.", c.name(svc), labelsText(selector)))
}

// noEndpoints explains a ServiceEntry without an endpoint that can be used.
func (c *facts) noEndpoints(h hop, se object, u upstream) []evidence.Finding {
	if se.GetKind() != "ServiceEntry" {
		return nil
	}
	endpoints := se.maps("spec", "endpoints")
	switch resolution := se.text("spec", "resolution"); {
	case resolution == "STATIC" && len(endpoints) == 0 && at(se.Object, "spec", "workloadSelector") == nil:
		return one(c.found("no-endpoints", se, "spec.endpoints", c.kubectl("edit", se),
			"%s has resolution STATIC and no endpoints (spec.endpoints), so %s has no address.", c.name(se), u.host))
	case at(se.Object, "spec", "workloadSelector") != nil:
		selector := se.labels("spec", "workloadSelector", "labels")
		for _, kind := range []string{workloadEntries, pods} {
			if !c.mayList(kind) || slices.ContainsFunc(c.list(kind), func(o object) bool {
				labels := o.GetLabels()
				if kind == workloadEntries {
					labels = o.labels("spec", "labels")
				}
				return o.GetNamespace() == se.GetNamespace() && selects(selector, labels)
			}) {
				return nil
			}
		}
		return one(c.found("no-endpoints", se, "spec.workloadSelector", c.kubectl("edit", se),
			"%s selects no WorkloadEntry and no pod: its workloadSelector is %s.", c.name(se), labelsText(selector)))
	case h.gateway && (resolution == "NONE" || resolution == ""):
		return one(c.found("resolution-none", se, "spec.resolution", c.kubectl("edit", se),
			"%s has resolution NONE (spec.resolution), by which a gateway has no address for %s: want DNS, or endpoints.", c.name(se), u.host))
	case strings.HasPrefix(resolution, "DNS"):
		if text, ok := c.admin(h, "clusters"); ok && hasHost(text, u.key()) {
			return nil // there are addresses, so the cause is their health
		}
		name, field := u.host, "spec.hosts"
		if len(endpoints) > 0 {
			if name = textAt(endpoints[0], "address"); len(endpoints) > 1 {
				name += " and the others"
			}
			field = "spec.endpoints[0].address"
		}
		return one(c.found("endpoint-unresolved", se, field, c.kubectl("edit", se),
			"The proxy finds no address for %s, which %s has it look up (%s, resolution %s).", name, c.name(se), field, resolution))
	}
	return nil
}

// hasHost reports whether a cluster has a host in Envoy's list of clusters.
func hasHost(text, cluster string) bool {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, cluster+"::"); ok && strings.Contains(rest, "::cx_active::") {
			return true
		}
	}
	return false
}

func labelsText(labels map[string]string) string {
	var all []string
	for name, value := range labels {
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}
