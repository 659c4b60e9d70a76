package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
// A change is in force at a proxy once the proxy has acknowledged a push that has it; see
// [change]. A proxy that a push does not concern gets none.
type Sync struct {
	Mesh *Mesh

	mu   sync.Mutex
	open []*change // changes that may not be in force everywhere
	err  error     // why istiod could not be asked

	changed  []string                            // the proxies that may serve connections from before a change
	through  []string                            // those of them that may pass on requests of any pod
	begun    map[string]error                    // the namespaces whose proxies count as changed before the run, or why they do not
	outdated map[cluster.Ref]map[string]outdated // those connections of each pod's proxy that was looked at since, by address
}

const (
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

// everywhere reports whether an object may change how the proxies of all namespaces serve
// requests: Istio's own namespace is the mesh's root namespace.
func (m *Mesh) everywhere(c evidence.Change) bool {
	if c.Namespace != m.Namespace {
		return false
	}
	group, _, _ := strings.Cut(c.APIVersion, "/")
	switch group {
	case "security.istio.io", "telemetry.istio.io", "extensions.istio.io":
		return true
	}
	return slices.Contains([]string{"EnvoyFilter", "ProxyConfig", "Sidecar"}, c.Kind) || c.Kind == "ConfigMap" && c.Name == ConfigMapName(m.Revision)
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
		w.once.Do(func() { w.before, w.err = w.sync.Mesh.sync(ctx, false) })
	}
}

// After implements [runner.ChangeWatch].
func (w *changeWatch) After(ctx context.Context, changes []evidence.Change) {
	s := w.sync
	c := &change{before: w.before, at: time.Now(), done: map[string]bool{}, sent: map[string]bool{}, spread: map[string]bool{}}
	reads := false
	for _, one := range changes {
		c.namespaces = append(c.namespaces, one.Namespace)
		read, sure := s.Mesh.concerns(one)
		reads, c.sure = reads || read, c.sure || sure
		c.everywhere = c.everywhere || s.Mesh.everywhere(one)
	}
	if !reads {
		return
	}
	err := w.err
	if c.sure && err == nil {
		var now *snapshot
		c.wants = s.Mesh.wants(ctx, changes)
		if now, err = s.Mesh.sync(ctx, len(c.wants.versions) > 0); err == nil {
			c.learn(now)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.sure {
		if s.err = nil; err != nil && cannotAsk(err) {
			s.err = err
		}
		c.away = err != nil
	}
	for _, earlier := range s.open {
		earlier.wants.without(c.wants)
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
	said, cold, calm := false, map[string]coldProxy{}, map[string]calmProxy{}
	var now *snapshot
	var broken []string
	for pause := firstPoll; ; pause = min(pause*2, lastPoll) {
		var err error
		now, err = s.Mesh.sync(ctx, slices.ContainsFunc(open, (*change).isUnread))
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
		for _, c := range open {
			c.learn(now)
		}
		var others []string
		others, broken = now.others(open, pod, named)
		proxies = append(slices.Clip(named), others...)
		for _, p := range proxies {
			if err := now.refused(p); err != nil && !mayMend(open, p) {
				return err
			}
			s.acceptClusters(ctx, now, p, cold)
		}
		still := unsent(open, broken)
		if now.calm(append(slices.Clip(proxies), still...), calm) && inForce(open, proxies, now) && wereSent(open, still, now) {
			break
		}
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
		for _, p := range broken {
			c.sent[p] = true
		}
		c.spread[pod.Namespace] = len(broken) == 0 // it is waited for once it has recovered
	}
	s.mu.Lock()
	if len(proxies) > 0 || slices.ContainsFunc(broken, func(p string) bool { return !slices.Contains(s.changed, p) }) {
		s.mayServeOld(slices.Concat(proxies, broken), func(p string) bool {
			return isGatewayIn(now, p) || p != proxyName(pod) && slices.Contains(named, p)
		})
	}
	s.mu.Unlock()
	var warming sync.WaitGroup
	for _, p := range proxies {
		if _, state := now.of(p); cold[p].nonce == "" && (state.isGateway() || slices.Contains(named, p)) {
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
// objects; all sidecars, if an object concerns them all. A proxy is broken if it had not
// acknowledged everything before the first change, and still has not: that has another
// reason, and it need not be on the way.
func (s *snapshot) others(open []*change, pod *cluster.Pod, named []string) (ids, broken []string) {
	for _, istiod := range s.istiods {
		for id, state := range istiod.proxies {
			namespace := podRef(id).Namespace
			near := namespace == pod.Namespace || slices.ContainsFunc(open, func(c *change) bool { return c.everywhere || slices.Contains(c.namespaces, namespace) })
			if !state.isGateway() && !(near && state.Type == "sidecar") {
				continue
			}
			switch {
			case !pending(open, id) || slices.Contains(named, id):
			case brokenBefore(open, id) && !state.acked():
				broken = append(broken, id)
			default:
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), broken
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
	pod := podRef(proxy)
	for pause := firstPoll; ; pause = min(pause*2, lastPoll) {
		text, err := s.Mesh.Ask(ctx, pod.Namespace, pod.Name, "stats?filter=^(cluster_manager.warming_clusters|listener_manager.total_listeners_warming)$")
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
