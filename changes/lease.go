package changes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// Leases hold the namespaces in which a run changes something, one Lease in each,
// so that no two runs change the same place at once.
type Leases struct {
	Cluster cluster.Interface
	Run     Run
	// IstioNamespace is the namespace of the Lease for the whole mesh.
	IstioNamespace string
	// WaitFor is how long Take waits for another run.
	WaitFor time.Duration
	// Lost is called when a Lease is not the run's any more.
	Lost func(error)
	// Watching is called if another run seems to be gone, and its Lease is watched
	// until that is certain.
	Watching func(by *HeldError)
	// Note is called once, with the reason, if no Lease may be made.
	Note func(why error)

	mu      sync.Mutex
	held    map[cluster.Ref]time.Time // when each was renewed last, by this process's clock
	lost    map[cluster.Ref]error     // Leases that other runs have taken
	seen    map[cluster.Ref]seen      // Leases of other runs
	without map[cluster.Ref]bool      // places where no Lease may be made
	stop    context.CancelFunc
	stopped chan struct{}
}

// seen is the last seen state of another run's Lease, and since when it has been
// unchanged. A Lease has expired once it was seen unchanged for its whole duration: the
// clocks of two machines may differ, and the times in a Lease are those of its holder.
// Source: k8s.io/client-go/tools/leaderelection, "clock skew".
type seen struct {
	version string
	since   time.Time
	renewed bool // it was seen before in another state
}

const (
	leaseName     = "egressplay"
	meshLeaseName = "egressplay-mesh"

	// leaseTime is how long a Lease is valid after its last renewal, and renewTime how
	// often it is renewed. After certainTime without a renewal a run checks that it
	// still holds the Lease before it changes anything.
	leaseTime   = 30 * time.Second
	renewTime   = 5 * time.Second
	certainTime = 20 * time.Second
	// microTime is the form of a Lease's times.
	// Source: k8s.io/apimachinery/pkg/apis/meta/v1/micro_time.go.
	microTime = "2006-01-02T15:04:05.000000Z07:00"
)

// A HeldError reports that another run holds a place.
type HeldError struct {
	Place  string
	Run    string // its ID
	Holder string
	Since  time.Time
	// stale reports whether the Lease has expired, if its holder's clock and ours
	// agree.
	stale bool
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("another run is changing %s: run %s of %s, since %s", e.Place, e.Run, e.Holder, e.Since.Local().Format("15:04:05"))
}

// Hint returns what to do next.
func (e *HeldError) Hint() string {
	return "wait for it: --wait-for 5m, or run in another namespace: --namespace"
}

// A LostError reports that a run does not hold its place any more, and so changes
// nothing there.
type LostError struct{ By *HeldError }

func (e *LostError) Error() string {
	return "this run does not hold its place any more: " + e.By.Error()
}

func (e *LostError) Unwrap() error { return e.By }

// Hint returns what to do next.
func (e *LostError) Hint() string {
	return "wait until that run has ended, then put back what this one has changed"
}

func (l *Leases) ref(namespace string) (ref cluster.Ref, place string) {
	ref = cluster.Ref{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: namespace, Name: leaseName}
	if namespace == "" {
		ref.Namespace, ref.Name = l.IstioNamespace, meshLeaseName
		return ref, "what holds for the whole mesh"
	}
	return ref, "namespace " + namespace
}

