package clustertest

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// writable returns a copy of obj without the fields that only a server sets.
func writable(obj *unstructured.Unstructured) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	delete(obj.Object, "status")
	for _, field := range []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	return obj
}

// takeBack deletes from obj the fields that were applied before and are not applied any
// more.
func takeBack(obj, before, after map[string]any) {
	for field, value := range before {
		kept, has := after[field]
		if !has {
			delete(obj, field)
			continue
		}
		inObj, ok1 := obj[field].(map[string]any)
		inBefore, ok2 := value.(map[string]any)
		inAfter, ok3 := kept.(map[string]any)
		if ok1 && ok2 && ok3 {
			takeBack(inObj, inBefore, inAfter)
		}
	}
}

// overlay sets the fields in given in obj.
func overlay(obj, given map[string]any) {
	for field, value := range given {
		inObj, ok1 := obj[field].(map[string]any)
		inGiven, ok2 := value.(map[string]any)
		if ok1 && ok2 {
			overlay(inObj, inGiven)
			continue
		}
		obj[field] = value
	}
}

// mergePatch changes obj as RFC 7386 says.
func mergePatch(obj, patch map[string]any) {
	for field, value := range patch {
		change, isMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(obj, field)
		case isMap:
			inner, ok := obj[field].(map[string]any)
			if !ok {
				inner = map[string]any{}
				obj[field] = inner
			}
			mergePatch(inner, change)
		default:
			obj[field] = value
		}
	}
}
