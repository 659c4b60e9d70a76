package changes_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

var guard = changes.Guard{Namespace: "default", IstioNamespace: "istio-system"}

// What a playbook changes is judged before the run as far as its texts show it, and
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
		before, there                     string // the reason before the run for making it, and for changing an existing one
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
	assert.Empty(t, guard.Why(changes.Target{Ref: cluster.Ref{Kind: "ns", Name: "made", Namespace: "made"}}, made), "whatever the step's namespace")
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

// The host of an Istio object decides whom it reaches.
func TestTheGuardLooksAtWhomAHostReaches(t *testing.T) {
	const all, prod, reviews = "it holds for the callers of ", ", of namespace prod, in every namespace", "reviews.prod.svc.cluster.local"
	own := guard
	own.RootNamespace = "config"
	own.Made = func(namespace string) bool { return namespace == "made" }
	object := func(kind, namespace string, spec map[string]any) *unstructured.Unstructured {
		return clustertest.Object("networking.istio.io/v1", kind, namespace, "a", data{"spec": spec})
	}
	rule := func(namespace, host string, exportTo ...any) *unstructured.Unstructured {
		spec := data{"host": host}
		if len(exportTo) > 0 {
			spec["exportTo"] = exportTo
		}
		return object("DestinationRule", namespace, spec)
	}
	route := func(parent data) *unstructured.Unstructured {
		return clustertest.Object("gateway.networking.k8s.io/v1", "HTTPRoute", "default", "a", data{"spec": data{"parentRefs": []any{parent}}})
	}
	for _, c := range []struct {
		obj  *unstructured.Unstructured
		want string
	}{
		{rule("default", "reviews"), ""},
		{rule("default", "edition.cnn.com"), ""},
		{rule("default", reviews), ""}, // for the callers in default alone
		{rule("default", "*.local"), ""},
		{rule("config", "edition.cnn.com"), ""},
		{rule("config", "*.wikipedia.org"), ""},
		{rule("config", reviews), all + reviews + prod},
		{rule("config", reviews, "."), ""},
		{rule("config", reviews, "config"), ""},
		{rule("config", reviews, "*"), all + reviews + prod},
		{rule("config", "httpbin.default.svc.cluster.local"), ""},
		{rule("config", "nginx.made.svc.cluster.local"), ""},
		{rule("config", "*.local"), all + "*.local in every namespace"},
		{rule("config", "*"), all + "* in every namespace"},
		{rule("config", "*.svc.cluster.local"), all + "*.svc.cluster.local in every namespace"},
		{rule("config", "*.prod.svc.cluster.local"), all + "*.prod.svc.cluster.local" + prod},
		{rule("prod", "reviews"), all + "reviews" + prod},
		{rule("prod", "reviews", "."), ""},
		{object("VirtualService", "default", data{"hosts": []any{"edition.cnn.com"}}), ""},
		{object("VirtualService", "default", data{"hosts": []any{"reviews"}}), ""},
		{object("VirtualService", "default", data{"hosts": []any{reviews}}), all + reviews + prod},
		{object("VirtualService", "default", data{"hosts": []any{reviews}, "exportTo": []any{"."}}), ""},
		{object("VirtualService", "default", data{"hosts": []any{reviews}, "gateways": []any{"mine"}}), ""},
		{object("VirtualService", "default", data{"hosts": []any{reviews}, "gateways": []any{"mine", "mesh"}}), all + reviews + prod},
		{object("VirtualService", "default", data{"hosts": []any{"edition.cnn.com"}, "gateways": []any{"prod/shared"}}), "it takes over what comes to the Gateway prod/shared"},
		{object("VirtualService", "default", data{"hosts": []any{"edition.cnn.com"}, "gateways": []any{"default/mine", "made/other", "mesh"}}), ""},
		{route(nil), ""},
		{route(data{"name": "shared", "namespace": "prod"}), "it takes over what comes to the Gateway prod/shared"},
		{route(data{"name": "shared", "namespace": "made"}), ""},
		{route(data{"kind": "Service", "group": "", "name": "reviews", "namespace": "prod"}), ""}, // for the callers in default alone
		{object("ServiceEntry", "default", data{"hosts": []any{"edition.cnn.com", "*.wikipedia.org"}}), ""},
		{object("ServiceEntry", "default", data{"hosts": []any{reviews}}), all + reviews + prod},
		{object("Gateway", "default", data{"hosts": []any{reviews}}), ""},
		{clustertest.Object("v1", "Service", "default", "a", data{"spec": data{"externalIPs": []any{"203.0.113.10"}}}), "it takes over what any pod of the cluster sends to 203.0.113.10"},
		{clustertest.Object("v1", "Service", "default", "a", data{"spec": data{"clusterIP": "None"}}), ""},
		{object("Sidecar", "config", data{}), "in the mesh's root namespace it holds for every workload of the mesh"},
		{object("Sidecar", "istio-system", data{}), "in Istio's namespace it holds for every workload of the mesh"},
	} {
		name, _ := json.Marshal(c.obj.Object["spec"])
		ref := cluster.RefOf(c.obj)
		assert.Equal(t, c.want, own.Why(changes.Target{Ref: ref, Makes: true, Object: c.obj}, nil), "%s in %s: %s", ref.Kind, ref.Namespace, name)
		err := own.Allow(t.Context(), changes.Write{Ref: ref, Object: c.obj})
		if c.want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, c.want)
	}
}
