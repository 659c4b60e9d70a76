package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// servedFamily is about objects of the API server that are not in force at the proxies.
var servedFamily = family{"Not in force", served, []Cause{
	{"istiod-down", "nothing changes, or new pods are not ready", "istiod does not run, so that no change reaches a proxy.", "Look at istiod's Deployment and pods."},
	{"other-revision", "a change of the policy has no effect", "The mesh's configuration was changed for another revision of istiod than the one that serves the pod.", "Give `--revision`, or change the ConfigMap of the pod's revision."},
	{"configuration-refused", "requests go as before a change", "Envoy refuses its configuration, mostly because of an EnvoyFilter.", "Correct or delete the object."},
}}

func served(c *facts) []evidence.Finding {
	for _, explain := range []func(*facts) []evidence.Finding{notServed, otherRevision, refusedByEnvoy} {
		if found := explain(c); found != nil {
			return found
		}
	}
	return nil
}

// notServed reports that istiod does not run, so that no proxy knows what was changed.
func notServed(c *facts) []evidence.Finding {
	if len(c.Changes) == 0 && !strings.Contains(errorText(c.Error), "in force") {
		return nil
	}
	return c.istiodDown("no change reaches a proxy")
}

// istiodDown reports that the pod's istiod does not run, and what follows from that.
func (c *facts) istiodDown(so string) []evidence.Finding {
	deployments, err := c.e.Cluster.List(c.ctx, "deployments", c.IstioNamespace, "app=istiod")
	if err != nil || len(deployments) == 0 {
		return nil
	}
	rev := strings.TrimPrefix(strings.TrimPrefix(c.meshConfigMap(), "istio"), "-")
	var down object
	for i := range deployments {
		d := &deployments[i]
		of := d.GetLabels()["istio.io/rev"]
		if of == "default" {
			of = ""
		}
		if of != rev {
			continue
		}
		if numberAt(d.Object, "status", "readyReplicas") > 0 {
			return nil
		}
		down = object{d}
	}
	if down.none() {
		return nil
	}
	why := ""
	for _, p := range c.list(pods) {
		if p.GetNamespace() == c.IstioNamespace && selects(down.labels("spec", "selector", "matchLabels"), p.GetLabels()) {
			if reason := whyNotReady(p); reason != "" {
				why = "; " + reason
			}
		}
	}
	return one(c.found("istiod-down", down, "status.readyReplicas", fmt.Sprintf("kubectl -n %s get deploy,pods -l app=istiod", down.GetNamespace()),
		"istiod is not ready (deployment %s in namespace %s has 0 ready replicas%s): %s.", down.GetName(), down.GetNamespace(), why, so))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// otherRevision reports that the mesh's configuration was changed for another revision
// of istiod than the one that serves the pod.
func otherRevision(c *facts) []evidence.Finding {
	pod := c.source()
	if pod.none() {
		return nil
	}
	rev := pod.GetAnnotations()["istio.io/rev"]
	if rev == "" {
		return nil
	}
	theirs := c.meshConfigMap()
	i := slices.IndexFunc(c.Changes, func(ch evidence.Change) bool {
		return ch.Kind == "ConfigMap" && ch.Namespace == c.IstioNamespace && (ch.Name == "istio" || strings.HasPrefix(ch.Name, "istio-"))
	})
	if i < 0 || slices.ContainsFunc(c.Changes, func(ch evidence.Change) bool { return ch.Kind == "ConfigMap" && ch.Name == theirs }) {
		return nil
	}
	changed := c.Changes[i].Name
	mode := "ALLOW_ANY" // istiod's default
	if cm, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: c.IstioNamespace, Name: theirs}); !cm.none() && policyMode(cm.text("data", "mesh")) != "" {
		mode = policyMode(cm.text("data", "mesh"))
	}
	return one(c.found("other-revision", named("v1", "ConfigMap", c.IstioNamespace, changed), "data.mesh",
		fmt.Sprintf("kubectl -n %s get pod %s -o jsonpath='{.metadata.annotations.istio\\.io/rev}'", pod.GetNamespace(), pod.GetName()),
		"The run changed ConfigMap %s, but the pod's sidecar is of revision %s, which reads ConfigMap %s: %s there.", changed, rev, theirs, mode))
}

// refusedBy matches a step's message that a proxy refuses its configuration.
var refusedBy = regexp.MustCompile(`the proxy (\S+)\.([^. ]+) refuses its configuration \((\w+)\)[^:]*: (.*)`)

// refusedByEnvoy explains a configuration that a proxy on the request's way refuses, if
// exactly one EnvoyFilter is for that proxy.
func refusedByEnvoy(c *facts) []evidence.Finding {
	if m := refusedBy.FindStringSubmatch(errorText(c.Error)); m != nil {
		h := hop{pod: m[1], namespace: m[2]}
		if pod, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: m[2], Name: m[1]}); !pod.none() {
			h.labels = pod.GetLabels()
		}
		return c.filterOf(h, strings.ToLower(m[3]), m[4])
	}
	if c.line == nil {
		return nil
	}
	hops := []hop{c.hop(c.line)}
	if c.further != nil {
		hops = append(hops, c.hop(c.further))
	}
	for _, h := range hops {
		if len(c.filtersOf(h)) == 0 {
			continue // a proxy that nobody has patched is not asked
		}
		for _, r := range c.refusals(h) {
			if r.kind == "listener" && !h.gateway && !strings.HasSuffix(r.name, fmt.Sprintf("_%d", c.asked.port)) && !strings.HasPrefix(r.name, "virtual") {
				continue // not on the request's way
			}
			if u, ok := upstreamOf(h.line); r.kind == "cluster" && ok && r.name != u.key() {
				continue
			}
			if found := c.filterOf(h, r.kind+" "+r.name, r.why); found != nil {
				return found
			}
		}
	}
	return nil
}

// filtersOf returns the EnvoyFilters for a proxy.
func (c *facts) filtersOf(h hop) (all []object) {
	for _, f := range c.list(envoyFilters) {
		in := f.GetNamespace() == h.namespace || f.GetNamespace() == c.IstioNamespace
		if in && selects(f.labels("spec", "workloadSelector", "labels"), h.labels) {
			all = append(all, f)
		}
	}
	return all
}

func (c *facts) filterOf(h hop, what, reason string) (found []evidence.Finding) {
	filters := c.filtersOf(h)
	if len(filters) > 2 {
		return nil
	}
	for _, f := range filters {
		found = append(found, c.found("configuration-refused", f, "spec.configPatches", c.kubectl("get", f)+" -o yaml",
			"The proxy of pod %s refuses its %s, which %s patches (spec.configPatches): what is changed there is not in force. %s", h.pod, what, c.name(f), short(reason, 120)))
	}
	return found
}

// short returns a text that others wrote in one line, cut after most bytes.
func short(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
