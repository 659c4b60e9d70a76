package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Get implements [Interface].
func (c *Client) Get(ctx context.Context, ref Ref) (*unstructured.Unstructured, error) {
	t, err := c.target(ctx, ref)
	if err != nil {
		return nil, err
	}
	obj, err := t.api.Get(ctx, ref.Name, metav1.GetOptions{})
	return obj, c.explainKind(ctx, t, err)
}

// List implements [Interface].
func (c *Client) List(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error) {
	m, err := c.find(ctx, "", kind)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		namespace = ""
	}
	list, err := c.dynamic.Resource(m.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	slices.SortFunc(list.Items, func(a, b unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetNamespace(), b.GetNamespace()))
	})
	return list.Items, nil
}

// Apply implements [Interface].
func (c *Client) Apply(ctx context.Context, obj *unstructured.Unstructured, o WriteOptions) (*unstructured.Unstructured, error) {
	t, err := c.targetOf(ctx, obj)
	if err != nil {
		return nil, err
	}
	obj = withoutServerFields(obj)
	if o.Version != "" {
		obj.SetResourceVersion(o.Version)
	}
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	force := !o.Fresh
	got, err := t.api.Patch(ctx, obj.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
		FieldManager:    Manager,
		FieldValidation: metav1.FieldValidationStrict,
		Force:           &force,
		DryRun:          o.dryRun(),
	})
	return got, c.explainKind(ctx, t, err)
}

func (o WriteOptions) dryRun() []string {
	if o.DryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// Create implements [Interface].
func (c *Client) Create(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t, err := c.targetOf(ctx, obj)
	if err != nil {
		return nil, err
	}
	got, err := t.api.Create(ctx, withoutServerFields(obj), metav1.CreateOptions{FieldManager: Manager})
	return got, c.explainKind(ctx, t, err)
}

// Update implements [Interface].
func (c *Client) Update(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t, err := c.targetOf(ctx, obj)
	if err != nil {
		return nil, err
	}
	got, err := t.api.Update(ctx, obj, metav1.UpdateOptions{FieldManager: Manager})
	return got, c.explainKind(ctx, t, err)
}

// MergePatch implements [Interface].
func (c *Client) MergePatch(ctx context.Context, ref Ref, patch []byte, o WriteOptions) (*unstructured.Unstructured, error) {
	t, err := c.target(ctx, ref)
	if err != nil {
		return nil, err
	}
	if o.Version != "" {
		if patch, err = atVersion(patch, o.Version); err != nil {
			return nil, err
		}
	}
	got, err := t.api.Patch(ctx, ref.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: Manager, DryRun: o.dryRun()})
	return got, c.explainKind(ctx, t, err)
}

// atVersion returns a merge patch that the server refuses if the object has another
// version.
func atVersion(patch []byte, version string) ([]byte, error) {
	changes, err := decode[map[string]any](patch)
	if err != nil {
		return nil, err
	}
	metadata, ok := changes["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		changes["metadata"] = metadata
	}
	metadata["resourceVersion"] = version
	return json.Marshal(changes)
}

// withoutServerFields returns a copy of obj without the fields that only the server
// sets, so that an object that was read can be written again.
func withoutServerFields(obj *unstructured.Unstructured) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	delete(obj.Object, "status")
	if m, ok := obj.Object["metadata"].(map[string]any); ok {
		for _, field := range []string{
			"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp",
			"generation", "managedFields", "resourceVersion", "selfLink", "uid",
		} {
			delete(m, field)
		}
	}
	return obj
}

// explainKind is explain for a request about one object. If the kind's definition was
// deleted since it was looked up, the error is a [*NoKindError]: the server then says
// "not found" without naming an object.
func (c *Client) explainKind(ctx context.Context, t *target, err error) error {
	if apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		c.kinds.forget()
		return &NoKindError{Kind: t.mapping.GroupVersionKind.Kind, APIVersion: t.mapping.GroupVersionKind.GroupVersion().String()}
	}
	return c.explain(ctx, err)
}

// decode is json.Unmarshal into a new T.
func decode[T any](body []byte) (T, error) {
	var v T
	err := json.Unmarshal(body, &v)
	return v, err
}
