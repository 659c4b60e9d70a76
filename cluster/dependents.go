package cluster

import (
	"context"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
)

// Dependents implements [Interface].
func (c *Client) Dependents(ctx context.Context, owner *unstructured.Unstructured) ([]Ref, error) {
	all, _, err := c.metadata(ctx, owner.GetNamespace())
	if err != nil {
		return nil, err
	}
	var found []Ref
	for i := range all {
		if slices.ContainsFunc(all[i].GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == owner.GetUID() }) {
			found = append(found, RefOf(&all[i]))
		}
	}
	return found, nil
}

// Contents implements [Interface].
func (c *Client) Contents(ctx context.Context, namespace string) (all []unstructured.Unstructured, unseen []Ref, err error) {
	all, unseen, err = c.metadata(ctx, namespace)
	all = slices.DeleteFunc(all, func(obj unstructured.Unstructured) bool { return obj.GetKind() == "Event" })
	unseen = slices.DeleteFunc(unseen, func(kind Ref) bool { return kind.Kind == "Event" })
	return all, unseen, err
}

// metadata returns the metadata of the objects in a namespace, "" for all objects, of
// every kind that we may list. unseen has the other kinds.
func (c *Client) metadata(ctx context.Context, namespace string) (found []unstructured.Unstructured, unseen []Ref, err error) {
	ctx = WithWarnings(ctx, func(string) {}) // such as about a deprecated kind that nobody has named
	kinds, err := c.listable(namespace != "")
	if err != nil {
		return nil, nil, err
	}
	client, err := metadata.NewForConfigAndClient(c.config, c.http)
	if err != nil {
		return nil, nil, err
	}
	var (
		mu     sync.Mutex
		failed error
		asking sync.WaitGroup
	)
	for _, k := range kinds {
		asking.Go(func() {
			list, err := client.Resource(k.GroupVersionResource).Namespace(namespace).List(ctx, metav1.ListOptions{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case apierrors.IsForbidden(err):
				unseen = append(unseen, Ref{APIVersion: k.GroupVersion().String(), Kind: k.kind, Namespace: namespace})
			case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
			case err != nil:
				failed = c.explain(ctx, err)
			default:
				for i := range list.Items {
					obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&list.Items[i])
					if err != nil {
						failed = err
						continue
					}
					one := unstructured.Unstructured{Object: obj}
					one.SetAPIVersion(k.GroupVersion().String())
					one.SetKind(k.kind)
					found = append(found, one)
				}
			}
		})
	}
	asking.Wait()
	slices.SortFunc(found, func(a, b unstructured.Unstructured) int { return compareRefs(RefOf(&a), RefOf(&b)) })
	slices.SortFunc(unseen, compareRefs)
	return found, unseen, failed
}

// A listable is a kind whose objects the server can list.
type listable struct {
	schema.GroupVersionResource
	kind string
}

// listable returns the kinds that the server can list, or only those with namespaces.
func (c *Client) listable(namespaced bool) (all []listable, err error) {
	// An error together with lists is about an API group that an aggregated server
	// serves.
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
