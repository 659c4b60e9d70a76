package changes

import (
	"context"
	"errors"
	"fmt"
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
	// IstioNamespace is where the Lease for the whole mesh is.
	IstioNamespace string
	// WaitFor is how long another run is waited for.
	WaitFor time.Duration
	// Lost is called when a Lease is not the run's any more.
	Lost func(error)
	// Note is called once where no Lease may be made, with the reason.
	Note func(why error)

	mu      sync.Mutex
	held    map[cluster.Ref]bool
	without map[cluster.Ref]bool // where no Lease may be made
	stop    context.CancelFunc
	stopped chan struct{}
}

const (
	leaseName     = "egressplay"
	meshLeaseName = "egressplay-mesh"

	// leaseTime is how long a Lease holds that is not renewed, and renewTime how
	// often it is.
	leaseTime = 30 * time.Second
	renewTime = 5 * time.Second
	// microTime is the form of a Lease's times.
	// Source: k8s.io/apimachinery/pkg/apis/meta/v1/micro_time.go.
	microTime = "2006-01-02T15:04:05.000000Z07:00"
)

// A HeldError says that another run holds a place.
type HeldError struct {
	Place  string
	Run    string // its ID
	Holder string
	Since  time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("another run is changing %s: run %s of %s, since %s", e.Place, e.Run, e.Holder, e.Since.Local().Format("15:04:05"))
}

// Hint says what to do next.
func (e *HeldError) Hint() string {
	return "wait for it: --wait-for 5m, or run in another namespace: --namespace"
}

func (l *Leases) ref(namespace string) (ref cluster.Ref, place string) {
	ref = cluster.Ref{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: namespace, Name: leaseName}
	if namespace == "" {
		ref.Namespace, ref.Name = l.IstioNamespace, meshLeaseName
		return ref, "what holds for the whole mesh"
	}
	return ref, "namespace " + namespace
}

// Take takes a namespace, or with "" what holds for the whole mesh, until
// [Leases.Release]. The error is a [*HeldError] where another run has it.
func (l *Leases) Take(ctx context.Context, namespace string) error {
	ref, place := l.ref(namespace)
	l.mu.Lock()
	done := l.held[ref] || l.without[ref]
	l.mu.Unlock()
	if done {
		return nil
	}
	deadline := time.Now().Add(l.WaitFor)
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
		case apierrors.IsNotFound(err): // there is no such namespace (yet), so nothing to hold
			return nil
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

// take tries once to take a Lease.
func (l *Leases) take(ctx context.Context, ref cluster.Ref, place string) error {
	now, err := l.Cluster.Get(ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		_, err = l.Cluster.Create(ctx, l.lease(ref, nil))
	case err == nil:
		if other := heldBy(now, place); other != nil && other.Run != l.Run.ID {
			return other
		}
		_, err = l.Cluster.Update(ctx, l.lease(ref, now))
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[cluster.Ref]bool{}
		var renewing context.Context
		renewing, l.stop = context.WithCancel(context.WithoutCancel(ctx))
		l.stopped = make(chan struct{})
		go l.renew(renewing)
	}
	l.held[ref] = true
	return nil
}

// lease returns the Lease as the run holds it; before is as it is, nil for none.
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

// heldBy returns who holds a Lease, nil where nobody does: it has run out, or its
// process has ended.
func heldBy(lease *unstructured.Unstructured, place string) *HeldError {
	identity, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	seconds, _, _ := unstructured.NestedInt64(lease.Object, "spec", "leaseDurationSeconds")
	at := func(field string) time.Time {
		text, _, _ := unstructured.NestedString(lease.Object, "spec", field)
		t, _ := time.Parse(time.RFC3339Nano, text)
		return t
	}
	annotations := lease.GetAnnotations()
	if identity == "" || time.Since(at("renewTime")) > time.Duration(seconds)*time.Second || IsGone(annotations[processAnnotation]) {
		return nil
	}
	return &HeldError{Place: place, Run: identity, Holder: annotations[holderAnnotation], Since: at("acquireTime")}
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
			if err := l.renewOne(ctx, ref); err != nil && ctx.Err() == nil {
				l.mu.Lock()
				delete(l.held, ref)
				l.mu.Unlock()
				if l.Lost != nil {
					l.Lost(err)
				}
			}
		}
	}
}

// renewOne renews a Lease. The error says that the run does not hold it any more;
// one that time may cure is none, as long as the Lease has not run out.
func (l *Leases) renewOne(ctx context.Context, ref cluster.Ref) error {
	now, err := l.Cluster.Get(ctx, ref)
	switch {
	case apierrors.IsNotFound(err): // somebody deleted it, perhaps with its namespace
		_, err = l.Cluster.Create(ctx, l.lease(ref, nil))
		if apierrors.IsAlreadyExists(err) {
			return l.renewOne(ctx, ref)
		}
		return nil
	case err != nil:
		return nil // it is tried again
	}
	if other := heldBy(now, "namespace "+ref.Namespace); other != nil && other.Run != l.Run.ID {
		return fmt.Errorf("this run does not hold its place any more: %w", other)
	}
	_, _ = l.Cluster.Update(ctx, l.lease(ref, now)) // it is tried again
	return nil
}

// Release gives back what was taken. ctx bounds it.
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
				return // what is left of it runs out
			}
			if identity, _, _ := unstructured.NestedString(now.Object, "spec", "holderIdentity"); identity == l.Run.ID {
				_ = l.Cluster.Delete(ctx, ref, cluster.WriteOptions{UID: now.GetUID(), Version: now.GetResourceVersion()})
			}
		})
	}
	releasing.Wait()
}

// Alive reports whether a run still goes on: it holds a Lease in the namespace.
func Alive(ctx context.Context, c cluster.Interface, k *Kept) (bool, error) {
	if IsGone(k.Run.Process) {
		return false, nil
	}
	if space, _, ok := cutLast2(k.Run.Process); ok && space == processSpace() || k.Namespace == "" {
		return k.Run.Process != "", nil
	}
	lease, err := c.Get(ctx, cluster.Ref{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Namespace: k.Namespace, Name: leaseName})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	by := heldBy(lease, "")
	return by != nil && by.Run == k.Run.ID, nil
}
