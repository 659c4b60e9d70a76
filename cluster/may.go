package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An Access is a verb on an object, for which a permission is needed.
type Access struct {
	Verb string // as in roles: "get", "list", "watch", "create", "update", "patch" or "delete"
	// Ref has a Kind in any form that kubectl accepts. Its Name may be "" for any, and
	// its Namespace [AllNamespaces].
	Ref         Ref
	Subresource string // "exec", "log" or "portforward" of a pod; "" for the object itself
}

// AllNamespaces is the namespace of an [Access] to objects in all namespaces.
const AllNamespaces = "*"

// A Denied is an access that is not allowed, in the terms of roles.
type Denied struct {
	Access
	Group, Resource string
	Namespace       string // "" for a kind without namespaces
}

func (d Denied) String() string {
	resource := d.Resource
	if d.Group != "" {
		resource += "." + d.Group
	}
	if d.Subresource != "" {
		resource = d.Resource + "/" + d.Subresource
	}
	switch d.Namespace {
	case "":
		return fmt.Sprintf("%s %s", d.Verb, resource)
	case AllNamespaces:
		return fmt.Sprintf("%s %s in all namespaces", d.Verb, resource)
	}
	return fmt.Sprintf("%s %s in namespace %s", d.Verb, resource, d.Namespace)
}

// Denied asks the server, all at the same time, which of these accesses are not
// allowed, and returns them in their order. It skips a kind that the server does not
// have (yet).
func (c *Client) Denied(ctx context.Context, all []Access) ([]Denied, error) {
	denied := make([]*Denied, len(all))
	errs := make([]error, len(all))
	var asking sync.WaitGroup
	for i, a := range all {
		asking.Go(func() { denied[i], errs[i] = c.denied(ctx, a) })
	}
	asking.Wait()
	var found []Denied
	for _, d := range denied {
		if d != nil {
			found = append(found, *d)
		}
	}
	return found, errors.Join(errs...)
}

func (c *Client) denied(ctx context.Context, a Access) (*Denied, error) {
	t, err := c.target(ctx, a.Ref)
	if _, noKind := errors.AsType[*NoKindError](err); noKind {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	resource, name, namespace := t.mapping.Resource, a.Ref.Name, t.ref.Namespace
	switch {
	case a.Verb == "create": // a role that names objects cannot allow to create them
		name = ""
	case t.mapping.GroupVersionKind.Kind == "Namespace" && resource.Group == "":
		// A request for a namespace counts as one in that namespace: a Role there may
		// allow it. Source: k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
		namespace = name
	case namespace == AllNamespaces:
		namespace = ""
	}
	review := &authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: a.Verb, Group: resource.Group, Resource: resource.Resource, Subresource: a.Subresource, Namespace: namespace, Name: name,
		}},
	}
	obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
	if err != nil {
		return nil, err
	}
	reviews := c.dynamic.Resource(schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"})
	answer, err := reviews.Create(ctx, &unstructured.Unstructured{Object: obj}, metav1.CreateOptions{})
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); allowed {
		return nil, nil
	}
	return &Denied{a, resource.Group, resource.Resource, t.ref.Namespace}, nil
}
