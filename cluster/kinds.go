package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// kinds finds the resource of a kind. It asks the server once for what it has, and
// again if a kind is not found: an earlier step may have applied its definition.
type kinds struct {
	server discovery.DiscoveryInterface

	mu     sync.Mutex
	mapper meta.RESTMapper // nil until the server was asked
}

// find returns the mapping for a kind. apiVersion may be empty; then kind may be
// anything that kubectl accepts.
func (k *kinds) find(apiVersion, kind string) (*meta.RESTMapping, error) {
	mapper, fresh, err := k.known()
	if err != nil {
		return nil, err
	}
	m, err := look(mapper, apiVersion, kind)
	if meta.IsNoMatchError(err) && !fresh {
		k.forget()
		if mapper, _, err = k.known(); err != nil {
			return nil, err
		}
		m, err = look(mapper, apiVersion, kind)
	}
	if meta.IsNoMatchError(err) {
		return nil, &NoKindError{
			Kind: kind, APIVersion: apiVersion,
			Served: served(mapper, apiVersion, kind), Elsewhere: elsewhere(mapper, apiVersion, kind),
		}
	}
	return m, err
}

// served returns the versions in which a kind exists, "v1" before "v1beta1".
func served(mapper meta.RESTMapper, apiVersion, kind string) (versions []string) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || apiVersion == "" {
		return nil
	}
	mappings, err := mapper.RESTMappings(schema.GroupKind{Group: gv.Group, Kind: kind})
	if err != nil {
		return nil
	}
	for _, m := range mappings {
		versions = append(versions, m.GroupVersionKind.Version)
	}
	slices.SortFunc(versions, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	return versions
}

// elsewhere returns the API versions of other groups in which a kind exists.
func elsewhere(mapper meta.RESTMapper, apiVersion, kind string) (apiVersions []string) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil || apiVersion == "" {
		return nil
	}
	kinds, err := mapper.KindsFor(schema.GroupVersionResource{Resource: strings.ToLower(kind)})
	if err != nil {
		return nil
	}
	for _, gvk := range kinds {
		if gvk.Group != gv.Group && gvk.Kind == kind && gvk.Version != runtime.APIVersionInternal {
			apiVersions = append(apiVersions, gvk.GroupVersion().String())
		}
	}
	return apiVersions
}

// known returns what the server has, and whether it was asked just now.
func (k *kinds) known() (mapper meta.RESTMapper, fresh bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mapper != nil {
		return k.mapper, false, nil
	}
	// An error together with groups is about one of them: an aggregated API that is
	// down must not hide the others.
	groups, resources, err := k.server.ServerGroupsAndResources()
	if groups == nil || resources == nil {
		return nil, false, err
	}
	seen := &inventory{k.server, groups, resources}
	all, err := restmapper.GetAPIGroupResources(seen)
	if err != nil {
		return nil, false, err
	}
	k.mapper = restmapper.NewShortcutExpander(restmapper.NewDiscoveryRESTMapper(all), seen, nil)
	return k.mapper, true, nil
}

func (k *kinds) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mapper = nil
}

// An inventory is what a server had when it was asked.
type inventory struct {
	discovery.DiscoveryInterface
	groups    []*metav1.APIGroup
	resources []*metav1.APIResourceList
}

func (i *inventory) ServerGroupsAndResources() ([]*metav1.APIGroup, []*metav1.APIResourceList, error) {
	return i.groups, i.resources, nil
}

func look(mapper meta.RESTMapper, apiVersion, kind string) (*meta.RESTMapping, error) {
	if apiVersion != "" {
		gv, err := schema.ParseGroupVersion(apiVersion)
		if err != nil {
			return nil, err
		}
		gk := schema.GroupKind{Group: gv.Group, Kind: kind}
		m, err := mapper.RESTMapping(gk, gv.Version)
		if !meta.IsNoMatchError(err) {
			return m, err
		}
		m, err = lookResource(mapper, gv.WithResource(strings.ToLower(kind)))
		if err == nil && m.GroupVersionKind.GroupVersion() != gv { // the group "" means any
			return nil, &meta.NoKindMatchError{GroupKind: gk, SearchedVersions: []string{gv.Version}}
		}
		return m, err
	}

	// As kubectl does it: "pods", "deploy", "gateways.v1.networking.istio.io",
	// "gateways.networking.istio.io", then "Gateway", "Gateway.networking.istio.io".
	full, part := schema.ParseResourceArg(strings.ToLower(kind))
	if full != nil {
		m, err := lookResource(mapper, *full)
		if !meta.IsNoMatchError(err) {
			return m, err
		}
	}
	m, err := lookResource(mapper, part.WithVersion(""))
	if !meta.IsNoMatchError(err) {
		return m, err
	}
	fullKind, partKind := schema.ParseKindArg(kind)
	if fullKind != nil {
		m, err := mapper.RESTMapping(fullKind.GroupKind(), fullKind.Version)
		if !meta.IsNoMatchError(err) {
			return m, err
		}
	}
	return mapper.RESTMapping(partKind)
}

func lookResource(mapper meta.RESTMapper, gvr schema.GroupVersionResource) (*meta.RESTMapping, error) {
	gvk, err := mapper.KindFor(gvr)
	if err != nil {
		return nil, err
	}
	return mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
}

// find is [kinds.find] with a context, because discovery itself takes none.
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

// A target is an object's resource at the server.
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
	if path = append(path, gvr.Resource); t.ref.Name != "" {
		path = append(path, t.ref.Name)
	}
	return path
}
