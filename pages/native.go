package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// native maps a command to steps without a shell, where nothing is lost by that.
// handled reports whether it is done: there may be no step, where nothing is to be
// done.
func (m *mapper) native(c *command) (nodes []*yaml.Node, handled bool, err error) {
	first := c.stages[0]
	switch cmd := first.Cmd.(type) {
	case *syntax.DeclClause:
		if cmd.Variant.Value != "export" || len(c.stages) > 1 {
			return nil, false, nil
		}
		return m.assignments(c, cmd.Args)
	case *syntax.CallExpr:
		if len(cmd.Args) == 0 && len(c.stages) == 1 {
			return m.assignments(c, cmd.Assigns)
		}
		if len(cmd.Args) == 0 || len(cmd.Assigns) > 0 {
			return nil, false, nil
		}
		if nodes, handled, err := m.manifestPipe(c); handled || err != nil {
			return nodes, handled, err
		}
		return m.call(c, first, cmd)
	case nil:
		return nil, true, m.emptied(first)
	}
	return nil, false, nil
}

// emptied notes the files that > FILE makes, or makes empty.
func (m *mapper) emptied(stmt *syntax.Stmt) error {
	for _, r := range stmt.Redirs {
		w := wordOf(r.Word)
		if r.Op != syntax.RdrOut || w.dynamic || strings.Contains(w.text, "${") {
			return cannot("", "a redirection without a command is not known in this form")
		}
		m.files[baseOf(w.text)] = memoryFile{}
	}
	return nil
}

// notOurs are programs that make a cloud or a cluster, which is there already.
var notOurs = map[string]bool{
	"gcloud": true, "az": true, "ibmcloud": true, "minikube": true, "kind": true, "eksctl": true, "aws": true, "k3d": true,
	"doctl": true, "civo": true, "rosa": true, "oci": true, "kops": true, "kubeadm": true, "crc": true, "terraform": true, "k3s": true,
}

// nothing are programs that have nothing to do here.
var nothing = map[string]bool{"clear": true, "unset": true, "sleep": true, "cd": true, "mkdir": true, "pwd": true, "ls": true, "history": true}

// call maps a call of a program.
func (m *mapper) call(c *command, stmt *syntax.Stmt, call *syntax.CallExpr) ([]*yaml.Node, bool, error) {
	name := call.Args[0].Lit()
	texts, words, plain := m.wordsOf(call)
	if r := ofFile(stmt); r != nil && (name == "kubectl" || name == "istioctl" || name == "helm" || name == "openssl") && !isGenerate(texts) && !slices.Contains(texts, "port-forward") {
		return nil, false, &unmappedError{line: int(r.Pos().Line()), column: int(r.Pos().Col()), msg: fmt.Sprintf("%s with a redirection of a file is not known here", name)}
	}
	switch {
	case notOurs[name]:
		m.note(c.at, false, "not run: %s sets up a cloud or a cluster, and the cluster is there", name)
		return nil, true, nil
	case nothing[name]:
		if err := m.printsNothing(c, name); err != nil {
			return nil, false, err
		}
		if name == "cd" {
			m.enter(texts)
		}
		if name == "sleep" {
			m.note(c.at, false, "not run: each look is tried again until it holds, so that nothing sleeps")
		}
		return nil, true, nil
	case name == "rm":
		for _, f := range texts[1:] {
			delete(m.files, baseOf(f))
			delete(m.looked, baseOf(f))
		}
		return nil, true, nil
	case isDownload(c):
		m.note(c.at, false, "not run: Istio is there already")
		return nil, true, nil
	case plain || name == "curl" || name == "wget" || name == "source":
		if why := m.onReadersMachine(c, texts); why != "" {
			m.note(c.at, false, "not run: %s", why)
			return nil, true, nil
		}
	}
	if nodes, handled, err := m.context(c, texts); handled || err != nil {
		return nodes, handled, err
	}
	switch {
	case name == "kubectl":
		return m.kubectl(c, stmt, texts, words, plain)
	case name == "istioctl":
		return m.istioctl(c, stmt, texts, words)
	case name == "helm":
		return m.helm(c, stmt, texts)
	case (name == "grep" || name == "cat") && len(texts) > 1 && m.otherPlatform(c):
		m.note(c.at, false, "not run: it is for another platform")
		return nil, true, nil
	case name == "envsubst", name == "cat" && len(c.stages) > 2:
		if nodes, handled, err := m.envsubst(c, stmt); handled || err != nil {
			return nodes, handled, err
		}
		return m.textFile(c, stmt, name, texts, plain)
	case name == "cat" || name == "echo":
		return m.textFile(c, stmt, name, texts, plain)
	case name == "openssl":
		return m.openssl(c, texts, plain)
	case (name == "vi" || name == "vim" || name == "nano") && len(texts) == 2:
		return nil, true, m.edited(c, texts[1])
	case name == "watch":
		return m.watched(c)
	case name == "curl":
		return nil, false, cannot("run it in a pod: kubectl exec POD -- curl ...; or "+unmapped, "curl would run on this machine, and nothing of it is run")
	}
	return nil, false, nil
}

