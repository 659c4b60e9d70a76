package changes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/egressplay/egressplay/cluster"
)

// A Journal makes the changes of a run and remembers them. All of a run's changes
// of a cluster go through it.
type Journal struct {
	// Run is the ID of the run: a value that a label can have.
	Run     string
	Cluster cluster.Interface
	// Store keeps the changes where another process finds them; nil if nothing keeps
	// them.
	Store Store
	// Take takes the place in which an object is changed, before anything is changed
	// there: a namespace, or "" for objects without one. nil if that is not needed.
	Take func(ctx context.Context, namespace string) error
	// Held returns an error if the run does not hold a place any more. It is called
	// before something is put back, which is then left as it is; nil if the run always
	// holds its places.
	Held func(ctx context.Context, namespace string) error
	// Allow is called before an object is changed. If it returns an error, nothing is
	// changed, and the step fails with that error; nil allows everything.
	Allow func(ctx context.Context, w Write) error
	// Before is called before each object is changed; it may be nil.
	Before func(ctx context.Context, ref cluster.Ref)
	// DryRun has the server judge each change without making it.
	DryRun bool
	// Playbook is the file of the playbook that makes the changes now.
	Playbook string

	mu      sync.Mutex
	changes []*Change
	last    int // number
	taken   map[string]bool
	gone    []*Change // changes that the store may still have

	// While changes are put back: the API groups of definitions among them, and what
	// became of the owners.
	definitions map[string]bool
	owners      map[types.UID]*owner
}

// New returns a journal that remembers the changes of a new run in memory.
func New(c cluster.Interface) *Journal {
	return &Journal{Run: strings.ToLower(rand.Text()[:10]), Cluster: c}
}

// A Write is a change that is about to be made.
type Write struct {
	Ref cluster.Ref
	// Now is the present object, nil for none. Object is the object after the change,
	// nil for none and if only the server knows it.
	Now, Object *unstructured.Unstructured
	// Ours reports whether the run made the existing object.
	Ours bool
}

// A Store keeps changes, so that another process can put them back if the run cannot.
// Each method returns when that is certain.
type Store interface {
	// Save keeps changes, and replaces those with the same numbers.
	Save(ctx context.Context, all []*Change) error
	// Drop forgets changes.
	Drop(ctx context.Context, all []*Change) error
}

// Apply applies an object as [cluster.Interface] does, and returns it as it was,
// nil for none, and as it is.
func (j *Journal) Apply(ctx context.Context, obj *unstructured.Unstructured) (before, after *unstructured.Unstructured, err error) {
	ref := cluster.RefOf(obj)
	return j.write(ctx, ref, obj, func(now *unstructured.Unstructured, made bool) (write, Words, error) {
		given := obj
		if made {
			given = label(obj, j.Run)
		}
		return func(ctx context.Context, o cluster.WriteOptions) (*unstructured.Unstructured, error) {
			return j.Cluster.Apply(ctx, given, o)
		}, wordsOf(ref, now == nil), nil
	})
}

// Patch changes an object by a merge patch, and returns it as it was and as it
// is. patch returns the patch for the present object, and the words for the change;
// with no patch, or one that changes nothing, the object stays as it is. patch is
// called again if somebody else changes the object in between. For an object that does
// not exist, apierrors.IsNotFound holds for the error.
func (j *Journal) Patch(ctx context.Context, ref cluster.Ref, patch func(now *unstructured.Unstructured) ([]byte, Words, error)) (before, after *unstructured.Unstructured, err error) {
	return j.write(ctx, ref, nil, func(now *unstructured.Unstructured, _ bool) (write, Words, error) {
		if now == nil {
			return nil, Words{}, apierrors.NewNotFound(ref.Resource(), ref.Name)
		}
		text, words, err := patch(now)
		if err != nil || text == nil {
			return nil, words, err
		}
		if words == (Words{}) {
			words = wordsOf(ref, false)
		}
		return func(ctx context.Context, o cluster.WriteOptions) (*unstructured.Unstructured, error) {
			return j.Cluster.MergePatch(ctx, ref, text, o)
		}, words, nil
	})
}

// A write writes an object, or has the server predict what it would become.
type write func(ctx context.Context, o cluster.WriteOptions) (*unstructured.Unstructured, error)

