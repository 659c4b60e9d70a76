package changes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// A Target is an object that a step will change, as far as that is known before the
// run.
type Target struct {
	// Ref names it as the step does: Kind is anything that kubectl accepts, and
	// Namespace is "" for the run's. Texts may have variables, ${NAME}.
	Ref cluster.Ref
	// Field is the path of its name below the step's verb.
	Field []string
	// Makes reports whether the object is made if it does not exist, Deletes whether it
	// is deleted, and ForGood whether it need not be put back then.
	Makes, Deletes, ForGood bool
	// Object is the applied object, nil if that is not known.
	Object *unstructured.Unstructured
	// Mesh reports whether it is the mesh's configuration, in whatever object.
	Mesh bool
}

// A Guard distinguishes changes of a run's own workloads from those that concern
// others.
type Guard struct {
	Namespace      string // the run's
	IstioNamespace string
	// RootNamespace is the mesh's root namespace, "" for Istio's namespace.
	RootNamespace string
	// Made reports whether the run has made a namespace; nil if it makes none.
	Made func(namespace string) bool
}

func (g Guard) root() string { return cmp.Or(g.RootNamespace, g.IstioNamespace) }

// isOwn reports whether a namespace is the run's own.
func (g Guard) isOwn(namespace string) bool {
	return namespace == g.Namespace || g.Made != nil && g.Made(namespace)
}

// A BeyondError reports that a change concerns others than the run's own workloads.
type BeyondError struct {
	Ref cluster.Ref
	Why string
}

func (e *BeyondError) Error() string {
	return fmt.Sprintf("%s is not changed without leave: %s", e.Ref, e.Why)
}

// Hint returns what to do next.
func (e *BeyondError) Hint() string {
	return "if that is all right, say so: --allow-mesh-changes"
}

// Allow returns a [*BeyondError] for a change that concerns others; see
// [Journal.Allow].
func (g Guard) Allow(_ context.Context, w Write) error {
	if why := g.why(w.Ref, w.Now == nil, w.Ours, w.Ref.Namespace == ""); why != "" {
		return &BeyondError{w.Ref, why}
	}
	obj := w.Object
	if obj == nil {
		obj = w.Now
	}
	if why := g.reach(w.Ref, obj, g.isOwn); why != "" {
		return &BeyondError{w.Ref, why}
	}
	return nil
}

// Why returns why a change concerns others than the run's own workloads. It returns ""
// if it does not, or if that is known only when the change is made. earlier are the
// targets of the earlier steps.
func (g Guard) Why(t Target, earlier []Target) string {
	if t.Mesh {
		return "it holds for every workload of the mesh"
	}
	ref := t.Ref
	ref.Namespace = cmp.Or(ref.Namespace, g.Namespace)
	ours := slices.ContainsFunc(earlier, func(e Target) bool {
		bothNamespaces := IsNamespace(e.Ref.Kind) && IsNamespace(ref.Kind)
		return e.Makes && e.Ref.Name == ref.Name && (bothNamespaces || cmp.Or(e.Ref.Namespace, g.Namespace) == ref.Namespace)
	})
	if IsNamespace(ref.Kind) {
		ref.Kind = "Namespace"
	}
	if ref.Kind == "Namespace" && t.Deletes && !ours {
		return "all that others have in it would go with it"
	}
	if why := g.why(ref, t.Makes, ours, ref.Kind == "Namespace" || isClusterWide(ref.Kind)); why != "" {
		return why
	}
	return g.reach(ref, t.Object, func(namespace string) bool {
		return g.isOwn(namespace) || slices.ContainsFunc(earlier, func(e Target) bool {
			return e.Makes && IsNamespace(e.Ref.Kind) && e.Ref.Name == namespace
		})
	})
}

// why returns why a change concerns others. fresh reports whether the object may not
// exist yet, ours whether the run made the existing one.
func (g Guard) why(ref cluster.Ref, fresh, ours, wide bool) string {
	switch {
	case ref.Kind == "Namespace":
		if fresh || ours || ref.Name == g.Namespace {
			return ""
		}
		return "it is another namespace than the run's own"
	case wide:
		return "it holds for the whole cluster"
	case slices.Contains(systemNamespaces, ref.Namespace):
		return "it belongs to the cluster itself"
	case ref.Namespace != g.IstioNamespace && ref.Namespace != g.root():
		return ""
	case slices.Contains(meshWide, strings.ToLower(ref.Kind)):
		if ref.Namespace != g.IstioNamespace {
			return "in the mesh's root namespace it holds for every workload of the mesh"
		}
		return "in Istio's namespace it holds for every workload of the mesh"
	case ref.Namespace != g.IstioNamespace:
		return ""
	case ref.Kind == "ConfigMap" && slices.ContainsFunc(istioConfigMaps, func(prefix string) bool {
		return ref.Name == prefix || strings.HasPrefix(ref.Name, prefix+"-")
	}):
		return "it configures the whole mesh"
	case ref.Kind == "Secret" && slices.Contains(istioSecrets, ref.Name):
		return "it has the keys of the whole mesh"
	case fresh || ours:
		return ""
	}
	return "it belongs to the installation of Istio"
}

// isClusterWide reports whether a kind, in any form that kubectl accepts, is known to
// have no namespaces.
func isClusterWide(kind string) bool {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".")
	return slices.ContainsFunc(clusterWide, func(k string) bool {
		k = strings.ToLower(k)
		plural := k + "s"
		if stem, y := strings.CutSuffix(k, "y"); y {
			plural = stem + "ies"
		} else if strings.HasSuffix(k, "s") {
			plural = k + "es"
		}
		return kind == k || kind == plural
	})
}

// IsNamespace reports whether a kind, in any form that kubectl accepts, means
// namespaces.
func IsNamespace(kind string) bool {
	return slices.Contains([]string{"namespace", "namespaces", "ns"}, strings.ToLower(kind))
}

var (
	systemNamespaces = []string{"kube-system", "kube-public", "kube-node-lease"}

	// meshWide has the kinds whose objects apply to all namespaces if they are in
	// Istio's root namespace, even if they select workloads. Source: istio.io,
	// reference pages of each kind, "root namespace".
	meshWide = []string{
		"authorizationpolicy", "envoyfilter", "peerauthentication", "proxyconfig", "requestauthentication",
		"sidecar", "telemetry", "trafficextension", "wasmplugin",
	}

	// istioConfigMaps are the ConfigMaps that istiod reads in its namespace, each also
	// with the name of a revision appended. Source: istio/istio
	// pilot/pkg/bootstrap/mesh.go, pkg/kube/inject/watcher.go.
	istioConfigMaps = []string{"istio", "istio-sidecar-injector", "istio-ca-root-cert", "values", "meshconfig"}

	// istioSecrets are the Secrets from which istiod takes the key of its authority.
	// Source: istio/istio security/pkg/pki/ca/ca.go.
	istioSecrets = []string{"cacerts", "istio-ca-secret"}

	// clusterWide has kinds without namespaces, for the check before the run. For other
	// kinds this is known only when an object is changed.
	clusterWide = []string{
		"APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "GatewayClass", "IngressClass",
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Node", "PersistentVolume", "PriorityClass", "RuntimeClass",
		"StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
	}
)