// printsNothing notes what a page shows behind a command that is not run here, which is
// compared with nothing. A status line, an exit code or an error of curl is a claim, and
// refused.
func (m *mapper) printsNothing(c *command, name string) error {
	if len(c.st.shown) == 0 {
		return nil
	}
	if showsFact(&fence{lines: c.st.shown}) {
		return cannot("put what it shows behind the command that prints it", "the page shows of %s what it does not print", name)
	}
	first := c.st.shown[0]
	m.note(place{first.line, first.column}, false, "what this shows is compared with nothing: %s is not run", name)
	return nil
}

// ofFile returns a redirection from or into a file; nil where there is none.
func ofFile(stmt *syntax.Stmt) *syntax.Redirect {
	for _, r := range stmt.Redirs {
		switch {
		case r.Op == syntax.Hdoc, r.Op == syntax.DashHdoc, r.Op == syntax.DplOut, r.Word.Lit() == "/dev/null" && r.Op != syntax.RdrIn:
		default:
			return r
		}
	}
	return nil
}

var platforms = regexp.MustCompile(`(?i)\b(?:IBM Cloud|GKE|Google|Azure|AKS|EKS|Amazon|OpenShift|ICP|ACS)\b`)

// otherPlatform reports whether a command stands below a heading or a sentence that
// names a cloud, and reads a file of that.
func (m *mapper) otherPlatform(c *command) bool {
	names := func(t *prose) bool { return t != nil && platforms.MatchString(t.text) }
	return (names(m.page.headingBefore(c.at.line)) || names(m.page.textBefore(c.st.fence.at))) && strings.Contains(c.st.text(), "/")
}

// isDownload reports whether a command fetches Istio.
func isDownload(c *command) bool {
	text := c.st.text()
	return strings.Contains(text, "istio.io/downloadIstio") || strings.Contains(text, "getLatestIstio") || strings.Contains(text, "github.com/istio/istio/releases/download")
}

// textFile notes a file that cat or echo writes.
func (m *mapper) textFile(c *command, stmt *syntax.Stmt, name string, texts []string, plain bool) ([]*yaml.Node, bool, error) {
	var doc, out *syntax.Redirect
	for _, r := range stmt.Redirs {
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			doc = r
		case syntax.RdrOut:
			out = r
		}
	}
	if name == "cat" && doc != nil && out == nil && len(c.stages) == 2 && len(texts) == 1 {
		return m.piped(c, doc)
	}
	if name == "cat" && len(texts) == 2 && len(stmt.Redirs) == 0 && len(c.stages) == 1 && m.shownFile(c, texts[1]) {
		return nil, true, nil
	}
	if name == "cat" && plain && len(texts) == 2 && len(stmt.Redirs) == 0 && len(c.stages) == 1 && !strings.HasPrefix(texts[1], "-") && !strings.HasPrefix(texts[1], "/") {
		return nil, true, m.printed(c, texts[1])
	}
	if out == nil || len(c.stages) > 1 {
		return nil, false, nil
	}
	file := wordOf(out.Word)
	if file.dynamic {
		return nil, false, cannot("", "the name of the file is not known before the run")
	}
	switch {
	case name == "cat" && doc != nil && len(texts) == 1:
		text, ok := document(doc)
		if !ok {
			return nil, false, cannot("", "what only a shell knows stands in the file: write it out")
		}
		m.files[baseOf(file.text)] = memoryFile{text, m.lineOf(c, doc)}
	case name == "echo" && plain && len(texts) > 1 && !strings.HasPrefix(texts[1], "-"):
		m.files[baseOf(file.text)] = memoryFile{text: strings.Join(texts[1:], " ") + "\n"}
	default:
		return nil, false, nil
	}
	return nil, true, nil
}