// Take takes a namespace, or with "" everything that applies to the whole mesh, until
// [Leases.Release]. The error is a [*HeldError] if another run has it.
func (l *Leases) Take(ctx context.Context, namespace string) error {
	ref, place := l.ref(namespace)
	if done, err := l.holds(ctx, ref); done || err != nil {
		return err
	}
	deadline, said := time.Now().Add(l.WaitFor), false
	for pause := firstPause; ; pause = min(pause*2, lastPause) {
		err := l.take(ctx, ref, place)
		held, isHeld := errors.AsType[*HeldError](err)
		_, noKind := errors.AsType[*cluster.NoKindError](err)
		switch {
		case err == nil:
			return nil
		case apierrors.IsForbidden(err), noKind:
			l.mu.Lock()
			first := len(l.without) == 0
			if first {
				l.without = map[cluster.Ref]bool{}
			}
			l.without[ref] = true
			l.mu.Unlock()
			if first && l.Note != nil {
				l.Note(err)
			}
			return nil
		case apierrors.IsNotFound(err): // the namespace does not exist (yet), so there is nothing to hold
			return nil
		case isHeld && held.stale: // the Lease is watched until that is certain, or it is renewed
			if !said && l.Watching != nil {
				l.Watching(held)
			}
			said = true
		case isHeld && !time.Now().Before(deadline):
			return held
		case !isHeld && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err):
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// Held returns an error if another run may have a place that this run has taken: a
// [*LostError] if that is certain.
func (l *Leases) Held(ctx context.Context, namespace string) error {
	ref, _ := l.ref(namespace)
	_, err := l.holds(ctx, ref)
	return err
}

// holds reports whether the run holds a Lease, or needs none. The error says that it
// does not hold it any more, or that this is not certain.
func (l *Leases) holds(ctx context.Context, ref cluster.Ref) (bool, error) {
	l.mu.Lock()
	lost, without := l.lost[ref], l.without[ref]
	renewed, held := l.held[ref]
	l.mu.Unlock()
	switch {
	case lost != nil:
		return false, lost
	case held && time.Since(renewed) > certainTime:
		return true, l.renewOne(ctx, ref, true)
	}
	return held || without, nil
}

// take tries once to take a Lease.
func (l *Leases) take(ctx context.Context, ref cluster.Ref, place string) error {
	now, err := l.Cluster.Get(ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		_, err = l.Cluster.Create(ctx, l.lease(ref, nil))
	case err == nil:
		if other := heldBy(now, place); other != nil && other.Run != l.Run.ID {
			s := l.see(ref, now)
			if time.Since(s.since) <= duration(now) {
				other.stale = other.stale && !s.renewed
				return other
			}
		}
		_, err = l.Cluster.Update(ctx, l.lease(ref, now))
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[cluster.Ref]time.Time{}
		var renewing context.Context
		renewing, l.stop = context.WithCancel(context.WithoutCancel(ctx))
		l.stopped = make(chan struct{})
		go l.renew(renewing)
	}
	l.held[ref] = time.Now()
	return nil
}

// see updates and returns the seen state of another run's Lease.
func (l *Leases) see(ref cluster.Ref, lease *unstructured.Unstructured) seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[cluster.Ref]seen{}
	}
	s, before := l.seen[ref]
	if s.version != lease.GetResourceVersion() {
		s = seen{lease.GetResourceVersion(), time.Now(), before}
		l.seen[ref] = s
	}
	return s
}

// duration returns how long a Lease is valid without a renewal.
func duration(lease *unstructured.Unstructured) time.Duration {
	seconds, _, _ := unstructured.NestedInt64(lease.Object, "spec", "leaseDurationSeconds")
	return time.Duration(seconds) * time.Second
}

// lease returns the Lease as held by this run; before is the present one, nil for none.
func (l *Leases) lease(ref cluster.Ref, before *unstructured.Unstructured) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind}}
	if before != nil {
		obj = before.DeepCopy()
	}
	obj.SetNamespace(ref.Namespace)
	obj.SetName(ref.Name)
	obj = label(obj, l.Run.ID)
	obj.SetAnnotations(map[string]string{holderAnnotation: l.Run.Holder, processAnnotation: l.Run.Process})
	acquired := time.Now().UTC().Format(microTime)
	if before != nil && before.GetLabels()[RunLabel] == l.Run.ID {
		if was, ok, _ := unstructured.NestedString(before.Object, "spec", "acquireTime"); ok {
			acquired = was
		}
	}
	obj.Object["spec"] = map[string]any{
		"holderIdentity": l.Run.ID, "leaseDurationSeconds": int64(leaseTime / time.Second),
		"acquireTime": acquired, "renewTime": time.Now().UTC().Format(microTime),
	}
	return obj
}

// heldBy returns who holds a Lease; nil if nobody does because it was released or its
// process has ended.
func heldBy(lease *unstructured.Unstructured, place string) *HeldError {
	identity, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	at := func(field string) time.Time {
		text, _, _ := unstructured.NestedString(lease.Object, "spec", field)
		t, _ := time.Parse(time.RFC3339Nano, text)
		return t
	}
	annotations := lease.GetAnnotations()
	if identity == "" || IsGone(annotations[processAnnotation]) {
		return nil
	}
	return &HeldError{
		Place: place, Run: identity, Holder: annotations[holderAnnotation], Since: at("acquireTime"),
		stale: time.Since(at("renewTime")) > duration(lease),
	}
}

