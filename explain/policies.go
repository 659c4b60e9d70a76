package explain

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// policyFamily is about requests that an AuthorizationPolicy denies.
var policyFamily = family{"Authorization", denied, []Cause{
	{"denied-by-policy", "403 and `rbac_access_denied_matched_policy[...]`", "An AuthorizationPolicy denies the request.", "Correct the rule that the log names."},
	{"not-allowed", "403 and `rbac_access_denied_matched_policy[none]`", "AuthorizationPolicies allow some requests to the proxy, and none allows this one.", "Add a rule that allows it."},
	{"denied-by-extension", "403 and `UAEX`", "An external authorizer refuses the request.", "Look at the authorizer that the policy of action CUSTOM names."},
}}

// matchedPolicy matches Envoy's name for the policy that denied a request.
// Source: istio/istio pilot/pkg/security/authz/builder.
var matchedPolicy = regexp.MustCompile(`rbac_access_denied_matched_policy\[ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]\]`)

// denied explains a request that an AuthorizationPolicy denied.
func denied(c *facts) []evidence.Finding {
	l := c.last()
	if l == nil {
		return nil
	}
	said := l.Details + " " + l.Termination
	h := c.hop(l)
	if strings.Contains(said, "ext_authz_denied") || has(l, "UAEX") {
		return c.ofAction(h, "CUSTOM", "denied-by-extension", "has an external authorizer decide about requests to the %s, and it refuses this one.")
	}
	if !strings.Contains(said, "rbac_access_denied") {
		return nil
	}
	if m := matchedPolicy.FindStringSubmatch(said); m != nil {
		o := named(securityAPIVersion, "AuthorizationPolicy", m[1], m[2])
		// A gateway that was left without a Gateway keeps what it had.
		if _, gone := c.get(cluster.Ref{APIVersion: securityAPIVersion, Kind: "AuthorizationPolicy", Namespace: m[1], Name: m[2]}); gone {
			return nil
		}
		return one(c.found("denied-by-policy", o, fmt.Sprintf("spec.rules[%s]", m[3]), c.kubectl("get", o)+" -o yaml",
			"AuthorizationPolicy %s in namespace %s denies the request (spec.rules[%s]), at the %s.", m[2], m[1], m[3], l.Proxy))
	}
	if found := c.ofAction(h, "ALLOW", "not-allowed", "allows requests to the %s, and none of its rules allows this one."); found != nil {
		return found
	}
	return one(c.found("not-allowed", object{}, "", "kubectl get authorizationpolicies -A",
		"No AuthorizationPolicy allows the request at the %s, where one allows others.", l.Proxy))
}

// ofAction returns a finding about the policy with an action that selects a proxy, if
// it is the only one.
func (c *facts) ofAction(h hop, action, code, what string) (found []evidence.Finding) {
	for _, p := range c.list(authorizationPolicies) {
		does := p.text("spec", "action")
		if does == "" {
			does = "ALLOW"
		}
		in := p.GetNamespace() == h.namespace || p.GetNamespace() == c.IstioNamespace && len(p.labels("spec", "selector", "matchLabels")) == 0
		if does != action || !in || !selects(p.labels("spec", "selector", "matchLabels"), h.labels) || at(p.Object, "spec", "targetRefs") != nil {
			continue
		}
		found = append(found, c.found(code, p, "spec.rules", c.kubectl("get", p)+" -o yaml",
			"AuthorizationPolicy %s in namespace %s "+what, p.GetName(), p.GetNamespace(), h.line.Proxy))
	}
	if len(found) > 1 {
		return nil
	}
	return found
}

// named returns an object that has only a kind and a name.
func named(apiVersion, kind, namespace, name string) object {
	o := object{&unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}}
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}