// piped maps cat <<EOF | kubectl apply -f -.
func (m *mapper) piped(c *command, doc *syntax.Redirect) ([]*yaml.Node, bool, error) {
	call, ok := c.stages[1].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" && call.Args[0].Lit() != "istioctl" {
		return nil, false, nil
	}
	texts, words, plain := m.wordsOf(call)
	stmt := *c.stages[1]
	stmt.Redirs = append([]*syntax.Redirect{doc}, stmt.Redirs...)
	one := *c
	one.stages = c.stages[1:]
	if texts[0] == "istioctl" {
		return m.istioctl(&one, &stmt, texts, words)
	}
	return m.kubectl(&one, &stmt, texts, words, plain)
}

// lineOf returns the line of the page in which a here-document begins.
func (m *mapper) lineOf(c *command, doc *syntax.Redirect) int {
	if doc.Hdoc == nil || len(doc.Hdoc.Parts) == 0 {
		return 0
	}
	line, _ := c.st.place(int(doc.Hdoc.Pos().Line()), 1)
	return line
}

// baseOf returns a file's name without ./ and @ around it.
func baseOf(file string) string { return strings.TrimPrefix(strings.Trim(file, "@"), "./") }

// assignments maps NAME=VALUE.
func (m *mapper) assignments(c *command, assigns []*syntax.Assign) ([]*yaml.Node, bool, error) {
	at := c.at
	values := at.mapping()
	for _, a := range assigns {
		if a.Name == nil || a.Append || a.Index != nil || a.Array != nil {
			return nil, false, nil
		}
		if a.Value == nil {
			continue // export NAME
		}
		line, column := c.st.place(int(a.Pos().Line()), int(a.Pos().Col()))
		here := place{line, column}
		w := wordOf(a.Value)
		name := a.Name.Value
		if given, err := m.given(name, w); err != nil {
			return nil, false, err
		} else if given || m.givenBySet(name, here) {
			continue
		}
		switch {
		case name == "KUBECONFIG" && m.goesElsewhere("kubeconfig", w.text):
			return nil, false, cannot("", "the page goes on in another cluster")
		case name == "PATH" || name == "KUBECONFIG":
			m.note(here, false, "not run: nothing of this machine is run, so that %s has no use", name)
			continue
		case predefined[name]:
			return nil, false, cannot("choose another name", "the variable %s is there in each playbook", name)
		case w.sub != nil && asked(w.sub) != "" && asked(w.sub) != "minikube":
			if !m.options.SkipUnmapped {
				m.set[name] = line // told here, once
			}
			return nil, false, cannot("give the value: --set "+name+"=VALUE", "%s would tell the value of %s, and nothing of this machine is run", asked(w.sub), name)
		case w.sub != nil:
			value, err := m.lookup(c, w.sub)
			if err != nil {
				m.set[name] = line // what is wrong with it is told here, once
			}
			if err != nil || value == nil {
				return nil, false, err
			}
			m.reaches(name, value, "")
			move(value, here)
			values.Content = append(values.Content, here.scalar(name), value)
			delete(m.values, name)
		case w.dynamic:
			return nil, false, nil
		default:
			values.Content = append(values.Content, here.scalar(name), here.mapping("value", here.scalar(w.text)))
			m.values[name] = w.text
			m.reaches(name, nil, w.text)
		}
		m.set[name] = line
	}
	if len(values.Content) == 0 {
		return nil, true, nil
	}
	if len(c.st.shown) > 0 && !onlyVerbLines(c.st.shown) && !m.showsElse(c, "an assignment") {
		return nil, false, cannot("put what it shows behind the command that prints it", "the page shows an output of an assignment, which prints nothing")
	}
	return []*yaml.Node{at.mapping("title", c.title, "set", values)}, true, nil
}

