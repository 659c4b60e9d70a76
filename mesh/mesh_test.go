package mesh_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/mesh"
)

func configMap(name, text string) *clustertest.Fake {
	return clustertest.NewFake(clustertest.Object("v1", "ConfigMap", "istio-system", name, map[string]any{"data": map[string]any{"mesh": text, "meshNetworks": "networks: {}"}}))
}

func text(t *testing.T, c cluster.Interface, name string) string {
	t.Helper()
	cm, err := c.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: name})
	require.NoError(t, err)
	return cm.Object["data"].(map[string]any)["mesh"].(string)
}

func TestTheOutboundPolicyIsReadAndSet(t *testing.T) {
	for _, c := range []struct{ name, text, mode, excerpt, after string }{
		{"as the tutorial shows it", "a: 1\noutboundTrafficPolicy:\n  mode: ALLOW_ANY\nb: 2\n", mesh.AllowAny,
			"outboundTrafficPolicy:\n  mode: ALLOW_ANY\n", "a: 1\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\nb: 2\n"},
		{"with comments and quotes", "outboundTrafficPolicy: # the policy\n    # and its mode\n    mode: \"ALLOW_ANY\"   # any\n", mesh.AllowAny,
			"outboundTrafficPolicy: # the policy\n    # and its mode\n    mode: \"ALLOW_ANY\"   # any\n",
			"outboundTrafficPolicy: # the policy\n    # and its mode\n    mode: REGISTRY_ONLY   # any\n"},
		{"in one line", "outboundTrafficPolicy: {mode: ALLOW_ANY}\n", mesh.AllowAny, "outboundTrafficPolicy: {mode: ALLOW_ANY}\n", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"},
		{"not stated", "a: 1\n", mesh.AllowAny, "", "a: 1\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
		{"empty", "", mesh.AllowAny, "", "outboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
		{"set already", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n", mesh.RegistryOnly, "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"},
		{"another mode: elsewhere", "x: {mode: ALLOW_ANY}\noutboundTrafficPolicy:\n  mode: ALLOW_ANY\n", mesh.AllowAny,
			"outboundTrafficPolicy:\n  mode: ALLOW_ANY\n", "x: {mode: ALLOW_ANY}\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := configMap("istio", c.text)
			p, err := mesh.ReadOutboundPolicy(t.Context(), fake, "istio-system", "")
			require.NoError(t, err)
			assert.Equal(t, c.mode, p.Mode)
			assert.Equal(t, c.excerpt, p.Excerpt)
			setRegistryOnly(t, fake)
			assert.Equal(t, c.after, text(t, fake, "istio"))
			setRegistryOnly(t, fake)
			assert.Equal(t, c.after, text(t, fake, "istio"), "it is set already")
		})
	}
}

// setRegistryOnly sets the outbound traffic policy, as the API server does it.
func setRegistryOnly(t *testing.T, fake *clustertest.Fake) {
	t.Helper()
	ref := cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: "istio"}
	cm, err := fake.Get(t.Context(), ref)
	require.NoError(t, err)
	patch, err := mesh.PolicyPatch(cm, mesh.RegistryOnly)
	require.NoError(t, err)
	if patch != nil {
		_, err = fake.MergePatch(t.Context(), ref, patch, cluster.WriteOptions{})
		require.NoError(t, err)
	}
}

func TestAMeshThatCannotBeReadIsAnError(t *testing.T) {
	_, err := mesh.ReadOutboundPolicy(t.Context(), clustertest.NewFake(), "istio-system", "")
	require.ErrorContains(t, err, "Istio is not installed in namespace istio-system: there is no configmap/istio")
	for _, text := range []string{"a: b: c", "outboundTrafficPolicy: {mode: &x ALLOW_ANY}\nb: *x\n", "outboundTrafficPolicy:\n  mode: |-\n    ALLOW_ANY\n"} {
		fake := configMap("istio", text)
		_, err := mesh.ReadOutboundPolicy(t.Context(), fake, "istio-system", "")
		cm, getErr := fake.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "istio-system", Name: "istio"})
		require.NoError(t, getErr)
		patch, patchErr := mesh.PolicyPatch(cm, mesh.RegistryOnly)
		assert.True(t, err != nil || patchErr != nil, "%q becomes %s", text, patch)
	}
}

func TestMissing(t *testing.T) {
	missing := func(c cluster.Interface, requirement string) string {
		text, err := (&mesh.Mesh{Cluster: c, Namespace: "istio-system"}).Missing(t.Context(), requirement)
		require.NoError(t, err)
		return text
	}
	assert.Empty(t, missing(configMap("istio", "accessLogFile: /dev/stdout\n"), mesh.AccessLog))
	for _, text := range []string{"", "accessLogFile: ''\n", "accessLogFile: /dev/stdout\naccessLogFormat: x\n"} {
		assert.NotEmpty(t, missing(configMap("istio", text), mesh.AccessLog), text)
	}
	for _, c := range []struct {
		config, spec string
		missing      bool
	}{
		{"", "accessLogging: [{providers: [{name: envoy}]}]", false},
		{"", "accessLogging: [{providers: [{name: other}]}]", true},
		{"", "accessLogging: [{}]", true},
		{"defaultProviders: {accessLogging: [envoy]}\n", "accessLogging: [{}]", false},
		{"accessLogFile: /dev/stdout\n", "accessLogging: [{disabled: true}]", true},
		{"accessLogFile: /dev/stdout\n", "{selector: {matchLabels: {app: x}}, accessLogging: [{disabled: true}]}", false},
		{"accessLogFile: /dev/stdout\n", "tracing: [{}]", false},
	} {
		var spec map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(c.spec), &spec))
		fake := configMap("istio", c.config)
		fake.Put(clustertest.Object("telemetry.istio.io/v1", "Telemetry", "istio-system", "t", map[string]any{"spec": spec}))
		assert.Equal(t, c.missing, missing(fake, mesh.AccessLog) != "", "%+v", c)
	}
	assert.NotEmpty(t, missing(clustertest.NewFake(), mesh.EgressGateway))
	gateway := clustertest.ReadyPod("istio-system", "gw", map[string]string{"istio": "egressgateway"}, mesh.Sidecar)
	assert.Empty(t, missing(clustertest.NewFake(gateway), mesh.EgressGateway))
	assert.NotEmpty(t, missing(clustertest.NewFake().Without("gateway.networking.k8s.io"), mesh.GatewayAPI))
	assert.NotEmpty(t, missing(clustertest.NewFake(), mesh.Istioctl))
	text, err := (&mesh.Mesh{Istioctl: true}).Missing(t.Context(), mesh.Istioctl)
	require.NoError(t, err)
	assert.Empty(t, text)
	_, err = (&mesh.Mesh{Cluster: clustertest.NewFake(), Namespace: "istio-system"}).Missing(t.Context(), "gadget")
	assert.Error(t, err)
}