// write makes one change, by what plan returns for the object as it is. It first asks
// the server what the change would make of an existing object, and begins again if
// somebody changes the object in between.
func (j *Journal) write(ctx context.Context, ref cluster.Ref, obj *unstructured.Unstructured,
	plan func(now *unstructured.Unstructured, made bool) (write, Words, error),
) (before, after *unstructured.Unstructured, err error) {
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		now, err := j.look(ctx, ref)
		if err != nil {
			return nil, nil, err
		}
		made := now == nil || j.isOurs(ref, now)
		do, words, err := plan(now, made)
		if err != nil || do == nil {
			return now, now, err
		}
		if err := j.may(ctx, Write{Ref: ref, Now: now, Object: obj, Ours: now != nil && made}); err != nil {
			return nil, nil, err
		}
		if fresh, err := j.take(ctx, ref, now); err != nil {
			return nil, nil, err
		} else if fresh {
			continue // the object was read before the run had the place
		}
		if j.DryRun {
			after, err := do(ctx, cluster.WriteOptions{DryRun: true})
			if err == nil && now != nil && !sameContent(now, after) {
				after = after.DeepCopy()
				after.SetResourceVersion("") // it would get another one
			}
			return now, after, err
		}
		var predicted *unstructured.Unstructured
		o := cluster.WriteOptions{Fresh: now == nil}
		if now != nil {
			o.Version = now.GetResourceVersion()
			quiet := cluster.WithWarnings(ctx, func(string) {}) // the same warnings come with the change itself
			predicted, err = do(quiet, cluster.WriteOptions{DryRun: true, Version: o.Version})
			switch {
			case apierrors.IsConflict(err) && wait(ctx, pause):
				continue
			case err != nil && strings.Contains(err.Error(), "does not support dry run"):
				predicted = nil
			case err != nil:
				return nil, nil, err
			}
			if predicted != nil && !made && isImmutable(predicted) && !isImmutable(now) {
				return nil, nil, &ForGoodError{ref, "what is immutable cannot become as it was", "leave out immutable: true, or give the object another name"}
			}
			if predicted != nil && sameContent(now, predicted) {
				// A real apply might still make us a manager of the fields, which would
				// have to be put back.
				return now, now, nil
			}
		}
		c, undo := j.begin(ref, now, predicted, words)
		if err := j.Save(ctx); err != nil {
			undo()
			return nil, nil, fmt.Errorf("nothing was changed: it could not be noted how to put it back: %w", err)
		}
		j.before(ctx, ref)
		after, err := do(ctx, o)
		if err == nil {
			j.done(c, after)
			return now, after, nil
		}
		if IsRefused(err) {
			undo()
		}
		if apierrors.IsConflict(err) && wait(ctx, pause) {
			continue
		}
		return now, nil, err
	}
}

// Delete deletes an object, and returns when it is gone. forGood reports whether it is
// not to be put back; without it an object that cannot be put back is refused
// with a [*ForGoodError].
func (j *Journal) Delete(ctx context.Context, ref cluster.Ref, forGood bool) error {
	if ref.Kind == "Namespace" && !forGood && j.madeIt(ref) {
		note, err := j.checkOthers(ctx, ref.Name)
		if err != nil {
			return err
		}
		if note != "" {
			cluster.Warn(ctx, note)
		}
	}
	if c, undo := j.beginOwn(ref); c != nil { // its content is not needed
		// The store need not know: an object that does not exist is not deleted again.
		err := j.delete(ctx, c, cluster.WriteOptions{UID: c.UID}, undo)
		if !apierrors.IsConflict(err) {
			return err
		}
		// Somebody else has made it again.
	}
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		err := j.tryDelete(ctx, ref, forGood)
		if !errors.Is(err, errTaken) && !(apierrors.IsConflict(err) && wait(ctx, pause)) {
			return err
		}
	}
}

// errTaken reports that an object was read before the run had its place.
var errTaken = errors.New("the place was taken only now")

// tryDelete deletes an object that the run did not make.
func (j *Journal) tryDelete(ctx context.Context, ref cluster.Ref, forGood bool) error {
	now, err := j.look(ctx, ref)
	if err != nil {
		return err
	}
	if now == nil {
		return apierrors.NewNotFound(ref.Resource(), ref.Name)
	}
	if err := j.may(ctx, Write{Ref: ref, Now: now}); err != nil {
		return err
	}
	if fresh, err := j.take(ctx, ref, now); err != nil {
		return err
	} else if fresh {
		return errTaken
	}
	if !forGood {
		if err := j.canPutBack(ctx, ref, now); err != nil {
			return err
		}
	}
	of := cluster.WriteOptions{DryRun: j.DryRun, UID: now.GetUID()}
	if j.DryRun || now.GetDeletionTimestamp() != nil { // a deletion timestamp: somebody else deletes it
		return j.Cluster.Delete(ctx, ref, of)
	}
	c, undo := j.begin(ref, now, nil, wordsOf(ref, false))
	c.Deleted = true
	switch {
	case isControlled(now):
		c.ForGood, c.Back = true, "its controller makes another"
	case forGood:
		c.ForGood, c.Back = true, "deleted for good, as the playbook says"
	}
	if err := j.Save(ctx); err != nil {
		undo()
		return fmt.Errorf("nothing was deleted: it could not be noted how to put it back: %w", err)
	}
	of.Version = now.GetResourceVersion()
	return j.delete(ctx, c, of, undo)
}

