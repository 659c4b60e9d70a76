package changes

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// reach returns why an object reaches others than the run's own workloads; "" if it
// does not. own reports which namespaces are the run's.
//
// A Service with external addresses takes over what any pod of the cluster sends to
// them (kubernetes.io "Service", External IPs). An Istio object reaches others by its host.
// A VirtualService, or a route of the Gateway API, takes over a part of what comes to
// its Gateways. A VirtualService for the mesh's sidecars and a ServiceEntry apply to the callers in
// every namespace to which they are exported. A DestinationRule applies to the callers
// in its own namespace; one in the namespace of its host's Service, or in the mesh's
// root namespace, to all to whom it is exported. A host outside of the cluster is
// nobody's. Sources: istio.io "Destination Rule", "Virtual Service", exportTo;
// istio/istio pilot/pkg/model/push_context.go, destinationRule.
func (g Guard) reach(ref cluster.Ref, obj *unstructured.Unstructured, own func(namespace string) bool) string {
	if obj == nil {
		return ""
	}
	if addresses, _, _ := unstructured.NestedStringSlice(obj.Object, "spec", "externalIPs"); len(addresses) > 0 && ref.Resource().Group == "" && ref.Kind == "Service" {
		return "it takes over what any pod of the cluster sends to " + strings.Join(addresses, ", ")
	}
	for _, gateway := range gatewaysOf(ref, obj) {
		if namespace, _, named := strings.Cut(gateway, "/"); named && namespace != ref.Namespace && !own(namespace) {
			return "it takes over what comes to the Gateway " + gateway
		}
	}
	if ref.Resource().Group != "networking.istio.io" || !isExported(ref, obj) {
		return ""
	}
	spec, _, _ := unstructured.NestedMap(obj.Object, "spec")
	hosts, _, _ := unstructured.NestedStringSlice(spec, "hosts")
	switch ref.Kind {
	case "DestinationRule":
		host, _, _ := unstructured.NestedString(spec, "host")
		hosts = []string{host}
	case "VirtualService":
		gateways, stated, _ := unstructured.NestedStringSlice(spec, "gateways")
		if stated && !slices.Contains(gateways, "mesh") {
			return ""
		}
	case "ServiceEntry":
	default:
		return ""
	}
	for _, host := range hosts {
		namespace, inCluster := namespaceOf(host, ref)
		switch {
		case !inCluster, namespace != "" && own(namespace):
			continue
		case ref.Kind == "DestinationRule" && ref.Namespace != g.root() && ref.Namespace != namespace:
			continue // it applies to its own namespace's callers
		case namespace == "":
			return "it holds for the callers of " + host + " in every namespace"
		}
		return "it holds for the callers of " + host + ", of namespace " + namespace + ", in every namespace"
	}
	return ""
}

// gatewaysOf returns the Gateways to which an object binds itself, NAMESPACE/NAME or NAME
// for one in its own namespace.
func gatewaysOf(ref cluster.Ref, obj *unstructured.Unstructured) (all []string) {
	switch group := ref.Resource().Group; {
	case group == "networking.istio.io" && ref.Kind == "VirtualService":
		all, _, _ = unstructured.NestedStringSlice(obj.Object, "spec", "gateways")
	case group == "gateway.networking.k8s.io":
		parents, _, _ := unstructured.NestedSlice(obj.Object, "spec", "parentRefs")
		for _, p := range parents {
			parent, _ := p.(map[string]any)
			kind, stated := parent["kind"].(string)
			namespace, _ := parent["namespace"].(string)
			if name, _ := parent["name"].(string); namespace != "" && (!stated || kind == "Gateway") {
				all = append(all, namespace+"/"+name)
			}
		}
	}
	return all
}

// isExported reports whether others than the object's own namespace see it.
func isExported(ref cluster.Ref, obj *unstructured.Unstructured) bool {
	to, stated, _ := unstructured.NestedStringSlice(obj.Object, "spec", "exportTo")
	if !stated || len(to) == 0 {
		return true
	}
	return slices.ContainsFunc(to, func(namespace string) bool { return namespace != "." && namespace != "~" && namespace != ref.Namespace })
}

// namespaceOf returns the namespace whose Services a host means: "" for those of all.
// inCluster is false for a host that is not a Service of the cluster.
func namespaceOf(host string, ref cluster.Ref) (namespace string, inCluster bool) {
	if host != "" && host != "*" && !strings.Contains(host, ".") && ref.Kind != "ServiceEntry" { // the short name of a Service in the object's namespace
		return ref.Namespace, true
	}
	before, after, isService := strings.Cut(host+".", ".svc.")
	switch {
	case host == "*" || host == "*.local":
		return "", true
	case !isService:
		return "", strings.HasPrefix(host, "*.cluster.") || strings.HasPrefix(host, "*.svc.")
	case after != "" && !strings.HasSuffix(after, "."):
		return "", false
	}
	_, namespace, found := strings.Cut(before, ".")
	if !found { // *.svc.cluster.local
		return "", true
	}
	return namespace[strings.LastIndex(namespace, ".")+1:], true
}
