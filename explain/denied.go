package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// matchedPolicy is how Envoy names the policy that has denied a request.
// Source: istio/istio pilot/pkg/security/authz/builder.
var matchedPolicy = regexp.MustCompile(`rbac_access_denied_matched_policy\[ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]\]`)

// deniedByPolicy explains a request that an AuthorizationPolicy has denied.
func deniedByPolicy(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !strings.Contains(l.Details, "rbac_access_denied") {
		return nil
	}
	if m := matchedPolicy.FindStringSubmatch(l.Details); m != nil {
		o := c.named("security.istio.io/v1", "AuthorizationPolicy", m[1], m[2])
		return []evidence.Finding{c.finding(o, fmt.Sprintf("spec.rules[%s]", m[3]),
			fmt.Sprintf("AuthorizationPolicy %s in namespace %s denies the request (rule %s), at %s.", m[2], m[1], m[3], l.Proxy), c.kubectl("get", o)+" -o yaml")}
	}
	return []evidence.Finding{{
		Cause: fmt.Sprintf("No AuthorizationPolicy allows the request at %s, where one allows others.", l.Proxy),
		Next:  "kubectl get authorizationpolicies -A", Facts: c.withLine(nil),
	}}
}

// named returns an object of which only the name is known.
func (c *facts) named(apiVersion, kind, namespace, name string) object {
	o := object{&unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}}
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// noSidecar explains that nobody saw a request: its pod has no sidecar.
func noSidecar(c *facts) []evidence.Finding {
	a := c.Attempt
	if a == nil || a.Command == nil || a.Command.Pod.Sidecar || !c.wantsMesh() {
		return nil
	}
	p := a.Command.Pod
	pod := c.source()
	if pod == nil {
		return nil
	}
	o := object{pod}
	refuses := func(value string) bool { return value == "false" }
	if refuses(pod.GetLabels()["sidecar.istio.io/inject"]) || refuses(pod.GetAnnotations()["sidecar.istio.io/inject"]) {
		return []evidence.Finding{c.finding(o, "metadata.labels",
			fmt.Sprintf("Pod %s has no sidecar: its sidecar.istio.io/inject is false.", p.Name), c.kubectl("get", o)+" -o yaml")}
	}
	ns, err := c.e.Cluster.Get(c.ctx, cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: p.Namespace})
	if err != nil {
		return nil
	}
	labels := ns.GetLabels()
	if labels["istio-injection"] == "enabled" || labels["istio.io/rev"] != "" {
		return []evidence.Finding{c.finding(o, "metadata.creationTimestamp",
			fmt.Sprintf("Pod %s has no sidecar, although namespace %s has injection: it may be older than the label.", p.Name, p.Namespace),
			fmt.Sprintf("kubectl -n %s delete pod %s", p.Namespace, p.Name))}
	}
	return []evidence.Finding{c.finding(object{ns}, "metadata.labels",
		fmt.Sprintf("Pod %s has no sidecar: namespace %s has not the label istio-injection=enabled.", p.Name, p.Namespace),
		fmt.Sprintf("kubectl label namespace %s istio-injection=enabled", p.Namespace))}
}

// wantsMesh reports whether a claim is about what a sidecar does.
func (c *facts) wantsMesh() bool {
	return slices.ContainsFunc(c.Verdicts, func(v evidence.Verdict) bool {
		return strings.HasPrefix(v.Key, "expect.log") || strings.HasPrefix(v.Key, "expect.path") || strings.HasPrefix(v.Key, "expect.counter")
	})
}

// secretNotSupplied explains a connection for which a proxy waits for a Secret.
func secretNotSupplied(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil || !strings.Contains(l.TransportFailure, "SDS") {
		return nil
	}
	u, ok := upstreamOf(l.Cluster)
	if !ok {
		return nil
	}
	return c.missingSecret(u)
}
