package changes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// A ChangedError reports that somebody else has changed, after the run did, what was to
// be put back, so it was left as it is.
type ChangedError struct {
	By     string   // the manager of fields that did; "somebody" if it is not known
	How    string   // "changed", "made anew" or "deleted"
	Fields []string // their paths; of what was changed
}

func (e *ChangedError) Error() string {
	text := e.How + " meanwhile by " + e.By
	if len(e.Fields) > 0 {
		text += ": " + strings.Join(e.Fields, ", ")
	}
	return text + ", left as it is"
}

// An Undone is the outcome of putting one change back.
type Undone struct {
	Change *Change
	Took   time.Duration
	// Nothing reports whether the change was never made, so there is nothing to report.
	Nothing bool
	// Note is a further note for a reader, "" for none.
	Note string
	Err  error // why it was not put back; a [*ChangedError] for what is left to others
}

// workers is how many changes are put back at the same time.
const workers = 8

// Undo puts back the given changes, and calls each for every one of them, in their
// order, as soon as its outcome is known. Changes that do not depend on each other are
// put back at the same time, workloads one after the other; those that are made anew
// come after them, so that their pods find all as it was; and what they owned comes
// last. Each may take as long as limit, 0 for any time; what time may cure is tried
// again until then. What could not be put back stays in the store. The error reports
// that the store could not forget what was.
func (j *Journal) Undo(ctx context.Context, all []*Change, limit time.Duration, each func(Undone)) error {
	j.prepare(all)
	fleeting := j.fleeting(ctx, all)
	results := make([]chan Undone, len(all))
	for i := range all {
		results[i] = make(chan Undone, 1)
	}
	var waiting sync.WaitGroup
	slots := make(chan struct{}, workers)
	put := func(meant func(*Change) bool) (done *sync.WaitGroup) {
		done = new(sync.WaitGroup)
		var inTurn []int
		for i, c := range all {
			switch {
			case !meant(c):
				continue
			case c.makesPods():
				inTurn = append(inTurn, i)
				continue
			}
			done.Add(1)
			waiting.Go(func() {
				defer done.Done()
				slots <- struct{}{}
				defer func() { <-slots }()
				results[i] <- j.undo(ctx, c, limit, fleeting[c])
			})
		}
		// One after the other, newest first: an object that is made again under the
		// same name right after its deletion confuses its controllers.
		done.Add(1)
		waiting.Go(func() {
			defer done.Done()
			for _, i := range inTurn {
				results[i] <- j.undo(ctx, all[i], limit, fleeting[all[i]])
			}
		})
		return done
	}
	waiting.Go(func() {
		owned := j.owned(all)
		put(func(c *Change) bool { return !owned[c] && !c.makesPods() }).Wait()
		put(func(c *Change) bool { return !owned[c] && c.makesPods() }).Wait()
		put(func(c *Change) bool { return owned[c] })
	})
	var dropped []*Change
	for i := range all {
		u := <-results[i]
		if changed := (*ChangedError)(nil); u.Err == nil || errors.As(u.Err, &changed) {
			j.forget(u.Change)
			dropped = append(dropped, u.Change)
		}
		each(u)
	}
	waiting.Wait()
	dropped = append(dropped, j.forgetNothing()...)
	j.mu.Lock()
	dropped, j.gone = append(dropped, j.gone...), nil
	j.mu.Unlock()
	if j.Store == nil || len(dropped) == 0 {
		return nil
	}
	return persist(ctx, limit, func(ctx context.Context) error { return j.Store.Drop(ctx, dropped) })
}

// forgetNothing removes the changes of which nothing is left from the journal, and
// returns them.
func (j *Journal) forgetNothing() (all []*Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changes = slices.DeleteFunc(j.changes, func(c *Change) bool {
		if c.nothing() {
			all = append(all, c)
		}
		return c.nothing()
	})
	return all
}

// forget removes a change from the journal.
func (j *Journal) forget(c *Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changes = slices.DeleteFunc(j.changes, func(other *Change) bool { return other.Number == c.Number })
}

