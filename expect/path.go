package expect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// Path is the way that a curl command's last request took, hop by hop:
//
//	[sidecar, passthrough]                              out of the mesh, to an unknown service
//	[sidecar, HOST:PORT]                                to a service that the mesh knows
//	[sidecar, egressgateway, HOST:PORT]                 by way of the egress gateway
//	[sidecar, gateway/NAME, HOST:PORT]                  the same by a gateway of the Gateway API
//	[sidecar, deploy/NAME]                              to a pod of the cluster
//	[direct]                                            past the sidecar
//	[blocked]                                           no further than the sidecar
//
// It holds only where the access-log line of this very request on each proxy
// says so. The lines are joined by addresses: curl's own is the sidecar's
// DOWNSTREAM_REMOTE_ADDRESS, and a proxy's UPSTREAM_LOCAL_ADDRESS is the
// DOWNSTREAM_REMOTE_ADDRESS of the next. (A request id does not join them: a
// gateway makes its own.) Where lines cannot be told apart, it does not hold.
//
// Where the mesh writes no access log it holds where each proxy's own counters
// grew by exactly this one request; see [countedWay].
type Path struct {
	Hops []string `yaml:"hops,list,scalar,required"`
}

var _ runner.Watcher = (*Path)(nil)

const (
	hopSidecar     = "sidecar"
	hopGateway     = "egressgateway"
	hopPassthrough = "passthrough"
	hopDirect      = "direct"
	hopBlocked     = "blocked"
)

// The clusters that istiod gives every proxy.
// Source: istio/istio pilot/pkg/util/constant.go.
const (
	blackHole   = "BlackHoleCluster"
	passthrough = "PassthroughCluster"
	blockAll    = "block_all" // a route
)

// Validate says what is wrong with the expectation.
func (e *Path) Validate() error {
	hops := e.Hops
	fail := func(i int, format string, args ...any) error {
		return &runner.FieldError{Field: []string{"hops", fmt.Sprint(i)}, Err: fmt.Errorf(format, args...)}
	}
	if len(hops) == 1 {
		if hops[0] != hopDirect && hops[0] != hopBlocked {
			return fail(0, "a way of one hop is [direct] or [blocked], not [%s]", hops[0])
		}
		return nil
	}
	if len(hops) == 0 || hops[0] != hopSidecar {
		return &runner.FieldError{Err: errors.New("a way begins at the sidecar"), Hint: "write [sidecar, ..., HOST:PORT], [direct] or [blocked]"}
	}
	for i, hop := range hops[1 : len(hops)-1] {
		if !isGateway(hop) {
			return fail(i+1, "%q is no proxy on a way: want egressgateway or gateway/NAME", hop)
		}
	}
	last := hops[len(hops)-1]
	if strings.HasPrefix(last, "deploy/") || last == hopPassthrough || strings.Contains(last, "${") {
		return nil
	}
	if host, port, err := net.SplitHostPort(last); err != nil || host == "" || port == "" {
		return fail(len(hops)-1, "%q is no end of a way: want HOST:PORT, passthrough or deploy/NAME", last)
	}
	return nil
}

// isGateway says whether a hop is a gateway: Istio's own or one of the Gateway
// API.
func isGateway(hop string) bool { return hop == hopGateway || strings.HasPrefix(hop, "gateway/") }

// Check implements [runner.Expectation]; what the observation itself shows is
// not enough to judge.
func (e *Path) Check(*runner.Observation) error {
	return errors.New("the way was not watched")
}

// Watch implements [runner.Watcher].
func (e *Path) Watch(ctx context.Context, s *runner.Scope, action runner.Action) (func(context.Context, *runner.Observation) error, error) {
	missing, err := mesh.Missing(ctx, s.Cluster, s.IstioNamespace, s.Revision, mesh.AccessLog)
	if err == nil && missing != "" {
		counted, err := countWay(ctx, s, action, e.Hops, missing)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, o *runner.Observation) error { return e.judge(ctx, s, o, counted) }, nil
	}
	// Not everyone may read the mesh's configuration. Where it has no access
	// log after all, no line will come, and that is told.
	return func(ctx context.Context, o *runner.Observation) error {
		return e.judge(ctx, s, o, &loggedWay{scope: s, o: o})
	}, nil
}

// A witness knows which way a request took.
type witness interface {
	// leaves returns what the sidecar says of the request, nil and why where
	// it says nothing.
	leaves(ctx context.Context, o *runner.Observation) (line *mesh.Entry, why string, err error)
	// passes returns the same of a gateway that the request came to by way of
	// the proxy that said before.
	passes(ctx context.Context, before *mesh.Entry, gateway *cluster.Pod) (line *mesh.Entry, why string, err error)
	// avoids returns an error, a [*runner.Mismatch] for a no, where the
	// request did not go past the sidecar.
	avoids(ctx context.Context, o *runner.Observation) error
}

func (e *Path) judge(ctx context.Context, s *runner.Scope, o *runner.Observation, by witness) error {
	if e.Hops[0] == hopDirect && !slices.Contains(o.Pod.Containers, mesh.Sidecar) && o.LocalAddr != "" {
		return nil // no sidecar that the request could have passed
	}
	if err := traceable(o); err != nil {
		return err
	}
	if e.Hops[0] == hopDirect {
		return by.avoids(ctx, o)
	}
	w := &way{scope: s, o: o, by: by}
	got, err := w.follow(ctx, e.Hops)
	if err != nil {
		return err
	}
	if got != "" {
		return &runner.Mismatch{What: "path", Want: strings.Join(e.Hops, " → "), Got: got}
	}
	return nil
}

