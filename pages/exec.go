package pages

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/curl"
	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/shell"
	"github.com/egressplay/egressplay/steps"
)

// ofDeployment matches the name of a pod of a Deployment in somebody's cluster.
var ofDeployment = regexp.MustCompile(`^([a-z0-9-]+)-[a-z0-9]{8,10}-[a-z0-9]{5}$`)

// target returns the pod that a command names; nil where only a shell knows it.
func (m *mapper) target(c *command, k *shell.Kubectl, words []word) (*yaml.Node, error) {
	if len(k.Args) == 0 {
		return nil, cannot("", "kubectl %s names no pod", k.Verb)
	}
	name := k.Args[0]
	if g := mark.FindStringSubmatch(name); g != nil {
		i, _ := strconv.Atoi(g[1])
		if words[i].sub == nil {
			return nil, nil
		}
		value, err := m.lookup(c, words[i].sub)
		if err != nil || value == nil {
			return nil, err
		}
		kind, selector, namespace, path := key(value, "get"), key(value, "selector"), key(value, "namespace"), key(value, "jsonpath")
		ns := ""
		if namespace != nil {
			ns = namespace.Value
		}
		isName := path != nil && (strings.HasSuffix(strings.Trim(path.Value, "{}"), "metadata.name"))
		if selector == nil || ns != k.Namespace() || !isName || !slices.Contains([]string{"pod", "pods", "po"}, kind.Value) {
			return nil, nil
		}
		return c.at.mapping("selector", selector.Value), nil
	}
	if g := ofDeployment.FindStringSubmatch(name); g != nil {
		m.note(c.at, false, "the pod %s is one of another cluster: deploy/%s is taken", name, g[1])
		name = "deploy/" + g[1]
	}
	return c.at.scalar(strings.TrimPrefix(name, "pod/")), nil
}

// exec maps kubectl exec.
func (m *mapper) exec(c *command, k *shell.Kubectl, words []word, plain bool) ([]*yaml.Node, bool, error) {
	if len(k.Args) == 0 || len(k.Command) == 0 {
		return nil, false, cannot("", "kubectl exec: want a pod and a command")
	}
	m.renamePod(c, k.Args[0])
	m.endTail(c, k)
	if !plain || slices.ContainsFunc(k.Command, mark.MatchString) {
		return nil, false, nil
	}
	for _, s := range c.stages {
		if len(s.Redirs) > 0 {
			return nil, false, nil
		}
	}
	in, err := m.target(c, k, words)
	if err != nil || in == nil {
		return nil, false, err
	}
	if isShellAlone(k.Command) && len(c.stages) == 1 {
		return nil, true, m.open(c)
	}
	if err := m.endLoop(c, k); err != nil {
		return nil, false, err
	}
	var expect *yaml.Node
	if want := c.settings.says(); want != nil && len(c.stages) == 1 {
		m.judged(c.st.shown, want)
	} else {
		var ok bool
		expect, ok = m.expected(c, k)
		if !ok || steps.ReadsLog(k.Command) { // a script knows which lines are of earlier requests
			return nil, false, nil
		}
	}
	n := c.at.mapping("in", in, "container", k.Flag("container"), "namespace", k.Namespace(), "command", c.at.texts(k.Command))
	step := c.at.mapping("title", c.title, "exec", n)
	if expect != nil {
		step.Content = append(step.Content, c.at.scalar("expect"), expect)
	}
	return []*yaml.Node{step}, true, nil
}

// renamePod writes deploy/NAME for the name of a pod of another cluster, for a
// statement that becomes a script.
func (m *mapper) renamePod(c *command, name string) {
	g := ofDeployment.FindStringSubmatch(name)
	if g == nil {
		return
	}
	st := c.st
	st.lines = slices.Clone(st.lines)
	for i := range st.lines {
		st.lines[i].text = strings.ReplaceAll(st.lines[i].text, name, "deploy/"+g[1])
	}
	if file, _, problem := shell.Parse(st.text()); problem == nil {
		st.file = file
	}
}

var follows = regexp.MustCompile(`\btail (?:-f|-F|--follow) `)

// endTail leaves out what has tail wait for more: the file is read as it is, again
// until it shows what the page does.
func (m *mapper) endTail(c *command, k *shell.Kubectl) {
	if path.Base(k.Command[0]) != "tail" || len(k.Command) < 3 || !follows.MatchString("tail "+k.Command[1]+" ") {
		return
	}
	m.note(c.at, false, "tail %s does not end: what the file has is read again until it shows what the page does", k.Command[1])
	k.Command = slices.Delete(slices.Clone(k.Command), 1, 2)
	st := c.st
	st.lines = slices.Clone(st.lines)
	for i := range st.lines {
		st.lines[i].text = follows.ReplaceAllString(st.lines[i].text, "tail ")
	}
	if file, _, problem := shell.Parse(st.text()); problem == nil {
		st.file = file
	}
}

var followsLog = regexp.MustCompile(`^(.*\bkubectl\b.*\blogs\b.*?) (?:-f|--follow(?:=true)?)( .*)?$`)
var noneBefore = regexp.MustCompile(` --tail[ =]0\b`)

// endLogs leaves out what has kubectl logs wait for more, as endTail does, and that
// it is to begin with what comes then.
func (m *mapper) endLogs(c *command) {
	m.note(c.at, false, "kubectl logs -f does not end: the log is read again until it shows what the page does")
	st := c.st
	st.lines = slices.Clone(st.lines)
	for i := range st.lines {
		if g := followsLog.FindStringSubmatch(st.lines[i].text); g != nil {
			st.lines[i].text = noneBefore.ReplaceAllString(g[1]+g[2], "")
		}
	}
	if file, _, problem := shell.Parse(st.text()); problem == nil {
		st.file = file
	}
}

