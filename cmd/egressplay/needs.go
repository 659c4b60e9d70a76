package main

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// A need is something that a run has to be allowed to do.
type need struct {
	cluster.Access
	// Made reports whether it is in a namespace that the run makes, where the user may
	// get rights that it does not have yet.
	Made bool
	// Without is what the run lacks where it may not; "" where it cannot be run.
	Without string
}

// What a run lacks without a permission that it need not have.
const (
	withoutLease     = "another run may change the same things at the same time"
	withoutJournal   = "what the run changes is noted in a file of this machine, and cannot be put back from another one"
	withoutOldSecret = "a Secret that is there already is not changed, for what it held is noted beside it"
	withoutWatch     = "it cannot be waited for the end of what is deleted, where a finalizer delays it"
	withoutSync      = "istiod is not asked whether the proxies have taken up a change: what follows one must hold for some time instead"
	withoutServices  = "it is not known which connections were open before a change: what follows one must hold for some time instead"
	withoutConfig    = "how the proxies write their access logs is not known: each is taken for an ordinary one"
	withoutCounters  = "the proxies' counters are read by exec, where that is allowed, and else cannot be judged"
	withoutGateway   = "the way of a request through a gateway cannot be seen in that gateway's log"
	withoutPods      = "a pod that a request comes to is known only where the playbook names it"
	withoutInForce   = "which policy is in force in the sidecar is not looked at"
	withoutWayByLogs = "the way of a request can be seen by the proxies' counters alone"
)

// needs returns everything that a run of playbooks needs to be allowed, each once:
// the one list that [session.permitted] asks about and that rbac prints.
type needs struct {
	namespace, istioNamespace, revision string

	all  []need
	made map[string]bool // the namespaces that the playbook makes
	// unknown has what cannot be told before the run.
	unknown []string
}

// needsOf returns what a run of playbooks needs in a namespace of a cluster.
func needsOf(list []*runner.Playbook, namespace, istioNamespace, revision string) *needs {
	n := &needs{namespace: namespace, istioNamespace: istioNamespace, revision: revision}
	for _, p := range list {
		n.playbook(p)
	}
	return n
}

// add adds what is needed, "" for what a run cannot be without.
func (n *needs) add(without string, all ...cluster.Access) {
	for _, a := range all {
		a.Ref.Namespace = cmp.Or(a.Ref.Namespace, n.namespace)
		if strings.Contains(a.Ref.Kind+a.Ref.APIVersion+a.Ref.Namespace, "${") {
			if text := a.Verb + " " + a.Ref.String() + " in namespace " + a.Ref.Namespace; !slices.Contains(n.unknown, text) {
				n.unknown = append(n.unknown, text)
			}
			continue
		}
		if strings.Contains(a.Ref.Name, "${") || a.Verb == "create" && a.Subresource == "" {
			a.Ref.Name = ""
		}
		one := need{Access: a, Made: n.made[a.Ref.Namespace] || changes.IsNamespace(a.Ref.Kind) && n.made[a.Ref.Name], Without: without}
		i := slices.IndexFunc(n.all, func(other need) bool { return other.Access == a && other.Made == one.Made })
		switch {
		case i < 0:
			n.all = append(n.all, one)
		case without == "":
			n.all[i].Without = ""
		}
	}
}

func accesses(ref cluster.Ref, verbs ...string) (all []cluster.Access) {
	for _, verb := range verbs {
		all = append(all, cluster.Access{Verb: verb, Ref: ref})
	}
	return all
}

func (n *needs) playbook(p *runner.Playbook) {
	n.made = map[string]bool{}
	for _, requirement := range p.Requires {
		switch requirement {
		case mesh.AccessLog:
			n.add("", accesses(n.config(), "get")...)
			n.add(withoutConfig, logSettings(n.istioNamespace)...)
		case mesh.EgressGateway:
			n.add("", accesses(pods(n.istioNamespace), "list")...)
		}
	}
	changed := false
	for i := range p.Steps {
		step := &p.Steps[i]
		for _, t := range step.Targets {
			n.change(t)
			changed = true
		}
		n.add("", step.Reads...)
		if step.Kind == "policy" {
			n.add("", accesses(n.config(), "get")...)
		}
		n.witnesses(step, changed)
	}
	if changed {
		n.add(withoutJournal, accesses(cluster.Ref{APIVersion: "v1", Kind: "Secret", Namespace: n.namespace}, "list", "create", "patch", "delete")...)
	}
}

// change adds what it needs to change an object, and to put it back.
func (n *needs) change(t changes.Target) {
	if t.Mesh {
		t.Ref = n.config()
	}
	t.Ref.Namespace = cmp.Or(t.Ref.Namespace, n.namespace)
	if t.Makes && changes.IsNamespace(t.Ref.Kind) {
		n.made[t.Ref.Name] = true
	}
	switch {
	case t.Makes:
		n.add("", accesses(t.Ref, "get", "create", "patch", "update", "delete")...)
	case t.Deletes:
		n.add("", accesses(t.Ref, "get", "delete", "create", "update")...)
	default:
		n.add("", accesses(t.Ref, "get", "patch", "update")...)
	}
	if t.Makes || t.Deletes {
		always, delayed := cluster.DeleteReads(t.Ref)
		n.add("", always...)
		n.add(withoutWatch, delayed...)
	}
	if r, err := cluster.KnownResource(t.Ref); err == nil && r.Kind == "Secret" && t.Ref.Namespace != n.namespace {
		without := ""
		if t.Makes {
			without = withoutOldSecret
		}
		beside := cluster.Ref{APIVersion: "v1", Kind: "Secret", Namespace: t.Ref.Namespace}
		n.add(without, accesses(beside, "create", "patch", "delete")...)
	}
	n.grants(t)
	place, lease := t.Ref.Namespace, "egressplay"
	switch r, err := cluster.KnownResource(t.Ref); {
	case changes.IsNamespace(t.Ref.Kind):
		if t.Makes {
			return
		}
		place = t.Ref.Name
	case err == nil && !r.Namespaced:
		place, lease = n.istioNamespace, "egressplay-mesh"
	}
	n.add(withoutLease, accesses(cluster.Ref{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: place, Name: lease}, "get", "create", "update", "delete")...)
}

