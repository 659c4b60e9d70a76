package expect

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Arrived are the requests that the command brought to the far end, in order: as
// many as are listed, and with an empty list none. The lab's internet records
// them. Where nobody does, the expectation is not checked.
type Arrived []Arrival

// An Arrival is what one request is to be like where it arrives. What it does
// not state may be anything.
type Arrival struct {
	// Host is the host that the request names. Unless Site says otherwise, the
	// server that was reached must be the one that has this name.
	Host *Value `yaml:"host"`
	// Site is the server that was reached, by its first name.
	Site     *Value `yaml:"site"`
	TLS      *bool  `yaml:"tls"`
	SNI      *Value `yaml:"sni"`
	ALPN     *Value `yaml:"alpn"`
	Protocol *Value `yaml:"protocol"` // HTTP/1.1, HTTP/2.0 or TCP
	Method   *Value `yaml:"method"`
	Path     *Value `yaml:"path"`
	Status   *int   `yaml:"status"`
	// ClientCertificate is the subject of the certificate that the client
	// showed, such as CN=client.example.com.
	ClientCertificate *Value `yaml:"clientCertificate"`
	// From is who made the connection: sidecar (the pod of the command, even if it
	// has no sidecar), egressgateway, gateway/NAME, or deploy/NAME.
	From string `yaml:"from"`
}

// Validate returns what is wrong with the expectation.
func (e *Arrival) Validate() error {
	if from := e.From; from != "" && from != hopSidecar && !isProxy(from) && !strings.Contains(from, "${") {
		return &runner.FieldError{Field: []string{"from"}, Err: fmt.Errorf("%q makes no connection: want sidecar, %s", from, proxies)}
	}
	if e.TLS != nil || e.Status != nil || e.From != "" {
		return nil
	}
	for _, f := range e.fields(&evidence.Arrival{}) {
		if f.want != nil {
			return nil
		}
	}
	return &runner.FieldError{Err: errors.New("nothing is expected of the arrival"), Hint: "write host, tls, sni, protocol, from, ..., or arrived: [] for none"}
}

// Needs implements [runner.Expectation].
func (e *Arrived) Needs() evidence.Needs {
	n := evidence.Needs{Curl: len(*e) == 0, Arrivals: true, Lines: true, Way: true, Absence: len(*e) == 0}
	for _, r := range *e {
		if isProxy(r.From) {
			n = n.And(evidence.Needs{Places: []string{r.From}})
		}
	}
	return n
}

// Judge implements [runner.Expectation].
func (e *Arrived) Judge(a *evidence.Attempt) evidence.Verdicts {
	if a.Arrivals == nil || !a.Arrivals.Recorded {
		return evidence.Verdicts{{Outcome: evidence.NotChecked, Want: flow(e.yaml()), Why: "nobody records here what arrives"}}
	}
	var ours []*evidence.Arrival
	for i := range a.Arrivals.All {
		if r := &a.Arrivals.All[i]; r.Ours {
			ours = append(ours, r)
		}
	}
	if len(ours) != len(*e) {
		v := judge(nil, false, flow(e.yaml()), flow(arrivals(ours)))
		if len(ours) == 0 {
			v.Why = whyNothing(a)
		}
		return evidence.Verdicts{v}
	}
	if len(*e) == 0 {
		return e.judgeNothing(a)
	}
	var vs evidence.Verdicts
	for i, r := range ours {
		vs = append(vs, (*e)[i].check(a, []string{index(i)}, r)...)
	}
	return vs
}

// judgeNothing judges that nothing arrived, which a second witness has to say,
// too: a proxy that sent nothing on, or curl, which made no connection.
func (e *Arrived) judgeNothing(a *evidence.Attempt) evidence.Verdicts {
	v := judge(nil, true, "[]", "[]")
	if a.Command.Curl == nil || len(a.Transfers) == 0 {
		return unjudged(nil, false, "that nothing arrived needs a second witness, and the command is no curl that tells of its connections", "")
	}
	connected := false
	for _, t := range a.Transfers {
		connected = connected || t.Local != ""
	}
	if !connected {
		v.Facts = []string{"curl made no connection"}
		return evidence.Verdicts{v}
	}
	if len(a.Ways) == 0 {
		if s := a.Beside(); s != nil && s.Log.Complete && a.Past != nil && len(a.Past.Against) == 0 && s.Counted {
			return unjudged(nil, true, "nothing arrived, but the request left no line in the sidecar's access log: nobody tells where it went", "")
		}
		return unjudged(nil, true, "that nothing arrived needs a second witness, and the way of the request is not known", "")
	}
	for _, w := range a.Ways {
		switch {
		case w.Unknown != "":
			return unjudged(nil, w.Again, w.Unknown, "")
		case w.Direct:
			return unjudged(nil, true, "nothing was recorded, but curl connected directly, past no proxy that could tell", "")
		case w.Ends == "" && w.Pod == nil && strings.Contains(w.Cluster, "|") && !strings.HasSuffix(w.Cluster, ".svc.cluster.local"),
			w.Ends == "" && w.Cluster == evidence.Passthrough:
			return unjudged(nil, true, "two witnesses contradict each other: nothing was recorded, but the request went "+w.Words(), "")
		}
		v.Facts = append(v.Facts, w.Words())
	}
	return evidence.Verdicts{v}
}

