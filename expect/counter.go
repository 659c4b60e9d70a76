package expect

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/runner"
)

// Counter are counters of proxies that grow while the command runs.
type Counter []Count

// A Count is a counter of a proxy's upstream cluster, added up over its hosts
// and over the proxy's pods, without those that are about to go.
type Count struct {
	// In is the proxy: egressgateway, gateway/NAME, deploy/NAME, sidecar, or a
	// label selector.
	In string `yaml:"in,required"`
	// Cluster is the upstream cluster, such as outbound|443||www.wikipedia.org.
	Cluster string `yaml:"cluster,required"`
	// Name is the counter, such as cx_total or rq_total.
	Name string `yaml:"name,required"`
	// Grows is by how much, exactly.
	Grows int64 `yaml:"grows,required"`
}

// Validate returns what is wrong with the expectation.
func (e *Counter) Validate() error {
	if len(*e) == 0 {
		return &runner.FieldError{Err: errors.New("no counter is stated"), Hint: "write [{in: egressgateway, cluster: CLUSTER, name: cx_total, grows: 1}]"}
	}
	for i, c := range *e {
		if c.Grows < 0 {
			return &runner.FieldError{Field: []string{index(i), "grows"}, Err: fmt.Errorf("grows must be 0 or more, got %d", c.Grows)}
		}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Counter) Needs() (n evidence.Needs) {
	for _, c := range *e {
		n = n.And(evidence.Needs{Counters: []string{c.In}, Absence: c.Grows == 0, Arrivals: c.Grows == 0})
		if c.In != hopSidecar {
			n = n.And(evidence.Needs{Places: []string{c.In}})
		} else {
			n.Lines = n.Lines || c.Grows == 0
		}
	}
	return n
}

// Judge implements [runner.Expectation].
func (e *Counter) Judge(a *evidence.Attempt) (vs evidence.Verdicts) {
	for i := range *e {
		vs = append(vs, (*e)[i].judge(a, []string{index(i)})...)
	}
	return vs
}

func (c *Count) judge(a *evidence.Attempt, field []string) evidence.Verdicts {
	proxies, why := c.proxies(a)
	if why != "" {
		return unjudged(at(field, "in"), true, why, "")
	}
	var clusters, names []string
	var grew, lines int64
	logged := true
	for _, p := range proxies {
		if !p.Counted {
			return unjudged(at(field, "in"), true, fmt.Sprintf("the counters of %s were not read: %s", p.Pod.Name, p.Uncounted), "")
		}
		logged = logged && p.Log.Read && p.Log.Off == "" && p.Log.Partial == ""
		for _, k := range a.Counters {
			if k.Pod != p.Pod.Name {
				continue
			}
			clusters = append(clusters, k.Cluster)
			if k.Cluster != c.Cluster {
				continue
			}
			if k.Name != "" {
				names = append(names, k.Name)
			}
			if k.Name == c.Name {
				grew += k.Grew
			}
		}
		for _, l := range a.Lines {
			if l.Pod == p.Pod.Name && l.Cluster == c.Cluster && !l.Start.Before(a.Started) && !l.Start.After(a.Ended) {
				lines++
			}
		}
	}
	switch {
	case !slices.Contains(clusters, c.Cluster):
		return unjudged(at(field, "cluster"), true, fmt.Sprintf("%s has no cluster %s", c.In, c.Cluster), hint(c.Cluster, clusters))
	case len(names) > 0 && !slices.Contains(names, c.Name):
		return unjudged(at(field, "name"), false, fmt.Sprintf("the cluster %s has no counter %s", c.Cluster, c.Name), hint(c.Name, names))
	case len(names) == 0 && c.Grows == 0:
		return unjudged(field, true, fmt.Sprintf("the cluster %s has no host yet, so that nothing is counted", c.Cluster), "")
	}
	v := judge(at(field, "grows"), grew == c.Grows, strconv.FormatInt(c.Grows, 10), strconv.FormatInt(grew, 10))
	if c.Grows > 0 || v.Outcome != evidence.Held {
		return evidence.Verdicts{v}
	}
	// That nothing was sent is said by a second witness, too.
	switch {
	case lines > 0:
		return unjudged(at(field, "grows"), true, fmt.Sprintf("two witnesses contradict each other: the counter has not grown, but the access log of %s has %d lines with that cluster", c.In, lines), "")
	case !logged && farEndSaw(a, proxies):
		return unjudged(at(field, "grows"), true, fmt.Sprintf("two witnesses may contradict each other: the counter has not grown, but the far end saw requests of %s", c.In), "")
	case !logged && (a.Arrivals == nil || !a.Arrivals.Recorded):
		return unjudged(at(field, "grows"), false, fmt.Sprintf("that nothing was sent needs a second witness, and %s has no access log", c.In), "have the mesh write access logs")
	}
	return evidence.Verdicts{v}
}

// farEndSaw reports whether something arrived from one of the proxies.
func farEndSaw(a *evidence.Attempt, proxies []*evidence.Proxy) bool {
	if a.Arrivals == nil {
		return false
	}
	return slices.ContainsFunc(a.Arrivals.All, func(r evidence.Arrival) bool {
		if r.Time.After(a.Ended) {
			return false
		}
		ip := evidence.HostOf(r.Remote)
		return slices.ContainsFunc(proxies, func(p *evidence.Proxy) bool { return p.Pod.IP == ip })
	})
}

// proxies returns the proxies that the count means, or why there are none.
func (c *Count) proxies(a *evidence.Attempt) (proxies []*evidence.Proxy, why string) {
	if c.In == hopSidecar {
		if p := a.Beside(); p != nil {
			return []*evidence.Proxy{p}, ""
		}
		return nil, "the pod has no sidecar"
	}
	for i := range a.Proxies {
		p := &a.Proxies[i]
		means, why := a.Means(c.In, &p.Pod)
		if why != "" {
			return nil, why
		}
		if means {
			proxies = append(proxies, p)
		}
	}
	if len(proxies) == 0 {
		return nil, "no proxy of " + c.In + " was looked at"
	}
	return proxies, ""
}

// hint names the nearest of the names that there are.
func hint(name string, known []string) string {
	slices.Sort(known)
	known = slices.Compact(known)
	if near, ok := nearest.Name(name, known); ok {
		return "did you mean " + near + "?"
	}
	const most = 8
	if len(known) > most {
		known = append(known[:most:most], fmt.Sprintf("and %d more", len(known)-most))
	}
	return "there are " + strings.Join(known, ", ")
}
