package expect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// A countedWay is the way of a request as the proxies' counters have it. They
// tell how many requests went where, not whose they were: so each proxy must
// have sent on exactly one, and where it sent more nobody can tell which.
type countedWay struct {
	scope    *runner.Scope
	pod      *cluster.Pod
	sidecar  *mesh.Counters
	accepted int64 // by the sidecar's listeners
	gateways counted
}

var _ witness = (*countedWay)(nil)

// countWay reads the counters of all proxies of a way before an action. noLog
// says why there is no access log, and what to do about it.
func countWay(ctx context.Context, s *runner.Scope, action runner.Action, hops []string, noLog string) (*countedWay, error) {
	w := &countedWay{scope: s, gateways: make(counted)}
	in, ok := action.(runner.PodAction)
	if !ok {
		return w, nil // whose way is asked for is told once the action has run
	}
	var err error
	if w.pod, err = in.Pod(ctx, s); err != nil {
		return nil, err
	}
	if !slices.Contains(w.pod.Containers, mesh.Sidecar) {
		return w, nil
	}
	if hops[0] == hopBlocked {
		return nil, &unwatchedError{text: "counters do not tell a request that was blocked from one that found no host, and the mesh writes no access log", hint: noLog}
	}
	pod, err := w.present(ctx, w.pod)
	if err != nil {
		return nil, err
	}
	if w.sidecar, err = mesh.ReadCounters(ctx, s.Cluster, pod); err != nil {
		return nil, err
	}
	if hops[0] == hopDirect {
		var counts bool
		if w.accepted, counts, err = mesh.Accepted(ctx, s.Cluster, pod); err != nil {
			return nil, err
		}
		if !counts {
			return nil, &unwatchedError{
				text: "nothing tells whether a request goes past the sidecar: the mesh writes no access log, and the sidecar does not count the connections that it accepts",
				hint: noLog + "\nor have the sidecar count them: on the pod, the annotation sidecar.istio.io/statsInclusionPrefixes: listener",
			}
		}
	}
	for _, hop := range hops {
		if !isGateway(hop) {
			continue
		}
		pods, err := podsOf(ctx, s, hop)
		if err != nil {
			return nil, err
		}
		more, err := count(ctx, s, pods)
		if err != nil {
			return nil, err
		}
		maps.Copy(w.gateways, more)
	}
	return w, nil
}

// present returns a pod's present state.
func (w *countedWay) present(ctx context.Context, pod *cluster.Pod) (*unstructured.Unstructured, error) {
	return w.scope.Cluster.Get(ctx, cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name})
}

// An unwatchedError says that nothing tells which way a request takes.
type unwatchedError struct{ text, hint string }

func (e *unwatchedError) Error() string { return e.text }

// Hint says what to switch on.
// Source: istio.io "Envoy Statistics".
func (e *unwatchedError) Hint() string { return e.hint }

func (w *countedWay) leaves(ctx context.Context, o *runner.Observation) (*mesh.Entry, string, error) {
	pod, err := w.same(ctx, o)
	if err != nil {
		return nil, "", err
	}
	return w.sent(ctx, w.sidecar, pod)
}

func (w *countedWay) passes(ctx context.Context, _ *mesh.Entry, gateway *cluster.Pod) (*mesh.Entry, string, error) {
	before := w.gateways[gateway.Name]
	if before == nil {
		return nil, "", runner.Retryable(fmt.Errorf("the proxy %s came while it was watched", gateway.Name))
	}
	pod, err := w.present(ctx, gateway)
	if err != nil {
		return nil, "", err
	}
	return w.sent(ctx, before, pod)
}

func (w *countedWay) avoids(ctx context.Context, o *runner.Observation) error {
	pod, err := w.same(ctx, o)
	if err != nil {
		return err
	}
	_, why, err := w.sent(ctx, w.sidecar, pod)
	if err != nil {
		return err
	}
	accepted, _, err := mesh.Accepted(ctx, w.scope.Cluster, pod)
	if err != nil {
		return err
	}
	if accepted -= w.accepted; accepted != 0 || why != sentNone {
		return &runner.Mismatch{What: "path", Want: hopDirect, Got: "through the sidecar, which accepted a connection"}
	}
	return nil
}

// same returns the pod of an attempt, which must be that whose counters are known.
func (w *countedWay) same(ctx context.Context, o *runner.Observation) (*unstructured.Unstructured, error) {
	if w.pod == nil || w.sidecar == nil {
		return nil, errors.New("the counters of the sidecar were not read before the request")
	}
	if o.Pod.Name != w.pod.Name {
		return nil, runner.Retryable(fmt.Errorf("the request was made in %s, but %s was watched", o.Pod.Name, w.pod.Name))
	}
	return w.present(ctx, w.pod)
}

const sentNone = "it sent no request on"

// sent returns where a proxy has sent the one request that it sent on
// meanwhile; nil and why where it was not one.
func (w *countedWay) sent(ctx context.Context, before *mesh.Counters, pod *unstructured.Unstructured) (*mesh.Entry, string, error) {
	after, err := mesh.ReadCounters(ctx, w.scope.Cluster, pod)
	if err != nil {
		return nil, "", err
	}
	grown, err := after.Since(before, "rq_total")
	if err != nil {
		return nil, "", runner.Retryable(fmt.Errorf("%s: %w", pod.GetName(), err))
	}
	var total int64
	line := new(mesh.Entry)
	for u, n := range grown {
		if !carriesRequests(u.Cluster) {
			continue
		}
		total += n
		line.Cluster, line.UpstreamHost = u.Cluster, u.Host
	}
	switch total {
	case 0:
		return nil, sentNone, nil
	case 1:
		return line, "", nil
	}
	return nil, fmt.Sprintf("it sent %d requests on, and counters do not tell which was this one", total), nil
}

// carriesRequests says whether a cluster is one by which requests leave a
// proxy: not one of its own traffic, and not one to the application beside it.
func carriesRequests(cluster string) bool {
	return cluster == passthrough || strings.HasPrefix(cluster, "outbound|") || strings.Contains(cluster, "dynamic_forward_proxy")
}
