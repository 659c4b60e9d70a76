package steps

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseProxyConfig(t *testing.T) {
	none := map[string]string{}
	for _, c := range []struct {
		argv []string
		want proxyLook
	}{
		{[]string{"istioctl", "pc", "secret", "-n", "istio-system", "p", "-ojson"}, proxyLook{"secret", "p", "istio-system", true, none}},
		{[]string{"istioctl", "-n", "a", "proxy-config", "secret", "deploy/x"}, proxyLook{"secret", "deploy/x", "a", false, none}},
		{[]string{"istioctl", "proxy-config", "s", "p.b", "--output=json"}, proxyLook{"secret", "p", "b", true, none}},
		{[]string{"istioctl", "pc", "listeners", "p"}, proxyLook{"listener", "p", "", false, none}},
		{[]string{"istioctl", "proxy-config", "cluster", "p", "-n", "a"}, proxyLook{"cluster", "p", "a", false, none}},
		{[]string{"istioctl", "pc", "r", "p", "--name", "80"}, proxyLook{"route", "p", "", false, map[string]string{"name": "80"}}},
		{[]string{"istioctl", "pc", "ep", "p", "--cluster=outbound|80||a", "--port", "80"}, proxyLook{"endpoint", "p", "", false, map[string]string{"cluster": "outbound|80||a", "port": "80"}}},
	} {
		got, err := parseProxyConfig(c.argv)
		require.NoError(t, err)
		assert.Equal(t, &c.want, got)
	}
	for _, argv := range [][]string{
		{"istioctl"}, {"istioctl", "pc", "secret"}, {"istioctl", "pc", "log", "p"}, {"istioctl", "pc", "route", "p", "-o", "json"}, {"istioctl", "pc", "route", "p", "--port", "80"}, {"istioctl", "analyze"}, {"istioctl", "pc", "cluster", "p", "-o", "json"}, {"istioctl", "pc", "listener", "p", "--port", "http"}, {"istioctl", "pc", "secret", "p", "-o", "yaml"}, {"istioctl", "pc", "secret", "p", "-n"},
		{"istioctl", "install"}, {"istioctl", "pc", "secret", "p", "--kubeconfig", "x"},
	} {
		_, err := parseProxyConfig(argv)
		assert.Error(t, err, "%v", argv)
	}
}

// TestSecretsTable holds the table to what istioctl of Istio 1.31 prints.
func TestSecretsTable(t *testing.T) {
	assert.Equal(t, "No secret items to show.\n", secretsTable(nil, nil, time.Now()))
	var active []any
	require.NoError(t, json.Unmarshal([]byte(`[{"name": "default", "secret": {"tls_certificate": {"certificate_chain": {"inline_bytes": "eA=="}}}}]`), &active))
	assert.Equal(t, "RESOURCE NAME     TYPE     STATUS     VALID CERT     SERIAL NUMBER     NOT AFTER     NOT BEFORE\n"+
		"default                    ACTIVE     false                                          \n", secretsTable(nil, active, time.Now()))
	text, err := secretsJSON(nil, active)
	require.NoError(t, err)
	assert.Contains(t, text, `"tlsCertificate"`)
	assert.Contains(t, text, `"inlineBytes": "eA=="`)
	assert.Contains(t, text, `"dynamicActiveSecrets"`)
}