// wait reports whether ctx goes on for a while.
func wait(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

// look returns an object, nil for none, as it is once its place is taken.
func (j *Journal) look(ctx context.Context, ref cluster.Ref) (*unstructured.Unstructured, error) {
	now, err := j.get(ctx, ref)
	j.adopt(ref, now)
	return now, err
}

// adopt notes that the run did make an object, which was not certain before.
func (j *Journal) adopt(ref cluster.Ref, now *unstructured.Unstructured) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c := j.of(ref); c != nil {
		c.adopt(now, j.Run)
	}
}

func (c *Change) adopt(now *unstructured.Unstructured, run string) {
	if c.Pending && now != nil && now.GetUID() != c.UID && now.GetLabels()[RunLabel] == run {
		c.UID, c.After, c.Next, c.Deleted, c.Pending, c.saved = now.GetUID(), now, nil, false, false, false
	}
}

// Made reports whether the run has made an existing namespace.
func (j *Journal) Made(namespace string) bool {
	return j.madeIt(cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: namespace})
}

// madeIt reports whether the run made the object that a reference means, as far as
// it knows.
func (j *Journal) madeIt(ref cluster.Ref) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.of(ref)
	return c != nil && c.made() && !c.Deleted && c.UID != ""
}

// beginOwn notes that an object that the run made is about to be deleted. It returns
// nil if the run did not make it.
func (j *Journal) beginOwn(ref cluster.Ref) (c *Change, undo func()) {
	if !j.madeIt(ref) {
		return nil, nil
	}
	j.mu.Lock()
	c = j.of(ref)
	j.mu.Unlock()
	c, undo = j.begin(ref, c.After, nil, wordsOf(ref, true))
	c.Deleted = true
	return c, undo
}

// delete deletes the object of a change that was begun.
func (j *Journal) delete(ctx context.Context, c *Change, o cluster.WriteOptions, undo func()) error {
	j.before(ctx, c.Ref)
	err := j.Cluster.Delete(ctx, c.Ref, o)
	switch {
	case err == nil || apierrors.IsNotFound(err) && c.made():
		j.done(c, nil)
	case apierrors.IsNotFound(err): // somebody else has deleted it
		undo()
	case IsRefused(err):
		// The deletion may have succeeded, and only the waiting for its end was
		// refused.
		if now, getErr := j.get(ctx, c.Ref); getErr == nil && now != nil && now.GetDeletionTimestamp() == nil {
			undo()
		}
	}
	return err
}

// may returns an error if an object may not be changed now.
func (j *Journal) may(ctx context.Context, w Write) error {
	if j.Allow == nil {
		return nil
	}
	return j.Allow(ctx, w)
}

// take takes the place of an object. fresh reports whether it did so only now.
func (j *Journal) take(ctx context.Context, ref cluster.Ref, now *unstructured.Unstructured) (fresh bool, err error) {
	if j.Take == nil || ref.Kind == "Namespace" && now == nil {
		return false, nil
	}
	place := Place(ref)
	j.mu.Lock()
	taken := j.taken[place]
	j.mu.Unlock()
	if err := j.Take(ctx, place); err != nil || taken {
		return false, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.taken == nil {
		j.taken = map[string]bool{}
	}
	j.taken[place] = true
	return true, nil
}

// Place returns the place in which an object is, as [Leases.Take] takes it: a
// namespace, or "" for what has none.
func Place(ref cluster.Ref) string {
	if ref.Kind == "Namespace" {
		return ref.Name
	}
	return ref.Namespace
}

func (j *Journal) before(ctx context.Context, ref cluster.Ref) {
	if j.Before != nil {
		j.Before(ctx, ref)
	}
}

// get returns an object, nil where there is none.
func (j *Journal) get(ctx context.Context, ref cluster.Ref) (*unstructured.Unstructured, error) {
	now, err := j.Cluster.Get(ctx, ref)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return now, err
}

// isOurs reports whether the run made the existing object.
func (j *Journal) isOurs(ref cluster.Ref, now *unstructured.Unstructured) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.of(ref)
	return c != nil && c.made() && c.UID == now.GetUID()
}

// of returns the change of an object, nil for none.
func (j *Journal) of(ref cluster.Ref) *Change {
	i := slices.IndexFunc(j.changes, func(c *Change) bool { return same(c.Ref, ref) })
	if i < 0 {
		return nil
	}
	return j.changes[i]
}

// same reports whether two references mean one object, whatever the version of
// its kind.
func same(a, b cluster.Ref) bool {
	return a.Long() == b.Long() && a.Namespace == b.Namespace
}

