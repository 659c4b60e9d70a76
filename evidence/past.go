package evidence

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// findPast asks each witness whether the requests went past the sidecar.
func findPast(a *Attempt) {
	sidecar := a.Beside()
	if sidecar == nil || a.Requests() == 0 {
		return
	}
	p := &Past{}
	a.Past = p
	open := connectionsOpen(a)
	p.askLog(a, sidecar, open)
	p.askCounters(a, sidecar)
	p.askFarEnd(a)
}

// askLog asks the sidecar's access log. A missing line counts only if the log would
// have it, and if all of its lines have come.
func (p *Past) askLog(a *Attempt, sidecar *Proxy, open string) {
	if lines := a.Of(Sidecar); len(lines) > 0 {
		p.Seen = true
		p.Against = append(p.Against, fmt.Sprintf("the sidecar's access log has %s", lineCount(len(lines))))
		return
	}
	log := sidecar.Log
	silent := func(format string, args ...any) {
		p.Silent = append(p.Silent, "the sidecar's access log: "+fmt.Sprintf(format, args...))
	}
	switch {
	case log.Off != "":
		silent("%s", log.Off)
	case log.Partial != "":
		silent("%s", log.Partial)
	case !log.Complete:
		p.Again = p.Again || log.Again
		silent("%s", log.Why)
	case a.Unclear != "":
		p.Again = true
		silent("%s", a.Unclear)
	case len(a.Unread) > 0:
		silent("a line of this time cannot be read: %s", a.Unread[0].Text)
	case len(strangers(a)) > 0:
		l := strangers(a)[0]
		silent("a line of this time names a client that is not the pod (%s), which X-Forwarded-For can do: %s", l.DownstreamRemote, l.Text)
	case open != "":
		silent("%s", open)
	default:
		p.For = append(p.For, "the sidecar's access log has no line of it")
	}
}

func lineCount(n int) string {
	if n == 1 {
		return "a line of it"
	}
	return fmt.Sprintf("%d lines of it", n)
}

// strangers returns the lines of the attempt's time that cannot be attributed.
func strangers(a *Attempt) []*Line {
	var lines []*Line
	for i := range a.Lines {
		if l := &a.Lines[i]; l.Proxy == Sidecar && l.By == "" && !inbound(a, l) && during(a, l) && forged(a, l) {
			lines = append(lines, l)
		}
	}
	return lines
}

// connectionsOpen names a connection that the sidecar made during the attempt and that
// is still open; "" if there is none. Envoy writes the line of a connection that it
// does not decrypt only when both sides have closed it.
func connectionsOpen(a *Attempt) string {
	grew := map[[2]string]bool{}
	for _, c := range a.Counters {
		if c.Proxy == Sidecar && c.Name == "cx_total" && c.Grew > 0 {
			grew[[2]string{c.Cluster, c.Host}] = true
		}
	}
	for _, c := range a.Counters {
		if c.Proxy == Sidecar && c.Name == "cx_active" && c.Value > 0 && grew[[2]string{c.Cluster, c.Host}] {
			return fmt.Sprintf("a connection that was made meanwhile to %s (%s) is still open, and its line comes when it ends", c.Host, c.Cluster)
		}
	}
	return ""
}

// askCounters asks the sidecar's counters: they grew by requests that the lines of
// others do not explain, or they did not.
func (p *Past) askCounters(a *Attempt, sidecar *Proxy) {
	if !sidecar.Counted {
		if sidecar.Uncounted != "" {
			p.Silent = append(p.Silent, "the sidecar's counters: "+sidecar.Uncounted)
		}
		return
	}
	grew := map[string]int64{}
	for _, c := range a.Counters {
		if c.Proxy == Sidecar && c.Name == "rq_total" && carries(c.Cluster) && c.Grew > 0 {
			grew[c.Cluster] += c.Grew
		}
	}
	for i := range a.Lines {
		if l := &a.Lines[i]; l.Proxy == Sidecar && l.By == "" && !forged(a, l) && !l.Start.Before(a.Watched.Add(-a.Slack)) && grew[l.Cluster] > 0 {
			grew[l.Cluster]--
		}
	}
	var sent []string
	for cluster, n := range grew {
		if n > 0 {
			sent = append(sent, fmt.Sprintf("%d by %s", n, cluster))
		}
	}
	switch {
	case len(sent) > 0:
		p.Against = append(p.Against, "the sidecar's counters grew: it sent on "+strings.Join(sent, ", "))
	case sidecar.Accepted != nil && *sidecar.Accepted > 0:
		p.Against = append(p.Against, fmt.Sprintf("the sidecar accepted %d connections", *sidecar.Accepted))
	default:
		p.For = append(p.For, "the sidecar's counters have not grown")
		if sidecar.Accepted != nil {
			p.For = append(p.For, "the sidecar accepted no connection")
		}
	}
}

// askFarEnd asks the far end's record: it has curl's own address if nothing was in
// between.
func (p *Past) askFarEnd(a *Attempt) {
	if a.Arrivals == nil || !a.Arrivals.Recorded {
		return
	}
	direct := map[string]bool{}
	for _, t := range a.Transfers {
		if t.Local != "" {
			direct[t.Local] = true
		}
	}
	seen := map[string]bool{}
	for _, r := range a.Arrivals.All {
		if direct[r.Remote] {
			seen[r.Remote] = true
		}
	}
	if len(seen) == len(direct) {
		p.For = append(p.For, "the far end saw curl's own address")
		return
	}
	for _, ask := range asksOf(a) {
		for _, r := range a.Arrivals.All {
			ip, _, _ := net.SplitHostPort(r.Remote)
			if ip == a.Command.Pod.IP && !direct[r.Remote] && r.Method != "" && r.Host == ask.host && r.Path == ask.path && !r.Time.Before(a.Started) && !r.Time.After(a.Ended) {
				p.Against = append(p.Against, "the far end saw another address of the pod than curl's: "+r.Remote)
				return
			}
		}
	}
	for i := range a.Transfers {
		if t := &a.Transfers[i]; t.Status != 0 && !seen[t.Local] && isPublic(t.Remote) {
			p.Against = append(p.Against, "curl connected to "+t.Remote+" and got an answer, and the far end has not seen curl's own address")
			return
		}
	}
}

// Held reports whether the requests went past the sidecar: judged is false if there are
// too few witnesses, or they contradict each other.
func (p *Past) Held() (held, judged bool, why string) {
	switch {
	case p.Seen || len(p.Against) > 0 && len(p.For) == 0:
		return false, true, strings.Join(p.Against, "; ")
	case len(p.Against) > 0:
		return false, false, "the witnesses contradict each other: " + strings.Join(append(p.For, p.Against...), "; but ")
	case len(p.For) >= 2:
		return true, true, strings.Join(p.For, "; ")
	}
	why = "whether the request passed the sidecar needs two witnesses that agree"
	if len(p.For) == 1 {
		why += ", and only one says that it did not: " + p.For[0]
	}
	if len(p.Silent) > 0 {
		why += "; " + strings.Join(p.Silent, "; ")
	}
	return false, false, why
}

// isPublic reports whether an address, "ip:port", is one that a cluster does not give to
// its own.
func isPublic(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	return err == nil && !a.Addr().IsPrivate() && !a.Addr().IsLoopback() && !a.Addr().IsLinkLocalUnicast()
}
