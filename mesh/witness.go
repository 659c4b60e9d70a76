package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

const (
	// patience is how long a line of the access log may take: by default Envoy writes
	// its buffered lines once a second (Envoy's option --file-flush-interval-msec).
	patience = 4 * time.Second
	// prompt is how long the lines of finished requests usually take.
	prompt = 1500 * time.Millisecond
	// early is how long before the attempt the log is read from: the server counts in
	// seconds, with a clock of its own.
	early = 3 * time.Second
)

// A Witness gathers what the proxies of a mesh know about an attempt: the lines of
// their access logs and the growth of their counters. If something cannot be gathered
// from a proxy, the evidence has the reason.
//
//	before   places, log settings ─ counters
//	action   the request
//	after    counters ─ a later request ─ the sidecar's log, up to that one's line
//	         ─ the log of each gateway that the lines lead to
type Witness struct {
	Mesh *Mesh
}

// A watched has what was read before an attempt.
type watched struct {
	mesh    *Mesh
	needs   evidence.Needs
	pod     *cluster.Pod // nil if no command runs in a pod
	logging Logging
	places  []evidence.Place
	pods    map[string]cluster.Pod // those of places, and the sidecar's, by address
	before  map[string]counted     // by the pod's name
	began   time.Time
	ahead   time.Duration // by how much the node's clock is ahead of this machine's
}

// A counted is a reading of one proxy's counters.
type counted struct {
	name     string // the proxy's
	pod      cluster.Pod
	counters *Counters
	err      error
	accepted *int64
}

// Watch reads what is needed before an attempt, and returns a function that gathers the
// rest after it; nil if nothing is needed of the mesh.
func (w *Witness) Watch(ctx context.Context, needs evidence.Needs, pod *cluster.Pod) (func(context.Context, *evidence.Attempt) error, error) {
	return w.watch(ctx, needs, pod, time.Now())
}

