package changes

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egressplay/egressplay/cluster"
)

// An owner is an object that the run deleted. When it is made again it has another UID,
// which the objects that it owned have to name: the garbage collector deletes objects
// whose owner does not exist.
type owner struct {
	what string
	now  types.UID // "" until it is put back
	err  error     // why it was not put back
}

// An ownerError reports that the owner of an object has not been put back yet.
type ownerError struct{ owner string }

func (e *ownerError) Error() string { return "its owner " + e.owner + " is not there yet" }

// prepare notes which of the changes to be put back concern others of them: owners and
// definitions.
func (j *Journal) prepare(all []*Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.definitions, j.owners = map[string]bool{}, map[types.UID]*owner{}
	for _, c := range all {
		if definition := c.definition(); definition != nil {
			group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
			j.definitions[group] = true
		}
		if c.Before != nil && (c.Deleted || c.UID != c.Before.GetUID()) {
			j.owners[c.Before.GetUID()] = &owner{what: c.Ref.String()}
		}
	}
}

// definition returns the object that the run made or deleted if that defines kinds,
// else nil.
func (c *Change) definition() *unstructured.Unstructured {
	if c.Ref.Kind != "CustomResourceDefinition" && c.Ref.Kind != "APIService" || !c.made() && !c.Deleted {
		return nil
	}
	if c.Before != nil {
		return c.Before
	}
	return c.After
}

// owned returns the changes of objects whose owners are put back too.
func (j *Journal) owned(all []*Change) map[*Change]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	owned := map[*Change]bool{}
	for _, c := range all {
		if c.Before == nil {
			continue
		}
		for _, o := range c.Before.GetOwnerReferences() {
			owned[c] = owned[c] || j.owners[o.UID] != nil
		}
	}
	return owned
}

// fleeting returns the changes of objects that go with what the run made and takes away,
// such as a pod of a Deployment.
func (j *Journal) fleeting(ctx context.Context, all []*Change) map[*Change]bool {
	ours := map[types.UID]bool{}
	for _, c := range all {
		if c.made() && c.UID != "" {
			ours[c.UID] = true
		}
	}
	fleeting := map[*Change]bool{}
	for _, c := range all {
		if c.Before != nil && len(ours) > 0 {
			fleeting[c] = j.belongs(ctx, c.Before, ours, maxOwners)
		}
	}
	return fleeting
}

// maxOwners is how many owners one above the other are looked for: a Job's CronJob is the
// second one of its pods.
const maxOwners = 3

// belongs reports whether one of the objects of which the UIDs are given owns an object,
// or owns its owner.
func (j *Journal) belongs(ctx context.Context, obj *unstructured.Unstructured, uids map[types.UID]bool, depth int) bool {
	for _, o := range obj.GetOwnerReferences() {
		if uids[o.UID] {
			return true
		}
		if depth == 0 {
			continue
		}
		owner, err := j.Cluster.Get(ctx, cluster.Ref{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: obj.GetNamespace(), Name: o.Name})
		if err == nil && owner.GetUID() == o.UID && j.belongs(ctx, owner, uids, depth-1) {
			return true
		}
	}
	return false
}

// undone notes what became of an owner.
func (j *Journal) undone(c *Change, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.Before == nil || j.owners[c.Before.GetUID()] == nil {
		return
	}
	o := j.owners[c.Before.GetUID()]
	switch {
	case err != nil:
		o.err = err
	case c.Deleted: // for good
		o.err = fmt.Errorf("%s was deleted for good", o.what)
	default:
		o.now = c.UID
	}
}

// newOwners replaces the owners in an object that is put back by their present UIDs.
func (j *Journal) newOwners(c *Change) error {
	if c.Before == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	owners := c.Before.GetOwnerReferences()
	changed := false
	for i := range owners {
		switch o := j.owners[owners[i].UID]; {
		case o == nil:
		case o.err != nil:
			return fmt.Errorf("its owner is not there: %w", o.err)
		case o.now == "":
			return &ownerError{o.what}
		default:
			owners[i].UID, changed = o.now, true
		}
	}
	if changed {
		c.Before = c.Before.DeepCopy()
		c.Before.SetOwnerReferences(owners)
	}
	return nil
}
