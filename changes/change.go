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
	// What names for a reader what was changed, such as "labels of
	// namespace/default", and Back how it is once it is put back, such as "as
	// they were".
	What string `json:"what"`
	Back string `json:"back"`

	// Before is the object as it would be without the run, nil for none: as it
	// was before the first change, and with what others have changed since.
	Before *unstructured.Unstructured `json:"before,omitempty"`
	// After is the object as the run left it, nil for none; while Pending, as
	// the server said that it would be, nil where that is not known.
	After *unstructured.Unstructured `json:"after,omitempty"`
	// Next is what the server said that the pending change makes of it.
	Next *unstructured.Unstructured `json:"next,omitempty"`
	// UID is that of the object as the run left it; "" while it is not known.
	UID types.UID `json:"uid,omitempty"`
	// Deleted reports whether the run deleted the object.
	Deleted bool `json:"deleted,omitempty"`
	// ForGood reports whether the playbook wants the object not to be put back.
	ForGood bool `json:"forGood,omitempty"`
	// Pending reports whether the last change was begun, and not whether it was made.
	Pending bool `json:"pending,omitempty"`

	saved bool // the store has it as it is
}

// left returns the object as the run left it, as far as now tells whether a pending
// change was made.
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

// copy returns a copy that further changes leave as it is.
func (c *Change) copy() *Change {
	other := *c
	return &other // the objects are replaced, never changed
}

// Words say what a change is to a reader; see [Change].
type Words struct{ What, Back string }

// wordsOf returns what is said of a change of a whole object.
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
