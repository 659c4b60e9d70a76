package pages

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// objectLine matches what kubectl prints of an object that it has changed: KIND/NAME DONE,
// or KIND "NAME" DONE.
var objectLine = regexp.MustCompile(`^([a-z]+)(?:\.[a-z0-9.-]+)?(?:/([a-z0-9][a-z0-9.:-]*)| "([a-z0-9][a-z0-9.:-]*)") (created|configured|unchanged|replaced|deleted|labeled|unlabeled|not labeled|annotated|patched|scaled|restarted|condition met|successfully rolled out|exceeded its progress deadline)\b`)

// printedBy has what kubectl prints behind a change, by the verb of the step.
var printedBy = map[string][]string{
	"apply":    {"created", "configured", "unchanged", "replaced"},
	"delete":   {"deleted"},
	"label":    {"labeled", "unlabeled", "not labeled"},
	"annotate": {"annotated"},
	"patch":    {"patched", "patched (no change)"},
	"scale":    {"scaled"},
	"restart":  {"restarted"},
	"wait":     {"condition met", "successfully rolled out"},
}

// changing matches the beginning of a command that changes something and prints what.
var changing = regexp.MustCompile(`^kubectl (?:(?:-n|--namespace)[ =]\S+ )?(?:apply|create|delete|label|annotate|patch|scale|replace)\b`)

// waiting matches the beginning of a command that waits for an object.
var waiting = regexp.MustCompile(`^kubectl (?:(?:-n|--namespace)[ =]\S+ )?(?:wait|rollout status)\b`)

// ofChange returns how many lines of an output, from the first on, are what a change
// prints; 0 if all are.
func ofChange(shown []line) (n int) {
	for n < len(shown) && objectLine.MatchString(strings.TrimSpace(shown[n].text)) {
		n++
	}
	if n == len(shown) {
		return 0
	}
	return n
}

// share gives the lines of an output that a change prints to the change, where an output
// stands behind a fence with one change, and a command that looks at last.
func (s *splitter) share(last *statement) {
	n := ofChange(last.shown)
	if n == 0 || changing.MatchString(last.text()) {
		return
	}
	var change *statement
	for _, st := range s.statements {
		if st.fence != last.fence || !changing.MatchString(st.text()) || len(st.shown) > 0 {
			continue
		}
		if change != nil {
			return // which of them prints what, nothing tells
		}
		change = st
	}
	if change != nil {
		change.shown, last.shown = last.shown[:n:n], last.shown[n:]
	}
}

// changesAndLook maps changes that && or ; joins with a look behind them, of which the page
// shows both outputs. It returns nil for anything else.
func (m *mapper) changesAndLook(st *statement, all []*syntax.Stmt, s settings) ([]*yaml.Node, error) {
	n := ofChange(st.shown)
	if n == 0 {
		return nil, nil
	}
	last := len(all) - 1
	for i, stmt := range all {
		if text := textOfNode(st.text(), stmt); changing.MatchString(text) != (i < last) {
			return nil, nil
		}
	}
	changes, look := *st, *st
	changes.shown, look.shown = st.shown[:n:n], st.shown[n:]
	silent := changes
	silent.shown = nil
	var made []*yaml.Node
	for _, stmt := range all[:last] {
		nodes, err := m.command(&silent, stmt, s)
		if err != nil {
			return nil, err
		}
		made = append(made, nodes...)
	}
	m.verbLines(&changes, made)
	look.lines = cutLines(st, all[last])
	file, _, problem := shell.Parse(look.text())
	if problem != nil || len(file.Stmts) != 1 {
		return nil, nil
	}
	look.file = file
	nodes, err := m.command(&look, file.Stmts[0], s)
	if err != nil {
		return nil, err
	}
	return append(made, nodes...), nil
}

