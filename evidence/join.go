package evidence

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Sidecar is the name of the proxy beside the command in [Proxy.Name] and in
// [Hop.Name].
const Sidecar = "sidecar"

// Join attributes lines and arrivals to the attempt's requests, and finds the ways that
// the requests took. It may be called again when more has been gathered.
//
//	curl's address ─ sidecar's line ─ its UPSTREAM_LOCAL_ADDRESS ─ gateway's line ─ far end
func Join(a *Attempt) {
	if a.Command == nil {
		return
	}
	a.Ways, a.Past, a.Unclear = nil, nil, ""
	for i := range a.Lines {
		a.Lines[i].By = ""
	}
	if a.Command.Curl == nil {
		attributeArrivals(a)
		return
	}
	attributeLines(a)
	findWays(a)
	attributeArrivals(a)
	findPast(a)
}

// Requests returns how many requests curl made over connections, as far as it reports
// them: one for each transfer, and one for each redirect that it followed.
func (a *Attempt) Requests() int {
	n := 0
	for _, t := range a.Transfers {
		if t.Local != "" {
			n += 1 + t.Redirects
		}
	}
	return n
}

// Accounted reports whether the sidecar's lines account for all the requests: each
// request has one, or if the sidecar does not decrypt the connections, each connection
// has one.
func (a *Attempt) Accounted() bool {
	lines := a.Of(Sidecar)
	if len(lines) >= a.Requests() {
		return true
	}
	connects := 0
	for _, t := range a.Transfers {
		connects += t.Connects
	}
	clients, unopened := map[string]bool{}, false
	for _, l := range lines {
		clients[l.DownstreamRemote] = true
		unopened = unopened || l.Method == ""
	}
	return unopened && len(clients) >= max(connects, 1)
}

// attributeLines finds the sidecar's lines of the attempt's requests. curl reports the
// address of the last connection of each transfer. A request over another connection is
// known by what it asked for, and so is a request whose line has an address that the
// request itself wrote (X-Forwarded-For).
func attributeLines(a *Attempt) {
	own := map[string]bool{}
	for _, t := range a.Transfers {
		if t.Local != "" {
			own[t.Local] = true
		}
	}
	asks := asksOf(a)
	asked := make([]bool, len(asks))
	left := a.Requests()
	var rest []*Line
	for i := range a.Lines {
		l := &a.Lines[i]
		switch {
		case l.Proxy != Sidecar || inbound(a, l):
		case own[l.DownstreamRemote] && (!a.Command.Curl.FixedPort || during(a, l)): // otherwise no port is used twice in so short a time
			l.By = ByConnection
			left--
			for j, ask := range asks {
				if !asked[j] && ask.fits(l) {
					asked[j] = true
					break
				}
			}
		case during(a, l):
			rest = append(rest, l)
		}
	}
	// Look for requests without a line among the rest.
	for j, ask := range asks {
		if !a.Command.Curl.Retries && (asked[j] || left <= 0) {
			continue
		}
		var fit, alike []*Line
		for _, l := range rest {
			switch {
			case l.By != "" || !ask.fits(l):
			case forged(a, l) || elsewhere(a):
				fit = append(fit, l)
			case reaches(a, l):
				alike = append(alike, l)
			}
		}
		if len(fit) == 0 && len(alike) > 0 {
			a.Unclear = fmt.Sprintf("a line of the sidecar's access log may be of the request to %s, or of one that another process made: it has another port (%s) than curl, which the redirection to the sidecar may change", ask.host, alike[0].DownstreamRemote)
			continue
		}
		if len(fit) > 1 && !a.Command.Curl.Retries {
			a.Unclear = fmt.Sprintf("%d lines of the sidecar's access log may be of the request to %s", len(fit), ask.host)
			continue
		}
		for _, l := range fit {
			l.By = ByRequest
			left--
		}
	}
	// The same if the target of a redirect is not known.
	if a.Unclear != "" || len(asks) >= a.Requests() || a.Accounted() {
		return
	}
	if i := slices.IndexFunc(rest, func(l *Line) bool { return l.By == "" && reaches(a, l) }); i >= 0 {
		a.Unclear = fmt.Sprintf("a line of the sidecar's access log may be of a request that has none, or of one that another process made: %s", rest[i].Text)
	}
}

