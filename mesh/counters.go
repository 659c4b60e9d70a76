package mesh

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/egressplay/egressplay/cluster"
)

// Counters are what a proxy has counted of its upstream hosts so far.
type Counters struct {
	run   string // which run of the proxy counted: a new one begins at 0
	hosts map[Upstream]map[string]int64
}

// An Upstream is a host of one of a proxy's upstream clusters.
type Upstream struct {
	Cluster string // such as outbound|443||www.wikipedia.org
	Host    string // its address, "ip:port"
}

// ErrRestarted says that a proxy was started anew between two readings of its
// counters, so that nobody can say by how much they grew.
var ErrRestarted = errors.New("the proxy was started anew")

// ReadCounters asks the administration interface of a pod's proxy for the
// counters of its upstream hosts. It is the list that Envoy keeps whichever
// statistics it is told to leave out (Envoy's "Administration interface",
// GET /clusters; istio.io "Envoy Statistics").
func ReadCounters(ctx context.Context, c cluster.Interface, pod *unstructured.Unstructured) (*Counters, error) {
	run, err := proxyRun(pod)
	if err != nil {
		return nil, err
	}
	text, err := ask(ctx, c, pod, "clusters")
	if err != nil {
		return nil, err
	}
	counters := &Counters{run: run, hosts: make(map[Upstream]map[string]int64)}
	for line := range strings.Lines(text) {
		// A line is CLUSTER::ADDRESS::NAME::VALUE. A cluster's own lines have
		// other words in the place of an address, and not always numbers.
		// The address is an IPv6 one at times, with colons of its own.
		cluster, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "::")
		rest, value := cutLast(rest)
		host, name := cutLast(rest)
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || host == "" {
			continue
		}
		u := Upstream{Cluster: cluster, Host: host}
		if counters.hosts[u] == nil {
			counters.hosts[u] = make(map[string]int64)
		}
		counters.hosts[u][name] = n
	}
	return counters, nil
}

// cutLast cuts a text at its last double colon.
func cutLast(text string) (before, after string) {
	i := strings.LastIndex(text, "::")
	if i < 0 {
		return "", text
	}
	return text[:i], text[i+2:]
}

// Since returns by how much a counter, such as cx_total or rq_total, has grown
// at each host since an earlier reading; a host where it has not is left out.
// Envoy forgets a host that is gone, and counts from 0 when it is back. The
// error is [ErrRestarted].
func (c *Counters) Since(before *Counters, name string) (map[Upstream]int64, error) {
	if c.run != before.run {
		return nil, ErrRestarted
	}
	grown := make(map[Upstream]int64)
	for u, values := range c.hosts {
		n := values[name]
		if was := before.hosts[u][name]; was <= n {
			n -= was
		}
		if n > 0 {
			grown[u] = n
		}
	}
	return grown, nil
}

// Accepted returns how many connections the listeners of a pod's proxy have
// accepted for clusters outside it, and whether the proxy counts them: Istio
// leaves these statistics out unless told otherwise (istio.io "Envoy
// Statistics").
func Accepted(ctx context.Context, c cluster.Interface, pod *unstructured.Unstructured) (n int64, counted bool, err error) {
	text, err := ask(ctx, c, pod, `stats?filter=^listener\..*\.downstream_cx_total$`)
	if err != nil {
		return 0, false, err
	}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || !strings.HasPrefix(name, "listener.") || inboundListener(name) {
			continue
		}
		one, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, false, fmt.Errorf("%s is no number: %w", strings.TrimSpace(line), err)
		}
		n += one
		counted = true
	}
	return n, counted, nil
}

// inboundListener says whether a statistic is of a listener that takes no
// requests of the pod's own: that for what comes in, for probes, for
// Prometheus, and of the administration interface.
// Source: istio/istio pkg/config/constants and pilot/pkg/xds (the ports 15006,
// 15021 and 15090).
func inboundListener(statistic string) bool {
	for _, part := range []string{"_15006.", "_15021.", "_15090.", "virtualInbound", "listener.admin."} {
		if strings.Contains(statistic, part) {
			return true
		}
	}
	return false
}

// ask asks a proxy's administration interface for its counters.
func ask(ctx context.Context, c cluster.Interface, pod *unstructured.Unstructured, path string) (string, error) {
	out, errs := cluster.Bounded{Max: maxAnswer}, cluster.Bounded{Max: maxAnswer}
	result, err := c.Exec(ctx, cluster.ExecRequest{
		Namespace: pod.GetNamespace(), Pod: pod.GetName(), Container: Sidecar,
		Command: []string{"pilot-agent", "request", "GET", path}, Stdout: &out, Stderr: &errs,
	})
	switch {
	case err != nil:
	case result.ExitCode != 0 || !result.Trusted:
		err = fmt.Errorf("pilot-agent request ended with exit code %d: %s", result.ExitCode, strings.TrimSpace(errs.String()))
	case out.Truncated:
		err = fmt.Errorf("the answer of the administration interface has more than %d MiB", maxAnswer>>20)
	}
	if err != nil {
		return "", fmt.Errorf("read the counters of %s: %w", pod.GetName(), err)
	}
	return out.String(), nil
}

// maxAnswer is how much of an administration interface's answer is read, in
// bytes: a mesh of ten thousand services has about 100 lines for each.
const maxAnswer = 64 << 20

// proxyRun names the present run of a pod's proxy.
func proxyRun(pod *unstructured.Unstructured) (string, error) {
	var p corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(pod.Object, &p); err != nil {
		return "", err
	}
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for _, s := range statuses {
			if s.Name == Sidecar {
				return fmt.Sprintf("%s/%d", p.UID, s.RestartCount), nil
			}
		}
	}
	return "", fmt.Errorf("pod %s has no container %s", pod.GetName(), Sidecar)
}
