package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// A change is one or several changes of objects, and what is known of whether istiod's
// pushes have them.
//
// istiod numbers its pushes, and counts those that it has prepared. It prepares one after
// the other, from 100 ms after the last event that it heard of (PILOT_DEBOUNCE_AFTER). It
// hears of objects of different kinds at different times, so a push that began after the
// change need not have it. Sources: istio/istio pilot/pkg/xds/debug.go (SyncStatus,
// configz), discovery.go (NextVersion, Push, debounce) and monitoring.go
// (pilot_pushcontext_init_seconds).
type change struct {
	before *snapshot // nil if nobody announced the change, or istiod was away
	at     time.Time
	sure   bool // istiod certainly pushes something for it
	away   bool // istiod was away when it was made
	wants  wanted
	read   map[string]*reading // by pod of istiod, of those that have read what it wants
	byAll  bool                // all of them have

	namespaces []string        // of what was changed
	everywhere bool            // it may concern the proxies of all namespaces
	done       map[string]bool // the proxies at which it is in force
	sent       map[string]bool // the broken proxies that were sent it
	spread     map[string]bool // the namespaces for whose requests it is in force at the other proxies too
}

const (
	// hears is how long after istiod has read an object it may take until a push has it.
	hears = 30 * time.Millisecond
	// quiet is how long it may take, after istiod has read an object, until it has
	// prepared a push that has it; and then, until the push has begun at each proxy.
	quiet = 400 * time.Millisecond
	// restarted is the same for an istiod that was away at the time of a change: when
	// it starts it reads everything, and pushes it to each proxy that connects.
	restarted = 2 * time.Second
	// leftOut is how long an object may be missing from what istiod has read. It leaves
	// some out for good, such as those of another revision.
	leftOut = 3 * time.Second
)

// A reading is how a pod of istiod goes on after it has read what was changed.
type reading struct {
	at    time.Time // when it had read it, at the latest
	blind bool      // that is not certain
	known *istiodState

	first int64     // the number of the first push that certainly has the change; 0 while unknown
	since time.Time // when that push was prepared, at the latest
}

// learn takes up what a snapshot shows of the pushes that follow the change.
func (c *change) learn(now *snapshot) {
	if !c.sure {
		return
	}
	if c.read == nil {
		c.read = map[string]*reading{}
	}
	c.byAll = true
	for name, istiod := range now.istiods {
		r := c.read[name]
		switch {
		case r == nil || istiod.pushes < r.known.pushes: // or it has been restarted
			met := c.wants.metBy(istiod.objects)
			if !met && istiod.objects != nil && istiod.asked.Sub(c.at) < leftOut {
				delete(c.read, name)
				c.byAll = false
				continue
			}
			c.read[name] = &reading{at: istiod.asked, blind: c.wants.blind || !met, known: istiod}
		case r.first == 0:
			c.learnPush(name, r, istiod)
		}
	}
}

// learnPush looks for the first push that has the change.
func (c *change) learnPush(name string, r *reading, now *istiodState) {
	patience, before := quiet, int64(0)
	if c.away {
		patience = restarted
	}
	if c.before != nil && c.before.istiods[name] != nil && c.before.istiods[name].pushes <= now.pushes {
		before = c.before.istiods[name].pushes
	}
	next := r.known.pushes + 1
	// The next push was not prepared yet when istiod was last asked, so it did not begin
	// before the time that preparing it took.
	began := r.known.asked.Add(r.known.preparing - now.preparing)
	switch {
	case now.pushes > next: // one may have been under way, but not two
		r.first, r.since = next+1, now.asked
	case now.pushes == next && !r.blind && began.Sub(r.at) > hears:
		r.first, r.since = next, now.asked
	case now.asked.Sub(r.at) > patience && now.pushes > before:
		r.first, r.since = now.pushes, r.at.Add(patience)
	case now.pushes < next:
		r.known = now
	}
}

// isUnread reports whether istiod is to be asked for what it has read.
func (c *change) isUnread() bool {
	return c.sure && !c.byAll && len(c.wants.versions) > 0
}

// inForce reports whether the change is in force at a proxy.
func (c *change) inForce(proxy string, now *snapshot) bool {
	_, state := now.of(proxy)
	return state != nil && state.acked() && c.wasSent(proxy, now)
}

