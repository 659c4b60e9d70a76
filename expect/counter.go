package expect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
func (e *Counter) Watch(ctx context.Context, s *runner.Scope, _ runner.Action) (func(context.Context, *runner.Observation) error, error) {
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
			grown, err := after[i].since(before[i], c)
			if err != nil {
				return err
			}
			if grown != c.Grows {
				ms = append(ms, &runner.Mismatch{
					What: fmt.Sprintf("%s of %s in %s", c.Name, c.Cluster, c.In),
					Want: fmt.Sprintf("to grow by %d", c.Grows),
					Got:  strconv.FormatInt(grown, 10),
				})
			}
		}
		return orNil(ms)
	}, nil
}

// read reads the counters of all the proxies of each count.
func (e *Counter) read(ctx context.Context, s *runner.Scope) ([]counted, error) {
	all := make([]counted, len(*e))
	for i, c := range *e {
		pods, err := podsOf(ctx, s, c.In)
		if err != nil {
			return nil, err
		}
		if all[i], err = count(ctx, s, pods); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// counted are the counters of proxies, by the pod's name.
type counted map[string]*mesh.Counters

func count(ctx context.Context, s *runner.Scope, pods []unstructured.Unstructured) (counted, error) {
	all := make(counted, len(pods))
	for _, pod := range pods {
		c, err := mesh.ReadCounters(ctx, s.Cluster, &pod)
		if err != nil {
			return nil, err
		}
		all[pod.GetName()] = c
	}
	return all, nil
}

// since adds up by how much a counter has grown. Where pods have come, gone or
// been started anew meanwhile, nobody can say.
func (after counted) since(before counted, c Count) (sum int64, err error) {
	for name := range before {
		if after[name] == nil {
			return 0, runner.Retryable(fmt.Errorf("the proxy %s went while it was watched", name))
		}
	}
	for name, counters := range after {
		if before[name] == nil {
			return 0, runner.Retryable(fmt.Errorf("the proxy %s came while it was watched", name))
		}
		grown, err := counters.Since(before[name], c.Name)
		if err != nil {
			return 0, runner.Retryable(fmt.Errorf("%s: %w", name, err))
		}
		for u, n := range grown {
			if u.Cluster == c.Cluster {
				sum += n
			}
		}
	}
	return sum, nil
}

// podsOf returns the pods of a proxy, without those that are about to go: they
// still have the labels, and stop answering.
func podsOf(ctx context.Context, s *runner.Scope, proxy string) ([]unstructured.Unstructured, error) {
	namespace, selector := proxies(s, proxy)
	pods, err := s.Cluster.List(ctx, "pod", namespace, selector)
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(pods, func(pod unstructured.Unstructured) bool { return pod.GetDeletionTimestamp() != nil })
	if len(pods) == 0 {
		return nil, fmt.Errorf("there is no pod with the labels %s in namespace %s", selector, namespace)
	}
	return pods, nil
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
