package istio_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/lab/istio"
)

func TestBootstrapIsThatOfTheModule(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio").Output()
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "tools/packaging/common/envoy_bootstrap.json"))
	require.NoError(t, err)
	assert.Equal(t, string(want), string(istio.Bootstrap), "copy the module's file over envoy_bootstrap.json")
}

// Without these settings the tutorials' own commands do not show what the pages show.
func TestOperatorSaysWhatTheTutorialsRead(t *testing.T) {
	var operator struct {
		Spec struct {
			MeshConfig map[string]any `json:"meshConfig"`
		} `json:"spec"`
	}
	require.NoError(t, yaml.UnmarshalStrict(istio.Operator, new(map[string]any)))
	require.NoError(t, yaml.Unmarshal(istio.Operator, &operator))
	mesh := operator.Spec.MeshConfig
	assert.Equal(t, "/dev/stdout", mesh["accessLogFile"])
	assert.Equal(t, map[string]any{"mode": "ALLOW_ANY"}, mesh["outboundTrafficPolicy"])
	assert.Equal(t, true, mesh["enableTracing"])
}
