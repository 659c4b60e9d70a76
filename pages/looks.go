package pages

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/shell"
)

// rewrite replaces what a pattern matches in a statement's lines, once, and reads the
// statement anew, which becomes a script.
func (m *mapper) rewrite(c *command, re *regexp.Regexp, by string) {
	st := c.st
	st.lines = slices.Clone(st.lines)
	for i, l := range st.lines {
		if at := re.FindStringSubmatchIndex(l.text); at != nil {
			st.lines[i].text = l.text[:at[0]] + string(re.ExpandString(nil, by, l.text, at)) + l.text[at[1]:]
			break
		}
	}
	if file, _, problem := shell.Parse(st.text()); problem == nil {
		st.file = file
	}
}

var (
	describes = regexp.MustCompile(`(\bkubectl\b.*?\s)describe\b`)
	watches   = regexp.MustCompile(` (?:-w|--watch(?:=true)?)(\s|$)`)
	watchOf   = regexp.MustCompile(`^(\s*)watch (?:-\w* ?[\d.]* )*`)
)

// described maps a kubectl describe without output. It claims that the object is there.
func (m *mapper) described(c *command) error {
	m.note(c.at, false, "kubectl describe without output claims only that there is such an object")
	m.rewrite(c, describes, "${1}get")
	return nil
}

// unwatched maps a kubectl get -w without output.
func (m *mapper) unwatched(c *command) error {
	m.note(c.at, false, "kubectl get -w does not end: what is there is read once")
	m.rewrite(c, watches, "${1}")
	return nil
}

// watched maps watch COMMAND, without output or with what COMMAND prints in the end.
func (m *mapper) watched(c *command) ([]*yaml.Node, bool, error) {
	if len(c.st.file.Stmts) != 1 || c.stmt != c.st.file.Stmts[0] || !strings.Contains(c.st.text(), "kubectl") || strings.ContainsAny(c.st.text(), `"'`) {
		return nil, false, cannot("", "watch is known here in front of a kubectl command")
	}
	m.note(c.at, false, "watch does not end: the command is run, again until it shows what the page does")
	m.rewrite(c, watchOf, "${1}")
	nodes, err := m.command(c.st, c.st.file.Stmts[0], c.settings)
	return nodes, err == nil, err
}

// waitedAll maps kubectl wait --all of pods or Deployments: of those that the page has
// deployed in the namespace.
func (m *mapper) waitedAll(c *command, k *shell.Kubectl, within string) (nodes []*yaml.Node, err error) {
	isReady := strings.EqualFold(k.Flag("for"), "condition=ready") && len(k.Args) == 1 && slices.Contains([]string{"pod", "pods", "po"}, k.Args[0])
	isAvailable := strings.EqualFold(k.Flag("for"), "condition=available") && len(k.Args) == 1 && strings.HasPrefix(k.Args[0], "deploy")
	if !isReady && !isAvailable {
		return nil, cannot("name the objects", "kubectl wait --all is known here for pods that are Ready and for Deployments that are Available")
	}
	for _, d := range m.deployments {
		if d.namespace == k.Namespace() {
			nodes = append(nodes, c.at.mapping("title", c.title, "wait", c.at.mapping("object", "deployment/"+d.name, "namespace", d.namespace, "for", "rollout"), "within", within))
		}
	}
	if len(nodes) == 0 {
		return nil, cannot("name the objects", "kubectl wait --all: the page has deployed nothing there")
	}
	return nodes, nil
}

var localPort = regexp.MustCompile(`^(\d+)(?::\d+)?$`)

// forwarded leaves out kubectl port-forward and kubectl proxy where they are for a look
// in a browser: where a command that follows uses the port, it is a part of the way.
func (m *mapper) forwarded(c *command, texts []string) error {
	ports := []string{"8001"} // of kubectl proxy
	for _, w := range texts[2:] {
		if g := localPort.FindStringSubmatch(w); g != nil {
			ports = append(ports, g[1])
		}
	}
	for _, st := range m.statements {
		if st.lines[0].line <= c.at.line {
			continue
		}
		for _, port := range ports {
			if regexp.MustCompile(`(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]):` + port + `\b`).MatchString(st.text()) {
				return cannot("run what uses it in a pod: kubectl exec POD -- curl http://SERVICE", "a port of this machine is forwarded, which line %d uses", st.lines[0].line)
			}
		}
	}
	m.note(c.at, false, "not run: a port of this machine is forwarded for a look in a browser, and no command uses it")
	return nil
}