func isShellAlone(command []string) bool {
	name := path.Base(command[0])
	return (name == "sh" || name == "bash" || name == "ash") && (len(command) == 1 || len(command) == 2 && (command[1] == "-i" || command[1] == "-l" || command[1] == "-il"))
}

var headLine = regexp.MustCompile(`^\s*(HTTP/(?:1\.0|1\.1|2|3)) (\d{3})(?: [A-Za-z -]+)?\s*$`)
var codeLine = regexp.MustCompile(`^\s*([1-5]\d\d)\s*$`)

// expected returns what is expected of a command in a pod, where that says all
// that the page shows; nil for its success alone.
func (m *mapper) expected(c *command, k *shell.Kubectl) (*yaml.Node, bool) {
	var patterns []string
	for _, s := range c.stages[1:] {
		call, ok := s.Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "grep" {
			return nil, false
		}
		texts, words, plain := m.wordsOf(call)
		if slices.ContainsFunc(words, func(w word) bool { return w.sub != nil || strings.Contains(w.text, "${") }) {
			return nil, false
		}
		pattern, ok := shell.Pattern(texts[1:])
		if !ok || !plain || strings.Contains(pattern, "[^") {
			return nil, false
		}
		patterns = append(patterns, pattern)
	}
	if len(patterns) > 1 {
		return nil, false
	}
	var shown []line
	for _, l := range c.st.shown {
		if strings.TrimSpace(l.text) != "" {
			shown = append(shown, l)
		}
	}
	at := c.at
	if len(shown) > 0 {
		at = place{shown[0].line, shown[0].column}
	}
	found := func(negated bool) *yaml.Node {
		if len(patterns) == 0 {
			return nil
		}
		text := at.mapping("matches", literal("(?m)"+patterns[0]))
		if negated {
			text = at.mapping("not", text)
		}
		return text
	}
	exit := c.settings.exit
	if len(shown) == 1 && exit == "" {
		if code, ok := expect.ShownExitCode(shown[0].text); ok {
			exit, shown = code, nil
		}
	}
	switch {
	case len(shown) == 0 && exit != "" && exit != "0":
		n, _ := strconv.Atoi(exit)
		return at.mapping("exitCode", at.number(n), "stdout", found(true)), true
	case exit != "" && exit != "0":
		return nil, false
	case len(shown) == 0 && len(patterns) == 0:
		return nil, true
	case len(shown) == 0:
		return at.mapping("stdout", found(false)), true
	}
	command, isCurl := curl.Parse(k.Command)
	if !isCurl || command.Unreported != "" || command.URLs != 1 {
		return nil, false
	}
	if responses := headsOf(shown); responses != nil && command.HeadsToStdout && command.Mixed == "" && len(patterns) == 1 && slices.Contains([]string{"HTTP/", "HTTP", "^HTTP", "^HTTP/"}, patterns[0]) {
		return at.mapping("responses", responses), true
	}
	if g := codeLine.FindStringSubmatch(shown[0].text); g != nil && len(shown) == 1 && len(patterns) == 0 && !command.HeadsToStdout && !command.BodyToStdout && printsStatus(k.Command) {
		n, _ := strconv.Atoi(g[1])
		return at.mapping("status", at.number(n)), true
	}
	return nil, false
}

// headsOf returns the responses whose status lines are all that is shown.
func headsOf(shown []line) *yaml.Node {
	var list []*yaml.Node
	for _, l := range shown {
		g := headLine.FindStringSubmatch(l.text)
		if g == nil {
			return nil
		}
		at := place{l.line, l.column}
		n, _ := strconv.Atoi(g[2])
		list = append(list, at.mapping("status", at.number(n), "proto", g[1]))
	}
	return place{shown[0].line, shown[0].column}.list(list...)
}

// printsStatus reports whether curl prints the last status and nothing else.
func printsStatus(command []string) bool {
	for i, w := range command {
		if (w == "-w" || w == "--write-out") && i+1 < len(command) {
			f := strings.TrimSuffix(strings.TrimSuffix(command[i+1], `\n`), "\n")
			return f == "%{http_code}" || f == "%{response_code}"
		}
	}
	return false
}

// logs maps kubectl logs.
func (m *mapper) logs(c *command, k *shell.Kubectl, words []word, plain bool) ([]*yaml.Node, bool, error) {
	if len(k.Args) > 0 {
		m.renamePod(c, k.Args[0])
	}
	if k.Is("follow") {
		m.endLogs(c)
	}
	want := c.settings.says()
	if want != nil {
		m.judged(c.st.shown, want)
	}
	if !plain || len(c.st.shown) > 0 && want == nil || len(c.stages) > 1 || k.Flag("selector") != "" || k.Is("previous") || k.Is("all-containers") || len(k.Args) != 1 || k.Flag("since") != "" {
		return nil, false, nil
	}
	in, err := m.target(c, k, words)
	if err != nil || in == nil {
		return nil, false, err
	}
	n := c.at.mapping("in", in, "container", k.Flag("container"), "namespace", k.Namespace())
	if t, err := strconv.Atoi(k.Flag("tail")); err == nil && t > 0 {
		n.Content = append(n.Content, c.at.scalar("tail"), c.at.number(t))
	}
	return []*yaml.Node{c.at.mapping("title", c.title, "logs", n)}, true, nil
}
