package steps

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	for of, file := range map[string]string{"listener": "proxyconfig-listeners.txt", "cluster": "proxyconfig-clusters.txt", "route": "proxyconfig-routes.txt", "endpoint": "proxyconfig-endpoints.txt"} {
		got, err := (&proxyLook{of: of}).table(dump)
		require.NoError(t, err)
		assert.Equal(t, string(read(file)), got.Stdout)
	}
	for _, c := range []struct {
		of, flag, value string
		want            []string // the rows
	}{
		{"route", "name", "15010", []string{"15010"}},
		{"route", "name", "15011", nil},
		{"endpoint", "cluster", "outbound|443||edition.cnn.com", []string{"203.0.113.10:443"}},
		{"endpoint", "port", "8080", []string{"10.244.1.3:8080"}},
		{"endpoint", "status", "unhealthy", nil},
		{"cluster", "fqdn", "edition.cnn.com", []string{"edition.cnn.com", "edition.cnn.com"}},
		{"listener", "port", "53", []string{"10.96.0.10"}},
		{"listener", "address", "10.96.0.10", []string{"10.96.0.10"}},
	} {
		got, err := (&proxyLook{of: c.of, only: map[string]string{c.flag: c.value}}).table(dump)
		require.NoError(t, err)
		var rows []string
		for _, row := range strings.Split(strings.TrimSpace(got.Stdout), "\n")[1:] {
			rows = append(rows, strings.Fields(row)[0])
		}
		assert.Equal(t, c.want, rows, "%s --%s %s", c.of, c.flag, c.value)
	}
	_, err := (&proxyLook{of: "route"}).table(func(string) ([]any, error) { return nil, nil })
	assert.ErrorContains(t, err, "no routes")
	_, err = (&proxyLook{of: "cluster"}).table(func(string) ([]any, error) { return nil, errors.New("no answer") })
	assert.ErrorContains(t, err, "no answer")
}
