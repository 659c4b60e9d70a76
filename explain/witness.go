package explain

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// witnessFamily is about requests that no proxy saw or logged.
var witnessFamily = family{"No witness", witness, []Cause{
	{"injection-refused", "no sidecar", "The pod says that it wants no sidecar.", "Drop the label or annotation `sidecar.istio.io/inject: \"false\"`."},
	{"injection-off", "no sidecar", "The namespace has no label for injection.", "Label it `istio-injection=enabled`, and start the pod anew."},
	{"pod-older-than-label", "no sidecar", "The pod is older than the namespace's label.", "Start the pod anew."},
	{"port-excluded", "no line, and the request arrives", "An annotation keeps the port from the sidecar.", "Drop `traffic.sidecar.istio.io/excludeOutboundPorts`."},
	{"address-excluded", "no line, and the request arrives", "An annotation keeps the address from the sidecar.", "Correct `traffic.sidecar.istio.io/excludeOutboundIPRanges` or `includeOutboundIPRanges`."},
	{"log-off", "no line", "A Telemetry or the mesh's configuration switches the access log off.", "Set `meshConfig.accessLogFile: /dev/stdout`, or correct the Telemetry."},
	{"log-filtered", "no line", "A Telemetry has the access log leave requests out.", "Correct its filter."},
}}

func witness(c *facts) []evidence.Finding {
	a := c.Attempt
	if a == nil || a.Command == nil {
		return nil
	}
	if !a.Command.Pod.Sidecar {
		return c.noSidecar()
	}
	if c.line != nil {
		return nil
	}
	if found := c.excluded(); found != nil {
		return found
	}
	return c.logOff()
}

// noSidecar reports that nobody saw a request because its pod has no sidecar.
func (c *facts) noSidecar() []evidence.Finding {
	pod := c.source()
	if pod.none() || !c.claimed("log", "path", "counter", "exitCode", "responses", "status", "connection", "arrived", "answer") {
		return nil
	}
	// A pod without a sidecar reaches what it can. A missing sidecar explains only what
	// a sidecar would have done, and never a request that is to go past one.
	if c.wanted(directWanted) || !c.connected() || c.asked.exit == 6 || c.asked.exit == 7 {
		return nil
	}
	if !c.claimed("log", "path", "counter") && !c.wanted(blockedWanted) && !c.wanted(gatewayWanted) {
		return nil
	}
	return c.whyNoSidecar(pod)
}

// whyNoSidecar explains why a pod has no sidecar.
func (c *facts) whyNoSidecar(pod object) []evidence.Finding {
	p := evidence.Pod{Namespace: pod.GetNamespace(), Name: pod.GetName()}
	if value := pod.GetLabels()["sidecar.istio.io/inject"]; value == "false" {
		return one(c.found("injection-refused", pod, "metadata.labels", c.kubectl("get", pod)+" -o yaml",
			"Pod %s has no sidecar: its label sidecar.istio.io/inject is false.", p.Name))
	}
	if value := pod.GetAnnotations()["sidecar.istio.io/inject"]; value == "false" {
		return one(c.found("injection-refused", pod, "metadata.annotations", c.kubectl("get", pod)+" -o yaml",
			"Pod %s has no sidecar: its annotation sidecar.istio.io/inject is false.", p.Name))
	}
	if hostNetwork, _ := at(pod.Object, "spec", "hostNetwork").(bool); hostNetwork {
		return one(c.found("injection-refused", pod, "spec.hostNetwork", c.kubectl("get", pod)+" -o yaml",
			"Pod %s has no sidecar: it uses the node's network (spec.hostNetwork).", p.Name))
	}
	ns, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: p.Namespace})
	if ns.none() {
		return nil
	}
	labels := ns.GetLabels()
	switch {
	case labels["istio-injection"] == "disabled":
		return one(c.found("injection-off", ns, "metadata.labels", "kubectl label namespace "+p.Namespace+" istio-injection=enabled --overwrite",
			"Pod %s has no sidecar: namespace %s has the label istio-injection=disabled.", p.Name, p.Namespace))
	case labels["istio-injection"] == "enabled" || labels["istio.io/rev"] != "":
		return one(c.found("pod-older-than-label", pod, "metadata.creationTimestamp", fmt.Sprintf("kubectl -n %s delete pod %s", p.Namespace, p.Name),
			"Pod %s has no sidecar, although namespace %s has injection: the pod may be older than the label.", p.Name, p.Namespace))
	}
	return one(c.found("injection-off", ns, "metadata.labels", "kubectl label namespace "+p.Namespace+" istio-injection=enabled",
		"Pod %s has no sidecar: namespace %s has not the label istio-injection=enabled.", p.Name, p.Namespace))
}

