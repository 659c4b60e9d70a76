package steps

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProxyConfigTables holds the tables to what istioctl of Istio 1.31 prints of the
// same configuration, which testdata has.
func TestProxyConfigTables(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		return data
	}
	var parts map[string][]any
	require.NoError(t, json.Unmarshal(read("proxyconfig.json"), &parts))
	dump := func(resource string) ([]any, error) { return parts[resource], nil }
	for of, file := range map[string]string{"listener": "proxyconfig-listeners.txt", "cluster": "proxyconfig-clusters.txt"} {
		got, err := (&proxyLook{of: of}).table(dump)
		require.NoError(t, err)
		assert.Equal(t, string(read(file)), got.Stdout)
	}
	_, err := (&proxyLook{of: "cluster"}).table(func(string) ([]any, error) { return nil, errors.New("no answer") })
	assert.ErrorContains(t, err, "no answer")
}
