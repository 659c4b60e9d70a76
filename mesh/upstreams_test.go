package mesh

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The proxy chooses the address, unless the cluster uses the client's.
func TestWhoChoosesAnAddress(t *testing.T) {
	const name = "outbound|443||www.wikipedia.org"
	dump := func(fields string) string {
		return `{"configs": [{"@type": "x", "cluster": {"@type": "y", "name": "` + name + `"` + fields + `}}]}`
	}
	for fields, want := range map[string]bool{
		`, "type": "STRICT_DNS"`:   true,
		`, "type": "EDS"`:          true,
		``:                         true, // STATIC
		`, "type": "ORIGINAL_DST"`: false,
		`, "cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy"}`: false,
	} {
		got, told, err := resolves(dump(fields), name)
		require.NoError(t, err)
		assert.Equal(t, want, got, fields)
		assert.Equal(t, want, told, fields)
	}
	_, _, err := resolves(`{}`, name)
	require.ErrorContains(t, err, "the proxy has no cluster")
	_, _, err = resolves(`not JSON`, name)
	require.Error(t, err)
	for address, want := range map[string]bool{"www.wikipedia.org": false, "web.shop.svc.cluster.local": true, "10.0.0.1": true} {
		resolved, told, err := resolves(dump(`, "type": "STRICT_DNS", "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": `+
			`{"address": {"socket_address": {"address": "`+address+`", "port_value": 443}}}}]}]}`), name)
		require.NoError(t, err)
		assert.True(t, resolved)
		assert.Equal(t, want, told, address)
	}
}
