package changes

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egressplay/egressplay/cluster"
)

// A Change is what a run did to one object, as data: enough to put the object
// back from another machine.
type Change struct {
	// Number counts the changes of a run, from 1.
	Number int         `json:"number"`
	Ref    cluster.Ref `json:"ref"`
	// Playbook is the file of the playbook that made the change last.
	Playbook string `json:"playbook,omitempty"`
	// What names what was changed, such as "labels of namespace/default", and Back says
	// how it is once it is put back, such as "as they were".
	What string `json:"what"`
	Back string `json:"back"`

	// Before is the object as it would be without the run, nil for none: as it was
	// before the first change, with what others have changed since.
	Before *unstructured.Unstructured `json:"before,omitempty"`
	// After is the object as the run left it, nil for none. While Pending, it is as the
	// server predicted it, nil if that is not known.
	After *unstructured.Unstructured `json:"after,omitempty"`
	// Next is the server's prediction of the object after the pending change.
	Next *unstructured.Unstructured `json:"next,omitempty"`
	// UID is the UID of the object as the run left it; "" while it is not known.
	UID types.UID `json:"uid,omitempty"`
	// Deleted reports whether the run deleted the object.
	Deleted bool `json:"deleted,omitempty"`
	// ForGood reports whether the playbook wants the object not to be put back.
	ForGood bool `json:"forGood,omitempty"`
	// Pending reports whether the last change was begun and it is not known whether it
	// was made.
	Pending bool `json:"pending,omitempty"`

	saved bool // the store has the change in its present state
}

// left returns the object as the run left it. now shows whether a pending change was
// made.
func (c *Change) left(now *unstructured.Unstructured) *unstructured.Unstructured {
	if c.Next == nil || c.After != nil && now.GetResourceVersion() == c.After.GetResourceVersion() {
		return c.After
	}
	if c.After != nil {
		_, kept := takeBack(c.Before, c.After, now)
		if _, keptNext := takeBack(c.Before, c.Next, now); len(kept) < len(keptNext) {
			return c.After
		}
	}
	return c.Next
}

// made reports whether the run made the object, so that it is to be deleted.
func (c *Change) made() bool { return c.Before == nil }

// copy returns a copy that does not change with the original.
func (c *Change) copy() *Change {
	other := *c
	return &other // the objects are replaced, never changed
}

// Words describe a change to a reader; see [Change].
type Words struct{ What, Back string }

// wordsOf returns the words for a change of a whole object.
func wordsOf(ref cluster.Ref, made bool) Words {
	if made {
		return Words{ref.String(), "deleted"}
	}
	return Words{ref.String(), "as it was"}
}

// Labels of everything that a run makes.
const (
	// ManagedBy is the label that Kubernetes recommends for the tool that
	// manages an object. An object that has it already keeps its own.
	// Source: kubernetes.io, "Recommended Labels".
	ManagedBy = "app.kubernetes.io/managed-by"
	// RunLabel has the run's ID.
	RunLabel = "egressplay.io/run"
)

// label returns the object with the labels of a run.
func label(obj *unstructured.Unstructured, run string) *unstructured.Unstructured {
	obj = obj.DeepCopy()
	labels := obj.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	if labels[ManagedBy] == "" {
		labels[ManagedBy] = cluster.Manager
	}
	labels[RunLabel] = run
	obj.SetLabels(labels)
	return obj
}
