package mesh

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// gatewayName is the label of the pods of a gateway of the Gateway API.
// Source: istio.io "Kubernetes Gateway API", "Automated Deployment".
const gatewayName = "gateway.networking.k8s.io/gateway-name"

// Query returns the query for the pods that a name in a playbook means: egressgateway,
// gateway/NAME, deploy/NAME, the last two with .NAMESPACE for another namespace, or a
// label selector.
func (m *Mesh) Query(name string) cluster.PodQuery {
	q := cluster.PodQuery{Namespace: m.Workloads, Selector: name}
	kind, rest, named := strings.Cut(name, "/")
	of, namespace, elsewhere := strings.Cut(rest, ".")
	if named && elsewhere {
		q.Namespace = namespace
	}
	switch {
	case name == "egressgateway":
		q.Namespace, q.Selector = m.Namespace, EgressGatewayLabels
	case named && kind == "gateway":
		q.Selector = gatewayName + "=" + of
	case named && kind == "deploy":
		q.Selector, q.Owner = "", "deploy/"+of
	}
	return q
}

// place returns the pods that a name in a playbook means; see [Mesh.Query]. Pods that
// are being deleted do not count: they still have the labels, but stop answering.
func (m *Mesh) place(ctx context.Context, name string) (evidence.Place, []cluster.Pod) {
	place := evidence.Place{Name: name}
	pods, err := m.Cluster.PodsOf(ctx, m.Query(name))
	if err != nil {
		place.Why = err.Error()
		if missing, ok := errors.AsType[*cluster.NotReadyError](err); ok {
			place.Why = "there is no pod of " + name + ": " + missing.Reason
		}
		return place, nil
	}
	for _, p := range pods {
		place.Pods = append(place.Pods, podOf(p))
	}
	return place, pods
}

// nameOf returns the name of a gateway's pod in a playbook: the one that the playbook
// uses, or else the simplest.
func (m *Mesh) nameOf(a *evidence.Attempt, pod cluster.Pod) string {
	for _, place := range a.Places {
		if slices.ContainsFunc(place.Pods, func(p evidence.Pod) bool { return p.IP == pod.IP }) {
			return place.Name
		}
	}
	namespaced := func(name string) string {
		if pod.Namespace == m.Workloads {
			return name
		}
		return name + "." + pod.Namespace
	}
	switch gateway := pod.Labels[gatewayName]; {
	case pod.Namespace == m.Namespace && pod.Labels["istio"] == "egressgateway":
		return "egressgateway"
	case gateway != "":
		return namespaced("gateway/" + gateway)
	}
	return namespaced("pod/" + pod.Name)
}
