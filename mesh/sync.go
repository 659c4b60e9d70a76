package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// A Sync knows from istiod which configuration each proxy has acknowledged. It
// is the run's [runner.Settler].
//
// istiod numbers what it pushes, and counts its pushes. A change is in force at a proxy
// once the proxy has acknowledged a push that began after the change; or an earlier
// push, if none has followed for longer than istiod waits for further changes. A proxy
// that a push does not concern gets none. Sources: istio/istio pilot/pkg/xds/debug.go
// (SyncStatus), discovery.go (NextVersion, Push, debounce) and monitoring.go
// (pilot_pushcontext_init_seconds).
type Sync struct {
	Mesh *Mesh

	mu   sync.Mutex
	open []*change // changes that may not be in force everywhere
	err  error     // why istiod could not be asked

	changed  []string       // the proxies that may serve connections from before a change
	outdated map[string]int // how many of those each proxy may have open, at most
}

const (
	// quiet is how long istiod must have pushed nothing new before its last push counts
	// as complete: it waits 100 ms after a change for further ones.
	quiet = 400 * time.Millisecond
	// restarted is the same for an istiod that was away at the time of a change: when
	// it starts it reads everything, and pushes it to each proxy that connects.
	restarted = 2 * time.Second
	// mending is how long it may take until a change brings another push to a proxy
	// that has refused the last one.
	mending = 2 * time.Second
	// pushTimeout is how long a push may take to be acknowledged before the
	// attempt is given up. Envoy holds an acknowledgement back for 15 s if a cluster,
	// whoever changed it, is replaced by one that waits for a Secret. Source:
	// envoyproxy/envoy api/envoy/config/core/v3/config_source.proto,
	// initial_fetch_timeout.
	pushTimeout = 20 * time.Second
	// warmTimeout is how long it may take until acknowledged clusters and listeners are
	// used. One that waits for a Secret takes longer.
	warmTimeout = 3 * time.Second
	// maxOpen is how many changes are remembered. Older ones are in force by then.
	maxOpen = 100
)

// pushed has the API groups for whose objects istiod always pushes something, and
// seldom has their kinds for which it may push nothing.
var (
	pushed = []string{"networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io", "gateway.networking.k8s.io"}
	seldom = []string{"Secret", "ConfigMap", "Endpoints", "EndpointSlice", "Namespace", "Deployment", "Pod", "Role", "RoleBinding"}
)

// concerns reports whether istiod reads an object, and whether it certainly pushes
// something when the object changes.
func (m *Mesh) concerns(c evidence.Change) (reads, sure bool) {
	group, _, grouped := strings.Cut(c.APIVersion, "/")
	switch {
	case grouped && slices.Contains(pushed, group):
		return true, true
	case c.Kind == "Service" && c.APIVersion == "v1":
		return true, true
	case c.Kind == "ConfigMap" && c.Namespace == m.Namespace && c.Name == ConfigMapName(m.Revision):
		return true, true
	}
	return slices.Contains(seldom, c.Kind), false
}

// A change is one or several changes of objects, and what istiod had pushed
// before and after it.
type change struct {
	before, after *snapshot // nil if istiod was away, or need not be asked
	at            time.Time
	sure          bool            // istiod certainly pushes something for it
	away          bool            // istiod was away when it was made
	namespaces    []string        // of what was changed
	done          map[string]bool // the proxies at which it is in force
	spread        map[string]bool // the namespaces for whose requests it is in force at the other proxies too
}

// A changeWatch keeps what istiod had pushed before an attempt changed an object for
// which istiod certainly pushes something.
type changeWatch struct {
	sync   *Sync
	once   sync.Once
	before *snapshot
	err    error
}

// Watch implements [runner.Settler].
func (s *Sync) Watch() runner.ChangeWatch { return &changeWatch{sync: s} }

// Before implements [runner.ChangeWatch]. istiod may read any object whose kind is
// not known yet.
func (w *changeWatch) Before(ctx context.Context, c evidence.Change) {
	if _, sure := w.sync.Mesh.concerns(c); sure || c.APIVersion == "" {
		w.once.Do(func() { w.before, w.err = w.sync.Mesh.sync(ctx) })
	}
}

// After implements [runner.ChangeWatch].
func (w *changeWatch) After(ctx context.Context, changes []evidence.Change) {
	s := w.sync
	c := &change{before: w.before, at: time.Now(), done: map[string]bool{}, spread: map[string]bool{}}
	reads := false
	for _, one := range changes {
		c.namespaces = append(c.namespaces, one.Namespace)
		read, sure := s.Mesh.concerns(one)
		reads, c.sure = reads || read, c.sure || sure
	}
	if !reads {
		return
	}
	err := w.err
	if c.before == nil && err == nil { // nobody has announced the change: wait until istiod is quiet
		c.before = &snapshot{}
	}
	if c.sure && err == nil {
		c.after, err = s.Mesh.sync(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.sure {
		if s.err = nil; err != nil && cannotAsk(err) {
			s.err = err
		}
	}
	s.open = append(s.open, c)
	s.open = s.open[max(0, len(s.open)-maxOpen):]
}

// Pending implements [runner.Settler].
func (s *Sync) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) > 0
}

