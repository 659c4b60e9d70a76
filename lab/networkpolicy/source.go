package networkpolicy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Source lists and watches the objects that a [Controller] needs, in all namespaces.
type Source struct {
	Pods       cache.ListerWatcher // of corev1.Pod
	Namespaces cache.ListerWatcher // of corev1.Namespace
	Policies   cache.ListerWatcher // of networkingv1.NetworkPolicy
}

// FromAPI returns a source that reads an API server. Its user must be allowed to list
// and watch pods, namespaces and networkpolicies.
//
// It knows only these kinds. client-go's clientset with all kinds would add 30 MB to a
// program with which each container starts.
func FromAPI(config *rest.Config) (Source, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return Source{}, fmt.Errorf("make a client of the API: %w", err)
		}
	}
	client := func(path string, group schema.GroupVersion) (*rest.RESTClient, error) {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = path, &group
		c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		return rest.RESTClientFor(c)
	}
	core, err := client("/api", corev1.SchemeGroupVersion)
	if err != nil {
		return Source{}, fmt.Errorf("make a client of the API: %w", err)
	}
	networking, err := client("/apis", networkingv1.SchemeGroupVersion)
	if err != nil {
		return Source{}, fmt.Errorf("make a client of the API: %w", err)
	}
	everything := fields.Everything()
	return Source{
		Pods:       cache.NewListWatchFromClient(core, "pods", metav1.NamespaceAll, everything),
		Namespaces: cache.NewListWatchFromClient(core, "namespaces", metav1.NamespaceAll, everything),
		Policies:   cache.NewListWatchFromClient(networking, "networkpolicies", metav1.NamespaceAll, everything),
	}, nil
}