// lookup maps $(kubectl get ... -o jsonpath=...) to where a value comes from; nil
// where it is something else.
func (m *mapper) lookup(c *command, sub *syntax.CmdSubst) (*yaml.Node, error) {
	if len(sub.Stmts) != 1 || len(sub.Stmts[0].Redirs) > 0 {
		return nil, nil
	}
	call, ok := sub.Stmts[0].Cmd.(*syntax.CallExpr)
	if ok && len(call.Args) > 1 && call.Args[0].Lit() == "minikube" && call.Args[1].Lit() == "ip" {
		m.note(c.at, false, "minikube ip is the address of the cluster's node")
		return c.at.mapping("get", "node", "jsonpath", `{.items[0].status.addresses[?(@.type=="InternalIP")].address}`), nil
	}
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" || len(call.Assigns) > 0 {
		return nil, nil
	}
	texts, words, plain := m.wordsOf(call)
	for _, w := range words {
		plain = plain && w.sub == nil && w.proc == nil
	}
	k, err := shell.ParseKubectl(texts)
	if err != nil || k.Verb != "get" || !plain {
		return nil, nil
	}
	for _, flag := range k.Flags() {
		if flag != "output" && flag != "selector" && flag != "namespace" {
			return nil, nil
		}
	}
	path, ok := strings.CutPrefix(k.Flag("output"), "jsonpath=")
	if !ok || len(k.Args) == 0 || len(k.Args) > 2 || strings.Contains(k.Args[0], ",") {
		return nil, nil
	}
	if err := m.checkSelector(k, c.st, int(call.Pos().Line()), int(call.Pos().Col())); err != nil {
		return nil, err
	}
	at := c.at
	value := at.mapping("get", k.Args[0])
	if len(k.Args) == 2 {
		value = at.mapping("get", k.Args[0], "name", k.Args[1])
	}
	for _, pair := range [][2]string{{"selector", k.Flag("selector")}, {"namespace", k.Namespace()}, {"jsonpath", path}} {
		if pair[1] != "" {
			value.Content = append(value.Content, at.scalar(pair[0]), at.scalar(pair[1]))
		}
	}
	return value, nil
}

// checkSelectors judges the selectors of a script.
func (m *mapper) checkSelectors(file *syntax.File) (err error) {
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" {
			return true
		}
		texts, _, _ := m.wordsOf(call)
		if k, parseErr := shell.ParseKubectl(texts); parseErr == nil && err == nil && k.Verb == "get" {
			err = m.checkSelector(k, nil, int(call.Pos().Line()), int(call.Pos().Col()))
		}
		return true
	})
	return err
}

// checkSelector refuses a selector of pods that nothing on the page deploys.
func (m *mapper) checkSelector(k *shell.Kubectl, _ *statement, line, column int) error {
	selector := k.Flag("selector")
	isPod := len(k.Args) > 0 && (k.Args[0] == "pod" || k.Args[0] == "pods" || k.Args[0] == "po")
	if !isPod || selector == "" || strings.HasPrefix(selector, "istio=") || k.Namespace() == "istio-system" || k.Namespace() == "kube-system" || strings.Contains(selector, "${") {
		return nil
	}
	want := map[string]string{}
	for _, pair := range strings.Split(selector, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil
		}
		want[strings.TrimSuffix(name, "!")] = strings.TrimPrefix(value, "=")
	}
	for _, labels := range m.labels {
		all := true
		for name, value := range want {
			got, there := labels[name]
			all = all && there && (got == value || strings.Contains(got, "${"))
		}
		if all {
			return nil
		}
	}
	m.labels = append(m.labels, want) // told once
	name := strings.TrimPrefix(selector, "app=")
	return &unmappedError{
		line: line, column: column,
		msg:  fmt.Sprintf("nothing on this page deploys a pod with the label %s, so that nothing is found", selector),
		hint: "a hidden step or the overlay can deploy it: apply: {files: [" + m.sampleOfApp(name) + "]}",
	}
}
