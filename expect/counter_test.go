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
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
)

func TestACounterGrowsByAllThatThePodsCount(t *testing.T) {
	labels := map[string]string{"istio": "egressgateway"}
	leaving := clustertest.ReadyPod("istio-system", "leaving", labels, mesh.Sidecar)
	leaving.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
	leaving.SetFinalizers([]string{"test/stays"})
	pod := func(name, ip string, restarts int64) *unstructured.Unstructured {
		p := clustertest.ReadyPod("istio-system", name, labels, mesh.Sidecar)
		require.NoError(t, unstructured.SetNestedField(p.Object, ip, "status", "podIP"))
		require.NoError(t, unstructured.SetNestedField(p.Object["status"].(map[string]any)["containerStatuses"].([]any)[0].(map[string]any), restarts, "restartCount"))
		return p
	}
	c := clustertest.NewFake(pod("one", "10.244.1.3", 0), pod("two", "10.244.1.4", 0), leaving)
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
	m := &mesh.Mesh{Cluster: c, Namespace: "istio-system", Workloads: "default"}
	defer m.Close()
	const text = `[{in: egressgateway, cluster: outbound|443||www.wikipedia.org, name: cx_total, grows: 3}]`
	needs := decode(t, "counter", text).Needs()
	gather, err := (&mesh.Witness{Mesh: m}).Watch(t.Context(), needs, nil)
	require.NoError(t, err)
	now := func() evidence.Verdicts {
		a := page()
		require.NoError(t, gather(t.Context(), a))
		return judge(t, "counter", text, a)
	}

	assert.Equal(t, "counter[0].grows: want 3, got 0", missed(now()))
	calls["one"] += 2
	calls["two"]++
	assert.Empty(t, missed(now()))
	calls["two"]++
	assert.Equal(t, "counter[0].grows: want 3, got 4", missed(now()), "one too many")
	c.Put(pod("two", "10.244.1.4", 1))
	assert.Contains(t, missed(now()), mesh.ErrRestarted.Error())
	delete(calls, "two")
	vs := now()
	assert.Len(t, vs.Of(evidence.NotJudged), 1, "what cannot be read is no number")
	assert.Contains(t, missed(vs), "the counters of two were not read")
}
