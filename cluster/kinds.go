package cluster

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// kinds finds the resource that a kind is served as. What the server has is
// asked for once, and again when a kind is not found: an earlier step may have
// applied its definition.
type kinds struct {
	mapper meta.RESTMapper
	reset  func()
}

// find returns the mapping for a kind. apiVersion may be empty; then kind may
// be anything that kubectl takes.
func (k *kinds) find(apiVersion, kind string) (*meta.RESTMapping, error) {
	m, err := k.look(apiVersion, kind)
	if isNoMatch(err) {
		k.reset()
		m, err = k.look(apiVersion, kind)
	}
	if isNoMatch(err) {
		name := kind
		if apiVersion != "" {
			name += " in " + apiVersion
		}
		return nil, &NoKindError{Kind: name}
	}
	return m, err
}

func (k *kinds) look(apiVersion, kind string) (*meta.RESTMapping, error) {
	if apiVersion != "" {
		gv, err := schema.ParseGroupVersion(apiVersion)
		if err != nil {
			return nil, err
		}
		m, err := k.mapper.RESTMapping(schema.GroupKind{Group: gv.Group, Kind: kind}, gv.Version)
		if !isNoMatch(err) {
			return m, err
		}
		return k.lookResource(gv.WithResource(strings.ToLower(kind)))
	}

	// As kubectl does it: "pods", "deploy", "gateways.v1.networking.istio.io",
	// "gateways.networking.istio.io", then "Gateway", "Gateway.networking.istio.io".
	full, part := schema.ParseResourceArg(strings.ToLower(kind))
	if full != nil {
		m, err := k.lookResource(*full)
		if !isNoMatch(err) {
			return m, err
		}
	}
	m, err := k.lookResource(part.WithVersion(""))
	if !isNoMatch(err) {
		return m, err
	}
	fullKind, partKind := schema.ParseKindArg(kind)
	if fullKind != nil {
		m, err := k.mapper.RESTMapping(fullKind.GroupKind(), fullKind.Version)
		if !isNoMatch(err) {
			return m, err
		}
	}
	return k.mapper.RESTMapping(partKind)
}

func (k *kinds) lookResource(gvr schema.GroupVersionResource) (*meta.RESTMapping, error) {
	gvk, err := k.mapper.KindFor(gvr)
	if err != nil {
		return nil, err
	}
	return k.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

// find is [kinds.find] that returns when ctx ends: discovery itself takes none.
func (c *Client) find(ctx context.Context, apiVersion, kind string) (*meta.RESTMapping, error) {
	type found struct {
		mapping *meta.RESTMapping
		err     error
	}
	done := make(chan found, 1)
	go func() {
		m, err := c.kinds.find(apiVersion, kind)
		done <- found{m, err}
	}()
	select {
	case f := <-done:
		return f.mapping, c.explain(ctx, f.err)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Resolve implements [Interface].
func (c *Client) Resolve(ctx context.Context, ref Ref, namespace string) (Ref, error) {
	m, err := c.find(ctx, ref.APIVersion, ref.Kind)
	if err != nil {
		return Ref{}, err
	}
	ref.APIVersion, ref.Kind = m.GroupVersionKind.ToAPIVersionAndKind()
	switch {
	case m.Scope.Name() != meta.RESTScopeNameNamespace:
		ref.Namespace = ""
	case ref.Namespace == "":
		ref.Namespace = namespace
	}
	return ref, nil
}

// A target is an object's place at the server.
type target struct {
	ref     Ref
	mapping *meta.RESTMapping
	api     dynamic.ResourceInterface
}

func (c *Client) target(ctx context.Context, ref Ref) (*target, error) {
	m, err := c.find(ctx, ref.APIVersion, ref.Kind)
	if err != nil {
		return nil, err
	}
	resource := c.dynamic.Resource(m.Resource)
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		ref.Namespace = ""
		return &target{ref, m, resource}, nil
	}
	if ref.Namespace == "" {
		return nil, fmt.Errorf("%s: no namespace is given", ref)
	}
	return &target{ref, m, resource.Namespace(ref.Namespace)}, nil
}

func (c *Client) targetOf(ctx context.Context, obj *unstructured.Unstructured) (*target, error) {
	return c.target(ctx, RefOf(obj))
}

// path returns the object's path at the server.
func (t *target) path() []string {
	gvr := t.mapping.Resource
	path := []string{"/apis", gvr.Group, gvr.Version}
	if gvr.Group == "" {
		path = []string{"/api", gvr.Version}
	}
	if t.ref.Namespace != "" {
		path = append(path, "namespaces", t.ref.Namespace)
	}
	return append(path, gvr.Resource, t.ref.Name)
}
