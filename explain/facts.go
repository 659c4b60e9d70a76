package explain

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// facts are what is known of a failure. What has to be asked for is asked once.
type facts struct {
	ctx context.Context
	e   *Explainer
	Failure

	asked   request
	line    *evidence.Line             // of the sidecar, nil for none
	further *evidence.Line             // of the last gateway on the way, nil for none
	objects map[string][]object        // by kind
	unread  []string                   // the kinds that may not be listed
	pod     *unstructured.Unstructured // the pod from which the request was made
	podSeen bool
}

// A request is what was asked for.
type request struct {
	url          *url.URL
	host         string
	port         int
	tls          bool
	exit, status int
}

// look finds out what was asked, and what the proxies say of it.
func (c *facts) look() {
	a := c.Attempt
	if a == nil || a.Command == nil || len(a.Transfers) == 0 {
		return
	}
	t := &a.Transfers[0]
	u, err := url.Parse(t.URL)
	if err != nil {
		return
	}
	c.asked = request{url: u, host: strings.ToLower(u.Hostname()), tls: u.Scheme == "https", exit: t.ExitCode, status: t.Status}
	if c.asked.port, err = strconv.Atoi(u.Port()); err != nil {
		c.asked.port = map[bool]int{true: 443, false: 80}[c.asked.tls]
	}
	read := slices.ContainsFunc(a.Proxies, func(p evidence.Proxy) bool { return p.Log.Read })
	if !read && a.Command.Pod.Sidecar && c.e.Look != nil {
		_ = c.e.Look(c.ctx, a) // what it does not find is not known
	}
	for i := range a.Lines {
		l := &a.Lines[i]
		switch {
		case l.By == "":
		case l.Proxy == evidence.Sidecar && c.line == nil:
			c.line = l
		case l.Proxy != evidence.Sidecar:
			c.further = l
		}
	}
}

// last is the line of the last proxy that saw the request.
func (c *facts) last() *evidence.Line {
	if c.further != nil {
		return c.further
	}
	return c.line
}

// An object is one of the cluster, with what is read of it.
type object struct {
	*unstructured.Unstructured
}

func (o object) text(path ...string) string {
	text, _, _ := unstructured.NestedString(o.Object, path...)
	return text
}

func (o object) texts(path ...string) []string {
	texts, _, _ := unstructured.NestedStringSlice(o.Object, path...)
	return texts
}

// maps returns the mappings of a list.
func (o object) maps(path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(o.Object, path...)
	return mappings(list)
}