// traceable says why the request of a command cannot be found in an access
// log, nil where it can.
func traceable(o *runner.Observation) error {
	switch {
	case o.CurlExitCode == nil:
		return errors.New("a request is found in the access log by the address of curl's connection, and the command is no curl that tells it")
	case !slices.Contains(o.Pod.Containers, mesh.Sidecar):
		return &runner.Mismatch{What: "access log", Want: "a line of this request", Got: fmt.Sprintf("no sidecar: pod %s has no container %s", o.Pod.Name, mesh.Sidecar)}
	case o.LocalAddr == "":
		return &runner.Mismatch{What: "access log", Want: "a line of this request", Got: "no connection: curl made none"}
	}
	return nil
}

// A way is followed from proxy to proxy.
type way struct {
	scope *runner.Scope
	o     *runner.Observation
	by    witness
	seen  []string // the hops so far, for the reader
}

// follow returns what the way was instead of hops, "" where it was that.
func (w *way) follow(ctx context.Context, hops []string) (got string, err error) {
	line, why, err := w.by.leaves(ctx, w.o)
	if line == nil || err != nil {
		return w.so(why), err
	}
	w.seen = append(w.seen, hopSidecar)
	blocked := line.Cluster == blackHole || line.Route == blockAll && line.UpstreamHost == ""
	if hops[0] == hopBlocked {
		if blocked {
			return "", nil
		}
		return w.so(end(line)), nil
	}
	if blocked {
		return w.so(hopBlocked), nil
	}
	for _, hop := range hops[1 : len(hops)-1] {
		pod, err := gatewayAt(ctx, w.scope, hop, line.UpstreamHost)
		if err != nil {
			return "", err
		}
		if pod == nil {
			return w.so(end(line)), nil
		}
		w.seen = append(w.seen, hop)
		next, why, err := w.by.passes(ctx, line, pod)
		if next == nil || err != nil {
			return w.so(why), err
		}
		line = next
	}
	ok, err := w.ends(ctx, line, hops[len(hops)-1])
	if ok || err != nil {
		return "", err
	}
	return w.so(end(line)), nil
}

// so returns the hops that were seen and what came then.
func (w *way) so(then string) string {
	return strings.Join(append(slices.Clone(w.seen), then), " → ")
}

// end says where a proxy sent a request.
func end(e *mesh.Entry) string {
	to := e.UpstreamHost
	if to == "" {
		to = "nowhere"
	}
	why := e.Cluster
	if len(e.Flags) > 0 {
		why = strings.TrimPrefix(why+", flags "+strings.Join(e.Flags, ","), ", ")
	}
	return fmt.Sprintf("%s (%s)", to, why)
}

// gatewayAt returns the pod of a gateway that has an address ("ip:port"), nil
// where none has.
func gatewayAt(ctx context.Context, s *runner.Scope, hop, addr string) (*cluster.Pod, error) {
	pods, err := podsOf(ctx, s, hop)
	if err != nil {
		return nil, err
	}
	ip, _, _ := net.SplitHostPort(addr)
	for _, pod := range pods {
		if podIP, _, _ := unstructured.NestedString(pod.Object, "status", "podIP"); podIP != "" && podIP == ip {
			return &cluster.Pod{Namespace: pod.GetNamespace(), Name: pod.GetName(), IP: ip, Container: mesh.Sidecar}, nil
		}
	}
	return nil, nil
}

// workloadAt says whether the pod of deploy/NAME, or deploy/NAME.NAMESPACE, has
// an address ("ip:port").
func workloadAt(ctx context.Context, s *runner.Scope, place, addr string) (bool, error) {
	owner, namespace, found := strings.Cut(place, ".")
	if !found {
		namespace = s.Namespace
	}
	pod, err := s.Cluster.Pod(ctx, cluster.PodQuery{Namespace: namespace, Owner: owner})
	if err != nil {
		return false, err
	}
	ip, _, _ := net.SplitHostPort(addr)
	return ip == pod.IP, nil
}

// ends says whether the last proxy's line ends at a place.
func (w *way) ends(ctx context.Context, line *mesh.Entry, place string) (bool, error) {
	switch {
	case place == hopPassthrough:
		return line.Cluster == passthrough && line.UpstreamHost != "", nil
	case strings.HasPrefix(place, "deploy/"):
		return workloadAt(ctx, w.scope, place, line.UpstreamHost)
	}
	host, port, err := net.SplitHostPort(place)
	if err != nil {
		return false, err
	}
	_, toPort, err := net.SplitHostPort(line.UpstreamHost)
	if err != nil || toPort != port {
		return false, nil
	}
	return serves(line, host), nil
}

// serves says whether the upstream cluster of a line is that of a host. The
// name of a cluster is DIRECTION|PORT|SUBSET|HOST (istio/istio
// pilot/pkg/model/service.go, BuildSubsetKey). Where it is of a wildcard, or
// of Envoy's dynamic forward proxy, the request itself names the host.
func serves(line *mesh.Entry, host string) bool {
	named := line.SNI == host || line.Authority == host
	parts := strings.Split(line.Cluster, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return strings.Contains(line.Cluster, "dynamic_forward_proxy") && named
	}
	if wildcard, ok := strings.CutPrefix(parts[3], "*"); ok {
		return host == parts[3] || strings.HasSuffix(host, wildcard) && named
	}
	return parts[3] == host
}
