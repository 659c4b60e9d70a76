package mesh

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

// An EnvoyFilter that changes the access log of a pod's proxy makes it a witness that may
// leave requests out.
func TestLogFilter(t *testing.T) {
	patch := func(applyTo, context, filter, operation string, value map[string]any) map[string]any {
		match := map[string]any{"context": context, "listener": map[string]any{"filterChain": map[string]any{"filter": map[string]any{"name": filter}}}}
		return map[string]any{"applyTo": applyTo, "match": match, "patch": map[string]any{"operation": operation, "value": value}}
	}
	const manager = "envoy.filters.network.http_connection_manager"
	logs := map[string]any{"typed_config": map[string]any{"access_log": []any{}}}
	selects := func(app string) map[string]any {
		return map[string]any{"labels": map[string]any{"app": app}}
	}
	for _, c := range []struct {
		name, namespace string
		selector        map[string]any
		patch           map[string]any
		want            bool
	}{
		{"replaced", "default", nil, patch("NETWORK_FILTER", "SIDECAR_OUTBOUND", manager, "REPLACE", nil), true},
		{"replaced in the whole mesh", "istio-system", nil, patch("NETWORK_FILTER", "ANY", "envoy.filters.network.tcp_proxy", "REPLACE", nil), true},
		{"a log that is merged", "default", nil, patch("NETWORK_FILTER", "SIDECAR_OUTBOUND", manager, "MERGE", logs), true},
		{"a listener that is gone", "default", selects("a"), patch("LISTENER", "SIDECAR_OUTBOUND", "", "REMOVE", nil), true},
		{"a cluster", "default", nil, patch("CLUSTER", "SIDECAR_OUTBOUND", "", "REMOVE", nil), false},
		{"a filter of HTTP", "default", nil, patch("HTTP_FILTER", "SIDECAR_OUTBOUND", "envoy.filters.http.lua", "REPLACE", nil), false},
		{"another filter", "default", nil, patch("NETWORK_FILTER", "SIDECAR_OUTBOUND", "istio.stats", "REMOVE", nil), false},
		{"what is merged", "default", nil, patch("NETWORK_FILTER", "SIDECAR_OUTBOUND", manager, "MERGE", map[string]any{"typed_config": map[string]any{"via": "x"}}), false},
		{"what comes in", "default", nil, patch("NETWORK_FILTER", "SIDECAR_INBOUND", manager, "REPLACE", nil), false},
		{"another pod's", "default", selects("b"), patch("NETWORK_FILTER", "SIDECAR_OUTBOUND", manager, "REPLACE", nil), false},
		{"another namespace's", "other", nil, patch("NETWORK_FILTER", "SIDECAR_OUTBOUND", manager, "REPLACE", nil), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := clustertest.NewFake()
			spec := map[string]any{"configPatches": []any{c.patch}}
			if c.selector != nil {
				spec["workloadSelector"] = c.selector
			}
			fake.Put(clustertest.Object("networking.istio.io/v1alpha3", "EnvoyFilter", c.namespace, "f", map[string]any{"spec": spec}))
			m := &Mesh{Cluster: fake, Namespace: "istio-system"}
			got, err := m.logFilter(t.Context(), cluster.Pod{Namespace: "default", Name: "curl-1", Labels: map[string]string{"app": "a"}})
			require.NoError(t, err)
			if c.want {
				assert.Contains(t, got, "envoyfilter/f in "+c.namespace)
			} else {
				assert.Empty(t, got)
			}
		})
	}
}
