package cluster

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
)

// A Resource is a kind in the terms of roles.
type Resource struct {
	Group      string // of the API; "" for Kubernetes' core
	Name       string // "serviceentries"
	Kind       string // "ServiceEntry"
	Namespaced bool

	short string // as kubectl accepts it; several are separated by blanks
}

// Resource returns the resource of a kind. The error is a [*NoKindError] if the server
// does not have it.
func (c *Client) Resource(ctx context.Context, ref Ref) (Resource, error) {
	m, err := c.find(ctx, ref.APIVersion, ref.Kind)
	if err != nil {
		return Resource{}, err
	}
	return Resource{
		Group: m.Resource.Group, Name: m.Resource.Resource, Kind: m.GroupVersionKind.Kind,
		Namespaced: m.Scope.Name() == meta.RESTScopeNameNamespace,
	}, nil
}

// KnownResource returns the resource of a kind without asking a cluster. The error is a
// [*NoKindError] for a kind that is not one of Kubernetes, Istio or the Gateway API.
func KnownResource(ref Ref) (Resource, error) {
	kind, group, grouped := strings.Cut(strings.ToLower(ref.Kind), ".")
	if ref.APIVersion != "" {
		group, grouped = ref.Resource().Group, true
	}
	for _, r := range resources {
		// A group may have its version in front, as in deployments.v1.apps.
		sameGroup := !grouped || group == r.Group || r.Group != "" && strings.HasPrefix(group, "v") && strings.HasSuffix(group, "."+r.Group)
		if sameGroup && (kind == r.Name || kind == strings.ToLower(r.Kind) || slices.Contains(strings.Fields(r.short), kind)) {
			return r, nil
		}
	}
	return Resource{}, &NoKindError{Kind: ref.Kind, APIVersion: ref.APIVersion}
}

// resources has the kinds that are known without a cluster. If two kinds have one name
// and no group is named, the first is meant, as in kubectl.
var resources = []Resource{
	{"", "configmaps", "ConfigMap", true, "cm"},
	{"", "endpoints", "Endpoints", true, "ep"},
	{"", "events", "Event", true, "ev"},
	{"", "limitranges", "LimitRange", true, "limits"},
	{"", "namespaces", "Namespace", false, "ns"},
	{"", "nodes", "Node", false, "no"},
	{"", "persistentvolumeclaims", "PersistentVolumeClaim", true, "pvc"},
	{"", "persistentvolumes", "PersistentVolume", false, "pv"},
	{"", "pods", "Pod", true, "po"},
	{"", "podtemplates", "PodTemplate", true, ""},
	{"", "replicationcontrollers", "ReplicationController", true, "rc"},
	{"", "resourcequotas", "ResourceQuota", true, "quota"},
	{"", "secrets", "Secret", true, ""},
	{"", "serviceaccounts", "ServiceAccount", true, "sa"},
	{"", "services", "Service", true, "svc"},
	{"admissionregistration.k8s.io", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false, ""},
	{"admissionregistration.k8s.io", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false, ""},
	{"apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", false, "crd crds"},
	{"apiregistration.k8s.io", "apiservices", "APIService", false, ""},
	{"apps", "controllerrevisions", "ControllerRevision", true, ""},
	{"apps", "daemonsets", "DaemonSet", true, "ds"},
	{"apps", "deployments", "Deployment", true, "deploy"},
	{"apps", "replicasets", "ReplicaSet", true, "rs"},
	{"apps", "statefulsets", "StatefulSet", true, "sts"},
	{"autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true, "hpa"},
	{"batch", "cronjobs", "CronJob", true, "cj"},
	{"batch", "jobs", "Job", true, ""},
	{"coordination.k8s.io", "leases", "Lease", true, ""},
	{"discovery.k8s.io", "endpointslices", "EndpointSlice", true, ""},
	{"networking.k8s.io", "ingressclasses", "IngressClass", false, ""},
	{"networking.k8s.io", "ingresses", "Ingress", true, "ing"},
	{"networking.k8s.io", "networkpolicies", "NetworkPolicy", true, "netpol"},
	{"policy", "poddisruptionbudgets", "PodDisruptionBudget", true, "pdb"},
	{"rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", false, ""},
	{"rbac.authorization.k8s.io", "clusterroles", "ClusterRole", false, ""},
	{"rbac.authorization.k8s.io", "rolebindings", "RoleBinding", true, ""},
	{"rbac.authorization.k8s.io", "roles", "Role", true, ""},
	{"scheduling.k8s.io", "priorityclasses", "PriorityClass", false, "pc"},
	{"storage.k8s.io", "storageclasses", "StorageClass", false, "sc"},

	{"extensions.istio.io", "wasmplugins", "WasmPlugin", true, ""},
	{"networking.istio.io", "destinationrules", "DestinationRule", true, "dr"},
	{"networking.istio.io", "envoyfilters", "EnvoyFilter", true, ""},
	{"networking.istio.io", "gateways", "Gateway", true, "gw"},
	{"networking.istio.io", "proxyconfigs", "ProxyConfig", true, ""},
	{"networking.istio.io", "serviceentries", "ServiceEntry", true, "se"},
	{"networking.istio.io", "sidecars", "Sidecar", true, ""},
	{"networking.istio.io", "virtualservices", "VirtualService", true, "vs"},
	{"networking.istio.io", "workloadentries", "WorkloadEntry", true, "we"},
	{"networking.istio.io", "workloadgroups", "WorkloadGroup", true, "wg"},
	{"security.istio.io", "authorizationpolicies", "AuthorizationPolicy", true, "ap"},
	{"security.istio.io", "peerauthentications", "PeerAuthentication", true, "pa"},
	{"security.istio.io", "requestauthentications", "RequestAuthentication", true, "ra"},
	{"telemetry.istio.io", "telemetries", "Telemetry", true, "telemetry"},

	{"gateway.networking.k8s.io", "backendtlspolicies", "BackendTLSPolicy", true, "btlspolicy"},
	{"gateway.networking.k8s.io", "gatewayclasses", "GatewayClass", false, "gc"},
	{"gateway.networking.k8s.io", "gateways", "Gateway", true, "gtw"},
	{"gateway.networking.k8s.io", "grpcroutes", "GRPCRoute", true, ""},
	{"gateway.networking.k8s.io", "httproutes", "HTTPRoute", true, ""},
	{"gateway.networking.k8s.io", "listenersets", "ListenerSet", true, "lset"},
	{"gateway.networking.k8s.io", "referencegrants", "ReferenceGrant", true, "refgrant"},
	{"gateway.networking.k8s.io", "tcproutes", "TCPRoute", true, ""},
	{"gateway.networking.k8s.io", "tlsroutes", "TLSRoute", true, ""},
	{"gateway.networking.k8s.io", "udproutes", "UDPRoute", true, ""},
}