// renew renews the Leases until ctx ends.
func (l *Leases) renew(ctx context.Context) {
	defer close(l.stopped)
	tick := time.NewTicker(renewTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		var refs []cluster.Ref
		for ref := range l.held {
			refs = append(refs, ref)
		}
		l.mu.Unlock()
		for _, ref := range refs {
			if err := l.renewOne(ctx, ref, false); err != nil && ctx.Err() == nil && l.Lost != nil {
				l.Lost(err)
			}
		}
	}
}

// renewOne renews a Lease. It returns an error if the run does not hold the Lease any
// more; if that cannot be found out now, only if the caller must be certain.
func (l *Leases) renewOne(ctx context.Context, ref cluster.Ref, certain bool) error {
	now, err := l.Cluster.Get(ctx, ref)
	switch {
	case apierrors.IsNotFound(err): // somebody deleted the Lease, perhaps with its namespace
		_, err = l.Cluster.Create(ctx, l.lease(ref, nil))
		if apierrors.IsAlreadyExists(err) {
			return l.renewOne(ctx, ref, certain)
		}
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return nil // the namespace is gone, or is being deleted
		}
	case err == nil:
		if other := heldBy(now, "namespace "+ref.Namespace); other != nil && other.Run != l.Run.ID {
			lost := &LostError{other}
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.lost == nil {
				l.lost = map[cluster.Ref]error{}
			}
			l.lost[ref] = lost
			delete(l.held, ref)
			return lost
		}
		_, err = l.Cluster.Update(ctx, l.lease(ref, now))
		if apierrors.IsConflict(err) {
			return l.renewOne(ctx, ref, certain)
		}
	}
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held != nil {
			l.held[ref] = time.Now()
		}
		return nil
	}
	if certain {
		return fmt.Errorf("it is not certain that this run still holds namespace %s: %w", ref.Namespace, err)
	}
	return nil // it is tried again
}

// Release releases everything that was taken. ctx bounds it.
func (l *Leases) Release(ctx context.Context) {
	l.mu.Lock()
	held, stop := l.held, l.stop
	l.held, l.stop = nil, nil
	l.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	<-l.stopped
	var releasing sync.WaitGroup
	for ref := range held {
		releasing.Go(func() {
			now, err := l.Cluster.Get(ctx, ref)
			if err != nil {
				return // the remaining Leases expire
			}
			if identity, _, _ := unstructured.NestedString(now.Object, "spec", "holderIdentity"); identity == l.Run.ID {
				_ = l.Cluster.Delete(ctx, ref, cluster.WriteOptions{UID: now.GetUID(), Version: now.GetResourceVersion()})
			}
		})
	}
	releasing.Wait()
}

// Alive reports for each run whether it still goes on: its process exists, or it holds
// a Lease in the namespace of its notes. The Leases of a namespace, "" for all, are
// listed once, or read one by one if listing is not allowed.
func Alive(ctx context.Context, c cluster.Interface, namespace string, all []*Kept) ([]bool, error) {
	alive, asked := make([]bool, len(all)), make([]bool, len(all))
	for i, k := range all {
		space, _, ok := cutLast2(k.Run.Process)
		switch {
		case IsGone(k.Run.Process):
		case ok && space == processSpace(), k.Namespace == "":
			alive[i] = k.Run.Process != ""
		default:
			asked[i] = true
		}
	}
	if !slices.Contains(asked, true) {
		return alive, nil
	}
	leases := map[string]*unstructured.Unstructured{}
	list, err := c.List(ctx, "leases.coordination.k8s.io", namespace, ManagedBy+"="+cluster.Manager)
	for i := range list {
		if list[i].GetName() == leaseName {
			leases[list[i].GetNamespace()] = &list[i]
		}
	}
	mayList := !apierrors.IsForbidden(err)
	if err != nil && mayList {
		return nil, err
	}
	for i, k := range all {
		if !asked[i] {
			continue
		}
		lease := leases[k.Namespace]
		if !mayList {
			lease, err = c.Get(ctx, cluster.Ref{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: k.Namespace, Name: leaseName})
			if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		if lease == nil {
			continue
		}
		by := heldBy(lease, "")
		alive[i] = by != nil && by.Run == k.Run.ID && !by.stale
	}
	return alive, nil
}
