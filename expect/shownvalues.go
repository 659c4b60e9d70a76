package expect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// bindings remember which value of a run stands for which of a tutorial. Equal ones
// stand for equal ones, in all outputs. Different ones stand for different ones within an
// output. Over several outputs that is asked of what cannot be one thing: ids of two
// requests, addresses of two Services, and two names of pods, if the outputs were written
// down at one time (see [recordings]); else the tutorial may show the same pod at two times.
type bindings struct {
	forward, back map[token]string
	earlier       map[token]string // what stood in earlier outputs
	of            map[token]string // what an address is of, where that is known
	shell         *evidence.Shell
	shown         string // all that the tutorial shows in this output
	conflict      string // with an earlier output; "" for none
	soft          []string
}

func newBindings(shown string, shell *evidence.Shell) *bindings {
	b := &bindings{forward: map[token]string{}, back: map[token]string{}, earlier: map[token]string{}, of: map[token]string{}, shell: shell, shown: shown}
	for i := range shell.Earlier {
		for _, e := range shell.Earlier[i].Bindings {
			b.earlier[token{e.Kind, e.Shown}] = e.Got
		}
	}
	return b
}

// bind notes a pair of values, and reports whether it fits with those before.
func (b *bindings) bind(kind, page, real string) bool { return b.bindOf(kind, page, real, b.service()) }

// bindOf is bind for the address of a Service; of is "" for any other.
func (b *bindings) bindOf(kind, page, real, of string) bool {
	if b == nil || kind == "date" || kind == "client" || kind == "port" || kind == "address" && strings.ContainsAny(page, "XYZ") {
		return true
	}
	p, r := token{kind, page}, token{kind, real}
	if before, known := b.earlier[p]; known && before != real {
		b.conflict = fmt.Sprintf("an earlier output had %s for %s, this one has %s", before, page, real)
		return false
	}
	there, known := b.forward[p]
	back, taken := b.back[r]
	if known && there != real || taken && back != page {
		return false
	}
	b.forward[p], b.back[r] = real, page
	if kind == "address" && of != "" {
		b.of[p] = of
	}
	return b.differs(kind, page, real, of)
}

// request notes the id of a request. It may be another one in the proxy behind, so that
// equal ones need not be equal; two requests never have the same.
func (b *bindings) request(page, real string) bool {
	if b == nil || page == real || !isUUID(page) || !isUUID(real) {
		return true
	}
	b.forward[token{"request", page}] = real
	return b.differs("request", page, real, "")
}

// differs reports whether no earlier output has the same value for another one of the
// tutorial that cannot be the same thing.
func (b *bindings) differs(kind, page, real, of string) bool {
	for i := range b.shell.Earlier {
		o := &b.shell.Earlier[i]
		for _, e := range o.Bindings {
			if e.Kind != kind || e.Shown == page || e.Got != real {
				continue
			}
			same := ""
			switch {
			case kind == "request" && !o.LastRequest.Equal(b.shell.LastRequest):
				same = "two requests"
			case kind == "address" && of != "" && e.Of != "" && of != e.Of:
				same = "the addresses of " + e.Of + " and " + of
			case kind == "pod" && b.ofTheAPI(), kind == "address" && of != "" && e.Of != "":
				same = map[string]string{"pod": "two pods", "address": "two addresses of " + of}[kind]
				if !atOneTime(o.Shown, b.shown, b.shell.Earlier) {
					note := fmt.Sprintf("%s and %s are one here: were they written down at two times?", e.Shown, page)
					if !slices.Contains(b.soft, note) {
						b.soft = append(b.soft, note)
					}
					continue
				}
			default:
				continue
			}
			b.conflict = fmt.Sprintf("the tutorial shows %s, %s in an earlier output and %s in this one, here both are %s", same, e.Shown, page, real)
			return false
		}
	}
	return true
}

// ofTheAPI reports whether nothing of the output came from a command in a pod: which of
// several pods answers a request is chance.
func (b *bindings) ofTheAPI() bool {
	return !slices.ContainsFunc(b.shell.Stages, func(s evidence.Stage) bool { return s.Exec })
}

// clusterIP matches how an output's command asks for the address of a Service.
var clusterIP = regexp.MustCompile(`(?i)\bclusterIPs?\b`)

// service returns of which Service the output tells the address, "" where it tells more
// or something else.
func (b *bindings) service() string {
	if b == nil {
		return ""
	}
	name := ""
	for _, s := range b.shell.Stages {
		if s.Inner || len(s.Argv) < 3 || s.Argv[0] != "kubectl" || s.Exec || !clusterIP.MatchString(strings.Join(s.Argv, " ")) {
			continue
		}
		if name != "" {
			return ""
		}
		name = serviceOf(s.Argv)
	}
	return name
}

// serviceOf returns the one Service that a command line of kubectl get names.
func serviceOf(argv []string) string {
	for i, word := range argv {
		kind, name, found := strings.Cut(word, "/")
		if !slices.Contains([]string{"svc", "service", "services"}, kind) {
			continue
		}
		switch {
		case found:
			return name
		case i+1 < len(argv) && !strings.HasPrefix(argv[i+1], "-"):
			return argv[i+1]
		}
	}
	return ""
}

// all returns the values of the output, for later ones.
func (b *bindings) all() (all []evidence.Binding) {
	for shown, got := range b.forward {
		if _, known := b.earlier[shown]; !known {
			all = append(all, evidence.Binding{Kind: shown.kind, Shown: shown.value, Got: got, Of: b.of[shown]})
		}
	}
	return all
}