// whyNothing says how far the requests got.
func whyNothing(a *evidence.Attempt) string {
	var ways []string
	for i := range a.Ways {
		ways = append(ways, a.Ways[i].Words())
	}
	return strings.Join(ways, "; ")
}

// misdirected says who was reached where that is not the server whose name the
// request has, "" where it is. The name is the client's word. An address of the
// cluster may lead to a host under a name of the cluster's own.
func misdirected(r *evidence.Arrival) string {
	name := evidence.HostOf(r.Host)
	if name == "" {
		name = r.SNI
	}
	switch {
	case r.Site == "" || name == "" || r.Owner == r.Site:
		return ""
	case r.Owner == "" && (strings.HasSuffix(name, ".svc.cluster.local") || !strings.Contains(name, ".") || net.ParseIP(name) != nil):
		return ""
	}
	return fmt.Sprintf("%s answered, which is not %s", r.Site, name)
}

type arrivalField struct {
	name string
	want *Value
	got  string
}

func (e *Arrival) fields(r *evidence.Arrival) []arrivalField {
	return []arrivalField{
		{"host", e.Host, r.Host},
		{"site", e.Site, r.Site},
		{"sni", e.SNI, r.SNI},
		{"alpn", e.ALPN, r.ALPN},
		{"protocol", e.Protocol, r.Protocol},
		{"method", e.Method, r.Method},
		{"path", e.Path, r.Path},
		{"clientCertificate", e.ClientCertificate, r.ClientCertificate},
	}
}

func (e *Arrival) check(a *evidence.Attempt, field []string, r *evidence.Arrival) (vs evidence.Verdicts) {
	for _, f := range e.fields(r) {
		if f.want == nil {
			continue
		}
		if r.Truncated && len(f.got) > maxWhole {
			vs = append(vs, unjudged(at(field, f.name), false, "the far end has not recorded the whole text", "")...)
			continue
		}
		vs = append(vs, f.want.check(at(field, f.name), f.got, f.got != "")...)
	}
	if who := misdirected(r); who != "" && e.Site == nil && (e.Host != nil || e.SNI != nil) {
		v := judge(at(field, "host"), false, "the server that has the name", who)
		v.Hint = "where that is meant, state site: " + r.Site
		vs = append(vs, v)
	}
	if e.TLS != nil {
		vs = append(vs, judge(at(field, "tls"), *e.TLS == r.TLS, strconv.FormatBool(*e.TLS), strconv.FormatBool(r.TLS)))
	}
	if e.Status != nil {
		vs = append(vs, judge(at(field, "status"), *e.Status == r.Status, strconv.Itoa(*e.Status), strconv.Itoa(r.Status)))
	}
	if e.From == "" {
		return vs
	}
	ip, _, _ := net.SplitHostPort(r.Remote)
	if e.From == hopSidecar {
		return append(vs, judge(at(field, "from"), ip == a.Command.Pod.IP, e.From, who(a, ip)))
	}
	means, why := a.Means(e.From, &evidence.Pod{IP: ip})
	if why != "" {
		return append(vs, unjudged(at(field, "from"), true, why, "")...)
	}
	return append(vs, judge(at(field, "from"), means, e.From, who(a, ip)))
}

// maxWhole is how long a text of an arrival may be, in bytes, to be whole where the
// client sent one that is not.
const maxWhole = 4000

// who returns the name of the proxy or place that has an address.
func who(a *evidence.Attempt, ip string) string {
	if ip == a.Command.Pod.IP {
		return hopSidecar
	}
	if p := a.Proxy(ip); p != nil {
		return p.Name
	}
	return ip
}

// yaml returns the arrivals that are wanted as a playbook has them.
func (e *Arrived) yaml() []mapping {
	list := []mapping{}
	for _, w := range *e {
		var m mapping
		for _, f := range w.fields(&evidence.Arrival{}) {
			if f.want != nil {
				m = append(m, pair{f.name, f.want.yaml()})
			}
		}
		if w.TLS != nil {
			m = append(m, pair{"tls", *w.TLS})
		}
		if w.Status != nil {
			m = append(m, pair{"status", *w.Status})
		}
		if w.From != "" {
			m = append(m, pair{"from", w.From})
		}
		list = append(list, m)
	}
	return list
}

// arrivals returns what arrived as a playbook has it.
func arrivals(list []*evidence.Arrival) []mapping {
	all := []mapping{}
	for _, r := range list {
		m := mapping{{"host", r.Host}, {"method", r.Method}, {"path", r.Path}, {"protocol", r.Protocol}, {"status", r.Status}}
		if r.Method == "" {
			m = mapping{{"site", r.Site}, {"sni", r.SNI}, {"protocol", r.Protocol}}
		}
		all = append(all, m)
	}
	return all
}