// watch is Watch for an attempt that began, or will begin, at a time or later.
func (w *Witness) watch(ctx context.Context, needs evidence.Needs, pod *cluster.Pod, began time.Time) (func(context.Context, *evidence.Attempt) error, error) {
	if !needs.Lines && !needs.Way && !needs.Absence && len(needs.Places) == 0 && len(needs.Counters) == 0 {
		return nil, nil
	}
	b := &watched{mesh: w.Mesh, needs: needs, pod: pod, pods: map[string]cluster.Pod{}, before: map[string]counted{}, began: began}
	var all sync.WaitGroup
	var loggingErr error
	if b.sidecar() {
		all.Go(func() { b.logging, loggingErr = w.Mesh.logging(ctx, *pod) })
	}
	b.places = make([]evidence.Place, len(needs.Places))
	found := make([][]cluster.Pod, len(needs.Places))
	for i, name := range needs.Places {
		all.Go(func() { b.places[i], found[i] = w.Mesh.place(ctx, name) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if loggingErr != nil {
		return nil, loggingErr
	}
	b.before = b.count(ctx, b.toCount(found))
	return b.gather, nil
}

// Look adds the lines of the proxies' logs about the requests of an attempt that is
// over, unless an expectation needed them before.
func (w *Witness) Look(ctx context.Context, a *evidence.Attempt) error {
	if a.Command == nil {
		return nil
	}
	pod, err := w.Mesh.Cluster.Pod(ctx, cluster.PodQuery{Namespace: a.Command.Pod.Namespace, Name: a.Command.Pod.Name, Container: a.Command.Pod.Container})
	if err != nil {
		return err
	}
	gather, err := w.watch(ctx, evidence.Needs{Lines: true, Way: true}, pod, a.Started)
	if err != nil || gather == nil {
		return err
	}
	if err := gather(ctx, a); err != nil {
		return err
	}
	evidence.Join(a)
	return nil
}

func (b *watched) sidecar() bool {
	return b.pod != nil && slices.Contains(b.pod.Containers, Sidecar)
}

// toCount returns the proxies whose counters are needed, by the pod's name.
func (b *watched) toCount(found [][]cluster.Pod) map[string]counted {
	proxies := map[string]counted{}
	for i, pods := range found {
		for _, p := range pods {
			b.pods[p.IP] = p
			wanted := slices.Contains(b.needs.Counters, b.needs.Places[i])
			onWay := b.needs.Way && (b.logging.Off != "" || b.logging.Partial != "") && isGateway(p)
			if wanted || onWay {
				proxies[p.Name] = counted{name: b.needs.Places[i], pod: p}
			}
		}
	}
	if b.sidecar() && (b.needs.Absence || b.logging.Off != "" || b.logging.Partial != "" || slices.Contains(b.needs.Counters, evidence.Sidecar)) {
		proxies[b.pod.Name] = counted{name: evidence.Sidecar, pod: *b.pod}
	}
	return proxies
}

// isGateway reports whether a pod has only a proxy.
func isGateway(p cluster.Pod) bool {
	return len(p.Containers) == 1 && p.Containers[0] == Sidecar
}

// count reads the counters of proxies, all at the same time.
func (b *watched) count(ctx context.Context, proxies map[string]counted) map[string]counted {
	var all sync.WaitGroup
	var mu sync.Mutex
	read := make(map[string]counted, len(proxies))
	for name, p := range proxies {
		all.Go(func() {
			var accepting sync.WaitGroup
			if p.name == evidence.Sidecar && b.needs.Absence {
				accepting.Go(func() {
					if n, counts, err := b.mesh.accepted(ctx, p.pod); err == nil && counts {
						p.accepted = &n
					}
				})
			}
			p.counters, p.err = b.mesh.counters(ctx, p.pod)
			accepting.Wait()
			mu.Lock()
			defer mu.Unlock()
			read[name] = p
		})
	}
	all.Wait()
	return read
}

// gather adds to an attempt what the proxies know after it.
func (b *watched) gather(ctx context.Context, a *evidence.Attempt) error {
	if a.Command == nil {
		return nil
	}
	// Another collector may add to the attempt at the same time.
	own := evidence.Attempt{
		Started: a.Started, Ended: a.Ended, Watched: b.began, Command: a.Command, Responses: a.Responses, Transfers: a.Transfers,
		Places: b.places,
	}
	if b.sidecar() {
		own.Proxies = append(own.Proxies, evidence.Proxy{Name: evidence.Sidecar, Pod: podOf(*b.pod)})
	}
	after := b.count(ctx, b.before)
	for _, name := range sortedNames(after) {
		b.grown(&own, b.before[name], after[name])
	}
	if b.sidecar() && (b.needs.Lines || b.needs.Way) {
		b.readSidecar(ctx, &own)
	}
	if b.needs.Way {
		b.readGateways(ctx, &own)
		b.readResidents(ctx, &own)
		b.readUpstreams(ctx, &own)
	}
	if b.needs.Absence {
		b.readCounted(ctx, &own)
	}
	a.Watched, a.Slack, a.Proxies, a.Places, a.Lines, a.Unread, a.Counters = own.Watched, own.Slack, own.Proxies, own.Places, own.Lines, own.Unread, own.Counters
	a.Upstreams, a.Residents = own.Upstreams, own.Residents
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func sortedNames(m map[string]counted) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// grown adds the growth of a proxy's counters to the attempt.
func (b *watched) grown(a *evidence.Attempt, before, after counted) {
	p := proxyOf(a, after.name, after.pod)
	err := cmp.Or(before.err, after.err)
	var counters []evidence.Counter
	if err == nil {
		counters, err = after.counters.since(before.counters, after.name, after.pod.Name)
	}
	if err != nil {
		p.Uncounted = err.Error()
		return
	}
	p.Counted = true
	a.Counters = append(a.Counters, counters...)
	if before.accepted != nil && after.accepted != nil {
		n := *after.accepted - *before.accepted
		p.Accepted = &n
	}
}

// proxyOf returns the entry of a proxy. It adds one if there is none.
func proxyOf(a *evidence.Attempt, name string, pod cluster.Pod) *evidence.Proxy {
	for i := range a.Proxies {
		if a.Proxies[i].Pod.Name == pod.Name && a.Proxies[i].Pod.Namespace == pod.Namespace {
			return &a.Proxies[i]
		}
	}
	a.Proxies = append(a.Proxies, evidence.Proxy{Name: name, Pod: podOf(pod)})
	return &a.Proxies[len(a.Proxies)-1]
}

func podOf(p cluster.Pod) evidence.Pod {
	return evidence.Pod{
		Namespace: p.Namespace, Name: p.Name, IP: p.IP, Node: p.Node, Container: p.Container,
		Sidecar: slices.Contains(p.Containers, Sidecar),
	}
}

// readSidecar reads the sidecar's log until every request has its line; each leaves
// one. If a line is missing, or the claim is that there is none, it reads on to the
// line of a later request: then it has everything that was written before.
func (b *watched) readSidecar(ctx context.Context, a *evidence.Attempt) {
	log := &a.Proxies[0].Log
	log.Off, log.Partial = b.logging.Off, b.logging.Partial
	switch {
	case log.Off != "":
		return
	case a.Requests() == 0:
		log.Read, log.Why = true, "curl made no connection"
		return
	}
	// Without a later request the clocks are compared by the attempt's own lines, which
	// may be mistaken if a port was used before.
	if c := a.Command.Curl; !b.needs.Absence && !c.Retries && !c.FixedPort {
		wait := prompt
		if log.Partial != "" {
			wait = patience
		}
		if b.follow(ctx, a, wait, func(*evidence.Line) bool { return b.resolved(a) }); b.resolved(a) {
			log.Complete = true
			b.trim(a, b.aheadBy(a))
			return
		}
		if log.Partial != "" || log.Why != "" {
			b.trim(a, 0)
			return
		}
		a.Lines, a.Unread = nil, nil
	}
	asked := time.Now()
	addresses, err := b.laterRequests(ctx)
	answered := time.Now()
	if err != nil {
		log.Why, log.Again = "a later request, whose line would say that the log is up to date, was not made: "+err.Error(), true
		b.follow(ctx, a, prompt, func(*evidence.Line) bool { return b.resolved(a) })
		b.trim(a, 0)
		return
	}
	var later *evidence.Line
	b.follow(ctx, a, patience, func(l *evidence.Line) bool {
		if slices.Contains(addresses, l.DownstreamRemote) {
			later = l
		}
		return later != nil
	})
	if later == nil {
		if log.Why == "" {
			log.Why, log.Again = fmt.Sprintf("the line of a later request has not come within %v", patience), true
		}
		b.trim(a, 0)
		return
	}
	ahead := b.skew(a, later.Start.Sub(answered), later.Start.Sub(asked))
	// The later requests belong to no attempt.
	a.Lines = slices.DeleteFunc(a.Lines, func(l evidence.Line) bool { return slices.Contains(addresses, l.DownstreamRemote) })
	b.trim(a, ahead)
	log.Complete = true
	if !b.needs.Absence {
		return
	}
	begins, err := b.mesh.logBegins(ctx, *b.pod)
	switch {
	case err != nil:
		log.Complete, log.Again, log.Why = false, true, "its log could not be read: "+err.Error()
	case !begins.Before(a.Started.Add(ahead)):
		log.Complete, log.Again, log.Why = false, true, "its log begins only after the request, because the sidecar was started anew or its log was rotated"
	}
}

// follow reads the sidecar's log as it is written, until done returns true for a line,
// but at most for the time wait.
func (b *watched) follow(ctx context.Context, a *evidence.Attempt, wait time.Duration, done func(*evidence.Line) bool) {
	log := &a.Proxies[0].Log
	log.Read = true
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for line, err := range b.mesh.lines(ctx, *b.pod, b.began.Add(-early), true) {
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrUnreadable):
			a.Unread = append(a.Unread, evidence.Unread{Proxy: evidence.Sidecar, Text: line.Text})
			continue
		case err != nil:
			log.Read, log.Why, log.Again = false, "its log could not be read: "+err.Error(), errors.Is(err, io.ErrUnexpectedEOF)
			return
		}
		line.Proxy, line.Pod = evidence.Sidecar, b.pod.Name
		a.Lines = append(a.Lines, line)
		if done(&line) {
			return
		}
	}
}

// resolved reports whether every request has its line.
func (b *watched) resolved(a *evidence.Attempt) bool {
	evidence.Join(a)
	return a.Accounted()
}

// aheadBy returns by how much the node's clock is ahead of this machine's, according to
// the lines of the attempt's own requests.
func (b *watched) aheadBy(a *evidence.Attempt) time.Duration {
	for _, l := range a.Of(evidence.Sidecar) {
		if l.By == evidence.ByConnection {
			return b.skew(a, l.Start.Sub(a.Ended), l.Start.Sub(a.Started))
		}
	}
	return 0
}

// skew returns by how much the node's clock is ahead of this machine's, which is
// so much at least and at most, and notes how exact that is. No difference is
// taken for none.
func (b *watched) skew(a *evidence.Attempt, least, most time.Duration) time.Duration {
	switch {
	case least > time.Millisecond:
		a.Slack = most - least
		return least
	case most < -time.Millisecond:
		a.Slack = most - least
		return most
	}
	return 0
}

// trim keeps the lines of the time in which the attempt was watched, with times
// by this machine's clock. The time of a line that cannot be read is that at its
// beginning.
func (b *watched) trim(a *evidence.Attempt, ahead time.Duration) {
	b.ahead = ahead
	// Lines from shortly before show connections that are shared.
	from, to := b.began.Add(-a.Slack-early), time.Now().Add(a.Slack)
	a.Lines = slices.DeleteFunc(a.Lines, func(l evidence.Line) bool {
		start := l.Start.Add(-ahead)
		return start.Before(from) || start.After(to)
	})
	for i := range a.Lines {
		a.Lines[i].Start = a.Lines[i].Start.Add(-ahead)
	}
	a.Unread = slices.DeleteFunc(a.Unread, func(u evidence.Unread) bool {
		start, ok := startOf(u.Text)
		return ok && (start.Add(-ahead).Before(a.Started.Add(-a.Slack-time.Millisecond)) || start.Add(-ahead).After(a.Ended.Add(a.Slack)))
	})
}

// startOf returns the time at the beginning of a line, whatever follows.
func startOf(text string) (time.Time, bool) {
	text = strings.TrimPrefix(text, "[")
	at, _, found := strings.Cut(text, "]")
	if !found {
		return time.Time{}, false
	}
	start, err := time.Parse(time.RFC3339, at)
	return start, err == nil
}

// laterRequests makes requests to the services of the API server and of istiod,
// which a sidecar sees whichever addresses outside the mesh it leaves alone, and
// returns the addresses that they came from. There are two because it may leave
// alone a port. How they end does not matter, nor whether the servers can be
// reached: one leaves a line once curl has given up. The sidecar does not see the
// requests of its own container.
func (b *watched) laterRequests(ctx context.Context) ([]string, error) {
	container := b.pod.Container
	for _, c := range b.pod.Containers {
		if container == Sidecar {
			container = c
		}
	}
	if container == Sidecar {
		return nil, errors.New("the pod has no container but the proxy")
	}
	out := cluster.Bounded{Max: 1 << 10}
	argv := []string{
		"curl", "-sk", "-o", "/dev/null", "-o", "/dev/null", "-m", "1", "-w", `%{local_ip} %{local_port}\n`,
		"http://istiod." + b.mesh.Namespace + ".svc:15014/version", "https://kubernetes.default.svc/version",
	}
	result, err := b.mesh.Cluster.Exec(ctx, cluster.ExecRequest{Namespace: b.pod.Namespace, Pod: b.pod.Name, Container: container, Command: argv, Stdout: &out})
	if err != nil {
		return nil, err
	}
	var addresses []string
	for line := range strings.Lines(out.String()) {
		if ip, port, _ := strings.Cut(strings.TrimSpace(line), " "); port != "" && port != "0" {
			addresses = append(addresses, net.JoinHostPort(ip, port))
		}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("curl made no connection and ended with exit code %d", result.ExitCode)
	}
	return addresses, nil
}

// readGateways reads the logs of the gateways that the requests passed, one after the
// other along their ways, and the log of the sidecar of the workload at the end, if it
// has one.
func (b *watched) readGateways(ctx context.Context, a *evidence.Attempt) {
	for range maxGateways {
		evidence.Join(a)
		var next []cluster.Pod
		for _, w := range a.Ways {
			if w.By != "log" || w.Ends != "" {
				continue
			}
			ip, _, _ := net.SplitHostPort(w.Address)
			if len(w.Hops) > len(w.Lines) { // it stops at a gateway whose line is not known
				ip = w.Hops[len(w.Hops)-1].Pod.IP
			}
			if p := a.Proxy(ip); ip == "" || p != nil && p.Log != (evidence.Log{}) {
				continue
			}
			if pod := b.podAt(ctx, ip); pod != nil && slices.Contains(pod.Containers, Sidecar) && !slices.ContainsFunc(next, func(p cluster.Pod) bool { return p.IP == pod.IP }) {
				next = append(next, *pod)
			}
		}
		if len(next) == 0 {
			return
		}
		for _, pod := range next {
			b.readGateway(ctx, a, pod)
		}
	}
}

// maxGateways is more gateways than any way has.
const maxGateways = 8

// podAt returns the pod that has an address.
func (b *watched) podAt(ctx context.Context, ip string) *cluster.Pod {
	if p, known := b.pods[ip]; known {
		return &p
	}
	if ip == b.pod.IP {
		return nil
	}
	p, err := b.mesh.Cluster.PodAt(ctx, ip)
	if err != nil || p == nil {
		return nil // the address belongs to some host
	}
	b.pods[ip] = *p
	return p
}

// readGateway reads the log of a gateway, or of a workload's sidecar, until it shows
// the way of the requests that came to it, and then everything that was written so far.
// A workload's sidecar may never have a line, so the wait for it is shorter.
func (b *watched) readGateway(ctx context.Context, a *evidence.Attempt, pod cluster.Pod) {
	name := b.mesh.nameOf(a, pod)
	wait := patience
	if !isGateway(pod) {
		wait = prompt
		proxyOf(a, name, pod).Workload = true
	}
	log := func() *evidence.Log { return &proxyOf(a, name, pod).Log }
	logging, err := b.mesh.logging(ctx, pod)
	if err != nil {
		log().Why = err.Error()
		return
	}
	log().Off, log().Partial = logging.Off, logging.Partial
	if logging.Off != "" {
		return
	}
	log().Read = true
	reading, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	since := b.began.Add(-early)
	before := len(a.Lines)
	for line, err := range b.mesh.lines(reading, pod, since, true) {
		if reading.Err() != nil {
			break
		}
		if errors.Is(err, ErrUnreadable) {
			continue
		}
		if err != nil {
			log().Why, log().Again = "its log could not be read: "+err.Error(), errors.Is(err, io.ErrUnexpectedEOF)
			break
		}
		line.Proxy, line.Pod, line.Start = name, pod.Name, line.Start.Add(-b.ahead)
		a.Lines = append(a.Lines, line)
		if evidence.Join(a); !waits(a, pod) {
			break
		}
	}
	all := a.Lines[:before:before]
	for line, err := range b.mesh.lines(ctx, pod, since, false) {
		if errors.Is(err, ErrUnreadable) {
			continue
		}
		if err != nil {
			return // use what was read so far
		}
		line.Proxy, line.Pod, line.Start = name, pod.Name, line.Start.Add(-b.ahead)
		all = append(all, line)
	}
	a.Lines = all
}

// waits reports whether the line of a way is still to come in the log of a pod: a
// gateway where the way stops, or a workload where it ends.
func waits(a *evidence.Attempt, pod cluster.Pod) bool {
	return slices.ContainsFunc(a.Ways, func(w evidence.Way) bool {
		if w.Unknown != "" {
			return w.Hops[len(w.Hops)-1].Pod.Name == pod.Name
		}
		return w.Ends == "" && !w.Received && w.Pod != nil && w.Pod.Name == pod.Name
	})
}

// readCounted reads the logs of the proxies whose counters must not have grown: their
// lines are the second witness.
func (b *watched) readCounted(ctx context.Context, a *evidence.Attempt) {
	for i := range a.Proxies {
		p := &a.Proxies[i]
		if p.Name == evidence.Sidecar || p.Log.Read || p.Log.Off != "" || !slices.Contains(b.needs.Counters, p.Name) {
			continue
		}
		pod := b.pods[p.Pod.IP]
		logging, err := b.mesh.logging(ctx, pod)
		if err != nil {
			p.Log.Why = err.Error()
			continue
		}
		p.Log.Off, p.Log.Partial = logging.Off, logging.Partial
		if logging.Off != "" {
			continue
		}
		p.Log.Read = true
		for line, err := range b.mesh.lines(ctx, pod, a.Started.Add(-early), false) {
			if err != nil && !errors.Is(err, ErrUnreadable) {
				p.Log.Read, p.Log.Why = false, err.Error()
				break
			}
			line.Proxy, line.Pod, line.Start = p.Name, pod.Name, line.Start.Add(-b.ahead)
			if !line.Start.Before(a.Started) && !line.Start.After(a.Ended) {
				a.Lines = append(a.Lines, line)
			}
		}
	}
}
