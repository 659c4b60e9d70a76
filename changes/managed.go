package changes

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// managedFields returns who owns which fields of an object that was put back: the
// former managers, so that their next server-side apply finds no conflict with a run
// that is over. Fields that others have taken since stay theirs.
func managedFields(before, after, now *unstructured.Unstructured) []metav1.ManagedFieldsEntry {
	var left []metav1.ManagedFieldsEntry
	if after != nil {
		left = after.GetManagedFields()
	}
	var result []metav1.ManagedFieldsEntry
	for _, was := range before.GetManagedFields() {
		entry := was
		if is := entryOf(now.GetManagedFields(), was); is != nil && was.Manager != cluster.Manager {
			if ours := entryOf(left, was); ours == nil || !equality.Semantic.DeepEqual(ours, is) {
				entry = *is // that manager has changed it after us
			}
		}
		result = append(result, entry)
	}
	for _, is := range now.GetManagedFields() {
		// Managers that came after us.
		if is.Manager != cluster.Manager && entryOf(result, is) == nil {
			result = append(result, is)
		}
	}
	return result
}

// entryOf returns the entry of the same manager for the same kind of write.
func entryOf(entries []metav1.ManagedFieldsEntry, like metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	i := slices.IndexFunc(entries, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == like.Manager && e.Operation == like.Operation && e.APIVersion == like.APIVersion && e.Subresource == like.Subresource
	})
	if i < 0 {
		return nil
	}
	return &entries[i]
}

// changedBy returns who wrote an object last, except us; "somebody" if the server does
// not say. after is the object as we left it, nil for none.
func changedBy(after, now *unstructured.Unstructured) string {
	var left []metav1.ManagedFieldsEntry
	if after != nil {
		left = after.GetManagedFields()
	}
	var last *metav1.ManagedFieldsEntry
	for _, is := range now.GetManagedFields() {
		if is.Manager == cluster.Manager || is.Subresource != "" {
			continue
		}
		if was := entryOf(left, is); was != nil && equality.Semantic.DeepEqual(was, &is) {
			continue
		}
		if last == nil || is.Time != nil && (last.Time == nil || last.Time.Before(is.Time)) {
			last = &is
		}
	}
	if last == nil || last.Manager == "" {
		return "somebody"
	}
	return last.Manager
}
