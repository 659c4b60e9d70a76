package playbooks

import (
	"github.com/egressplay/egressplay/playbooks/fill"

	"strings"

	"gopkg.in/yaml.v3"
)

// checkInternet judges the playbook's own hosts as far as that can be done without
// the lab, which knows their grammar: they are a list, and hold no variables.
func (l *loader) checkInternet() {
	n := l.header.Internet
	switch {
	case n == nil || n.Kind == yaml.AliasNode: // parse told it
		return
	case n.Kind != yaml.SequenceNode:
		l.decoder.Errorf(n, "begin each host with a dash: docs/lab.md has the keys", "internet: want a list of hosts, got %s", fill.Describe(n))
	case len(n.Content) == 0:
		l.decoder.Errorf(n, "write its hosts, or remove the key", "internet: the list is empty")
	}
	l.refuseVariables(n)
}

func (l *loader) refuseVariables(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${") {
		l.decoder.Errorf(n, "write the value out", "internet: hosts hold no variables, so ${ is not replaced in %s", fill.Quote(n.Value))
	}
	for _, child := range n.Content {
		l.refuseVariables(child)
	}
}