// makesPods reports whether putting a change back makes pods.
func (c *Change) makesPods() bool {
	if c.made() {
		return false
	}
	switch c.Ref.Kind {
	case "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet":
		return true
	case "Gateway":
		return strings.HasPrefix(c.Ref.APIVersion, "gateway.networking.k8s.io/")
	}
	return false
}

// undo puts back one change. It tries again after errors that may go away with time. A
// fleeting object may be gone with what the run made; then there is nothing to put back.
func (j *Journal) undo(ctx context.Context, c *Change, limit time.Duration, fleeting bool) Undone {
	u := Undone{Change: c}
	started := time.Now()
	u.Err = persist(ctx, limit, func(ctx context.Context) error {
		nothing, note, err := j.tryUndo(ctx, c)
		if deleted, ok := errors.AsType[*ChangedError](err); fleeting && (ok && deleted.How == "deleted" || apierrors.IsNotFound(err)) {
			nothing, err = true, nil
		}
		u.Nothing, u.Note = nothing, cmp.Or(u.Note, note) // a namespace that is already being deleted is not looked at again
		return err
	})
	u.Took = time.Since(started)
	j.undone(c, u.Err)
	return u
}

// persist tries something until it succeeds, fails with an error that time cannot cure,
// or has taken as long as limit; 0 is no limit.
func persist(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
		defer cancel()
	}
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		err := try(ctx)
		if err == nil || !mayPass(err) {
			return err
		}
		select {
		case <-ctx.Done():
			if !errors.Is(err, context.Cause(ctx)) {
				err = fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
			}
			return err
		case <-time.After(pause):
		}
	}
}