// wasSent reports whether a proxy was sent the change, or a push that has the change does
// not concern it.
func (c *change) wasSent(proxy string, now *snapshot) bool {
	name, state := now.of(proxy)
	if state == nil {
		return false
	}
	if !c.sure { // istiod has nothing to push for it, or has begun the push by now
		return time.Since(c.at) > quiet
	}
	r := c.read[name]
	return r != nil && r.first != 0 && (state.newest() >= r.first || now.istiods[name].asked.Sub(r.since) > quiet)
}

// inForce reports whether all changes are in force at all the proxies.
func inForce(open []*change, proxies []string, now *snapshot) bool {
	return all(open, proxies, func(c *change, proxy string) bool { return c.inForce(proxy, now) })
}

// all reports whether something holds for every change at each of the proxies at which
// the change may not be in force.
func all(open []*change, proxies []string, holds func(c *change, proxy string) bool) bool {
	for _, p := range proxies {
		if slices.ContainsFunc(open, func(c *change) bool { return !c.done[p] && !holds(c, p) }) {
			return false
		}
	}
	return true
}

// unsent returns those of the proxies that may not have been sent all changes.
func unsent(open []*change, proxies []string) (unsent []string) {
	for _, p := range proxies {
		if slices.ContainsFunc(open, func(c *change) bool { return !c.done[p] && !c.sent[p] }) {
			unsent = append(unsent, p)
		}
	}
	return unsent
}

// wereSent reports whether all the proxies were sent all changes.
func wereSent(open []*change, proxies []string, now *snapshot) bool {
	return all(open, proxies, func(c *change, proxy string) bool { return c.wasSent(proxy, now) })
}

// An objectKey names an object in any version of its API group.
type objectKey struct{ group, kind, namespace, name string }

func keyOf(apiVersion, kind, namespace, name string) objectKey {
	group, _, _ := strings.Cut(apiVersion, "/")
	return objectKey{group, kind, namespace, name}
}

// wanted are the objects that istiod is to read, as the API server has them.
type wanted struct {
	versions map[objectKey]string // their resource versions, "" for one that is gone
	blind    bool                 // of some nobody can see whether istiod has read them
}

// wants looks for what istiod is to read of changed objects. istiod lists those of the
// groups in [pushed].
func (m *Mesh) wants(ctx context.Context, changes []evidence.Change) wanted {
	w := wanted{versions: map[objectKey]string{}}
	for _, c := range changes {
		if _, sure := m.concerns(c); !sure {
			continue
		}
		key, version := keyOf(c.APIVersion, c.Kind, c.Namespace, c.Name), ""
		if !slices.Contains(pushed, key.group) {
			w.blind = true
			continue
		}
		if _, known := w.versions[key]; known {
			continue
		}
		object, err := m.Cluster.Get(ctx, cluster.Ref{APIVersion: c.APIVersion, Kind: c.Kind, Namespace: c.Namespace, Name: c.Name})
		switch {
		case err == nil:
			version = object.GetResourceVersion()
		case !apierrors.IsNotFound(err):
			w.blind = true
			continue
		}
		w.versions[key] = version
	}
	return w
}

// without forgets objects that a later change wants otherwise.
func (w *wanted) without(later wanted) {
	for key := range later.versions {
		delete(w.versions, key)
	}
}

// metBy reports whether istiod has read all objects, by the versions that it has. A
// later version will do.
func (w *wanted) metBy(objects map[objectKey]string) bool {
	for key, version := range w.versions {
		has, found := objects[key]
		if version == "" && (found || objects == nil) || version != "" && !(found && isSince(has, version)) {
			return false
		}
	}
	return true
}

// isSince reports whether a resource version is the other one, or a later one. They are
// numbers that grow. Source: kubernetes.io "API concepts", Resource versions.
func isSince(version, other string) bool {
	a, errA := strconv.ParseUint(version, 10, 64)
	b, errB := strconv.ParseUint(other, 10, 64)
	return version == other || errA == nil && errB == nil && a >= b
}

// objects returns the versions of the objects that a pod of istiod has read.
func (m *Mesh) objects(ctx context.Context, istiod string) (map[objectKey]string, error) {
	text, err := m.askIstiod(ctx, istiod, "debug/configz")
	if err != nil {
		return nil, err
	}
	var objects []struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Namespace       string `json:"namespace"`
			Name            string `json:"name"`
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(text), &objects); err != nil {
		return nil, fmt.Errorf("istiod's objects cannot be read: %w", err)
	}
	versions := make(map[objectKey]string, len(objects))
	for _, o := range objects {
		versions[keyOf(o.APIVersion, o.Kind, o.Metadata.Namespace, o.Metadata.Name)] = o.Metadata.ResourceVersion
	}
	return versions, nil
}
