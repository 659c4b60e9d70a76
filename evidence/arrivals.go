package evidence

import (
	"net"
	"slices"
)

// attributeArrivals finds the arrivals of the attempt's own requests: those over curl's
// connections, those over the connections by which the last proxy on their way sent
// them on, and further requests that a proxy made from them. If that does not account
// for all requests, time and address decide.
func attributeArrivals(a *Attempt) {
	if a.Arrivals == nil || !a.Arrivals.Recorded {
		return
	}
	direct := map[string]bool{}
	for _, t := range a.Transfers {
		if t.Local != "" {
			direct[t.Local] = true
		}
	}
	var lines []*Line
	open := map[string]bool{} // addresses of proxies whose lines are not known
	sidecar := a.Beside()
	for i := range a.Lines {
		if l := &a.Lines[i]; l.By != "" && l.UpstreamLocal != "" {
			lines = append(lines, l)
		}
	}
	for _, w := range a.Ways {
		if w.Unknown != "" && len(w.Hops) > 0 {
			open[w.Hops[len(w.Hops)-1].Pod.IP] = true
		}
	}
	noCurl := a.Command.Curl == nil || a.Command.Curl.Unreported != "" || len(a.Transfers) == 0
	if noCurl {
		open[a.Command.Pod.IP] = true
	}
	if noCurl || sidecar != nil && len(a.Of(Sidecar)) == 0 && (sidecar.Log.Off != "" || sidecar.Log.Partial != "" || !sidecar.Log.Read) {
		open[a.Command.Pod.IP] = true
		for _, p := range a.Places {
			for _, pod := range p.Pods {
				open[pod.IP] = true
			}
		}
	}
	// Requests that a program at the end of a way sends on, such as a proxy outside the
	// mesh, are known only by time and address.
	for _, p := range a.Places {
		for _, pod := range p.Pods {
			open[pod.IP] = open[pod.IP] || leadsTo(a, pod.IP)
		}
	}
	arrived := sent(a, lines)
	found := 0
	for i := range a.Arrivals.All {
		if r := &a.Arrivals.All[i]; direct[r.Remote] || slices.Contains(arrived, i) {
			r.Ours, r.By = true, "address"
			found++
		}
	}
	// A request that left no line, over a connection whose address curl does not
	// report: the first one of a redirect, or one that is not logged.
	if sidecar != nil && !a.Accounted() && found > 0 && found < a.Requests() {
		open[a.Command.Pod.IP] = true
	}
	for i := range a.Arrivals.All {
		r := &a.Arrivals.All[i]
		ip, _, _ := net.SplitHostPort(r.Remote)
		if !r.Ours && open[ip] && !r.Time.Before(a.Started) && !r.Time.After(a.Ended) {
			r.Ours, r.By = true, "time"
		}
	}
	attributeCopies(a)
}

// leadsTo reports whether a request of the attempt ends at a pod.
func leadsTo(a *Attempt, ip string) bool {
	for _, w := range a.Ways {
		if w.Pod != nil && w.Pod.IP == ip && w.Ends == "" {
			return true
		}
	}
	for _, t := range a.Transfers {
		if to, _, err := net.SplitHostPort(t.Remote); err == nil && to == ip {
			return true
		}
	}
	return false
}

// sent returns the indices of the arrivals of the requests that lines are about. A kept
// connection carries the requests of others too.
func sent(a *Attempt, ours []*Line) (all []int) {
	for _, l := range ours {
		var exact, left []int
		for i := range a.Arrivals.All {
			switch r := &a.Arrivals.All[i]; {
			case !carried(l, r):
			case l.Method == "" || r.Method == "" || asked(l, r):
				exact = append(exact, i)
			case l.Method == r.Method && !explained(a, l, r):
				left = append(left, i)
			}
		}
		if len(exact) == 0 { // the proxy has changed the path
			exact = left
		}
		all = append(all, exact...)
	}
	return all
}

// carried reports whether a request arrived over the connection by which the
// proxy of a line sent its request on, and at that time.
func carried(l *Line, r *Arrival) bool {
	return l.UpstreamLocal == r.Remote && !r.Time.Before(l.Start.Add(-arrivalSlack)) && !r.Time.After(l.Start.Add(l.Duration+arrivalSlack))
}

// asked reports whether an arrival is what the request of a line asked for. A proxy
// that changes the host may change the path too.
func asked(l *Line, r *Arrival) bool {
	return l.Method == r.Method && (l.Path == r.Path || l.Authority != r.Host)
}

// explained reports whether an arrival is what the request of another line asked for.
func explained(a *Attempt, than *Line, r *Arrival) bool {
	return slices.ContainsFunc(a.Lines, func(l Line) bool {
		return l.Text != than.Text && carried(&l, r) && asked(&l, r)
	})
}

// attributeCopies finds copies and retries of the attempt's requests: those that a
// proxy on their way sent over other connections with the same id or, where the mesh
// gives no ids, those that ask for the same.
func attributeCopies(a *Attempt) {
	const id = "x-request-id"
	ids, proxies := map[string]bool{}, map[string]bool{a.Command.Pod.IP: true}
	for _, r := range a.Arrivals.All {
		if r.Ours && r.By == "address" && r.Headers[id] != "" {
			ids[r.Headers[id]] = true
		}
	}
	for _, w := range a.Ways {
		for _, h := range w.Hops {
			proxies[h.Pod.IP] = true
		}
	}
	for i := range a.Arrivals.All {
		r := &a.Arrivals.All[i]
		ip, _, _ := net.SplitHostPort(r.Remote)
		switch {
		case r.Ours || !proxies[ip]:
		case ids[r.Headers[id]]:
			r.Ours, r.By = true, "request"
		case r.Headers[id] == "" && r.Method != "" && !r.Time.Before(a.Started) && copied(a, r) && !ofOthers(a, r):
			r.Ours, r.By = true, "time"
		}
	}
}

// copied reports whether what arrived without an id asks for the same as one of the
// attempt's requests that a proxy has sent on without one. The name of the host is
// another one in a copy.
func copied(a *Attempt, r *Arrival) bool {
	return slices.ContainsFunc(a.Arrivals.All, func(own Arrival) bool {
		return own.Ours && own.By == "address" && own.Headers["x-request-id"] == "" && own.Method == r.Method && own.Path == r.Path &&
			!slices.ContainsFunc(a.Transfers, func(t Transfer) bool { return t.Local == own.Remote })
	})
}

// ofOthers reports whether a line of somebody else's request tells of what arrived.
func ofOthers(a *Attempt, r *Arrival) bool {
	return slices.ContainsFunc(a.Lines, func(l Line) bool { return l.By == "" && carried(&l, r) && asked(&l, r) })
}

// arrivalSlack is by how much the times of a line and of an arrival may differ: the
// log's times are in milliseconds.
const arrivalSlack = 2e6 // nanoseconds
