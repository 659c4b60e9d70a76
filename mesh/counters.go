package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// Counters are what a proxy has counted of its upstream hosts so far.
type Counters struct {
	run   string // the run of the proxy, because a new one begins at 0
	hosts map[Upstream]map[string]int64
	// clusters are the names of all clusters, including those without hosts.
	clusters map[string]bool
}

// An Upstream is a host of one of a proxy's upstream clusters.
type Upstream struct {
	Cluster string // such as outbound|443||www.wikipedia.org
	Host    string // its address, "ip:port"
}

// ErrRestarted reports that a proxy was restarted between two readings of its counters,
// so it is not known by how much they grew.
var ErrRestarted = errors.New("the proxy was started anew")

// counters asks a pod's proxy for the counters of its upstream hosts. Envoy has this
// list whatever statistics its configuration leaves out (Envoy's "Administration
// interface", GET /clusters; istio.io "Envoy Statistics").
func (m *Mesh) counters(ctx context.Context, pod cluster.Pod) (*Counters, error) {
	object, err := m.Cluster.Get(ctx, cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name})
	if err != nil {
		return nil, err
	}
	run, err := proxyRun(object)
	if err != nil {
		return nil, err
	}
	text, err := m.Ask(ctx, pod.Namespace, pod.Name, "clusters")
	if err != nil {
		return nil, err
	}
	counters := &Counters{run: run, hosts: make(map[Upstream]map[string]int64), clusters: map[string]bool{}}
	for line := range strings.Lines(text) {
		// A line is CLUSTER::ADDRESS::NAME::VALUE. A cluster's own lines have other
		// words in place of an address, and values that are not always numbers. The
		// address may be an IPv6 one, with colons of its own.
		cluster, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "::")
		if ok {
			counters.clusters[cluster] = true
		}
		rest, value := cutLast(rest)
		host, name := cutLast(rest)
		n, err := strconv.ParseInt(value, 10, 64)
		if _, _, addrErr := net.SplitHostPort(host); err != nil || addrErr != nil {
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

// since returns by how much each counter of each host has grown since an earlier
// reading. A host that did not exist then began at 0, as does one that Envoy removed
// and added again. A cluster without hosts has one entry without a host. The error is
// [ErrRestarted].
func (c *Counters) since(before *Counters, proxy, pod string) ([]evidence.Counter, error) {
	if c.run != before.run {
		return nil, ErrRestarted
	}
	var all []evidence.Counter
	seen := map[string]bool{}
	for u, values := range c.hosts {
		seen[u.Cluster] = true
		for name, n := range values {
			grew := n
			if was := before.hosts[u][name]; was <= n {
				grew -= was
			}
			all = append(all, evidence.Counter{Proxy: proxy, Pod: pod, Cluster: u.Cluster, Host: u.Host, Name: name, Value: n, Grew: grew})
		}
	}
	for name := range c.clusters {
		if !seen[name] {
			all = append(all, evidence.Counter{Proxy: proxy, Pod: pod, Cluster: name})
		}
	}
	slices.SortFunc(all, func(a, b evidence.Counter) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// accepted returns how many connections the listeners of a pod's proxy have
// accepted for clusters outside it, and whether the proxy counts them: Istio
// leaves these statistics out unless told otherwise (istio.io "Envoy
// Statistics").
func (m *Mesh) accepted(ctx context.Context, pod cluster.Pod) (n int64, counted bool, err error) {
	text, err := m.Ask(ctx, pod.Namespace, pod.Name, `stats?filter=^listener\..*\.downstream_cx_total$`)
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

// inboundListener reports whether a statistic belongs to a listener that takes no
// requests of the pod's own: the one for inbound traffic, for probes, for Prometheus,
// or of the administration interface. Source: istio/istio pkg/config/constants and
// pilot/pkg/xds (the ports 15006, 15021 and 15090).
func inboundListener(statistic string) bool {
	for _, part := range []string{"_15006.", "_15021.", "_15090.", "virtualInbound", "listener.admin."} {
		if strings.Contains(statistic, part) {
			return true
		}
	}
	return false
}

// proxyRun returns the identity of the present run of a pod's proxy.
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
