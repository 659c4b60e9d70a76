package changes

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Spread keeps the changes of a run in its namespace, except the former content of a
// Secret of another namespace. That is kept in the Secret's own namespace, where
// whoever may read the note may read the Secret too.
type Spread struct {
	// Home is the run's namespace, and In returns a store in a namespace.
	Home string
	In   func(namespace string) Store

	mu     sync.Mutex
	stores map[string]Store
	where  map[int]string // the namespace in which a change is kept, by its number
}

var _ Store = (*Spread)(nil)

// store returns the store in a namespace.
func (s *Spread) store(namespace string) Store {
	if s.stores == nil {
		s.stores, s.where = map[string]Store{}, map[int]string{}
	}
	if s.stores[namespace] == nil {
		s.stores[namespace] = s.In(namespace)
	}
	return s.stores[namespace]
}

// place returns the namespace in which a change is to be kept.
func (s *Spread) place(c *Change) string {
	if isForeignSecret(c, s.Home) && !c.made() {
		return c.Ref.Namespace
	}
	return s.Home
}

// Save implements [Store].
func (s *Spread) Save(ctx context.Context, all []*Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := map[string][]*Change{}
	for _, c := range all {
		if isForeignSecret(c, s.Home) && c.made() { // its values are not needed to delete it
			c = c.copy()
			c.After, c.Next = withoutValues(c.After), withoutValues(c.Next)
		}
		by[s.place(c)] = append(by[s.place(c)], c)
	}
	for _, namespace := range slices.Sorted(maps.Keys(by)) {
		if err := s.store(namespace).Save(ctx, by[namespace]); err != nil {
			return err
		}
		for _, c := range by[namespace] {
			if was, ok := s.where[c.Number]; ok && was != namespace {
				if err := s.store(was).Drop(ctx, []*Change{c}); err != nil {
					return err
				}
			}
			s.where[c.Number] = namespace
		}
	}
	return nil
}

// Drop implements [Store].
func (s *Spread) Drop(ctx context.Context, all []*Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := map[string][]*Change{}
	for _, c := range all {
		namespace, ok := s.where[c.Number]
		if !ok { // an answer may have been lost
			namespace = s.place(c)
		}
		by[namespace] = append(by[namespace], c)
	}
	var errs []error
	for _, namespace := range slices.Sorted(maps.Keys(by)) {
		errs = append(errs, s.store(namespace).Drop(ctx, by[namespace]))
	}
	return errors.Join(errs...)
}

// isForeignSecret reports whether a change is that of a Secret of another namespace.
func isForeignSecret(c *Change, home string) bool {
	return c.Ref.Kind == "Secret" && c.Ref.Resource().Group == "" && c.Ref.Namespace != home
}

// withoutValues returns an object with only what identifies it.
func withoutValues(obj *unstructured.Unstructured) *unstructured.Unstructured {
	if obj == nil {
		return nil
	}
	short := &unstructured.Unstructured{Object: map[string]any{"apiVersion": obj.GetAPIVersion(), "kind": obj.GetKind()}}
	short.SetNamespace(obj.GetNamespace())
	short.SetName(obj.GetName())
	short.SetUID(obj.GetUID())
	short.SetResourceVersion(obj.GetResourceVersion())
	short.SetLabels(obj.GetLabels())
	return short
}
