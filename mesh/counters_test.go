package mesh

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
)

func TestCounters(t *testing.T) {
	pod := clustertest.ReadyPod("default", "sleep-1", nil, "sleep", Sidecar)
	c := clustertest.NewFake(pod)
	answer := ""
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		fmt.Fprint(r.Stdout, answer)
		return cluster.ExecResult{Trusted: true}, nil
	}
	m := &Mesh{Cluster: c}
	read := func(text string) *Counters {
		t.Helper()
		answer = text
		counters, err := m.counters(t.Context(), cluster.Pod{Namespace: "default", Name: "sleep-1"})
		require.NoError(t, err)
		return counters
	}
	before := read(`outbound|80||a::default_priority::max_connections::4294967295
outbound|80||a::added_via_api::true
outbound|80||a::203.0.113.1:80::cx_active::0
outbound|80||a::203.0.113.1:80::rq_total::7
outbound|80||a::203.0.113.1:80::hostname::a
outbound|80||gone::203.0.113.9:80::rq_total::3
outbound|443||none::observability_name::outbound|443||none
`)
	after := read(`outbound|80||a::203.0.113.1:80::cx_active::1
outbound|80||a::203.0.113.1:80::rq_total::9
outbound|80||a::[2001:db8::1]:80::rq_total::1
outbound|443||none::observability_name::outbound|443||none
outbound|80||forgotten::203.0.113.9:80::rq_total::2
xds-grpc::./etc/istio/proxy/XDS::rq_total::9
`)
	got, err := after.since(before, evidence.Sidecar, "sleep-1")
	require.NoError(t, err)
	counter := func(cluster, host, name string, value, grew int64) evidence.Counter {
		return evidence.Counter{Proxy: evidence.Sidecar, Pod: "sleep-1", Cluster: cluster, Host: host, Name: name, Value: value, Grew: grew}
	}
	assert.Equal(t, []evidence.Counter{
		counter("outbound|443||none", "", "", 0, 0), // the cluster exists, without a host
		counter("outbound|80||a", "203.0.113.1:80", "cx_active", 1, 1),
		counter("outbound|80||a", "203.0.113.1:80", "rq_total", 9, 2),
		counter("outbound|80||a", "[2001:db8::1]:80", "rq_total", 1, 1),
		counter("outbound|80||forgotten", "203.0.113.9:80", "rq_total", 2, 2),
		counter("xds-grpc", "", "", 0, 0),
	}, got)

	again := read("outbound|80||a::203.0.113.1:80::rq_total::1\n")
	got, err = again.since(after, evidence.Sidecar, "sleep-1")
	require.NoError(t, err)
	assert.EqualValues(t, 1, got[0].Grew, "Envoy forgot the host, and knows it again")

	require.NoError(t, unstructured.SetNestedSlice(pod.Object, []any{map[string]any{"name": Sidecar, "restartCount": int64(1)}}, "status", "containerStatuses"))
	c.Put(pod)
	_, err = read("").since(before, evidence.Sidecar, "sleep-1")
	assert.ErrorIs(t, err, ErrRestarted)
}

func TestAccepted(t *testing.T) {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "sleep-1", nil, "sleep", Sidecar))
	answer := ""
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		fmt.Fprint(r.Stdout, answer)
		return cluster.ExecResult{Trusted: true}, nil
	}
	m := &Mesh{Cluster: c}
	for _, tc := range []struct {
		text    string
		n       int64
		counted bool
	}{
		{"", 0, false},
		{"listener.admin.downstream_cx_total: 3\nlistener.0.0.0.0_15006.downstream_cx_total: 4\nlistener.0.0.0.0_15090.downstream_cx_total: 5\n", 0, false},
		{"listener.0.0.0.0_80.downstream_cx_total: 2\nlistener.0.0.0.0_15001.downstream_cx_total: 3\nlistener.0.0.0.0_15006.downstream_cx_total: 4\n", 5, true},
		{"listener.0.0.0.0_80.downstream_cx_total: 0\n", 0, true},
	} {
		answer = tc.text
		n, counted, err := m.accepted(t.Context(), cluster.Pod{Namespace: "default", Name: "sleep-1"})
		require.NoError(t, err)
		assert.Equal(t, tc.n, n, tc.text)
		assert.Equal(t, tc.counted, counted, tc.text)
	}
}