// reaches reports whether a line's connection went to an address to which curl
// connected.
func reaches(a *Attempt, l *Line) bool {
	return slices.ContainsFunc(a.Transfers, func(t Transfer) bool { return t.Remote != "" && t.Remote == l.DownstreamLocal })
}

// elsewhere reports whether curl made requests over connections whose addresses it did
// not report.
func elsewhere(a *Attempt) bool {
	connects := 0
	for _, t := range a.Transfers {
		connects += t.Connects
	}
	known := map[string]bool{}
	for _, t := range a.Transfers {
		known[t.Local] = true
	}
	return connects > len(known) || a.Command.Curl.Retries
}

// forged reports whether a line's client address does not belong to the pod: Envoy
// takes it from X-Forwarded-For, which the request itself may have.
func forged(a *Attempt, l *Line) bool {
	ip, port, err := net.SplitHostPort(l.DownstreamRemote)
	return err != nil || port == "0" || ip != a.Command.Pod.IP
}

// inbound reports whether a line of the sidecar belongs to a request to the pod.
func inbound(a *Attempt, l *Line) bool {
	if strings.HasPrefix(l.Cluster, "inbound|") || strings.HasPrefix(l.Cluster, "InboundPassthroughCluster") {
		return true
	}
	ip, _, err := net.SplitHostPort(l.DownstreamLocal)
	return err == nil && ip == a.Command.Pod.IP
}

// during reports whether a line's request began within the attempt. The log's times are
// in milliseconds.
func during(a *Attempt, l *Line) bool {
	return !l.Start.Before(a.Started.Add(-a.Slack).Truncate(time.Millisecond)) && !l.Start.After(a.Ended.Add(a.Slack))
}

// carries reports whether requests leave a proxy through a cluster: it is not for the
// proxy's own traffic, and does not lead to the application beside it. An EnvoyFilter
// may add clusters with any name.
func carries(cluster string) bool {
	return cluster != BlackHole && !strings.HasPrefix(cluster, "inbound|") && !strings.HasPrefix(cluster, "InboundPassthroughCluster") &&
		!slices.Contains(ownClusters, cluster)
}

// ownClusters are those by which every proxy gets its configuration and its
// certificates, and is asked how it is.
// Source: istio/istio tools/packaging/common/envoy_bootstrap.json.
var ownClusters = []string{
	"agent", "datadog_agent", "envoy_accesslog_service", "envoy_metrics_service", "opencensus_agent", "prometheus_stats",
	"sds-grpc", "xds-grpc", "zipkin", "lightstep",
}

// The clusters and the route that istiod gives every proxy for unknown destinations.
// Source: istio/istio pilot/pkg/util/constant.go.
const (
	BlackHole   = "BlackHoleCluster"
	Passthrough = "PassthroughCluster"
	BlockAll    = "block_all"
)

// Of returns a proxy's lines of the attempt's requests, in the order of their starts.
func (a *Attempt) Of(proxy string) []*Line {
	var lines []*Line
	for i := range a.Lines {
		if a.Lines[i].Proxy == proxy && a.Lines[i].By != "" {
			lines = append(lines, &a.Lines[i])
		}
	}
	slices.SortStableFunc(lines, func(x, y *Line) int { return x.Start.Compare(y.Start) })
	return lines
}

// Proxy returns the proxy with an address: the sidecar, or the pod of a gateway; nil if
// it was not examined.
func (a *Attempt) Proxy(ip string) *Proxy {
	for i := range a.Proxies {
		if p := &a.Proxies[i]; p.Pod.IP == ip {
			return p
		}
	}
	return nil
}

// Beside returns the sidecar, nil if the pod has none or it was not examined.
func (a *Attempt) Beside() *Proxy {
	for i := range a.Proxies {
		if a.Proxies[i].Name == Sidecar {
			return &a.Proxies[i]
		}
	}
	return nil
}

// Means reports whether a name of the playbook means a pod. If that is not known, why
// is the reason.
func (a *Attempt) Means(name string, pod *Pod) (means bool, why string) {
	for _, p := range a.Places {
		if p.Name != name {
			continue
		}
		if pod != nil && slices.ContainsFunc(p.Pods, func(q Pod) bool { return q.IP == pod.IP && q.IP != "" }) {
			return true, ""
		}
		if len(p.Pods) == 0 {
			return false, p.Why
		}
		return false, ""
	}
	return false, "nobody has looked for " + name
}
