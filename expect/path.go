package expect

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Path is the way that each transfer's last request of a curl command took, hop
// by hop:
//
//	[sidecar, passthrough]                              out of the mesh, to an unknown service
//	[sidecar, HOST:PORT]                                to a service that the mesh knows
//	[sidecar, egressgateway, HOST:PORT]                 by way of the egress gateway
//	[sidecar, gateway/NAME, HOST:PORT]                  the same by a gateway of the Gateway API
//	[sidecar, deploy/NAME]                              to a pod of the cluster
//	[direct]                                            past the sidecar
//	[blocked]                                           no further than the sidecar
//	{hops: [sidecar, egressgateway], ends: refused}     no further than the gateway
//
// It holds only where the access-log line of this very request on each proxy
// says so, or where the mesh writes no access log, the proxies' counters; see
// [evidence.Join]. A way ends at a host only where a connection to it was made.
type Path struct {
	Hops []string `yaml:"hops,list,scalar,required"`
	// Ends says how a way ends that goes no further than its last hop: blocked,
	// refused or timeout.
	Ends string `yaml:"ends"`
	// Why is the reason that the proxy gives for that.
	Why *Value `yaml:"why"`
}

var ends = []string{evidence.EndsBlocked, evidence.EndsRefused, evidence.EndsTimeout}

