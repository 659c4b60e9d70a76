package pages

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

var modeLine = regexp.MustCompile(`\bmode: (ALLOW_ANY|REGISTRY_ONLY)\b`)

// get maps kubectl get: the outbound traffic policy where that is looked at and
// shown, else a script.
func (m *mapper) get(c *command, k *shell.Kubectl, plain bool) ([]*yaml.Node, bool, error) {
	if k.Is("watch") && len(c.st.shown) == 0 && len(c.stages) == 1 {
		return nil, false, m.unwatched(c)
	}
	mode := ""
	at := c.at
	lines := 0
	for _, l := range c.st.shown {
		if strings.TrimSpace(l.text) == "" {
			continue
		}
		lines++
		if g := modeLine.FindStringSubmatch(l.text); g != nil && mode == "" {
			mode, at = g[1], place{l.line, l.column}
		}
	}
	isConfig := len(k.Args) == 2 && (k.Args[0] == "cm" || k.Args[0] == "configmap" || k.Args[0] == "configmaps") && k.Args[1] == "istio" && k.Namespace() == "istio-system"
	most, greps := m.most(c)
	if most >= 0 && lines > most && !hasEllipsis(c.st.shown) {
		n := 0
		for _, l := range c.st.shown {
			if strings.TrimSpace(l.text) != "" {
				if n++; n == most+1 {
					m.note(place{l.line, l.column}, false, "the page's own error: head prints at most %d lines, and this is line %d of what is shown", most, n)
				}
			}
		}
	}
	if !isConfig || mode == "" || !greps {
		return nil, false, nil
	}
	switch {
	case mode == "REGISTRY_ONLY" && m.policy != mode:
		m.fail(c.at, "a hidden step or the overlay can set it: policy: {set: REGISTRY_ONLY}", "the page shows REGISTRY_ONLY here, and nothing on it sets that")
		m.policy = mode
		return nil, true, nil
	case mode == "ALLOW_ANY" && m.policy == "REGISTRY_ONLY":
		m.fail(c.at, "a hidden step or the overlay can set it: policy: {set: ALLOW_ANY}", "the page shows ALLOW_ANY here, and what it has set before is REGISTRY_ONLY")
		return nil, true, nil
	}
	if most >= 0 && lines > most {
		return nil, false, nil // the script shows that it is not so
	}
	return []*yaml.Node{c.at.mapping("title", c.title, "policy", at.mapping("expect", mode))}, true, nil
}

func hasEllipsis(shown []line) bool {
	return slices.ContainsFunc(shown, func(l line) bool { return strings.Contains(l.text, "...") })
}

// most returns how many lines the end of a pipe prints at most, -1 where that is
// not known, and whether the pipe looks for the policy or its mode.
func (m *mapper) most(c *command) (lines int, policy bool) {
	lines = -1
	for _, s := range c.stages[1:] {
		call, ok := s.Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return -1, false
		}
		texts, _, plain := m.wordsOf(call)
		switch {
		case texts[0] == "grep" && plain:
			all := strings.ToLower(strings.Join(texts[1:], " "))
			policy = policy || strings.Contains(all, "outboundtrafficpolicy") || strings.Contains(all, "mode")
			lines = -1
		case texts[0] == "head" && plain:
			if n, ok := shell.Lines(texts[1:]); ok {
				lines = n
			}
		case texts[0] == "tail" || texts[0] == "uniq":
		default:
			return -1, false
		}
	}
	return lines, policy
}

var replaced = regexp.MustCompile(`^kubectl get (?:cm|configmap) istio -n istio-system -o ?yaml \| sed ['"]s/mode: (?:ALLOW_ANY|REGISTRY_ONLY)/mode: (ALLOW_ANY|REGISTRY_ONLY)/g?['"] \| kubectl (?:replace|apply) (?:-n istio-system )?-f -$`)

// replacedPolicy maps the pipe with which tutorials set the policy; nil for
// anything else.
func (m *mapper) replacedPolicy(c *command) []*yaml.Node {
	text := strings.Join(strings.Fields(strings.ReplaceAll(c.st.text(), "\\\n", " ")), " ")
	g := replaced.FindStringSubmatch(text)
	if g == nil || len(c.stages) != 3 {
		return nil
	}
	return []*yaml.Node{c.at.mapping("title", c.title, "policy", c.at.mapping("set", g[1]))}
}