// grants adds what a role grants that a playbook makes: the server lets nobody
// grant what he may not do himself.
func (n *needs) grants(t changes.Target) {
	if t.Object == nil || t.Ref.Resource().Group != "rbac.authorization.k8s.io" {
		return
	}
	rules, _, _ := unstructured.NestedSlice(t.Object.Object, "rules")
	for _, rule := range rules {
		rule, _ := rule.(map[string]any)
		texts := func(key string) []string {
			all, _, _ := unstructured.NestedStringSlice(rule, key)
			return all
		}
		names := texts("resourceNames")
		if len(names) == 0 {
			names = []string{""}
		}
		namespace := t.Ref.Namespace
		if t.Ref.Kind == "ClusterRole" {
			namespace = cluster.AllNamespaces
		}
		for _, group := range texts("apiGroups") {
			for _, resource := range texts("resources") {
				resource, sub, _ := strings.Cut(resource, "/")
				for _, name := range names {
					ref := cluster.Ref{APIVersion: strings.TrimPrefix(group+"/v1", "/"), Kind: resource, Namespace: namespace, Name: name}
					for _, verb := range texts("verbs") {
						n.add("", cluster.Access{Verb: verb, Ref: ref, Subresource: sub})
					}
				}
			}
		}
	}
	if kind, _, _ := unstructured.NestedString(t.Object.Object, "roleRef", "kind"); kind == "ClusterRole" {
		name, _, _ := unstructured.NestedString(t.Object.Object, "roleRef", "name")
		n.add("", cluster.Access{Verb: "bind", Ref: cluster.Ref{APIVersion: t.Ref.APIVersion, Kind: kind, Name: name}})
	}
}

// witnesses adds what those read that a step's expectations ask. changed reports whether
// something was changed before, so that it is asked first whether it is in force.
func (n *needs) witnesses(step *runner.Step, changed bool) {
	namespace := ""
	runs := slices.ContainsFunc(step.Reads, func(a cluster.Access) bool {
		namespace = cmp.Or(a.Ref.Namespace, n.namespace)
		return a.Subresource == "exec"
	})
	if step.Kind == "policy" && len(step.Targets) == 0 {
		n.add(withoutInForce, accesses(pods(""), "get")...)
		n.add(withoutInForce, ofPod("create", "", "portforward"))
	}
	if !runs {
		return
	}
	needs := step.Needs
	if changed {
		n.add(withoutSync, accesses(pods(n.istioNamespace), "list")...)
		n.add(withoutSync, ofPod("create", n.istioNamespace, "portforward"))
		n.add(withoutCounters, ofPod("create", namespace, "portforward"))
		for _, where := range []string{n.istioNamespace, namespace} {
			n.add(withoutServices, accesses(cluster.Ref{APIVersion: "v1", Kind: "Service", Namespace: where}, "list")...)
		}
	}
	if needs.Nothing() {
		return
	}
	if needs.Lines || needs.Way || needs.Absence {
		without := withoutWayByLogs
		if needs.Lines {
			without = ""
		}
		n.add(without, ofPod("get", namespace, "log"))
		n.add(withoutConfig, accesses(n.config(), "get")...)
		for _, where := range []string{n.istioNamespace, namespace} {
			n.add(withoutConfig, logSettings(where)...)
		}
	}
	n.add(withoutCounters, ofPod("create", namespace, "portforward"))
	n.add(withoutCounters, accesses(pods(namespace), "get")...)
	places := slices.Clone(needs.Places)
	if needs.Way {
		n.add(withoutPods, accesses(pods(cluster.AllNamespaces), "list")...)
		places = append(places, "egressgateway")
	}
	for _, place := range places {
		if place == evidence.Sidecar {
			continue
		}
		without := ""
		if !slices.Contains(needs.Places, place) {
			without = withoutGateway
		}
		q := (&mesh.Mesh{Namespace: n.istioNamespace, Workloads: n.namespace}).Query(place)
		n.add(without, cluster.PodReads(q)...)
		n.add(withoutCounters, ofPod("create", q.Namespace, "portforward"))
		n.add(withoutCounters, accesses(pods(q.Namespace), "get")...)
		n.add(withoutGateway, ofPod("get", q.Namespace, "log"))
		n.add(withoutConfig, logSettings(q.Namespace)...)
	}
}

// config returns the ConfigMap of the mesh.
func (n *needs) config() cluster.Ref {
	return cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: n.istioNamespace, Name: mesh.ConfigMapName(n.revision)}
}

func pods(namespace string) cluster.Ref {
	return cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace}
}

// logSettings returns what is read to know what the proxies of a namespace log.
func logSettings(namespace string) []cluster.Access {
	return []cluster.Access{
		{Verb: "list", Ref: cluster.Ref{APIVersion: "telemetry.istio.io/v1", Kind: "Telemetry", Namespace: namespace}},
		{Verb: "list", Ref: cluster.Ref{APIVersion: "networking.istio.io/v1alpha3", Kind: "EnvoyFilter", Namespace: namespace}},
	}
}

func ofPod(verb, namespace, subresource string) cluster.Access {
	return cluster.Access{Verb: verb, Ref: pods(namespace), Subresource: subresource}
}
