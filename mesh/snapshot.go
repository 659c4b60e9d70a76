package mesh

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/cluster"
)

// A snapshot is the state of all pods of istiod at one time.
type snapshot struct {
	istiods map[string]*istiodState // by name
}

// An istiodState is the state of a pod of istiod.
type istiodState struct {
	asked     time.Time              // when its pushes were asked for
	pushes    int64                  // the number of the last one that it has prepared
	preparing time.Duration          // how long it has prepared pushes, in all
	objects   map[objectKey]string   // the versions of what it has read; nil if it was not asked
	proxies   map[string]*proxyState // those connected to it, by name
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

// isWhole reports whether the last part of the newest push was sent: istiod sends
// clusters first, then endpoints, listeners and routes, and leaves out what has not
// changed. Source: istio/istio pilot/pkg/xds/ads.go, PushOrder.
func (s *proxyState) isWhole() bool {
	var newest int64
	for _, r := range s.withoutSecrets() {
		newest = max(newest, pushNumber(r.Sent))
	}
	last, watched := s.Resources[routeType]
	if !watched {
		last, watched = s.Resources[listenerType]
	}
	return watched && pushNumber(last.Sent) == newest
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
	for _, istiod := range slices.Sorted(maps.Keys(s.istiods)) {
		if p := s.istiods[istiod].proxies[proxy]; p != nil {
			return istiod, p
		}
	}
	return "", nil
}

// A calmProxy is what was sent to a proxy, and since when nothing else was.
type calmProxy struct {
	sent  map[string]resourceSync
	since time.Time
}

// parts is how long it may take until the next part of a push follows.
const parts = 100 * time.Millisecond

// calm reports whether no push is under way to any of the proxies: two looks, the
// earlier ones in seen, show the same, and no further part of the push may follow.
func (s *snapshot) calm(proxies []string, seen map[string]calmProxy) bool {
	all := true
	for _, p := range proxies {
		istiod, state := s.of(p)
		if state == nil {
			delete(seen, p)
			all = false
			continue
		}
		asked, sent := s.istiods[istiod].asked, state.withoutSecrets()
		before, known := seen[p]
		switch {
		case !known || !maps.Equal(before.sent, sent):
			seen[p] = calmProxy{sent, asked}
			all = false
		case !state.isWhole() && asked.Sub(before.since) < parts:
			all = false
		}
	}
	return all
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

// sync asks all pods of istiod which configuration their proxies have, which pushes
// they have prepared, and if that matters, which objects they have read.
func (m *Mesh) sync(ctx context.Context, objects bool) (*snapshot, error) {
	selector := "app=istiod"
	if m.Revision != "" {
		selector += ",istio.io/rev=" + m.Revision
	}
	pods, err := m.Cluster.PodsOf(ctx, cluster.PodQuery{Namespace: m.Namespace, Selector: selector})
	if err != nil {
		return nil, err
	}
	s := &snapshot{istiods: make(map[string]*istiodState, len(pods))}
	for _, pod := range pods {
		// The order matters: a push that begins in between looks new, and one that
		// was sent was prepared.
		i := &istiodState{proxies: map[string]*proxyState{}}
		if objects {
			if i.objects, err = m.objects(ctx, pod.Name); err != nil && !cannotAsk(err) {
				return nil, err
			}
		}
		i.asked = time.Now()
		metrics, err := m.askIstiod(ctx, pod.Name, "metrics")
		if err != nil {
			return nil, err
		}
		i.pushes, i.preparing = pushesOf(metrics)
		text, err := m.askIstiod(ctx, pod.Name, "debug/syncz")
		if err != nil {
			return nil, err
		}
		var states []*proxyState
		if err := json.Unmarshal([]byte(text), &states); err != nil {
			return nil, fmt.Errorf("istiod's sync status cannot be read: %w", err)
		}
		for _, p := range states {
			i.proxies[p.ID] = p
			i.pushes = max(i.pushes, p.newest())
		}
		s.istiods[pod.Name] = i
	}
	return s, nil
}

// pushesOf returns how many pushes istiod has prepared, which is the number of the last
// one, and how long it has prepared them, by its metrics in the text format of
// Prometheus.
func pushesOf(metrics string) (n int64, preparing time.Duration) {
	for line := range strings.Lines(metrics) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ = strings.Cut(name, "{")
		v, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "pilot_pushcontext_init_seconds_count":
			n += int64(v)
		case name == "pilot_pushcontext_init_seconds_sum":
			preparing += time.Duration(v * float64(time.Second))
		}
	}
	return n, preparing
}