// verbLines refuses a change of which the page shows that another object was changed, or
// that another thing was done to it. A step claims that its own objects are changed, so
// such a line would otherwise be compared with nothing.
func (m *mapper) verbLines(st *statement, made []*yaml.Node) {
	var did []string
	var all []object
	for _, n := range made {
		verb, objects, ok := m.changedBy(n)
		if !ok || verb == "wait" && !waiting.MatchString(st.text()) {
			return // it stands for something else, such as a gateway that must be there already
		}
		did, all = append(did, printedBy[verb]...), append(all, objects...)
	}
	if len(all) == 0 {
		return
	}
	for _, l := range st.shown {
		g := objectLine.FindStringSubmatch(strings.TrimSpace(l.text))
		if g == nil {
			continue
		}
		at, name := place{l.line, l.column + len(l.text) - len(strings.TrimLeft(l.text, " \t"))}, g[2]+g[3]
		const hint = "correct what the page shows; for a page that is somebody else's, the overlay has output: exit"
		switch {
		case !slices.ContainsFunc(all, func(o object) bool { return o.name == name && sameKind(o.kind, g[1]) }):
			m.refuse(at, hint, "the page shows that %s/%s is %s, and the command does not change it", g[1], name, g[4])
		case !slices.Contains(did, g[4]):
			m.refuse(at, hint, "the page shows that %s/%s is %s, which the command does not do", g[1], name, g[4])
		}
	}
}

// refuse notes a reason for which the page is not run, or, where the reader has chosen to
// leave such things out, that it is compared with nothing.
func (m *mapper) refuse(at place, hint, format string, args ...any) {
	if m.options.SkipUnmapped {
		m.note(at, true, "compared with nothing: "+format, args...)
		return
	}
	m.fail(at, hint, format, args...)
}

// changedBy returns the verb of a step and the objects that it changes. ok reports whether
// all of them are known before the run.
func (m *mapper) changedBy(n *yaml.Node) (verb string, all []object, ok bool) {
	for verb := range printedBy {
		v := key(n, verb)
		if v == nil {
			continue
		}
		if verb == "apply" {
			texts := m.manifestsOf(v)
			all = leftOutOfSample(v)
			for _, text := range texts {
				objects, err := objectsOfText(text)
				if err != nil {
					return verb, nil, false
				}
				all = append(all, objects...)
			}
			return verb, all, len(texts) > 0 && !slices.ContainsFunc(all, func(o object) bool {
				return o.name == "" || strings.HasSuffix(o.kind, "List") || strings.Contains(o.name+o.kind, "${")
			})
		}
		refs := []*yaml.Node{key(v, "object")}
		if list := key(v, "objects"); list != nil {
			refs = list.Content
		} else if v.Kind == yaml.SequenceNode {
			refs = v.Content
		}
		for _, ref := range refs {
			kind, name, found := strings.Cut(textOf(ref), "/")
			if !found || strings.Contains(name+kind, "${") {
				return verb, nil, false
			}
			kind, _, _ = strings.Cut(kind, ".")
			all = append(all, object{kind: kind, name: name})
		}
		return verb, all, true
	}
	return "", nil, false
}

// leftOutOfSample returns what of Istio's sample curl its built-in form does not have.
func leftOutOfSample(apply *yaml.Node) []object {
	if list := key(apply, "files"); list != nil && slices.ContainsFunc(list.Content, func(f *yaml.Node) bool { return f.Value == "samples/curl.yaml" }) {
		return []object{{kind: "Service", name: "curl"}}
	}
	return nil
}

// sameKind reports whether two words may name one kind: a short name, a plural, or the
// kind itself.
func sameKind(a, b string) bool {
	a, b = kindOf(a), kindOf(b)
	return a == b || len(a) < 4 || len(b) < 4 // a short name that is not known here
}

// shortKinds has the short names of kinds that pages use.
var shortKinds = map[string]string{
	"ns": "namespace", "svc": "service", "po": "pod", "cm": "configmap", "sa": "serviceaccount", "deploy": "deployment", "rs": "replicaset", "sts": "statefulset",
	"ds": "daemonset", "se": "serviceentry", "vs": "virtualservice", "dr": "destinationrule", "gw": "gateway", "pa": "peerauthentication", "netpol": "networkpolicy",
}

func kindOf(word string) string {
	word = strings.ToLower(word)
	if long, is := shortKinds[word]; is {
		return long
	}
	switch {
	case strings.HasSuffix(word, "ies"):
		return strings.TrimSuffix(word, "ies") + "y"
	case strings.HasSuffix(word, "sses"):
		return strings.TrimSuffix(word, "es")
	case strings.HasSuffix(word, "ss"):
		return word
	}
	return strings.TrimSuffix(word, "s")
}
