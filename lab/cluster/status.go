package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/proc"
	"github.com/egressplay/egressplay/lab/supervise"
)

// Status is the state of a lab and its parts.
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

	// CPUSeconds is the CPU time of all its processes since each was started.
	CPUSeconds float64 `json:"cpuSeconds"`

	Why string `json:"why,omitempty"` // why it is not ready, if that is known
}

// The parts that a status lists besides the components.
const (
	labItself = "egressplay-lab" // the supervisor, the CRI server, the internet and the network policies
	otherPods = "pods"           // all that belong to no component
)

// askTime limits the requests to all parts, so that a lab with a part that hangs has a
// status too.
const askTime = 5 * time.Second

var errNoAnswer = fmt.Errorf("no answer within %v", askTime)

// status asks every part now. A part that cannot be asked is not ready.
func (l *lab) status(ctx context.Context) Status {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("ask the API server: %w", errNoAnswer))
	defer cancel()
	s := Status{Version: l.Version}
	add := func(c ComponentStatus, u proc.Usage) {
		c.RSSBytes, c.CPUSeconds = u.RSS, u.CPU.Seconds()
		s.Components = append(s.Components, c)
	}
	self, _ := proc.Of(os.Getpid()) // what cannot be read is shown as nothing
	add(ComponentStatus{Name: labItself, State: supervise.Ready}, self)
	add(ComponentStatus{Name: Internet, State: supervise.Ready}, proc.Usage{}) // its end would be the lab's
	add(ComponentStatus{Name: NetworkPolicy, State: l.policiesState()}, proc.Usage{})
	processes, inCluster, inPods := l.supervisor.Status(), []ComponentStatus(nil), l.podUsage(ctx)
	list := make([]ComponentStatus, len(processes))
	var asked sync.WaitGroup
	asked.Go(func() { inCluster = l.inCluster(ctx) })
	for i, p := range processes {
		asked.Go(func() { list[i] = l.process(ctx, p) })
	}
	asked.Wait()
	for i, p := range processes {
		add(list[i], p.Usage)
	}
	for _, part := range inCluster {
		add(part, inPods[part.Name])
	}
	add(ComponentStatus{Name: otherPods, State: supervise.Ready}, inPods[otherPods])
	s.Ready = l.up.Load() && !slices.ContainsFunc(s.Components, func(c ComponentStatus) bool {
		return c.State != supervise.Ready
	})
	return s
}

// process checks whether a process that was ready still is.
func (l *lab) process(ctx context.Context, p supervise.Status) ComponentStatus {
	s := ComponentStatus{Name: p.Name, State: p.State}
	if p.State != supervise.Ready {
		return s
	}
	if err := l.supervisor.Probe(ctx, p.Name); err != nil {
		if ctx.Err() != nil {
			err = errNoAnswer
		}
		s.State, s.Why = NotReady, brief(err)
	}
	return s
}

// brief returns an error as one line that is not too long for a table.
func brief(err error) string {
	const most = 200
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) <= most {
		return line
	}
	return strings.ToValidUTF8(line[:most], "") + " …"
}

// inCluster asks the API for the parts that run in the cluster, all at the same time.
func (l *lab) inCluster(ctx context.Context) []ComponentStatus {
	type part struct {
		name  string
		works func(context.Context, *api) error
	}
	var parts []part
	for _, w := range workloads {
		parts = append(parts, part{w.component, func(ctx context.Context, a *api) error { return a.serves(ctx, w) }})
	}
	parts = append(parts, part{GatewayAPI, func(ctx context.Context, a *api) error { return a.gatewaysServed(ctx) }})

	list := make([]ComponentStatus, len(parts))
	var asked sync.WaitGroup
	for i, p := range parts {
		asked.Go(func() {
			problem := errNoAPI
			if api := l.api.Load(); api != nil {
				problem = p.works(ctx, api)
			}
			if problem != nil && ctx.Err() != nil {
				problem = context.Cause(ctx)
			}
			state, why := l.state(problem)
			list[i] = ComponentStatus{Name: p.name, State: state, Why: why}
		})
	}
	asked.Wait()
	return list
}

// errNoAPI is the reason that nothing in the cluster works yet.
var errNoAPI = errors.New("there is no API server yet")

// podUsage returns what the containers use, summed by component.
func (l *lab) podUsage(ctx context.Context) map[string]proc.Usage {
	sums := map[string]proc.Usage{}
	server := l.cri.Load()
	if server == nil {
		return sums
	}
	list, err := server.ListContainerStats(ctx, &runtimeapi.ListContainerStatsRequest{})
	if err != nil {
		return sums
	}
	for _, s := range list.Stats {
		part := componentOf(s.GetAttributes().GetLabels())
		sums[part] = sums[part].Plus(proc.Usage{
			CPU: time.Duration(s.GetCpu().GetUsageCoreNanoSeconds().GetValue()),
			RSS: s.GetMemory().GetRssBytes().GetValue(),
		})
	}
	return sums
}

// componentOf returns the component to which a container belongs, by the labels that
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