// The pauses between two attempts to put something back.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// mayPass reports whether time may cure an error.
func mayPass(err error) bool {
	if changed := (*ChangedError)(nil); errors.As(err, &changed) || errors.Is(err, context.Canceled) {
		return false
	}
	if _, ok := errors.AsType[*cluster.UnreachableError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, ok := errors.AsType[*cluster.NoKindError](err); ok {
		return true // the API service of the kind may be away
	}
	if _, ok := errors.AsType[*ownerError](err); ok {
		return true
	}
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || strings.Contains(err.Error(), "failed calling webhook")
}

// tryUndo puts back one change once. nothing reports whether it was never made, and
// note is a further note for a reader.
func (j *Journal) tryUndo(ctx context.Context, c *Change) (nothing bool, note string, err error) {
	if j.Held != nil {
		if err := j.Held(ctx, Place(c.Ref)); err != nil {
			return false, "", err
		}
	}
	now, err := j.get(ctx, c.Ref)
	if _, noKind := errors.AsType[*cluster.NoKindError](err); noKind && j.definitions[c.Ref.Resource().Group] {
		now, err = nil, nil // the definition of the kind went, and its objects with it
	}
	if err != nil {
		return false, "", err
	}
	c.adopt(now, j.Run)
	if err := j.newOwners(c); err != nil {
		return false, "", err
	}
	switch {
	case c.made():
		return j.takeAway(ctx, c, now)
	case c.ForGood && c.Deleted:
		return now != nil && now.GetUID() == c.UID && now.GetDeletionTimestamp() == nil, "", nil
	case now == nil && !c.Deleted:
		return false, "", &ChangedError{By: "somebody", How: "deleted"}
	case now == nil:
		return false, "", j.makeAnew(ctx, c, c.Before)
	case now.GetDeletionTimestamp() != nil && c.Deleted:
		err := j.Cluster.Delete(ctx, c.Ref, cluster.WriteOptions{UID: now.GetUID()})
		if err == nil || apierrors.IsNotFound(err) {
			err = j.makeAnew(ctx, c, c.Before)
		}
		return false, "", err
	case now.GetUID() != c.UID && !sameContent(now, c.Before):
		return false, "", &ChangedError{By: changedBy(nil, now), How: "made anew"}
	case now.GetUID() != c.UID: // it is already as it was: an earlier clean-up may have put it back
		c.UID, c.Deleted = now.GetUID(), false
		if onlyOurs(now) {
			err = j.own(ctx, now, c.Before.GetManagedFields())
		}
		return false, "", err
	}
	nothing, err = j.putBack(ctx, c, now)
	return nothing, "", err
}

// takeAway deletes what the run made.
func (j *Journal) takeAway(ctx context.Context, c *Change, now *unstructured.Unstructured) (nothing bool, note string, err error) {
	if now == nil {
		return c.Pending, "", nil
	}
	if c.UID == "" {
		return true, "", nil // somebody else made it, not the run
	}
	if c.UID != now.GetUID() {
		return false, "", &ChangedError{By: changedBy(nil, now), How: "made anew"}
	}
	if c.Ref.Kind == "Namespace" && now.GetDeletionTimestamp() == nil {
		if note, err = j.checkOthers(ctx, c.Ref.Name); err != nil {
			return false, "", err
		}
	}
	err = j.Cluster.Delete(ctx, c.Ref, cluster.WriteOptions{UID: now.GetUID()})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return false, note, err
}

// putBack brings back the fields that the run changed.
func (j *Journal) putBack(ctx context.Context, c *Change, now *unstructured.Unstructured) (nothing bool, err error) {
	after := c.left(now)
	if after == nil { // the server's prediction is not known
		after = now
	}
	result, kept := takeBack(c.Before, after, now)
	owners := managedFields(c.Before, after, now)
	if !equal(content(result), content(now)) {
		updated, err := j.Cluster.Update(ctx, result)
		if apierrors.IsInvalid(err) && c.Before.GetUID() != now.GetUID() {
			return false, j.exchange(ctx, c, result)
		}
		if err != nil {
			return false, err
		}
		now = updated
	} else if len(kept) == 0 && c.Pending {
		nothing = sameOwners(now, owners)
	}
	if err := j.own(ctx, now, owners); err != nil {
		return false, err
	}
	if len(kept) > 0 {
		return false, &ChangedError{By: changedBy(c.After, now), How: "changed", Fields: kept}
	}
	return nothing, nil
}

// exchange deletes the object that the run made in place of another one, and makes that
// again, because some fields cannot be changed.
func (j *Journal) exchange(ctx context.Context, c *Change, with *unstructured.Unstructured) error {
	with = with.DeepCopy()
	with.SetManagedFields(c.Before.GetManagedFields())
	c.Before, c.Deleted = with, true
	if j.Store != nil {
		if err := j.Store.Save(ctx, []*Change{c}); err != nil {
			return err
		}
	}
	err := j.Cluster.Delete(ctx, c.Ref, cluster.WriteOptions{UID: c.UID})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return j.makeAnew(ctx, c, with)
}

// makeAnew makes an object again as it was.
func (j *Journal) makeAnew(ctx context.Context, c *Change, obj *unstructured.Unstructured) error {
	now, err := j.Cluster.Create(ctx, obj)
	if err != nil {
		return err
	}
	c.UID, c.After, c.Next, c.Deleted, c.Pending = now.GetUID(), now, nil, false, false
	return j.own(ctx, now, c.Before.GetManagedFields())
}

// own has the server record the managers of an object's fields, if its record differs.
func (j *Journal) own(ctx context.Context, now *unstructured.Unstructured, owners []metav1.ManagedFieldsEntry) error {
	if len(owners) == 0 || sameOwners(now, owners) {
		return nil
	}
	now = now.DeepCopy()
	now.SetManagedFields(owners)
	_, err := j.Cluster.Update(ctx, now)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// onlyOurs reports whether nobody else has written an object.
func onlyOurs(obj *unstructured.Unstructured) bool {
	return !slices.ContainsFunc(obj.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager != cluster.Manager })
}

func sameOwners(obj *unstructured.Unstructured, owners []metav1.ManagedFieldsEntry) bool {
	return equality.Semantic.DeepEqual(obj.GetManagedFields(), owners)
}

func equal(a, b map[string]any) bool { return reflect.DeepEqual(a, b) }
