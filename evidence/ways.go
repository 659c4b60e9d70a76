package evidence

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// findWays follows each of the attempt's requests from proxy to proxy: by the lines of
// the access logs, or if the sidecar has none, by the counters.
func findWays(a *Attempt) {
	sidecar := a.Beside()
	if sidecar == nil {
		if !a.Command.Pod.Sidecar && a.Requests() > 0 {
			a.Ways = []Way{{Direct: true, By: "the pod has no sidecar"}}
		}
		return
	}
	lines := a.Of(Sidecar)
	if len(lines) == 0 && (sidecar.Log.Off != "" || sidecar.Log.Partial != "") {
		if sidecar.Counted {
			a.Ways = []Way{countedWay(a, sidecar)}
		}
		return
	}
	for _, l := range lines {
		a.Ways = append(a.Ways, a.follow(sidecar, l))
	}
}

// follow returns the way of the request to which a line of the sidecar belongs.
func (a *Attempt) follow(sidecar *Proxy, line *Line) Way {
	w := Way{By: "log", Hops: []Hop{{Sidecar, sidecar.Pod}}}
	for {
		w.Lines = append(w.Lines, a.index(line))
		w.leads(a, line)
		if w.Ends != "" || w.Pod == nil {
			return w
		}
		next := a.Proxy(w.Pod.IP)
		if next == nil || next.Name == Sidecar {
			return w // a workload, or one whose proxy is not known
		}
		if next.Workload {
			w.received(a, line, next)
			return w
		}
		if len(w.Hops) > maxHops {
			w.Unknown = "the way has no end"
			return w
		}
		w.Hops = append(w.Hops, Hop{next.Name, next.Pod})
		w.Address, w.Pod, w.Cluster = "", nil, ""
		switch {
		case next.Log.Off != "" || !next.Log.Read:
			w.Unknown = "the log of " + next.Pod.Name + " was not read: " + next.Log.Why + next.Log.Off
			return w
		}
		var many int
		if line, many = a.joined(line, next); line == nil {
			w.Again = true
			if many > 0 {
				w.Unknown = fmt.Sprintf("%s has %d lines of this time on that connection, which cannot be told apart", next.Pod.Name, many)
			} else {
				w.Unknown = "no line of the request in the access log of " + next.Pod.Name
			}
			return w
		}
		line.By = ByHop
	}
}

// ChosenByCurl reports whether curl itself may have chosen the address at the end of a
// way to a host: it connected to that address, and its command line names addresses or
// another host.
func (a *Attempt) ChosenByCurl(w *Way, host string) bool {
	return slices.ContainsFunc(a.Transfers, func(t Transfer) bool {
		u := ParseURL(t.URL)
		elsewhere := t.Redirects == 0 && !strings.HasPrefix(host, "*") && (u == nil || u.Hostname() != host)
		return t.Remote == w.Address && (a.Command.Curl.Redirected || elsewhere)
	})
}

// Chosen returns who chose the address of a way's end, as the last proxy on it says; nil
// where that is not known.
func (a *Attempt) Chosen(w *Way) *Upstream {
	if len(w.Hops) == 0 {
		return nil
	}
	pod := w.Hops[len(w.Hops)-1].Pod.Name
	i := slices.IndexFunc(a.Upstreams, func(u Upstream) bool { return u.Pod == pod && u.Cluster == w.Cluster })
	if i < 0 {
		return nil
	}
	return &a.Upstreams[i]
}

// received notes what the sidecar of the workload to which a line leads knows about the
// request. A request that this sidecar does not handle leaves no line there, but the
// previous proxy has reached the pod: then the way ends at the pod.
func (w *Way) received(a *Attempt, before *Line, proxy *Proxy) {
	line, _ := a.joined(before, proxy)
	if line == nil {
		return
	}
	line.By = ByHop
	if Reached(line) {
		w.Received = true
		return
	}
	w.Hops = append(w.Hops, Hop{proxy.Name, proxy.Pod})
	w.Lines = append(w.Lines, a.index(line))
	w.leads(a, line)
}

// maxHops is more proxies than any way has.
const maxHops = 8

func (a *Attempt) index(l *Line) int {
	for i := range a.Lines {
		if &a.Lines[i] == l {
			return i
		}
	}
	return -1
}

