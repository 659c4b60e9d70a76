package cluster

import (
	"context"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// Dependents implements [Interface].
func (c *Client) Dependents(ctx context.Context, owner *unstructured.Unstructured) ([]Ref, error) {
	kinds, err := c.listable(owner.GetNamespace() != "")
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfigAndClient(c.config, c.http)
	if err != nil {
		return nil, err
	}
	var (
		mu     sync.Mutex
		found  []Ref
		failed error
		asking sync.WaitGroup
	)
	for _, k := range kinds {
		asking.Go(func() {
			list, err := client.Resource(k.GroupVersionResource).Namespace(owner.GetNamespace()).List(ctx, metav1.ListOptions{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
			case err != nil:
				failed = c.explain(ctx, err)
			default:
				for _, obj := range list.Items {
					if slices.ContainsFunc(obj.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == owner.GetUID() }) {
						found = append(found, Ref{APIVersion: k.GroupVersion().String(), Kind: k.kind, Namespace: obj.Namespace, Name: obj.Name})
					}
				}
			}
		})
	}
	asking.Wait()
	slices.SortFunc(found, compareRefs)
	return found, failed
}

// A listable is a kind of which the server lists the objects.
type listable struct {
	schema.GroupVersionResource
	kind string
}

// listable returns the kinds that the server lists, or those of them that have
// namespaces.
func (c *Client) listable(namespaced bool) (all []listable, err error) {
	// An error beside lists is about a group of an API that is served elsewhere.
	lists, err := discovery.ServerPreferredResources(c.kinds.server)
	if lists == nil {
		return nil, err
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "list") && (r.Namespaced || !namespaced) {
				all = append(all, listable{gv.WithResource(r.Name), r.Kind})
			}
		}
	}
	return all, nil
}
