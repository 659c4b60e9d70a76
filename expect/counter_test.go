package expect_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
)

func TestACounterGrowsByAllThatThePodsCount(t *testing.T) {
	labels := map[string]string{"istio": "egressgateway"}
	leaving := clustertest.ReadyPod("istio-system", "leaving", labels, mesh.Sidecar)
	leaving.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
	leaving.SetFinalizers([]string{"test/stays"})
	c := clustertest.NewFake(
		clustertest.ReadyPod("istio-system", "one", labels, mesh.Sidecar),
		clustertest.ReadyPod("istio-system", "two", labels, mesh.Sidecar), leaving)
	calls := map[string]int{"one": 4, "two": 5}
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		count, running := calls[r.Pod]
		if !running {
			return cluster.ExecResult{}, fmt.Errorf("the container of %s is not running", r.Pod)
		}
		fmt.Fprintf(r.Stdout, `outbound|443||www.wikipedia.org::203.0.113.11:443::cx_total::%d
outbound|443||www.wikipedia.org::203.0.113.12:443::cx_total::1
outbound|443||www.wikipedia.org::203.0.113.12:443::cx_active::9
outbound|443||www.wikipedia.org.example::203.0.113.12:443::cx_total::9
`, count)
		return cluster.ExecResult{Trusted: true}, nil
	}
	scope := &runner.Scope{Cluster: c, IstioNamespace: "istio-system"}
	counter := decode(t, "counter", `[{in: egressgateway, cluster: outbound|443||www.wikipedia.org, name: cx_total, grows: 3}]`).(runner.Watcher)

	judge, err := counter.Watch(t.Context(), scope, nil)
	require.NoError(t, err)
	assert.EqualError(t, judge(t.Context(), page()), "cx_total of outbound|443||www.wikipedia.org in egressgateway: want to grow by 3, got 0")
	calls["one"] += 2
	calls["two"]++
	assert.NoError(t, judge(t.Context(), page()))
	calls["two"]++
	assert.ErrorAs(t, judge(t.Context(), page()), new(runner.Mismatches), "one too many")
	gone := clustertest.ReadyPod("istio-system", "two", labels, mesh.Sidecar)
	require.NoError(t, unstructured.SetNestedSlice(gone.Object, []any{map[string]any{"name": mesh.Sidecar, "restartCount": int64(1)}}, "status", "containerStatuses"))
	c.Put(gone)
	assert.ErrorIs(t, judge(t.Context(), page()), mesh.ErrRestarted)
	delete(calls, "two")
	assert.ErrorContains(t, judge(t.Context(), page()), "read the counters of two", "what cannot be read is no number")
}
