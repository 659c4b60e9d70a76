package steps

import (
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/shell"
)

// Reads implements [Reader].
func (s *Shell) Reads() (all []cluster.Access) {
	if s.Script.file == nil {
		return nil
	}
	syntax.Walk(s.Script.file, func(n syntax.Node) bool {
		call, _ := n.(*syntax.CallExpr)
		if call == nil || len(call.Args) == 0 {
			return true
		}
		switch words := varyingWordsOf(call); words[0] {
		case "kubectl":
			if k, err := shell.ParseKubectl(words); err == nil {
				all = append(all, readsOf(k)...)
			}
		case "istioctl":
			if look, err := parseProxyConfig(words); err == nil {
				all = append(all, (&Exec{In: Pod{Name: look.pod}, Namespace: look.namespace}).Reads()...)
			}
		}
		return true
	})
	return all
}

// readsOf returns what a kubectl command in a script reads and runs.
func readsOf(k *shell.Kubectl) []cluster.Access {
	switch k.Verb {
	case "exec":
		if e, err := execOf(k); err == nil {
			return e.Reads()
		}
	case "logs":
		if l, err := logsOf(k); err == nil {
			return l.Reads()
		}
	case "describe":
		return []cluster.Access{{Verb: "get", Ref: cluster.Ref{Kind: "servicecidr", Name: "kubernetes"}}}
	case "get":
		if g, err := getOf(k); err == nil {
			return g.reads(k.Namespace())
		}
	}
	return nil
}

// reads returns what a kubectl get reads.
func (g *get) reads(namespace string) (all []cluster.Access) {
	for i, kind := range g.kinds {
		a := cluster.Access{Verb: "list", Ref: cluster.Ref{Kind: kind, Namespace: namespace}}
		switch {
		case i < len(g.names):
			a.Verb, a.Ref.Name = "get", g.names[i]
		case g.all:
			a.Ref.Namespace = cluster.AllNamespaces
		}
		all = append(all, a)
	}
	return all
}
