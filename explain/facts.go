package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// Cluster is the part of a cluster that an explanation reads. Both return the API
// server's errors.
type Cluster interface {
	Get(ctx context.Context, ref cluster.Ref) (*unstructured.Unstructured, error)
	List(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error)
}

// facts are what is known of a failure. What has to be asked for is asked once.
type facts struct {
	ctx context.Context
	e   *Explainer
	Failure

	asked   request
	line    *evidence.Line      // of the sidecar, nil if there is none
	further *evidence.Line      // of the last gateway on the way, nil if there is none
	objects map[string][]object // by kind
	unread  []string            // the kinds that may not be listed
	// unserved are kinds that the cluster does not have.
	unserved []string
	got      map[cluster.Ref]*unstructured.Unstructured
	dumps    map[string]string // what proxies said of their configuration
}

// A request is what was asked for.
type request struct {
	url          *url.URL
	host         string
	port         int
	tls          bool
	proxied      bool // host and port are those of the client's proxy
	exit, status int
	transfer     *evidence.Transfer
}

func newFacts(ctx context.Context, e *Explainer, f Failure) *facts {
	c := &facts{ctx: ctx, e: e, Failure: f, objects: map[string][]object{}, got: map[cluster.Ref]*unstructured.Unstructured{}, dumps: map[string]string{}}
	c.ofScript()
	c.look()
	return c
}

// look finds out what was asked, and what the proxies wrote about it.
func (c *facts) look() {
	a := c.Attempt
	if a == nil || a.Command == nil || len(a.Transfers) == 0 {
		return
	}
	t := &a.Transfers[0]
	for i := range a.Transfers { // the one that went wrong
		if one := &a.Transfers[i]; one.ExitCode != 0 || one.Status >= 400 {
			t = one
			break
		}
	}
	c.ask(t)
	read := slices.ContainsFunc(a.Proxies, func(p evidence.Proxy) bool { return p.Log.Read })
	if !read && a.Command.Pod.Sidecar && c.e.Look != nil {
		_ = c.e.Look(c.ctx, a) // what it does not find is not known
	}
	c.lines(t)
}

// ask reads what a transfer asked for.
func (c *facts) ask(t *evidence.Transfer) {
	u := evidence.ParseURL(t.URL)
	if u == nil {
		return
	}
	c.asked = request{url: u, host: strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), tls: u.Scheme == "https", exit: t.ExitCode, status: t.Status, transfer: t}
	if host := hostHeader(c.Attempt.Command.Argv); host != "" && !c.asked.tls {
		c.asked.host = host // it is by this one that a proxy routes
	}
	var err error
	if c.asked.port, err = strconv.Atoi(u.Port()); err != nil {
		c.asked.port = map[bool]int{true: 443, false: 80}[c.asked.tls]
	}
	if curl := c.Attempt.Command.Curl; curl != nil {
		if host, port := byProxy(curl.Proxy, t.Remote); host != "" {
			c.asked.host, c.asked.port, c.asked.tls, c.asked.proxied = host, port, false, true // all that the sidecar knows of it
		}
	}
}

// byProxy returns the address of the proxy by which a request went; "" where it went by
// none: a proxy that a command line names is for some URLs only.
func byProxy(proxy, remote string) (host string, port int) {
	if _, rest, ok := strings.Cut(proxy, "://"); ok {
		proxy = rest
	}
	at, err := netip.ParseAddrPort(remote)
	if proxy == "" || err != nil || !strings.HasSuffix(strings.TrimRight(proxy, "/"), ":"+strconv.Itoa(int(at.Port()))) {
		return "", 0
	}
	return at.Addr().Unmap().String(), int(at.Port())
}

// hostHeader returns the host in the Host header that a curl sets itself, "" if it sets
// none.
func hostHeader(argv []string) string {
	for i, arg := range argv {
		header := ""
		switch {
		case (arg == "-H" || arg == "--header") && i+1 < len(argv):
			header = argv[i+1]
		case strings.HasPrefix(arg, "-H"):
			header = strings.TrimPrefix(arg, "-H")
		case strings.HasPrefix(arg, "--header="):
			header = strings.TrimPrefix(arg, "--header=")
		}
		if name, value, ok := strings.Cut(header, ":"); ok && strings.EqualFold(strings.TrimSpace(name), "host") {
			return strings.ToLower(evidence.HostOf(strings.TrimSpace(value)))
		}
	}
	return ""
}

