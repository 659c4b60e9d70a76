//go:build lab

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIstioctl(t *testing.T) {
	t.Parallel()
	istioctl := func(args ...string) result { return execute(program(append([]string{"istioctl"}, args...)...)) }

	r := istioctl("proxy-config", "secret", "deploy/istio-egressgateway", "-n", "istio-system")
	require.Zero(t, r.code, r.stderr)
	assert.Regexp(t, `default +Cert Chain +ACTIVE`, r.stdout)
	r = istioctl("proxy-config", "cluster", "deploy/istio-egressgateway", "-n", "istio-system")
	require.Zero(t, r.code, r.stderr)
	assert.Contains(t, r.stdout, "istio-egressgateway.istio-system.svc.cluster.local")
	r = istioctl("proxy-status")
	require.Zero(t, r.code, r.stderr)
	assert.Regexp(t, `istio-egressgateway-\S+\.istio-system`, r.stdout)

	n := newNamespace(t, true)
	n.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: nowhere}
spec:
  hosts: [nowhere.example.net]
  http: [{route: [{destination: {host: nowhere.example.net}}]}]
`)
	r = istioctl("analyze", "-n", n.name)
	assert.Equal(t, 79, r.code, "istioctl's own code for what it has found")
	assert.Contains(t, r.stdout+r.stderr, "IST0101")
}
