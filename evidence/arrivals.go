package evidence

import (
	"net"
)

// attributeArrivals finds what arrived of the attempt's own requests: what came
// over curl's connections, or over those by which the last proxy on their way
// sent them on. Where the sidecar logs nothing, time and address have to do.
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
	// What a program at the end of a way sends on, such as a proxy that is not
	// the mesh's, is known by time and address alone.
	for _, p := range a.Places {
		for _, pod := range p.Pods {
			open[pod.IP] = open[pod.IP] || leadsTo(a, pod.IP)
		}
	}
	for i := range a.Arrivals.All {
		r := &a.Arrivals.All[i]
		ip, _, _ := net.SplitHostPort(r.Remote)
		switch {
		case direct[r.Remote] || sent(lines, r):
			r.Ours, r.By = true, "address"
		case open[ip] && !r.Time.Before(a.Started) && !r.Time.After(a.Ended):
			r.Ours, r.By = true, "time"
		}
	}
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

// sent reports whether a request arrived that one of the lines is of. A kept
// connection carries the requests of others too.
func sent(lines []*Line, r *Arrival) bool {
	for _, l := range lines {
		if l.UpstreamLocal != r.Remote || r.Time.Before(l.Start.Add(-arrivalSlack)) || r.Time.After(l.Start.Add(l.Duration+arrivalSlack)) {
			continue
		}
		if l.Method == "" || r.Method == "" || l.Method == r.Method && (l.Path == r.Path || l.Authority != r.Host) {
			return true
		}
	}
	return false
}

// arrivalSlack is by how much the times of a line and of an arrival may be apart:
// the log's times have milliseconds.
const arrivalSlack = 2e6 // nanoseconds
