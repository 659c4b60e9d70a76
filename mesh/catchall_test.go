package mesh

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCatchAll(t *testing.T) {
	const own = `{"filter_chain_match": {"destination_port": 15001}, "filters": [{"typed_config": {"cluster": "BlackHoleCluster"}}]}`
	listener := func(text string) string {
		return `{"configs": [{"active_state": {"listener": {` + text + `}}}]}`
	}
	for _, c := range []struct{ name, dump, want, err string }{
		{"the last chain", listener(`"filter_chains": [` + own + `, {"filters": [{"typed_config": {}}, {"typed_config": {"cluster": "PassthroughCluster"}}]}]`), "PassthroughCluster", ""},
		{"the default chain", listener(`"filter_chains": [` + own + `], "default_filter_chain": {"filters": [{"typed_config": {"cluster": "BlackHoleCluster"}}]}`), "BlackHoleCluster", ""},
		{"no such chain", listener(`"filter_chains": [` + own + `]`), "", "no listener"},
		{"a listener that is not used yet", `{"configs": [{"warming_state": {"listener": {"filter_chains": [{"filters": [{"typed_config": {"cluster": "BlackHoleCluster"}}]}]}}}]}`, "", "no listener"},
		{"no listener", `{}`, "", "no listener"},
		{"no JSON", `x`, "", "cannot be read"},
	} {
		got, err := catchAll([]byte(c.dump))
		assert.Equal(t, c.want, got, c.name)
		if c.err == "" {
			assert.NoError(t, err, c.name)
		} else {
			assert.ErrorContains(t, err, c.err, c.name)
		}
	}
}
