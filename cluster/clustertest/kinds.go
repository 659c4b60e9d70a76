package clustertest

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A kind is a kind that the fake serves.
type kind struct {
	group      string
	versions   []string // the preferred one first
	kind       string
	plural     string
	short      []string
	namespaced bool
}

func (k *kind) resource() schema.GroupResource {
	return schema.GroupResource{Group: k.group, Resource: k.plural}
}

// defaultKinds returns the kinds in the order in which a short name prefers them.
func defaultKinds() []*kind {
	var all []*kind
	add := func(group, versions string, namespaced bool, names ...string) {
		for _, name := range names {
			words := strings.Fields(name) // Kind plural short...
			all = append(all, &kind{group, strings.Fields(versions), words[0], words[1], words[2:], namespaced})
		}
	}
	add("", "v1", true, "ConfigMap configmaps cm", "Endpoints endpoints ep", "Event events ev",
		"PersistentVolumeClaim persistentvolumeclaims pvc", "Pod pods po", "ReplicationController replicationcontrollers rc",
		"Secret secrets", "Service services svc", "ServiceAccount serviceaccounts sa")
	add("", "v1", false, "Namespace namespaces ns", "Node nodes no", "PersistentVolume persistentvolumes pv")
	add("apps", "v1", true, "DaemonSet daemonsets ds", "Deployment deployments deploy", "ReplicaSet replicasets rs", "StatefulSet statefulsets sts")
	add("batch", "v1", true, "CronJob cronjobs cj", "Job jobs")
	add("coordination.k8s.io", "v1", true, "Lease leases")
	add("discovery.k8s.io", "v1", true, "EndpointSlice endpointslices")
	add("networking.k8s.io", "v1", true, "Ingress ingresses ing", "NetworkPolicy networkpolicies netpol")
	add("rbac.authorization.k8s.io", "v1", true, "Role roles", "RoleBinding rolebindings")
	add("rbac.authorization.k8s.io", "v1", false, "ClusterRole clusterroles", "ClusterRoleBinding clusterrolebindings")
	add("apiextensions.k8s.io", "v1", false, "CustomResourceDefinition customresourcedefinitions crd crds")
	add("networking.istio.io", "v1 v1beta1 v1alpha3", true, "DestinationRule destinationrules dr", "Gateway gateways gw",
		"ServiceEntry serviceentries se", "Sidecar sidecars", "VirtualService virtualservices vs",
		"WorkloadEntry workloadentries we", "WorkloadGroup workloadgroups wg")
	add("networking.istio.io", "v1alpha3", true, "EnvoyFilter envoyfilters")
	add("security.istio.io", "v1 v1beta1", true, "AuthorizationPolicy authorizationpolicies ap",
		"PeerAuthentication peerauthentications pa", "RequestAuthentication requestauthentications ra")
	add("telemetry.istio.io", "v1 v1alpha1", true, "Telemetry telemetries telemetry")
	return all
}

// WithGatewayAPI has the fake serve the kinds of the Gateway API too, and returns it.
func (f *Fake) WithGatewayAPI() *Fake {
	for _, words := range [][]string{{"Gateway", "gateways"}, {"HTTPRoute", "httproutes"}, {"TLSRoute", "tlsroutes"}, {"BackendTLSPolicy", "backendtlspolicies"}, {"ReferenceGrant", "referencegrants"}, {"GRPCRoute", "grpcroutes"}} {
		f.kinds = append(f.kinds, &kind{"gateway.networking.k8s.io", []string{"v1"}, words[0], words[1], nil, true})
	}
	return f
}

// find returns the kind that apiVersion and name mean, and its version. If apiVersion
// is empty, name is anything that kubectl accepts.
func (f *Fake) find(apiVersion, name string) (*kind, string) {
	group, version, anyGroup := "", "", true
	if apiVersion != "" {
		gv, err := schema.ParseGroupVersion(apiVersion)
		if err != nil {
			return nil, ""
		}
		group, version, anyGroup = gv.Group, gv.Version, false
	} else if first, rest, dotted := strings.Cut(name, "."); dotted {
		name, group, anyGroup = first, rest, false
	}
	lower := strings.ToLower(name)
	for _, k := range f.kinds {
		if !anyGroup && k.group != group {
			continue
		}
		if lower != strings.ToLower(k.kind) && lower != k.plural && !slices.Contains(k.short, lower) {
			continue
		}
		switch {
		case version == "":
			return k, k.versions[0]
		case slices.Contains(k.versions, version):
			return k, version
		}
	}
	return nil, ""
}

// served returns the versions in which a kind of an API group exists.
func (f *Fake) served(apiVersion, name string) []string {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || apiVersion == "" {
		return nil
	}
	for _, k := range f.kinds {
		if k.group == gv.Group && k.kind == name {
			return k.versions
		}
	}
	return nil
}

// elsewhere returns the API versions of other groups in which a kind exists.
func (f *Fake) elsewhere(apiVersion, name string) (apiVersions []string) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || apiVersion == "" {
		return nil
	}
	for _, k := range f.kinds {
		if k.group == gv.Group || k.kind != name {
			continue
		}
		for _, version := range k.versions {
			apiVersions = append(apiVersions, schema.GroupVersion{Group: k.group, Version: version}.String())
		}
	}
	return apiVersions
}