// lines finds the lines of the request to be explained: among those of its way, if the
// ways are known, else among all lines of the attempt. In a redirect chain that is the
// last request, at which curl ended; or the first one, if an answer without a redirect
// was wanted.
func (c *facts) lines(t *evidence.Transfer) {
	a := c.Attempt
	if t.Redirects > 0 && c.wanted(noRedirectWanted) {
		c.firstLines(t)
		return
	}
	var way *evidence.Way
	for i := range a.Ways {
		if w := &a.Ways[i]; len(w.Lines) > 0 && (len(a.Transfers) == 1 || c.wayOf(w, t)) {
			way = w
		}
	}
	if way != nil {
		for _, i := range way.Lines {
			if i >= 0 && i < len(a.Lines) {
				c.take(&a.Lines[i])
			}
		}
	}
	if c.line == nil {
		for i := range a.Lines {
			if a.Lines[i].By != "" && (c.line == nil || a.Lines[i].Proxy != evidence.Sidecar || t.Redirects > 0) {
				c.take(&a.Lines[i])
			}
		}
	}
	if c.line == nil || t.Redirects == 0 {
		return
	}
	// What was asked for in the end.
	host := cmp.Or(c.line.SNI, evidence.HostOf(c.line.Authority))
	if host == "" {
		return
	}
	c.asked.host, c.asked.tls = host, c.line.Method == ""
	if port, err := strconv.Atoi(portOf(c.line.DownstreamLocal)); err == nil {
		c.asked.port = port
	}
}

// firstLines finds the lines of the first request of a redirect chain.
func (c *facts) firstLines(t *evidence.Transfer) {
	a := c.Attempt
	for i := range a.Lines {
		l := &a.Lines[i]
		if l.By == "" {
			continue
		}
		if c.line != nil && l.Proxy == evidence.Sidecar {
			break
		}
		c.take(l)
	}
	c.asked.exit, c.asked.status = 0, 0
	if c.line != nil {
		c.asked.status = c.line.Status
	}
}

// wayOf reports whether a way is that of a transfer.
func (c *facts) wayOf(w *evidence.Way, t *evidence.Transfer) bool {
	i := w.Lines[0]
	return i >= 0 && i < len(c.Attempt.Lines) && t.Local != "" && c.Attempt.Lines[i].DownstreamRemote == t.Local
}

func (c *facts) take(l *evidence.Line) {
	if l.Proxy == evidence.Sidecar {
		c.line, c.further = l, nil
	} else {
		c.further = l
	}
}

// last returns the line of the last proxy that saw the request.
func (c *facts) last() *evidence.Line {
	if c.further != nil {
		return c.further
	}
	return c.line
}

// has reports whether a line has one of the flags.
func has(l *evidence.Line, flags ...string) bool {
	return slices.ContainsFunc(l.Flags, func(f string) bool { return slices.Contains(flags, f) })
}

// list returns the objects of a kind in all namespaces that we may see.
func (c *facts) list(kind string) []object {
	if all, listed := c.objects[kind]; listed {
		return all
	}
	found, err := c.e.Cluster.List(c.ctx, kind, "", "")
	if err != nil {
		if none := (*cluster.NoKindError)(nil); errors.As(err, &none) {
			c.objects[kind], c.unserved = nil, append(c.unserved, kind)
			return nil
		}
		c.unread = append(c.unread, kind)
		found, _ = c.e.Cluster.List(c.ctx, kind, c.client(), "")
	}
	all := make([]object, 0, len(found))
	for i := range found {
		all = append(all, object{&found[i]})
	}
	// istiod goes by age.
	slices.SortStableFunc(all, func(a, b object) int {
		x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		return x.Compare(y.Time)
	})
	c.objects[kind] = all
	return all
}

// mayList reports whether all objects of the kinds can be seen. Only then may a finding
// say that there is none.
func (c *facts) mayList(kinds ...string) bool {
	for _, kind := range kinds {
		c.list(kind)
		if slices.Contains(c.unread, kind) {
			return false
		}
	}
	return true
}

// hasKind reports whether the cluster has a kind.
func (c *facts) hasKind(kind string) bool {
	c.list(kind)
	return !slices.Contains(c.unserved, kind)
}

// get returns one object, and whether it is known not to exist.
func (c *facts) get(ref cluster.Ref) (o object, missing bool) {
	if obj, asked := c.got[ref]; asked && obj != nil {
		return object{obj}, false
	}
	obj, err := c.e.Cluster.Get(c.ctx, ref)
	if err != nil {
		return object{}, apierrors.IsNotFound(err)
	}
	c.got[ref] = obj
	return object{obj}, false
}

