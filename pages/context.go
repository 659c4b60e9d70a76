package pages

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// setsNamespace matches the commands that choose the namespace of all that follow: of
// kubectl, of the plugins kubens and ns, and of oc.
var setsNamespace = regexp.MustCompile(`^(?:kubectl config set-context (?:--current|"?\$\(kubectl config current-context\)"?) --namespace[= ](\S+)|kubens (\S+)|kubectl ns (\S+)|oc project (\S+)|oc new-project (\S+)(?: --(?:display-name|description)=(?:"[^"]*"|'[^']*'|\S+))*)$`)

// context maps a command that chooses the namespace of all that follow, or a cluster.
// handled reports whether it is one.
func (m *mapper) context(c *command, texts []string) (nodes []*yaml.Node, handled bool, err error) {
	text := strings.Join(strings.Fields(strings.ReplaceAll(c.text(), "\\\n", " ")), " ")
	if g := setsNamespace.FindStringSubmatch(text); g != nil {
		m.namespace = strings.Trim(strings.Join(g[1:], ""), `"'`)
		if m.namespace == "default" { // the run's own
			m.namespace = ""
		}
		if texts[0] == "oc" && texts[1] == "new-project" {
			return []*yaml.Node{c.at.mapping("title", c.title, "apply", c.at.scalar("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "+texts[2]+"\n"))}, true, nil
		}
		m.note(c.at, false, "not run: commands that follow and name no namespace are given -n %s", cmp.Or(m.namespace, "${NAMESPACE}"))
		return nil, true, nil
	}
	if len(texts) < 2 {
		return nil, false, nil
	}
	switch {
	case texts[0] == "oc" && slices.Contains([]string{"login", "whoami", "status", "version"}, texts[1]), texts[0] == "kubectl" && texts[1] == "config" && len(texts) > 2 && slices.Contains([]string{"view", "get-contexts", "current-context", "get-clusters"}, texts[2]):
		m.note(c.at, false, "not run: which cluster it is, the command line says")
		return nil, true, nil
	case texts[0] == "oc" && texts[1] == "adm":
		m.note(c.at, false, "not run: it prepares the cluster for pods of the mesh, which must be done already")
		return nil, true, nil
	case texts[0] == "kubectl" && texts[1] == "config" && len(texts) == 4 && texts[2] == "use-context":
		if m.goesElsewhere("context", texts[3]) {
			return nil, false, cannot("", "the page goes on in another cluster, %s", texts[3])
		}
		m.note(c.at, false, "not run: which cluster it is, the command line says")
		return nil, true, nil
	case texts[0] == "kubectl" && slices.Contains([]string{"version", "cluster-info", "api-resources", "api-versions", "explain", "completion"}, texts[1]) && len(c.stages) == 1:
		m.note(c.at, false, "not run: it tells of the cluster, which is there already")
		return nil, true, nil
	}
	return nil, false, nil
}

// goesElsewhere reports whether the page has chosen another cluster before, by a context or
// by a kubeconfig, and notes its choice.
func (m *mapper) goesElsewhere(by, cluster string) bool {
	if old, chosen := m.cluster[by]; chosen && old != cluster {
		return true
	}
	m.cluster[by] = cluster
	return false
}

// inOneCluster returns a statement without the flags that choose its cluster, for a page
// that speaks to one alone: which one it is, the command line says.
func (m *mapper) inOneCluster(st *statement) (*statement, error) {
	if st == nil || st.file == nil || !strings.Contains(st.text(), "context") {
		return st, nil
	}
	text := st.text()
	var cuts [][2]int
	var err error
	syntax.Walk(st.file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || !slices.Contains([]string{"kubectl", "istioctl", "helm"}, call.Args[0].Lit()) {
			return true
		}
		for i, arg := range call.Args {
			name, value, given := strings.Cut(wordOf(arg).text, "=")
			if name == "--" {
				return true
			}
			if name != "--context" && name != "--kube-context" {
				continue
			}
			end := arg.End()
			if !given && i+1 < len(call.Args) {
				value, end = wordOf(call.Args[i+1]).text, call.Args[i+1].End()
			}
			if value = m.written(value); m.goesElsewhere("context", value) && err == nil {
				err = cannot("run the page for one cluster, and leave the commands of the others out by skip", "the page speaks to another cluster than before, %s, and a run has one", value)
			}
			cuts = append(cuts, [2]int{int(arg.Pos().Offset()), int(end.Offset())})
		}
		return true
	})
	if err != nil || len(cuts) == 0 {
		return st, err
	}
	slices.SortFunc(cuts, func(a, b [2]int) int { return a[0] - b[0] })
	for _, cut := range slices.Backward(cuts) {
		text = strings.TrimRight(text[:cut[0]], " ") + text[cut[1]:]
	}
	file, _, problem := shell.Parse(text)
	lines := strings.Split(text, "\n")
	if problem != nil || len(lines) != len(st.lines) {
		return st, nil
	}
	there := *st
	there.file, there.lines = file, slices.Clone(st.lines)
	for i := range lines {
		there.lines[i].text = lines[i]
	}
	return &there, nil
}

// text returns the command as it stands on the page.
func (c *command) text() string {
	text := c.st.text()
	from, to := int(c.stmt.Pos().Offset()), int(c.stmt.End().Offset())
	if from > to || to > len(text) {
		return text
	}
	return text[from:to]
}

// inNamespace returns a statement whose kubectl commands have the namespace that the
// page has chosen before, where they name none.
func (m *mapper) inNamespace(st *statement) *statement {
	if m.namespace == "" || st == nil {
		return st
	}
	var edits []edit
	syntax.Walk(st.file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) < 2 || call.Args[0].Lit() != "kubectl" {
			return true
		}
		texts, _, _ := m.wordsOf(call)
		if k, err := shell.ParseKubectl(texts); err == nil && k.Namespace() == "" && !k.Is("all-namespaces") {
			at := int(call.Args[0].End().Offset())
			edits = append(edits, edit{at, at, " -n " + m.namespace})
		}
		return true
	})
	return edited(st, edits)
}
