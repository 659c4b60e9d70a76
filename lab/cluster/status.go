package cluster

import (
	"context"
	"os"
	"slices"
	"sync"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/istio"
	"github.com/egressplay/egressplay/lab/proc"
	"github.com/egressplay/egressplay/lab/supervise"
)

// Status is what a lab says of itself.
type Status struct {
	Version    string            `json:"version"`
	Ready      bool              `json:"ready"` // the bring-up is over, and each component is ready
	Components []ComponentStatus `json:"components"`
}

// ComponentStatus is one part of a lab.
type ComponentStatus struct {
	Name     string          `json:"name"`
	State    supervise.State `json:"state"`
	RSSBytes uint64          `json:"rssBytes"` // resident memory of all its processes
}

// What a status lists besides the components.
const (
	labItself = "egressplay-lab" // the supervisor, the CRI server, the internet and the network policies
	otherPods = "pods"           // all that are no component
)

// workload is a component that is a Deployment.
type workload struct{ component, namespace string }

var (
	coredns       = workload{CoreDNS, "kube-system"}
	istiod        = workload{Istiod, istio.Namespace}
	egressGateway = workload{EgressGateway, istio.Namespace}

	workloads = []workload{coredns, istiod, egressGateway}
)

// status asks everything that knows. What cannot be asked is not ready.
func (l *lab) status(ctx context.Context) Status {
	s := Status{Version: l.Version}
	add := func(name string, state supervise.State, rss uint64) {
		s.Components = append(s.Components, ComponentStatus{name, state, rss})
	}
	self, _ := proc.Of(os.Getpid()) // what cannot be read is shown as nothing
	add(labItself, supervise.Ready, self.RSS)
	add(Internet, supervise.Ready, 0) // its end would be the lab's
	add(NetworkPolicy, l.policiesState(), 0)
	for _, p := range l.supervisor.Status() {
		add(p.Name, p.State, p.Usage.RSS)
	}
	rss := l.podMemory(ctx)
	states := make([]supervise.State, len(workloads))
	var asked sync.WaitGroup
	for i, w := range workloads {
		asked.Go(func() { states[i] = l.workloadState(ctx, w) })
	}
	var gatewayAPI supervise.State
	asked.Go(func() { gatewayAPI = l.gatewayAPIState(ctx) })
	asked.Wait()
	for i, w := range workloads {
		add(w.component, states[i], rss[w.component])
	}
	add(GatewayAPI, gatewayAPI, 0)
	add(otherPods, supervise.Ready, rss[otherPods])
	s.Ready = l.up.Load() && !slices.ContainsFunc(s.Components, func(c ComponentStatus) bool {
		return c.State != supervise.Ready
	})
	return s
}

// podMemory sums the memory of the containers by component.
func (l *lab) podMemory(ctx context.Context) map[string]uint64 {
	sums := map[string]uint64{}
	server := l.cri.Load()
	if server == nil {
		return sums
	}
	list, err := server.ListContainerStats(ctx, &runtimeapi.ListContainerStatsRequest{})
	if err != nil {
		return sums
	}
	for _, s := range list.Stats {
		sums[componentOf(s.GetAttributes().GetLabels())] += s.GetMemory().GetRssBytes().GetValue()
	}
	return sums
}

// componentOf tells which component a container belongs to, by the labels that
// the kubelet gives it.
func componentOf(labels map[string]string) string {
	namespace, pod := labels["io.kubernetes.pod.namespace"], labels["io.kubernetes.pod.name"]
	for _, w := range workloads {
		if namespace == w.namespace && isPodOf(w.component, pod) {
			return w.component
		}
	}
	return otherPods
}

// NamespaceOf tells in which namespace a component runs that is a Deployment of
// the same name; false for one that is none.
func NamespaceOf(component string) (string, bool) {
	for _, w := range workloads {
		if w.component == component {
			return w.namespace, true
		}
	}
	return "", false
}