// The kinds that are looked at, as kubectl takes them.
const (
	serviceEntries         = "serviceentries.networking.istio.io"
	virtualServices        = "virtualservices.networking.istio.io"
	destinationRules       = "destinationrules.networking.istio.io"
	gateways               = "gateways.networking.istio.io"
	sidecars               = "sidecars.networking.istio.io"
	envoyFilters           = "envoyfilters.networking.istio.io"
	workloadEntries        = "workloadentries.networking.istio.io"
	authorizationPolicies  = "authorizationpolicies.security.istio.io"
	requestAuthentications = "requestauthentications.security.istio.io"
	peerAuthentications    = "peerauthentications.security.istio.io"
	networkPolicies        = "networkpolicies.networking.k8s.io"
	httpRoutes             = "httproutes.gateway.networking.k8s.io"
	grpcRoutes             = "grpcroutes.gateway.networking.k8s.io"
	tlsRoutes              = "tlsroutes.gateway.networking.k8s.io"
	apiGateways            = "gateways.gateway.networking.k8s.io"
	referenceGrants        = "referencegrants.gateway.networking.k8s.io"
	backendTLSPolicies     = "backendtlspolicies.gateway.networking.k8s.io"
	services               = "services"
	endpointSlices         = "endpointslices.discovery.k8s.io"
	endpoints              = "endpoints"
	secrets                = "secrets"
	pods                   = "pods"
	namespaces             = "namespaces"
	roles                  = "roles.rbac.authorization.k8s.io"
	roleBindings           = "rolebindings.rbac.authorization.k8s.io"
	clusterRoles           = "clusterroles.rbac.authorization.k8s.io"
	clusterRoleBindings    = "clusterrolebindings.rbac.authorization.k8s.io"
	telemetryAPIVersion    = "telemetry.istio.io/v1"
	securityAPIVersion     = "security.istio.io/v1"
	networkingAPIVersion   = "networking.istio.io/v1"
	gatewayAPIVersion      = "gateway.networking.k8s.io/v1"
	workloadsOfControllers = "deployments"
)

// source returns the pod from which the request was made; the zero object if it is not
// known.
func (c *facts) source() object {
	if c.Attempt == nil || c.Attempt.Command == nil {
		return object{}
	}
	p := c.Attempt.Command.Pod
	o, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name})
	return o
}

// client returns the namespace from which the request was made.
func (c *facts) client() string {
	if c.Attempt != nil && c.Attempt.Command != nil {
		return c.Attempt.Command.Pod.Namespace
	}
	return c.Namespace
}

// found returns a finding about an object.
func (c *facts) found(code string, o object, field, next, format string, args ...any) evidence.Finding {
	f := evidence.Finding{Code: code, Cause: fmt.Sprintf(format, args...), Field: field, Next: next, Facts: c.withLine()}
	if o.Unstructured != nil {
		f.Object = &evidence.Change{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
	}
	return f
}

// withLine returns what the proxies' lines say, and what curl's exit code means.
func (c *facts) withLine() (facts []string) {
	if c.line != nil {
		facts = append(facts, inWords(c.line))
	}
	if c.further != nil {
		facts = append(facts, inWords(c.further))
	}
	if w := CurlExit(c.asked.exit); c.asked.exit != 0 && w != "" {
		facts = append(facts, fmt.Sprintf("curl's exit code %d: %s", c.asked.exit, w))
	}
	return facts
}

// answeredBy returns a text that says that the far end itself gave the answer; "" if a
// proxy refused the request, or it is not known.
func (c *facts) answeredBy() string {
	l := c.last()
	u, ok := upstreamOf(l)
	if !ok || u.inMesh() || l.Status < 400 || l.Details != "" && l.Details != "via_upstream" || slices.ContainsFunc(l.Flags, func(f string) bool { return f != "-" }) || l.UpstreamHost == "" {
		return ""
	}
	return fmt.Sprintf("no proxy refused it: %s itself answered %d, at %s", u.host, l.Status, l.UpstreamHost)
}

func one(f evidence.Finding) []evidence.Finding { return []evidence.Finding{f} }

// unknown returns the finding for a failure whose cause is not known.
func (c *facts) unknown() []evidence.Finding {
	f := evidence.Finding{Cause: "The cause is not known.", Unknown: true, Facts: c.withLine()}
	if by := c.answeredBy(); by != "" {
		f.Facts = append(f.Facts, by)
	}
	if by := c.rewritten(); by != "" {
		f.Facts = append(f.Facts, by)
	}
	if len(c.unread) > 0 {
		f.Facts = append(f.Facts, "not looked at in all namespaces, for it may not be listed: "+strings.Join(c.unread, ", "))
	}
	if c.Attempt != nil && c.Attempt.Command != nil {
		p := c.Attempt.Command.Pod
		f.Next = fmt.Sprintf("kubectl -n %s logs %s -c istio-proxy --tail 20", p.Namespace, p.Name)
		if c.further != nil {
			g := c.hop(c.further)
			f.Next = fmt.Sprintf("kubectl -n %s logs %s --tail 20", g.namespace, c.further.Pod)
		}
		if !p.Sidecar {
			f.Next = fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name)
		}
	}
	for i := range c.Verdicts {
		if m := waitedObject.FindStringSubmatch(c.Verdicts[i].Subject()); m != nil && c.Kind == "wait" && f.Next == "" {
			f.Next = fmt.Sprintf("kubectl -n %s describe %s %s", c.in(), m[1], m[2])
		}
	}
	if len(f.Facts) == 0 && f.Next == "" {
		return nil
	}
	return []evidence.Finding{f}
}
