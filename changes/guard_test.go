package changes_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

var guard = changes.Guard{Namespace: "default", IstioNamespace: "istio-system"}

// What a playbook changes is judged before the run as far as its texts tell, and
// again when it is changed.
func TestGuard(t *testing.T) {
	const (
		mesh    = "in Istio's namespace it holds for every workload of the mesh"
		config  = "it configures the whole mesh"
		install = "it belongs to the installation of Istio"
		whole   = "it holds for the whole cluster"
		system  = "it belongs to the cluster itself"
		other   = "it is another namespace than the run's own"
	)
	for _, c := range []struct {
		apiVersion, kind, namespace, name string
		before, there                     string // what is said before the run of making it, and of changing one that is there
	}{
		{"v1", "ConfigMap", "default", "a", "", ""},
		{"v1", "ConfigMap", "", "a", "", ""},
		{"networking.istio.io/v1", "Sidecar", "", "default", "", ""},
		{"networking.istio.io/v1", "Sidecar", "elsewhere", "default", "", ""},
		{"networking.istio.io/v1", "Sidecar", "istio-system", "default", mesh, mesh},
		{"telemetry.istio.io/v1", "Telemetry", "istio-system", "mesh-default", mesh, mesh},
		{"networking.istio.io/v1alpha3", "EnvoyFilter", "istio-system", "a", mesh, mesh},
		{"security.istio.io/v1", "PeerAuthentication", "istio-system", "default", mesh, mesh},
		{"security.istio.io/v1", "AuthorizationPolicy", "istio-system", "default", mesh, mesh},
		{"networking.istio.io/v1", "Gateway", "istio-system", "egress", "", install},
		{"v1", "Secret", "istio-system", "client-credential", "", install},
		{"v1", "ConfigMap", "istio-system", "istio", config, config},
		{"v1", "ConfigMap", "istio-system", "istio-canary", config, config},
		{"v1", "ConfigMap", "istio-system", "mine", "", install},
		{"v1", "ConfigMap", "kube-system", "coredns", system, system},
		{"rbac.authorization.k8s.io/v1", "ClusterRole", "", "a", whole, whole},
		{"admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", "a", whole, whole},
		{"v1", "Namespace", "", "made", "", other},
		{"v1", "Namespace", "", "default", "", ""},
	} {
		ref := cluster.Ref{APIVersion: c.apiVersion, Kind: c.kind, Namespace: c.namespace, Name: c.name}
		makes, changes := changes.Target{Ref: ref, Makes: true}, changes.Target{Ref: ref}
		assert.Equal(t, c.before, guard.Why(makes, nil), "make %v", ref)
		assert.Equal(t, c.there, guard.Why(changes, nil), "change %v", ref)
	}
	made := []changes.Target{{Ref: cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: "made"}, Makes: true}}
	assert.Empty(t, guard.Why(changes.Target{Ref: cluster.Ref{Kind: "ns", Name: "made"}}, made), "a step before makes it")
	assert.Equal(t, other, guard.Why(changes.Target{Ref: cluster.Ref{Kind: "ns", Name: "other"}}, made))
}

func TestTheGuardLooksAtWhatIsChanged(t *testing.T) {
	g := play(t, clustertest.Object("apps/v1", "Deployment", "istio-system", "istiod", nil))
	g.j.Allow = guard.Allow
	apply := func(kind, apiVersion, namespace, name string) error {
		_, _, err := g.j.Apply(t.Context(), clustertest.Object(apiVersion, kind, namespace, name, map[string]any{"spec": map[string]any{"replicas": int64(2)}}))
		return err
	}
	err := apply("Deployment", "apps/v1", "istio-system", "istiod")
	beyond, ok := errors.AsType[*changes.BeyondError](err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, beyond.Hint(), "--allow-mesh-changes")
	assert.ErrorContains(t, err, "deployment/istiod is not changed without leave: it belongs to the installation of Istio")
	assert.ErrorAs(t, g.j.Delete(t.Context(), cluster.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "istio-system", Name: "istiod"}, false), new(*changes.BeyondError))
	assert.ErrorAs(t, apply("ClusterRole", "rbac.authorization.k8s.io/v1", "", "a"), new(*changes.BeyondError))
	assert.NoError(t, apply("Deployment", "apps/v1", "istio-system", "mine"))
	assert.NoError(t, apply("Deployment", "apps/v1", "istio-system", "mine"), "what the run made it may change")
	assert.Len(t, g.j.Open(), 1)
}