func mappings(list []any) (all []map[string]any) {
	for _, element := range list {
		if m, ok := element.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// at returns what is at a path of a mapping, nil for nothing.
func at(m map[string]any, path ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	return value
}

func textAt(m map[string]any, path ...string) string {
	text, _ := at(m, path...).(string)
	return text
}

func numberAt(m map[string]any, path ...string) int {
	switch n := at(m, path...).(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}

// name is how an object is named for a reader: with its kind, and its namespace
// where that is not the run's.
func (c *facts) name(o object) string {
	name := o.GetKind() + " " + o.GetName()
	if o.GetNamespace() != "" && o.GetNamespace() != c.Namespace {
		name += " in namespace " + o.GetNamespace()
	}
	return name
}

// kubectl returns a command about an object.
func (c *facts) kubectl(verb string, o object) string {
	args := "kubectl "
	if o.GetNamespace() != "" && o.GetNamespace() != "default" {
		args += "-n " + o.GetNamespace() + " "
	}
	return args + verb + " " + strings.ToLower(o.GetKind()) + " " + o.GetName()
}

// list returns the objects of a kind in all namespaces that we may see.
func (c *facts) list(kind string) []object {
	if all, listed := c.objects[kind]; listed {
		return all
	}
	found, err := c.e.Cluster.List(c.ctx, kind, "", "")
	if err != nil {
		if found, err = c.e.Cluster.List(c.ctx, kind, c.Namespace, ""); err != nil {
			c.unread = append(c.unread, kind)
		}
	}
	all := make([]object, 0, len(found))
	for i := range found {
		all = append(all, object{&found[i]})
	}
	c.objects[kind] = all
	return all
}

// The kinds that are looked at, as kubectl takes them.
const (
	serviceEntries   = "serviceentries.networking.istio.io"
	virtualServices  = "virtualservices.networking.istio.io"
	destinationRules = "destinationrules.networking.istio.io"
	gateways         = "gateways.networking.istio.io"
	sidecars         = "sidecars.networking.istio.io"
	services         = "services"
	secrets          = "secrets"
)

// source returns the pod from which the request was made, nil where it is not
// known.
func (c *facts) source() *unstructured.Unstructured {
	if !c.podSeen && c.Attempt != nil && c.Attempt.Command != nil {
		c.podSeen = true
		p := c.Attempt.Command.Pod
		pod, err := c.e.Cluster.Get(c.ctx, cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name})
		if err == nil {
			c.pod = pod
		}
	}
	return c.pod
}

// client is the namespace from which the request was made.
func (c *facts) client() string {
	if c.Attempt != nil && c.Attempt.Command != nil {
		return c.Attempt.Command.Pod.Namespace
	}
	return c.Namespace
}

// An upstream is what the name of a proxy's upstream cluster says.
// Source: istio/istio pilot/pkg/model/push_context.go, BuildSubsetKey.
type upstream struct {
	port   int
	subset string
	host   string
}

func upstreamOf(cluster string) (u upstream, ok bool) {
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 || parts[0] != "outbound" {
		return u, false
	}
	port, err := strconv.Atoi(parts[1])
	return upstream{port, parts[2], parts[3]}, err == nil
}

// serves reports whether a host as an object has it, perhaps with a wildcard, is
// meant by a name.
func serves(host, name string) bool {
	if _, after, namespaced := strings.Cut(host, "/"); namespaced {
		host = after
	}
	if host == "*" || host == name {
		return true
	}
	suffix, wild := strings.CutPrefix(host, "*")
	return wild && strings.HasSuffix(name, suffix)
}

// hasHost reports whether an object is for a host, by its spec.hosts.
func (o object) hasHost(name string) bool {
	return slices.ContainsFunc(o.texts("spec", "hosts"), func(h string) bool { return serves(h, name) })
}

// exported reports whether an object is seen from a namespace.
func exported(o object, from string) bool {
	path := []string{"spec", "exportTo"}
	to := o.texts(path...)
	if len(to) == 0 || from == o.GetNamespace() {
		return true
	}
	return slices.Contains(to, "*") || slices.Contains(to, from)
}

// entries returns the ServiceEntries that have a host and are seen from the
// client's namespace.
func (c *facts) entries(host string) (found []object) {
	for _, se := range c.list(serviceEntries) {
		if se.hasHost(host) {
			found = append(found, se)
		}
	}
	return found
}

// port returns the port of a ServiceEntry or a Service with this number, and its
// index; nil for none.
func (o object) port(number int) (port map[string]any, index int) {
	for i, p := range o.maps("spec", "ports") {
		if numberAt(p, "number") == number || numberAt(p, "port") == number {
			return p, i
		}
	}
	return nil, 0
}

// finding returns a finding about an object.
func (c *facts) finding(o object, field, cause, next string, facts ...string) evidence.Finding {
	return evidence.Finding{
		Cause: cause, Field: field, Next: next, Facts: c.withLine(facts),
		Object: &evidence.Change{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()},
	}
}

// withLine adds what the last proxy's line says.
func (c *facts) withLine(facts []string) []string {
	if l := c.last(); l != nil {
		facts = append(facts, inWords(l))
	}
	return facts
}

// hostOf returns the name in "HOST:PORT", or in a host.
func hostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return authority
}

// unknown is what is said where no cause is known.
func (c *facts) unknown() []evidence.Finding {
	f := evidence.Finding{Cause: "The cause is not known.", Unknown: true, Facts: c.withLine(nil)}
	if len(c.unread) > 0 {
		f.Facts = append(f.Facts, "not looked at, for it may not be listed: "+strings.Join(c.unread, ", "))
	}
	if c.Attempt != nil && c.Attempt.Command != nil {
		p := c.Attempt.Command.Pod
		f.Next = fmt.Sprintf("kubectl -n %s logs %s -c istio-proxy --tail 20", p.Namespace, p.Name)
		if !p.Sidecar {
			f.Next = fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name)
		}
	}
	if len(f.Facts) == 0 && f.Next == "" {
		return nil
	}
	return []evidence.Finding{f}
}