// istioctl maps an istioctl command.
func (m *mapper) istioctl(c *command, stmt *syntax.Stmt, texts []string, words []word) ([]*yaml.Node, bool, error) {
	if len(texts) < 2 {
		return nil, false, cannot("", "istioctl without a command")
	}
	at := c.at
	for len(texts) > 3 && (texts[1] == "-n" || texts[1] == "--namespace") {
		texts = append([]string{texts[0]}, append(slices.Clone(texts[3:]), texts[1:3]...)...)
		words = append([]word{words[0]}, append(slices.Clone(words[3:]), words[1:3]...)...)
	}
	verb, rest := texts[1], texts[2:]
	switch {
	case verb == "proxy-config" || verb == "pc":
		for _, w := range texts[2:] {
			if g := ofDeployment.FindStringSubmatch(w); g != nil {
				m.note(at, false, "the pod %s is one of another cluster: deploy/%s is taken", w, g[1])
				m.renamePod(c, w)
			}
		}
		return nil, false, nil // a script
	case verb == "analyze":
		m.require("istioctl")
		return nil, false, nil // a script
	case verb == "waypoint" || verb == "x" && len(rest) > 0 && rest[0] == "waypoint":
		return m.waypoint(c, texts[slices.Index(texts, "waypoint")+1:])
	case isGenerate(texts):
		return m.generate(c, stmt, rest[1:])
	case verb == "version", verb == "x" && len(rest) > 0 && rest[0] == "precheck":
		m.note(at, false, "not run: it tells of the installation, which must be there already")
		return nil, true, nil
	case verb == "dashboard" || verb == "dash" || verb == "d":
		m.note(at, false, "not run: it is for a look in a browser")
		return nil, true, nil
	case verb == "profile":
		m.note(at, false, "not run: it tells what istioctl itself has")
		return nil, true, nil
	case verb == "x" && len(rest) > 0 && rest[0] == "uninstall":
		m.note(at, false, "not run: the mesh stays as it is")
		return nil, true, nil
	case verb == "install" || verb == "upgrade" || verb == "manifest" && len(rest) > 0 && (rest[0] == "apply" || rest[0] == "install"):
		if verb == "manifest" {
			rest = rest[1:]
		}
		return m.install(c, stmt, rest)
	case verb == "operator" && len(rest) > 0 && rest[0] == "init":
		m.note(at, false, "not run: Istio must be there already")
		return nil, true, nil
	case verb == "uninstall" || verb == "verify-install" || verb == "operator" && len(rest) > 0 && rest[0] == "remove":
		m.note(at, false, "not run: the mesh stays as it is")
		return nil, true, nil
	case (verb == "create" || verb == "replace" || verb == "delete") && len(rest) > 0 && len(c.stages) == 1:
		// As it was before Istio 1.0: the same as kubectl's.
		if verb != "delete" {
			verb = "apply"
		}
		k, err := shell.ParseKubectl(append([]string{"kubectl", verb}, rest...))
		if err != nil {
			return nil, false, cannot("", "%v", err)
		}
		nodes, err := m.change(c, stmt, k, append([]word{}, words...), true)
		return nodes, err == nil, err
	case verb == "kube-inject" && len(c.stages) == 2 && len(rest) == 2 && rest[0] == "-f":
		call, ok := c.stages[1].Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) < 2 || call.Args[0].Lit() != "kubectl" {
			break
		}
		pipe, _, plain := m.wordsOf(call)
		k, err := shell.ParseKubectl(pipe)
		if err != nil || !plain || k.Verb != "apply" || k.Flag("filename") != "-" {
			break
		}
		if baseOf(rest[1]) == m.lastApply {
			m.note(at, false, "not run: another way to what was done before, by injecting the sidecar into %s", baseOf(rest[1]))
			return nil, true, nil
		}
		nodes, err := m.injectedFile(c, stmt, k, rest[1])
		return nodes, err == nil, err
	}
	return nil, false, cannot("", "istioctl %s is not known here", verb)
}

// confine has the page's sidecars take what an installation says; without ranges
// they take all addresses, as they did before.
func (m *mapper) confine(c *command, ranges string) ([]*yaml.Node, error) {
	if ranges == "" {
		return m.endBypass(c)
	}
	return m.bypassAll(c, ranges)
}