// Unknown implements [runner.Settler].
func (s *Sync) Unknown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return ""
	}
	return "istiod cannot be asked here whether the proxies have taken up a change (" + s.err.Error() + "): what follows one must hold for some time instead"
}

// cannotAsk reports whether an error means that we may not, or cannot, ask istiod in
// this cluster at all, and not only that istiod is away at the moment.
func cannotAsk(err error) bool {
	notReady := (*cluster.NotReadyError)(nil)
	return !errors.As(err, &notReady) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// Wait implements [runner.Settler].
func (s *Sync) Wait(ctx context.Context, pod *cluster.Pod, needs evidence.Needs, waits func(string)) error {
	if s.Unknown() != "" {
		return nil
	}
	s.mu.Lock()
	open := slices.Clone(s.open)
	s.mu.Unlock()
	named := s.named(ctx, open, pod, needs)
	if len(named) == 0 && !slices.ContainsFunc(open, func(c *change) bool { return !c.spread[pod.Namespace] }) {
		return nil
	}
	proxies := named
	over := errors.New("too long")
	ctx, cancel := context.WithTimeoutCause(ctx, pushTimeout, over)
	defer cancel()
	late := func() error {
		if err := context.Cause(ctx); err != over {
			return err
		}
		return fmt.Errorf("within %v istiod has pushed nothing that contains what was changed, or it was not acknowledged by all of %s", pushTimeout, strings.Join(proxies, ", "))
	}
	said, cold := false, map[string]coldProxy{}
	var last *snapshot
	for pause := firstPoll; ; pause = min(pause*2, lastPoll) {
		now, err := s.Mesh.sync(ctx)
		switch {
		case ctx.Err() != nil:
			return runner.Retryable(late())
		case err != nil && cannotAsk(err):
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
			return nil
		case err != nil:
			return runner.Retryable(fmt.Errorf("nothing that was changed is in force: %w", err))
		}
		proxies = append(slices.Clip(named), now.others(open, pod, named)...)
		for _, p := range proxies {
			if err := now.refused(p); err != nil && !mayMend(open, p) {
				return err
			}
			s.acceptClusters(ctx, now, p, cold)
		}
		// A push has several parts: if two looks see the same, no push is under way.
		if last != nil && settled(open, proxies, now) && now.same(last, proxies) {
			break
		}
		last = now
		if !said {
			said = true
			waits("the proxies' acknowledgement of what was changed")
		}
		select {
		case <-ctx.Done():
			return runner.Retryable(late())
		case <-time.After(pause):
		}
	}
	for _, c := range open {
		for _, p := range proxies {
			c.done[p] = true
		}
		c.spread[pod.Namespace] = true
	}
	s.mu.Lock()
	s.outdated = map[string]int{}
	for _, p := range proxies {
		if p != proxyName(pod) && !slices.Contains(s.changed, p) {
			s.changed = append(s.changed, p)
		}
	}
	s.mu.Unlock()
	var warming sync.WaitGroup
	for _, p := range proxies {
		if _, state := last.of(p); cold[p].nonce == "" && (state.isGateway() || slices.Contains(named, p)) {
			warming.Go(func() { s.warm(ctx, p) })
		}
	}
	warming.Wait()
	return nil
}

const (
	firstPoll = 15 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// named returns the proxies that an attempt names, by its pod and its places, and at
// which a change may not be in force, by their names in istiod.
func (s *Sync) named(ctx context.Context, open []*change, pod *cluster.Pod, needs evidence.Needs) []string {
	if len(open) == 0 {
		return nil
	}
	var proxies []string
	add := func(p cluster.Pod) {
		id := proxyName(&p)
		if slices.Contains(p.Containers, Sidecar) && pending(open, id) && !slices.Contains(proxies, id) {
			proxies = append(proxies, id)
		}
	}
	add(*pod)
	for _, name := range needs.Places {
		_, pods := s.Mesh.place(ctx, name)
		for _, p := range pods {
			add(p)
		}
	}
	return proxies
}

// others returns the proxies through which a request of the pod may go although the
// attempt does not name them, and at which a change may not be in force: gateways and
// waypoints, and the sidecars in the pod's namespace and in those of the changed
// objects. It leaves out a proxy that had not acknowledged everything before the first
// change: that one is broken for another reason, and need not be on the way.
func (s *snapshot) others(open []*change, pod *cluster.Pod, named []string) []string {
	var ids []string
	for _, proxies := range s.proxies {
		for id, state := range proxies {
			namespace := id[strings.LastIndex(id, ".")+1:]
			near := namespace == pod.Namespace || slices.ContainsFunc(open, func(c *change) bool { return slices.Contains(c.namespaces, namespace) })
			if !state.isGateway() && !(near && state.Type == "sidecar") {
				continue
			}
			if pending(open, id) && !slices.Contains(named, id) && !brokenBefore(open, id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// pending reports whether a change may not be in force at a proxy.
func pending(open []*change, proxy string) bool {
	return slices.ContainsFunc(open, func(c *change) bool { return !c.done[proxy] })
}

// brokenBefore reports whether a proxy had not acknowledged everything before the
// first change that may not be in force at it.
func brokenBefore(open []*change, proxy string) bool {
	first := slices.IndexFunc(open, func(c *change) bool { return !c.done[proxy] })
	if first < 0 || open[first].before == nil {
		return false
	}
	_, state := open[first].before.of(proxy)
	return state != nil && !state.acked()
}

// settled reports whether all changes are in force at all the proxies.
func settled(open []*change, proxies []string, now *snapshot) bool {
	for _, p := range proxies {
		for _, c := range open {
			if !c.done[p] && !c.settled(p, now) {
				return false
			}
		}
	}
	return true
}

// settled reports whether a change is in force at a proxy.
func (c *change) settled(proxy string, now *snapshot) bool {
	istiod, state := now.of(proxy)
	if state == nil || !state.acked() {
		return false
	}
	since := time.Since(c.at)
	if !c.sure { // istiod has nothing to push for it, or has begun the push by now
		return since > quiet
	}
	if c.before == nil || c.after == nil {
		// istiod was away. Its pushes after its return have the change.
		if c.after == nil {
			c.before, c.after, c.at, c.away = now, now, time.Now(), true
		}
		return false
	}
	newest, after := state.newest(), c.after.newest(istiod)
	_, known := c.after.of(proxy)
	switch {
	case newest > after: // a push that began after the change
		return true
	case c.away:
		return since > restarted
	case since <= quiet: // istiod may not have begun the push yet
		return false
	case newest > c.before.newest(istiod): // a push that began before the change, and none has followed
		return true
	case known == nil: // it has connected since, and got everything
		return true
	}
	return now.pushes[istiod] > c.before.pushes[istiod] // others have got the push
}

// mayMend reports whether a change may still undo a configuration that the proxy had
// refused before it. istiod keeps the refusal until the proxy acknowledges another
// push.
func mayMend(open []*change, proxy string) bool {
	return slices.ContainsFunc(open, func(c *change) bool {
		return !c.done[proxy] && c.before != nil && c.before.refused(proxy) != nil && time.Since(c.at) <= mending
	})
}

// warm waits until the proxy uses what it has acknowledged: a cluster whose host is
// still being looked up does not replace the old one.
func (s *Sync) warm(ctx context.Context, proxy string) {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	i := strings.LastIndex(proxy, ".")
	for pause := firstPoll; ; pause = min(pause*2, lastPoll) {
		text, err := s.Mesh.Ask(ctx, proxy[i+1:], proxy[:i], "stats?filter=^(cluster_manager.warming_clusters|listener_manager.total_listeners_warming)$")
		if err != nil {
			return // the following requests show what the proxy does
		}
		if !anyCount(text) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// A snapshot is the state of all pods of istiod at one time.
type snapshot struct {
	// proxies are the proxies connected to each pod of istiod, by that pod's name and
	// their own.
	proxies map[string]map[string]*proxyState
	// pushes is how many pushes each pod of istiod has begun.
	pushes map[string]int64
}

// A proxyState is what was sent to a proxy and what the proxy acknowledged, by type.
type proxyState struct {
	ID        string                  `json:"proxy"`
	Type      string                  `json:"proxy_type"` // sidecar, router, waypoint
	Resources map[string]resourceSync `json:"resources"`
}

type resourceSync struct {
	Sent      string `json:"sent"`
	Acked     string `json:"acked"`
	LastError string `json:"lastError"`
}

// acked reports whether the proxy has acknowledged everything that was sent to it,
// except Secrets: one that the proxy may not read is never sent.
func (s *proxyState) acked() bool {
	for _, r := range s.withoutSecrets() {
		if r.Sent != r.Acked {
			return false
		}
	}
	return len(s.Resources) > 0
}

// isGateway reports whether the proxy is not a sidecar: a gateway, or a waypoint.
func (s *proxyState) isGateway() bool {
	return s != nil && (s.Type == "router" || s.Type == "waypoint")
}

// newest returns the number of the newest push that was sent.
func (s *proxyState) newest() (n int64) {
	for _, r := range s.Resources {
		n = max(n, pushNumber(r.Sent))
	}
	return n
}

// pushNumber returns the number in a nonce: TIME/NUMBER, and a UUID without
// anything between.
func pushNumber(nonce string) int64 {
	_, rest, found := strings.Cut(nonce, "/")
	const uuid = 36
	if !found || len(rest) <= uuid {
		return 0
	}
	n, err := strconv.ParseInt(rest[:len(rest)-uuid], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// of returns the pod of istiod to which a proxy is connected, and its state; nil if it
// is connected to none.
func (s *snapshot) of(proxy string) (istiod string, state *proxyState) {
	for _, istiod := range slices.Sorted(maps.Keys(s.proxies)) {
		if p := s.proxies[istiod][proxy]; p != nil {
			return istiod, p
		}
	}
	return "", nil
}

// newest returns the number of the newest push of a pod of istiod.
func (s *snapshot) newest(istiod string) (n int64) {
	for _, p := range s.proxies[istiod] {
		n = max(n, p.newest())
	}
	return n
}

// same reports whether nothing has changed for the proxies.
func (s *snapshot) same(before *snapshot, proxies []string) bool {
	for _, p := range proxies {
		_, x := s.of(p)
		_, y := before.of(p)
		if x == nil || y == nil || !maps.Equal(x.withoutSecrets(), y.withoutSecrets()) {
			return false
		}
	}
	return true
}

// withoutSecrets returns what was sent except Secrets, which a proxy requests again and
// again if it may not have them.
func (s *proxyState) withoutSecrets() map[string]resourceSync {
	rest := maps.Clone(s.Resources)
	maps.DeleteFunc(rest, func(kind string, _ resourceSync) bool { return kind == secretType })
	return rest
}

// refused returns an error with Envoy's own words if a proxy has refused what was sent
// to it.
func (s *snapshot) refused(proxy string) error {
	_, state := s.of(proxy)
	if state == nil {
		return nil
	}
	for _, kind := range slices.Sorted(maps.Keys(state.Resources)) {
		r := state.Resources[kind]
		if r.LastError == "" || r.Sent == r.Acked {
			continue
		}
		return &RefusedError{Proxy: proxy, Kind: kind[strings.LastIndex(kind, ".")+1:], Err: r.LastError}
	}
	return nil
}

// A RefusedError reports that a proxy has refused a configuration, so the change is not
// in force.
type RefusedError struct {
	Proxy string // NAME.NAMESPACE
	Kind  string // of what it refused: Listener, Cluster, ...
	Err   string // Envoy's own words
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the proxy %s refuses its configuration (%s), so that what was changed is not in force: %s", e.Proxy, e.Kind, e.Err)
}

// Hint returns what to do.
func (e *RefusedError) Hint() string {
	return "correct the object that Envoy refuses, or delete it"
}

// sync asks all pods of istiod which configuration their proxies have, and how
// many pushes they have begun.
func (m *Mesh) sync(ctx context.Context) (*snapshot, error) {
	selector := "app=istiod"
	if m.Revision != "" {
		selector += ",istio.io/rev=" + m.Revision
	}
	pods, err := m.Cluster.PodsOf(ctx, cluster.PodQuery{Namespace: m.Namespace, Selector: selector})
	if err != nil {
		return nil, err
	}
	s := &snapshot{proxies: make(map[string]map[string]*proxyState, len(pods)), pushes: make(map[string]int64, len(pods))}
	for _, pod := range pods {
		// Read the count first: then a push that begins in between looks new.
		metrics, err := m.askIstiod(ctx, pod.Name, "metrics")
		if err != nil {
			return nil, err
		}
		s.pushes[pod.Name] = pushCount(metrics)
		text, err := m.askIstiod(ctx, pod.Name, "debug/syncz")
		if err != nil {
			return nil, err
		}
		var states []*proxyState
		if err := json.Unmarshal([]byte(text), &states); err != nil {
			return nil, fmt.Errorf("istiod's sync status cannot be read: %w", err)
		}
		s.proxies[pod.Name] = map[string]*proxyState{}
		for _, p := range states {
			s.proxies[pod.Name][p.ID] = p
		}
	}
	return s, nil
}

// pushCount returns how many pushes istiod has begun by its metrics, in the text
// format of Prometheus.
func pushCount(metrics string) (n int64) {
	for line := range strings.Lines(metrics) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ = strings.Cut(name, "{"); name == "pilot_pushcontext_init_seconds_count" {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				n += int64(v)
			}
		}
	}
	return n
}
