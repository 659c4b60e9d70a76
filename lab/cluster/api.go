package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// fieldManager owns what the lab applies.
const fieldManager = "egressplay-lab"

// api is the lab's API, as its administrator.
type api struct {
	client dynamic.Interface
	ready  atomic.Bool // set once the API server is; until then it may refuse what it will take later
}

func newAPI(keys *credentials) (*api, error) {
	client, err := dynamic.NewForConfig(keys.config())
	if err != nil {
		return nil, fmt.Errorf("make a client of the API: %w", err)
	}
	return &api{client: client}, nil
}

// resource returns the resource of an object's kind. Its name is the plural of the kind
// in lower case. That is right for every kind that a lab applies; to ask the API server
// would cost a start two more round trips.
func (a *api) resource(o *unstructured.Unstructured) dynamic.ResourceInterface {
	plural, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	if o.GetNamespace() == "" {
		return a.client.Resource(plural)
	}
	return a.client.Resource(plural).Namespace(o.GetNamespace())
}

// apply makes the object as it is given, again and again until the API server
// takes it or ctx ends: it may not serve the kind yet. What it refuses for good is
// an error at once.
func (a *api) apply(ctx context.Context, o *unstructured.Unstructured) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	options := metav1.PatchOptions{FieldManager: fieldManager, Force: new(true)}
	err = retry(ctx, func(ctx context.Context) error {
		ready := a.ready.Load()
		_, err := a.resource(o).Patch(ctx, o.GetName(), types.ApplyPatchType, data, options)
		if ready && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) {
			return permanent{err}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// await watches one object until good returns nil for it, or ctx ends: then the error
// has what good returned last.
func (a *api) await(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, good func(*unstructured.Unstructured) error) error {
	last := errors.New("it does not exist")
	for ctx.Err() == nil {
		// Without a resource version the watch begins with the object as it is.
		w, err := a.client.Resource(resource).Namespace(namespace).Watch(ctx, metav1.ListOptions{
			FieldSelector: "metadata.name=" + name,
		})
		if err != nil {
			if ctx.Err() == nil {
				last = err
			}
			pause(ctx)
			continue
		}
		for event := range w.ResultChan() {
			o, ok := event.Object.(*unstructured.Unstructured)
			if !ok || o.GetName() != name {
				continue // an error event: the channel is about to be closed
			}
			if last = good(o); last == nil {
				w.Stop()
				return nil
			}
		}
		pause(ctx) // the API server ends a watch when it wants to
	}
	return fmt.Errorf("wait for %s %s: %w: %w", resource.Resource, name, context.Cause(ctx), last)
}
