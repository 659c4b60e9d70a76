package expect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

// Counter are counters of proxies that grow while the command runs.
type Counter []Count

// A Count is a counter of a proxy's upstream cluster, added up over its hosts
// and over the proxy's pods, without those that are about to go.
type Count struct {
	// In is the proxy: egressgateway, gateway/NAME, or a label selector.
	In string `yaml:"in,required"`
	// Cluster is the upstream cluster, such as outbound|443||www.wikipedia.org.
	Cluster string `yaml:"cluster,required"`
	// Name is the counter, such as cx_total or rq_total.
	Name string `yaml:"name,required"`
	// Grows is by how much, exactly.
	Grows int64 `yaml:"grows,required"`
}

var _ runner.Watcher = (*Counter)(nil)

// Validate says what is wrong with the expectation.
func (e *Counter) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no counter is stated"), Hint: "write [{in: egressgateway, cluster: CLUSTER, name: cx_total, grows: 1}]"}
	}
	return nil
}

// Check implements [runner.Expectation]; a counter is known only from before
// to after.
func (e *Counter) Check(*runner.Observation) error {
	return errors.New("the counters were not watched")
}

// Watch implements [runner.Watcher].
func (e *Counter) Watch(ctx context.Context, s *runner.Scope) (func(context.Context, *runner.Observation) error, error) {
	before, err := e.read(ctx, s)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, o *runner.Observation) error {
		after, err := e.read(ctx, s)
		if err != nil {
			return err
		}
		var ms runner.Mismatches
		for i, c := range *e {
			if grown := after[i] - before[i]; grown != c.Grows {
				ms = append(ms, &runner.Mismatch{
					What: fmt.Sprintf("%s of %s in %s", c.Name, c.Cluster, c.In),
					Want: fmt.Sprintf("to grow by %d", c.Grows),
					Got:  fmt.Sprintf("%d (from %d to %d)", grown, before[i], after[i]),
				})
			}
		}
		return orNil(ms)
	}, nil
}

func (e *Counter) read(ctx context.Context, s *runner.Scope) ([]int64, error) {
	values := make([]int64, len(*e))
	for i, c := range *e {
		namespace, selector := proxies(s, c.In)
		pods, err := s.Cluster.List(ctx, "pod", namespace, selector)
		if err != nil {
			return nil, err
		}
		// One that is about to go still has the labels, and stops answering.
		pods = slices.DeleteFunc(pods, func(pod unstructured.Unstructured) bool { return pod.GetDeletionTimestamp() != nil })
		if len(pods) == 0 {
			return nil, fmt.Errorf("there is no pod with the labels %s in namespace %s", selector, namespace)
		}
		for _, pod := range pods {
			n, err := counter(ctx, s.Cluster, namespace, pod.GetName(), c.Cluster, c.Name)
			if err != nil {
				return nil, fmt.Errorf("read the counters of %s: %w", pod.GetName(), err)
			}
			values[i] += n
		}
	}
	return values, nil
}

// proxies returns where the pods of a proxy are, and the labels they have.
func proxies(s *runner.Scope, proxy string) (namespace, selector string) {
	if proxy == hopGateway {
		return s.IstioNamespace, mesh.EgressGatewayLabels
	}
	if name, ok := strings.CutPrefix(proxy, "gateway/"); ok {
		// Source: istio.io "Kubernetes Gateway API", "Automated Deployment".
		return s.Namespace, "gateway.networking.k8s.io/gateway-name=" + name
	}
	return s.Namespace, proxy
}

// counter asks a proxy's administration interface for a counter of an upstream
// cluster and adds it up over the cluster's hosts. A line of the answer is
// CLUSTER::ADDRESS::NAME::VALUE (Envoy's "Administration interface",
// GET /clusters).
func counter(ctx context.Context, c cluster.Interface, namespace, pod, upstream, name string) (int64, error) {
	var out, errs strings.Builder
	result, err := c.Exec(ctx, cluster.ExecRequest{
		Namespace: namespace, Pod: pod, Container: mesh.Sidecar,
		Command: []string{"pilot-agent", "request", "GET", "clusters"}, Stdout: &out, Stderr: &errs,
	})
	if err != nil {
		return 0, err
	}
	if result.ExitCode != 0 || !result.Trusted {
		return 0, fmt.Errorf("pilot-agent request ended with exit code %d: %s", result.ExitCode, strings.TrimSpace(errs.String()))
	}
	var sum int64
	for line := range strings.Lines(out.String()) {
		rest, ok := strings.CutPrefix(line, upstream+"::")
		if !ok {
			continue
		}
		_, value, ok := strings.Cut(rest, "::"+name+"::")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s is no number: %w", strings.TrimSpace(line), err)
		}
		sum += n
	}
	return sum, nil
}