// begin notes that an object is about to be changed from now to predicted. undo removes
// the note.
func (j *Journal) begin(ref cluster.Ref, now, predicted *unstructured.Unstructured, words Words) (c *Change, undo func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c = j.of(ref)
	if c == nil {
		j.last++
		c = &Change{Number: j.last, Ref: ref, Playbook: j.Playbook, What: words.What, Back: words.Back, Before: now}
		if now != nil {
			c.UID = now.GetUID()
		}
		j.changes = append(j.changes, c)
		undo = func() { j.remove(c) }
	} else {
		was := c.copy()
		undo = func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			*c, c.saved = *was, false
		}
		if c.What != words.What {
			words = wordsOf(ref, c.made())
			c.What, c.Back = words.What, words.Back
		}
		if c.ForGood && c.Deleted && now == nil { // an object that comes now is the run's
			c.Before, c.UID, c.ForGood = nil, "", false
		}
		c.meanwhile(now)
		c.Playbook = j.Playbook
	}
	c.After, c.Next, c.Pending, c.saved = now, predicted, true, false
	return c, undo
}

// meanwhile updates Before with what others have done to the object since the run's
// last change.
func (c *Change) meanwhile(now *unstructured.Unstructured) {
	switch {
	case now == nil && !c.Deleted: // somebody else deleted it
		c.Before, c.UID = nil, ""
	case now == nil:
	case c.UID != now.GetUID(): // somebody else made it again
		c.Before, c.UID = now, now.GetUID()
	case c.Before != nil && c.After != nil && now.GetResourceVersion() != c.After.GetResourceVersion():
		after := c.left(now)
		fields := managedFields(c.Before, after, now)
		c.Before, _ = takeBack(c.Before, after, now)
		c.Before.SetManagedFields(fields)
	}
}

// done notes how a change ended: after is the object, nil for none.
func (j *Journal) done(c *Change, after *unstructured.Unstructured) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c.After, c.Next, c.Deleted, c.Pending, c.saved = after, nil, after == nil, false, false
	if after != nil {
		c.UID = after.GetUID()
	}
	// The words for an object that was made, deleted and made again.
	if c.What == c.Ref.String() && after != nil && !c.ForGood {
		c.Back = wordsOf(c.Ref, c.made()).Back
	}
}

func (j *Journal) remove(c *Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gone = append(j.gone, c)
	j.changes = slices.DeleteFunc(j.changes, func(other *Change) bool { return other == c })
}

// Save has the store keep all changes that it does not have in their present state.
func (j *Journal) Save(ctx context.Context) error {
	if j.Store == nil {
		return nil
	}
	j.mu.Lock()
	var all []*Change
	for _, c := range j.changes {
		if !c.saved {
			all = append(all, c.copy())
		}
	}
	j.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	if err := j.Store.Save(ctx, all); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, saved := range all {
		for _, c := range j.changes {
			c.saved = c.saved || c.Number == saved.Number
		}
	}
	return nil
}

// Open returns the changes that are to be put back, newest first.
func (j *Journal) Open() []*Change {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []*Change
	for _, c := range slices.Backward(j.changes) {
		if !c.nothing() {
			all = append(all, c.copy())
		}
	}
	return all
}

// nothing reports whether nothing is left of a change: the run deleted again what it
// made.
func (c *Change) nothing() bool { return c.made() && c.Deleted && !c.Pending }

// resume takes over the changes of a run that is over, to put them back.
func (j *Journal) resume(all []*Change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changes = all
	for _, c := range all {
		c.saved = true
		j.last = max(j.last, c.Number)
	}
}

// IsRefused reports whether an error shows for certain that a change was not made. It
// returns false for nil.
func IsRefused(err error) bool {
	if err == nil {
		return false
	}
	if _, forGood := errors.AsType[*ForGoodError](err); forGood {
		return true
	}
	for _, is := range []func(error) bool{
		apierrors.IsForbidden, apierrors.IsInvalid, apierrors.IsBadRequest, apierrors.IsNotFound, apierrors.IsConflict, apierrors.IsAlreadyExists,
		apierrors.IsUnauthorized, apierrors.IsMethodNotSupported, apierrors.IsNotAcceptable, apierrors.IsRequestEntityTooLargeError, apierrors.IsTooManyRequests,
	} {
		if is(err) {
			return true
		}
	}
	if _, noKind := errors.AsType[*cluster.NoKindError](err); noKind {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "denied the request") || strings.Contains(text, "failed calling webhook")
}

// isImmutable reports whether a ConfigMap or a Secret is immutable.
func isImmutable(obj *unstructured.Unstructured) bool {
	immutable, _, _ := unstructured.NestedBool(obj.Object, "immutable")
	return immutable
}

// sameContent reports whether two versions of an object differ only in what the server
// sets.
func sameContent(a, b *unstructured.Unstructured) bool {
	return equal(content(a), content(b))
}