// leads notes where the proxy of a line sent the request.
func (w *Way) leads(a *Attempt, l *Line) {
	w.Cluster, w.Authority, w.SNI = l.Cluster, l.Authority, l.SNI
	if Reached(l) {
		w.Address, w.Ends, w.Why = l.UpstreamHost, "", ""
		w.Pod = a.podAt(l.UpstreamHost)
		return
	}
	w.Address, w.Pod = l.UpstreamHost, nil
	w.Ends, w.Why = endOf(l)
}

// Reached reports whether the proxy of a line connected to the host that it chose: the
// line has the proxy's own address, and no flag for a failed connection.
func Reached(l *Line) bool {
	if l.UpstreamHost == "" || l.UpstreamLocal == "" {
		return false
	}
	return !slices.ContainsFunc(l.Flags, func(f string) bool { return f == "UF" || f == "UH" || f == "NR" || f == "NC" })
}

// endOf returns how a request ended at a proxy that did not pass it on, and why, in the
// proxy's own words. Source: Envoy's documentation, "Access logging", RESPONSE_FLAGS.
func endOf(l *Line) (ends, why string) {
	if l.Cluster == BlackHole || l.Route == BlockAll && l.UpstreamHost == "" {
		return EndsBlocked, ""
	}
	words := []string{l.TransportFailure, l.Termination, l.Details}
	if len(l.Flags) > 0 {
		words = append(words, "flags "+strings.Join(l.Flags, ","))
	}
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	why = strings.Join(words, ", ")
	if slices.Contains(l.Flags, "UF") && l.TransportFailure == "" && strings.Contains(why, "connection_timeout") ||
		strings.Contains(why, "delayed_connect_error:_Connection_timed_out") {
		return EndsTimeout, why
	}
	return EndsRefused, why
}

// podAt returns the pod that has an address, nil if it is not known.
func (a *Attempt) podAt(addr string) *Pod {
	ip, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	if p := a.Proxy(ip); p != nil {
		return &p.Pod
	}
	for _, place := range a.Places {
		for i := range place.Pods {
			if place.Pods[i].IP == ip {
				return &place.Pods[i]
			}
		}
	}
	return nil
}

// joined returns the line of a gateway that belongs to the same request as the line of
// the previous proxy. If that is not certain, it returns nil and how many lines may
// belong to it.
//
// The addresses join them. One connection may carry many requests: then there must be
// as many equal requests in the gateway's lines as in the previous proxy's, in the same
// order. If the previous proxy has rewritten the request, joined returns the line that
// remains when those of all other requests are set aside, if it is only one.
func (a *Attempt) joined(before *Line, gateway *Proxy) (line *Line, many int) {
	if before.UpstreamLocal == "" {
		return nil, 0
	}
	// The lines of the previous proxy that this connection carried at that time.
	var alike, others []*Line
	for i := range a.Lines {
		l := &a.Lines[i]
		switch {
		case l.Proxy != before.Proxy || l.Pod != before.Pod || l.UpstreamLocal != before.UpstreamLocal:
		case l == before || asksSame(before, l) && a.overlap(before, l):
			alike = append(alike, l)
		default:
			others = append(others, l)
		}
	}
	var here, same []*Line
	for i := range a.Lines {
		l := &a.Lines[i]
		if l.Proxy != gateway.Name || l.Pod != gateway.Pod.Name || l.DownstreamRemote != before.UpstreamLocal {
			continue
		}
		if a.within(before, l) {
			here = append(here, l)
		}
		if asksSame(before, l) && slices.ContainsFunc(alike, func(o *Line) bool { return a.within(o, l) }) {
			same = append(same, l)
		}
	}
	if before.Method == "" || len(here) == 1 && here[0].Method == "" {
		// Nobody has decrypted it before: the connection is the request.
		if len(here) == 1 {
			return here[0], 0
		}
		return nil, len(here)
	}
	if len(same) > 0 {
		// If two requests overlap in time, their order is not known.
		mixed := slices.ContainsFunc(alike, func(l *Line) bool { return l.By == "" && meet(before, l) })
		if len(same) != len(alike) || mixed {
			return nil, len(same)
		}
		byStart := func(x, y *Line) int { return x.Start.Compare(y.Start) }
		slices.SortStableFunc(alike, byStart)
		slices.SortStableFunc(same, byStart)
		return same[slices.Index(alike, before)], 0
	}
	left := slices.Clone(here)
	for _, o := range others {
		i := slices.IndexFunc(left, func(l *Line) bool { return asksSame(o, l) && a.within(o, l) })
		if i < 0 && a.overlap(before, o) {
			return nil, len(left) // one of them may belong to that request
		}
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
	}
	if len(alike) == 1 && len(left) == 1 && left[0].Method == before.Method && left[0].Status == before.Status {
		return left[0], 0
	}
	return nil, len(left)
}