// excluded explains a request that the pod's annotations keep from its sidecar.
// Source: istio.io "Resource Annotations".
func (c *facts) excluded() []evidence.Finding {
	pod := c.source()
	if pod.none() || c.asked.url == nil {
		return nil
	}
	const prefix = "traffic.sidecar.istio.io/"
	get := c.kubectl("get", pod) + " -o yaml"
	if ports := pod.GetAnnotations()[prefix+"excludeOutboundPorts"]; slices.Contains(fields(ports), strconv.Itoa(c.asked.port)) {
		return one(c.found("port-excluded", pod, "metadata.annotations", get,
			"Pod %s keeps port %d from its sidecar: its annotation %sexcludeOutboundPorts is %s.", pod.GetName(), c.asked.port, prefix, ports))
	}
	to, err := netip.ParseAddr(evidence.HostOf(c.asked.transfer.Remote))
	if err != nil {
		return nil
	}
	within := func(ranges string) bool {
		return slices.ContainsFunc(fields(ranges), func(r string) bool {
			p, err := netip.ParsePrefix(r)
			return r == "*" || err == nil && p.Contains(to.Unmap())
		})
	}
	if ranges := pod.GetAnnotations()[prefix+"excludeOutboundIPRanges"]; within(ranges) {
		return one(c.found("address-excluded", pod, "metadata.annotations", get,
			"Pod %s keeps %s from its sidecar: its annotation %sexcludeOutboundIPRanges is %s.", pod.GetName(), to, prefix, ranges))
	}
	if ranges, set := pod.GetAnnotations()[prefix+"includeOutboundIPRanges"]; set && !within(ranges) {
		return one(c.found("address-excluded", pod, "metadata.annotations", get,
			"Pod %s gives its sidecar only what its annotation %sincludeOutboundIPRanges has (%s), and %s is not in it.", pod.GetName(), prefix, ranges, to))
	}
	return nil
}

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// telemetryName matches the witness's name for the Telemetry that decides.
var telemetryName = regexp.MustCompile(`^telemetry/(\S+) in (\S+) `)

// logOff explains why a proxy wrote no access log.
func (c *facts) logOff() []evidence.Finding {
	for _, p := range c.Attempt.Proxies {
		why, code := p.Log.Off, "log-off"
		if why == "" {
			why, code = p.Log.Partial, "log-filtered"
		}
		if why == "" || p.Name != evidence.Sidecar || !c.claimed("log", "path") {
			continue
		}
		if m := telemetryName.FindStringSubmatch(why); m != nil {
			o := named(telemetryAPIVersion, "Telemetry", m[2], m[1])
			what := strings.TrimPrefix(why, m[0])
			return one(c.found(code, o, "spec.accessLogging", c.kubectl("get", o)+" -o yaml",
				"The %s wrote no line of this request: Telemetry %s in namespace %s %s.", p.Name, m[1], m[2], what))
		}
		cm := named("v1", "ConfigMap", c.IstioNamespace, c.meshConfigMap())
		return one(c.found(code, cm, "data.mesh", c.kubectl("get", cm)+" -o yaml",
			"The %s wrote no line of this request: %s (ConfigMap %s in namespace %s).", p.Name, why, cm.GetName(), cm.GetNamespace()))
	}
	return nil
}