// Validate returns what is wrong with the expectation.
func (e *Path) Validate() error {
	hops := e.Hops
	fail := func(i int, format string, args ...any) error {
		return &runner.FieldError{Field: []string{"hops", index(i)}, Err: fmt.Errorf(format, args...)}
	}
	if e.Ends != "" && !slices.Contains(ends, e.Ends) {
		return &runner.FieldError{Field: []string{"ends"}, Err: fmt.Errorf("%q is no end of a way: want %s", e.Ends, strings.Join(ends, ", "))}
	}
	if e.Why != nil && e.Ends == "" {
		return &runner.FieldError{Field: []string{"why"}, Err: errors.New("why goes with ends")}
	}
	if len(hops) == 1 && e.Ends == "" {
		if hops[0] != hopDirect && hops[0] != hopBlocked {
			return fail(0, "a way of one hop is [direct] or [blocked], not [%s]", hops[0])
		}
		return nil
	}
	if len(hops) == 0 || hops[0] != hopSidecar {
		return &runner.FieldError{Err: errors.New("a way begins at the sidecar"), Hint: "write [sidecar, ..., HOST:PORT], [direct] or [blocked]"}
	}
	between := hops[1:]
	if e.Ends == "" {
		between = hops[1 : len(hops)-1]
	}
	for i, hop := range between {
		if !isProxy(hop) && !strings.Contains(hop, "${") {
			return &runner.FieldError{Field: []string{"hops", index(i + 1)}, Err: notAProxy(hop)}
		}
	}
	last := hops[len(hops)-1]
	if e.Ends != "" || isNamed(last, "deploy/") || last == hopPassthrough || strings.Contains(last, "${") {
		return nil
	}
	if host, port, err := net.SplitHostPort(last); err != nil || host == "" || port == "" {
		return fail(len(hops)-1, "%q is no end of a way: want HOST:PORT, passthrough or deploy/NAME", last)
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Path) Needs() evidence.Needs {
	n := evidence.Needs{Curl: true, Lines: true, Way: true}
	for _, hop := range e.Hops {
		if isProxy(hop) {
			n.Places = append(n.Places, hop)
		}
	}
	switch last := e.Hops[len(e.Hops)-1]; {
	case last == hopDirect:
		n.Absence, n.Arrivals = true, true
	case e.Ends == "" && strings.Contains(last, ":"):
		n.Arrivals = true // which server it was that answered
	}
	return n
}

// Judge implements [runner.Expectation].
func (e *Path) Judge(a *evidence.Attempt) evidence.Verdicts {
	want := e.String()
	if e.Hops[0] == hopDirect && a.Command != nil && !a.Command.Pod.Sidecar {
		// There is no sidecar that the request could have passed.
		if vs := unconnected(a, want); vs != nil {
			return vs
		}
		if len(a.Ways) > 0 {
			return evidence.Verdicts{toItsHost(a, judge(nil, true, want, want))}
		}
	}
	if vs := traceable(a); vs != nil {
		return vs
	}
	if e.Hops[0] == hopDirect {
		return e.judgeDirect(a)
	}
	ways, vs := e.ways(a)
	if vs != nil {
		return vs
	}
	for _, w := range ways {
		v := e.judge(a, w)
		for _, i := range w.Lines {
			v.Facts = append(v.Facts, a.Lines[i].Text)
		}
		vs = append(vs, v)
	}
	return vs
}

func (e *Path) judgeDirect(a *evidence.Attempt) evidence.Verdicts {
	held, judged, why := past(a)
	if !judged {
		return unjudged(nil, a.Past == nil || a.Past.Again || len(a.Past.Against) > 0, why, directHint(a))
	}
	v := toItsHost(a, judge(nil, held, hopDirect, hopDirect))
	v.Facts = []string{why}
	if !held {
		v.Got, v.Why = "not direct", why
		if len(a.Ways) > 0 {
			v.Got = wayYAML(&a.Ways[len(a.Ways)-1])
		}
	}
	return evidence.Verdicts{v}
}

// toItsHost returns the verdict that requests went past the sidecar, or that one of them
// went to a pod of the cluster in place of its host.
func toItsHost(a *evidence.Attempt, v evidence.Verdict) evidence.Verdict {
	for i := range a.Transfers {
		if who := a.Impostor(&a.Transfers[i]); v.Outcome == evidence.Held && who != "" {
			v = judge(nil, false, hopDirect, "a way to another host")
			v.Why = who
		}
	}
	return v
}

// directHint says how a sidecar without an access log can tell.
// Source: istio.io "Envoy Statistics".
func directHint(a *evidence.Attempt) string {
	s := a.Beside()
	if s == nil || s.Log.Off == "" || s.Accepted != nil {
		return ""
	}
	return "have the mesh write access logs, or the sidecar count its connections: on the pod, the annotation sidecar.istio.io/statsInclusionPrefixes: listener"
}

// ways returns the way of each transfer's last request, or why they are not
// known.
func (e *Path) ways(a *evidence.Attempt) ([]*evidence.Way, evidence.Verdicts) {
	sidecar := a.Beside()
	if sidecar == nil {
		return nil, unjudged(nil, true, "the sidecar was not looked at", "")
	}
	if len(a.Ways) == 0 {
		switch log := sidecar.Log; {
		case log.Off != "" && e.Hops[0] == hopBlocked:
			return nil, unjudged(nil, false, "counters do not tell a request that was blocked from one that found no host", log.Off)
		case log.Off != "":
			return nil, unjudged(nil, false, log.Off, sidecar.Uncounted)
		case log.Partial != "":
			return nil, unjudged(nil, false, log.Partial, "")
		case a.Unclear != "":
			return nil, unjudged(nil, true, a.Unclear, "")
		case len(a.Unread) > 0:
			return nil, unjudged(nil, true, unread(a), "")
		case !log.Complete:
			return nil, unjudged(nil, log.Again, "no line of the request in the sidecar's access log, of which not all was read: "+log.Why, "")
		}
		v := judge(nil, false, e.String(), "no line of the request in the sidecar's access log")
		if held, judged, why := past(a); judged && held {
			v.Got, v.Why = hopDirect, why
		}
		return nil, evidence.Verdicts{v}
	}
	if a.Ways[0].By == "counters" && e.Hops[0] == hopBlocked {
		return nil, unjudged(nil, false, "counters do not tell a request that was blocked from one that found no host", sidecar.Log.Off)
	}
	if !a.Accounted() && a.Ways[0].By == "log" {
		return nil, unjudged(nil, true, fmt.Sprintf("curl made %d requests in %d transfers, and the sidecar's access log has lines of %d: nobody tells which way the others took", a.Requests(), len(a.Transfers), len(a.Of(evidence.Sidecar))), "")
	}
	// One way for each transfer: that of its last request.
	var ways []*evidence.Way
	last := 0
	for _, t := range a.Transfers {
		last += 1 + t.Redirects
		way := &a.Ways[len(a.Ways)-1]
		if len(a.Ways) == a.Requests() { // a way for each request, in their order
			ways = append(ways, &a.Ways[last-1])
			continue
		}
		for i := range a.Ways {
			if lines := a.Ways[i].Lines; len(lines) > 0 && a.Lines[lines[0]].DownstreamRemote == t.Local {
				way = &a.Ways[i]
			}
		}
		ways = append(ways, way)
	}
	return ways, nil
}

// judge judges one way.
func (e *Path) judge(a *evidence.Attempt, w *evidence.Way) evidence.Verdict {
	want, got := e.String(), wayYAML(w)
	miss := func(why string) evidence.Verdict {
		v := judge(nil, false, want, got)
		if v.Why = why; why == "" {
			v.Why = where(w)
		}
		return v
	}
	hops := e.Hops
	ends := e.Ends
	if hops[0] == hopBlocked {
		hops, ends = []string{hopSidecar}, evidence.EndsBlocked
	}
	proxies := hops
	if ends == "" {
		proxies = hops[:len(hops)-1]
	}
	for i, name := range proxies {
		if i >= len(w.Hops) {
			return miss("")
		}
		if i == 0 {
			continue
		}
		means, why := a.Means(name, &w.Hops[i].Pod)
		if why != "" {
			return miss(why)
		}
		if !means {
			return miss("")
		}
	}
	if w.Unknown != "" {
		return evidence.Verdict{Outcome: evidence.NotJudged, Again: w.Again, Want: want, Why: w.Words()}
	}
	if ends != "" {
		if len(w.Hops) != len(proxies) || w.Ends != ends {
			return miss("")
		}
		if e.Why != nil {
			if vs := e.Why.check([]string{"why"}, w.Why, w.Why != ""); vs[0].Outcome != evidence.Held {
				return vs[0]
			}
		}
		return judge(nil, true, want, got)
	}
	end := hops[len(hops)-1]
	if len(w.Hops) != len(proxies) {
		// A workload that has a proxy of its own is a hop and the end, unless
		// the proxy sends the request on.
		if isNamed(end, "deploy/") && len(w.Hops) == len(hops) && strings.HasPrefix(w.Cluster, "inbound|") {
			if means, _ := a.Means(end, &w.Hops[len(hops)-1].Pod); means && w.Ends == "" {
				return judge(nil, true, want, got)
			}
		}
		return miss("")
	}
	if w.Ends != "" {
		return miss("")
	}
	held, why, unknown := e.ended(a, w, end)
	if unknown != "" {
		return evidence.Verdict{Outcome: evidence.NotJudged, Again: true, Want: want, Why: unknown}
	}
	if !held {
		return miss(why)
	}
	return judge(nil, true, want, want)
}

// ended reports whether a way got to an end that is wanted.
func (e *Path) ended(a *evidence.Attempt, w *evidence.Way, end string) (held bool, why, unknown string) {
	switch {
	case end == hopPassthrough:
		for i := range a.Transfers {
			if t := &a.Transfers[i]; t.Remote == w.Address {
				if who := a.Impostor(t); who != "" {
					return false, who, ""
				}
			}
		}
		return w.Cluster == evidence.Passthrough && w.Address != "", "", ""
	case isNamed(end, "deploy/"):
		means, why := a.Means(end, w.Pod)
		return means, why, ""
	}
	host, port, err := net.SplitHostPort(end)
	if err != nil {
		return false, err.Error(), ""
	}
	if _, to, err := net.SplitHostPort(w.Address); err != nil || to != port || !serves(w, host) {
		return false, "", ""
	}
	return answered(a, w, host)
}

// serves reports whether the upstream cluster at the end of a way is that of a
// host. The name of a cluster is DIRECTION|PORT|SUBSET|HOST (istio/istio
// pilot/pkg/model/service.go, BuildSubsetKey). Where it is of a wildcard, or of
// Envoy's dynamic forward proxy, the request itself names the host.
func serves(w *evidence.Way, host string) bool {
	named := w.SNI == host || evidence.HostOf(w.Authority) == host
	parts := strings.Split(w.Cluster, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return strings.Contains(w.Cluster, "dynamic_forward_proxy") && named
	}
	if wildcard, ok := strings.CutPrefix(parts[3], "*"); ok {
		return host == parts[3] || strings.HasSuffix(host, wildcard) && named
	}
	return parts[3] == host
}

// answered reports whether the server that was reached is that of a host, as far
// as the far end tells. The name in a request is the client's word.
func answered(a *evidence.Attempt, w *evidence.Way, host string) (held bool, why, unknown string) {
	if a.Arrivals != nil && a.Arrivals.Recorded && len(w.Lines) > 0 {
		from := a.Lines[w.Lines[len(w.Lines)-1]].UpstreamLocal
		for _, r := range a.Arrivals.All {
			if r.Remote == from && from != "" {
				if r.Site == host {
					return true, "", "" // a rule of the mesh may lead a request for another name there
				}
				if who := misdirected(&r); who != "" && !strings.HasPrefix(host, "*") {
					return false, who, ""
				}
				return true, "", ""
			}
		}
	}
	// Without a record it is not known whose address it is that curl itself chose: a
	// mesh sends a request on to there where it does not look the name up. A proxy
	// that does chose the same by itself.
	chosen := a.Chosen(w)
	if (chosen == nil || !chosen.Resolved) && a.ChosenByCurl(w, host) {
		return false, "", "curl itself chose the address " + w.Address + " to connect to, and the request went there: nobody tells whose address that is"
	}
	// DNS, or an alias in the pod, may have given the name to a pod of the cluster.
	if chosen != nil && chosen.Told || !evidence.IsOutside(host) {
		return true, "", ""
	}
	if who, _ := a.Resident(w.Address); who != "" {
		return false, who + " answered, which is not " + host, ""
	}
	if chosen != nil && a.Arrivals != nil && a.Arrivals.Recorded && w.By == "log" {
		return false, "", "the request went to " + w.Address + ", an address of the cluster's own, and " + host + " has not recorded it"
	}
	return true, "", ""
}

// String returns the way as a playbook has it.
func (e *Path) String() string {
	if e.Ends != "" {
		m := mapping{{"hops", e.Hops}, {"ends", e.Ends}}
		if e.Why != nil {
			m = append(m, pair{"why", e.Why.yaml()})
		}
		return flow(m)
	}
	if len(e.Hops) == 1 {
		return e.Hops[0]
	}
	return flow(e.Hops)
}

// wayYAML returns a way as a playbook has it, as far as it is known.
func wayYAML(w *evidence.Way) string {
	if w.Direct {
		return hopDirect
	}
	hops := make([]string, 0, len(w.Hops)+1)
	for _, h := range w.Hops {
		hops = append(hops, h.Name)
	}
	switch {
	case w.Unknown != "":
		return flow(hops)
	case w.Ends == evidence.EndsBlocked && len(w.Hops) == 1:
		return hopBlocked
	case w.Ends != "":
		m := mapping{{"hops", hops}, {"ends", w.Ends}}
		if w.Why != "" {
			m = append(m, pair{"why", w.Why})
		}
		return flow(m)
	}
	return flow(append(hops, w.EndName()))
}

// where says to which address a way led, and by which cluster.
func where(w *evidence.Way) string {
	if w.Address == "" {
		return ""
	}
	return fmt.Sprintf("%s, %s", w.Address, w.Cluster)
}