func asksSame(x, y *Line) bool {
	return x.Method == y.Method && x.Path == y.Path && x.Authority == y.Authority
}

// within reports whether a gateway's line lies in the time of the line before
// it. The log's times are in milliseconds; a connection that nobody decrypts begins and
// ends a moment later there. Two nodes have two clocks.
func (a *Attempt) within(before, l *Line) bool {
	slack := a.slackOf(before, l)
	ends := before.Start.Add(before.Duration + 2*time.Millisecond + slack)
	return !l.Start.Before(before.Start.Add(-time.Millisecond-slack)) && !l.Start.After(ends)
}

// meet reports whether the requests of two lines of one proxy were under way at
// the same time.
func meet(x, y *Line) bool {
	const exact = 2 * time.Millisecond
	return !x.Start.After(y.Start.Add(y.Duration+exact)) && !y.Start.After(x.Start.Add(x.Duration+exact))
}

// overlap reports whether the requests of two lines of one proxy may have been
// under way at the same time, as far as the clock of the next proxy could tell.
func (a *Attempt) overlap(x, y *Line) bool {
	slack := 2 * time.Millisecond
	if a.twoNodes() {
		slack += 2 * clockSlack
	}
	return !x.Start.After(y.Start.Add(y.Duration+slack)) && !y.Start.After(x.Start.Add(x.Duration+slack))
}

// slackOf returns by how much the times of two lines may be apart.
func (a *Attempt) slackOf(x, y *Line) time.Duration {
	if n, m := a.nodeOf(x.Pod), a.nodeOf(y.Pod); n != m || n == "" {
		return clockSlack
	}
	return 0
}

// twoNodes reports whether the proxies that were looked at are not all on one
// node.
func (a *Attempt) twoNodes() bool {
	for _, p := range a.Proxies {
		if p.Pod.Node != a.Proxies[0].Pod.Node || p.Pod.Node == "" {
			return true
		}
	}
	return false
}

// clockSlack is by how much the clocks of two nodes may be apart.
const clockSlack = time.Second

func (a *Attempt) nodeOf(pod string) string {
	for i := range a.Proxies {
		if a.Proxies[i].Pod.Name == pod {
			return a.Proxies[i].Pod.Node
		}
	}
	return ""
}

// countedWay returns the way of the one request as the proxies' counters have
// it. They tell how many requests went where, not whose they were: so each proxy
// must have sent on exactly one.
func countedWay(a *Attempt, sidecar *Proxy) Way {
	w := Way{By: "counters", Hops: []Hop{{Sidecar, sidecar.Pod}}}
	if n := a.Requests(); n > 1 {
		w.Unknown = fmt.Sprintf("curl made %d requests, and counters do not tell them apart", n)
		return w
	}
	for proxy := sidecar; ; {
		var total int64
		var sent *Counter
		for i := range a.Counters {
			c := &a.Counters[i]
			if c.Pod == proxy.Pod.Name && c.Name == "rq_total" && carries(c.Cluster) && c.Grew > 0 {
				total += c.Grew
				sent = c
			}
		}
		switch {
		case total == 0:
			w.Ends, w.Why = EndsRefused, "it sent no request on"
			return w
		case total > 1:
			w.Unknown, w.Again = fmt.Sprintf("%s sent %d requests on, and counters do not tell which was this one", proxy.Pod.Name, total), true
			return w
		}
		w.Cluster, w.Address = sent.Cluster, sent.Host
		w.Pod = a.podAt(sent.Host)
		if w.Pod == nil {
			return w
		}
		next := a.Proxy(w.Pod.IP)
		if next == nil || next == proxy || next.Workload || len(w.Hops) > maxHops {
			return w
		}
		w.Hops = append(w.Hops, Hop{next.Name, next.Pod})
		if !next.Counted {
			w.Unknown = "the counters of " + next.Pod.Name + " were not read: " + next.Uncounted
			return w
		}
		proxy = next
		w.Cluster, w.Address, w.Pod = "", "", nil
	}
}
