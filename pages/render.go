package pages

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

// Render returns the page in Markdown that a playbook is. People read it and type its
// commands, and it is read as the same playbook: what its own words cannot say stands
// in comments that no reader sees. A step that no command can stand for is a fence of
// YAML. The error is a [playbooks.Errors], or says in what the page would differ.
func Render(s playbooks.Source, o playbooks.Options) (string, error) {
	p, err := playbooks.LoadSource(s, o)
	if err != nil {
		return "", err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(s.Data, &doc); err != nil {
		return "", err
	}
	r := &renderer{playbook: p, root: doc.Content[0], asYAML: map[int]bool{}}
	// What the page would be read as tells which steps no command can stand for.
	for range len(p.Steps) + 1 {
		text, err := r.page()
		if err != nil {
			return "", err
		}
		wrong, err := r.check(text, s, o)
		if err != nil || wrong == nil {
			return text, err
		}
		for _, i := range wrong {
			r.asYAML[i] = true
		}
	}
	return "", errors.New(s.File + ": the page would not be read as the same playbook")
}

// A renderer writes the page of a playbook.
type renderer struct {
	playbook *runner.Playbook
	root     *yaml.Node
	asYAML   map[int]bool  // the steps that stand as YAML, from 0
	lines    map[int][]int // the lines of each step in the page, first and last
	out      strings.Builder
}

// check reads the page, and returns the steps that it is not read as; nil if it is
// the same playbook.
func (r *renderer) check(text string, s playbooks.Source, o playbooks.Options) ([]int, error) {
	s.File = strings.TrimSuffix(s.File, path.Ext(s.File)) + ".md"
	s.Data = []byte(text)
	o.Readers = map[string]playbooks.Reader{".md": NewReader(Options{}).Read}
	var wrong []int
	note := func(i int) {
		if !r.asYAML[i] && !slices.Contains(wrong, i) {
			wrong = append(wrong, i)
		}
	}
	page, err := playbooks.LoadSource(s, o)
	if all, ok := errors.AsType[playbooks.Errors](err); ok {
		for _, e := range all {
			for i, at := range r.lines {
				if at[0] <= e.Line && e.Line <= at[1] {
					note(i)
				}
			}
		}
		if len(wrong) == 0 {
			return nil, fmt.Errorf("the page of %s would not be read: %w", s.Name, err)
		}
		return wrong, nil
	} else if err != nil {
		return nil, err
	}
	if diff := compare(headData(r.playbook), headData(page)); len(diff) > 0 {
		return nil, fmt.Errorf("the page of %s would say something else: %s is %q, not %q", s.Name, diff[0].what, diff[0].right, diff[0].left)
	}
	for i := range r.playbook.Steps {
		switch {
		case i >= len(page.Steps):
			return nil, fmt.Errorf("the page of %s would have %d steps, not %d", s.Name, len(page.Steps), len(r.playbook.Steps))
		case len(sameStep(&r.playbook.Steps[i], &page.Steps[i])) == 0:
		case r.asYAML[i]:
			d := sameStep(&r.playbook.Steps[i], &page.Steps[i])[0]
			return nil, fmt.Errorf("step %d of the page of %s would say something else: %s is %q, not %q", i+1, s.Name, d.what, d.right, d.left)
		default:
			note(i)
		}
		if len(wrong) > 0 { // what follows may be wrong for that alone
			return wrong, nil
		}
	}
	if len(page.Steps) != len(r.playbook.Steps) {
		return nil, fmt.Errorf("the page of %s would have %d steps, not %d", s.Name, len(page.Steps), len(r.playbook.Steps))
	}
	return nil, nil
}

// page writes the page.
func (r *renderer) page() (string, error) {
	r.out.Reset()
	r.lines = map[int][]int{}
	if err := r.head(); err != nil {
		return "", err
	}
	steps := key(r.root, "steps")
	for i := range r.playbook.Steps {
		first := strings.Count(r.out.String(), "\n") + 1
		if err := r.step(i, steps.Content[i]); err != nil {
			return "", err
		}
		r.lines[i] = []int{first, strings.Count(r.out.String(), "\n")}
	}
	return strings.TrimRight(r.out.String(), "\n") + "\n", nil
}

// inHeader are the keys of a playbook that no sentence says.
var inHeader = []string{"name", "topic", "source", "tags", "requires", "timeout", "vars", "internet"}

// head writes what the playbook says beside its steps.
func (r *renderer) head() error {
	p := r.playbook
	header := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range inHeader {
		if v := key(r.root, name); v != nil {
			header.Content = append(header.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, v)
		}
	}
	r.defaults(header)
	text := strings.TrimSpace(p.Text)
	if regexp.MustCompile("(?m)^(?:#|<!--|```|~~~|    |\t|[=-]+$)").MatchString(text) {
		header.Content = append(header.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "text"}, &yaml.Node{Kind: yaml.ScalarNode, Value: p.Text})
	}
	comment, err := inComment(header)
	if err != nil {
		return err
	}
	fmt.Fprintf(&r.out, "%s\n\n# %s\n\n", comment, escapeMarkdown(p.Title))
	if text != "" {
		r.out.WriteString(text + "\n\n")
	}
	r.before()
	r.out.WriteString("## Steps\n\n")
	return nil
}

// defaults writes those of the playbook's defaults that no command says: how long
// looks may take, and which pod's sidecar a policy must have reached.
func (r *renderer) defaults(header *yaml.Node) {
	says := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	policy := slices.ContainsFunc(r.playbook.Steps, func(s runner.Step) bool { return s.Kind == "policy" })
	for _, name := range []string{"in", "namespace", "within"} {
		v := key(key(r.root, "defaults"), name)
		if v == nil || v.Value == "${SOURCE_POD}" || v.Value == "30s" || name != "within" && !policy {
			continue
		}
		says.Content = append(says.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, v)
	}
	if len(says.Content) > 0 {
		header.Content = append(header.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "defaults"}, says)
	}
}

// needs say in words what a playbook requires.
var needs = map[string]string{
	"accessLog":     "the proxies' access logs switched on",
	"egressGateway": "Istio's egress gateway",
	"gatewayAPI":    "the kinds of the Gateway API",
	"istioctl":      "Istio's own istioctl",
}

// before writes what a reader needs.
func (r *renderer) before() {
	var with []string
	for _, name := range r.playbook.Requires {
		with = append(with, needs[name])
	}
	text := "You need a cluster with Istio"
	switch n := len(with); {
	case n == 1:
		text += ", with " + with[0]
	case n > 1:
		text += ", with " + strings.Join(with[:n-1], ", ") + " and " + with[n-1]
	}
	r.out.WriteString("## Before you begin\n\n" + text + ", and `kubectl`.\n" +
		"`egressplay run` of this page runs its commands, holds what comes of them to what the page says, and puts\nback what they changed.\n\n")
	r.files()
	var exports []string
	whole := r.source()
	var predefined []string
	if strings.Contains(whole, "${NAMESPACE}") {
		predefined = append(predefined, "NAMESPACE=default")
	}
	if strings.Contains(whole, "${ISTIO_NAMESPACE}") {
		predefined = append(predefined, "ISTIO_NAMESPACE=istio-system")
	}
	if len(predefined) > 0 {
		exports = append(exports, "$ export "+strings.Join(predefined, " "))
	}
	vars := key(r.root, "vars")
	for i := 0; vars != nil && i+1 < len(vars.Content); i += 2 {
		exports = append(exports, "$ export "+vars.Content[i].Value+"="+shellWord(vars.Content[i+1].Value))
	}
	if len(exports) > 0 {
		r.out.WriteString("The commands read these variables; the namespace is that of your `kubectl`:\n\n")
		r.fence("bash", strings.Join(exports, "\n"))
	}
}

// files writes where the files are that the commands apply.
func (r *renderer) files() {
	var istio, own []string
	for _, n := range key(r.root, "steps").Content {
		list := key(key(n, "apply"), "files")
		if list == nil {
			continue
		}
		for _, f := range list.Content {
			to, name := &own, "`"+f.Value+"`"
			for of, path := range samples {
				if path == f.Value {
					to, name = &istio, "`samples/"+of+"`"
				}
			}
			if !slices.Contains(*to, name) {
				*to = append(*to, name)
			}
		}
	}
	if len(istio) > 0 {
		r.out.WriteString("Istio's distribution has " + strings.Join(istio, " and ") + ".")
	}
	if len(istio) > 0 && len(own) > 0 {
		r.out.WriteByte(' ')
	}
	if len(own) > 0 {
		r.out.WriteString("The playbook's own folder has " + strings.Join(own, " and ") + ".")
	}
	if len(istio)+len(own) > 0 {
		r.out.WriteString("\n\n")
	}
}

// source returns the steps' text.
func (r *renderer) source() string {
	text, err := yaml.Marshal(key(r.root, "steps"))
	if err != nil {
		return ""
	}
	return string(text)
}

// fence writes a fence that nothing in the text ends.
func (r *renderer) fence(tag, text string) {
	marks := "```"
	for strings.Contains(text, marks) {
		marks += "`"
	}
	fmt.Fprintf(&r.out, "%s%s\n%s\n%s\n\n", marks, tag, strings.TrimRight(text, "\n"), marks)
}

// step writes a step: what it says of itself, its title, its command, and what the
// command shows.
func (r *renderer) step(i int, n *yaml.Node) error {
	s := &r.playbook.Steps[i]
	if s.Text != "" {
		r.out.WriteString(s.Text + "\n\n")
	}
	n = r.withDefaults(n, s.Kind)
	if r.asYAML[i] {
		return r.yamlStep(n)
	}
	command, said, ok := r.command(i, n)
	if !ok {
		r.asYAML[i] = true
		return r.yamlStep(n)
	}
	more := &yaml.Node{Kind: yaml.MappingNode}
	for k := 0; k+1 < len(n.Content); k += 2 {
		name, v := n.Content[k], n.Content[k+1]
		switch {
		case name.Value == "title", name.Value == s.Kind, slices.Contains(said, name.Value):
		default:
			more.Content = append(more.Content, name, v)
		}
	}
	if s.Kind == "apply" && slices.Contains(said, "vars") {
		more.Content = append(more.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "apply"},
			&yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "vars"}, key(key(n, "apply"), "vars")}})
	}
	if vars := key(key(n, "apply"), "vars"); vars != nil && slices.Contains(said, "vars") {
		var names []string
		for _, v := range vars.Content {
			names = append(names, "`${"+v.Value+"}`")
		}
		r.out.WriteString("In the file, " + strings.Join(names, ", ") + " stand for the values of these variables.\n\n")
	}
	r.out.WriteString(escapeMarkdown(s.Title) + ":\n\n")
	if len(more.Content) > 0 {
		comment, err := inComment(more)
		if err != nil {
			return err
		}
		r.out.WriteString(comment + "\n\n")
	}
	shown := shownOf(s, n)
	if shown != "" {
		command += "\n" + shown
	}
	r.fence("bash", command)
	return nil
}

// inShort are the fields that a verb has where it is no mapping.
var inShort = map[string]string{"exec": "command", "apply": "manifest", "logs": "in", "delete": "objects", "restart": "objects"}

// withDefaults puts into a step what it takes from the playbook's defaults.
func (r *renderer) withDefaults(n *yaml.Node, verb string) *yaml.Node {
	defaults := key(r.root, "defaults")
	if defaults == nil {
		return n
	}
	n = deepCopy(n)
	takes := map[string][]string{"exec": {"in", "container", "namespace"}, "logs": {"in", "namespace"}}[verb]
	if slices.Contains([]string{"apply", "delete", "annotate", "patch", "scale", "restart", "wait"}, verb) {
		takes = []string{"namespace"}
	}
	v := key(n, verb)
	for _, name := range takes {
		value := key(defaults, name)
		if value == nil || key(v, name) != nil {
			continue
		}
		if v.Kind != yaml.MappingNode {
			short := *v
			*v = yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: inShort[verb]}, &short}}
			if key(v, name) != nil {
				continue
			}
		}
		v.Content = append(v.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
	}
	return n
}

// yamlStep writes a step that no command can stand for.
func (r *renderer) yamlStep(n *yaml.Node) error {
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}}
	text, err := encode(list)
	if err != nil {
		return err
	}
	fmt.Fprintf(&r.out, "This step is written as `egressplay` reads it: %s.\n\n", escapeMarkdown(valueOf(n, "title")))
	r.fence("yaml egressplay", text)
	return nil
}

// encode writes a node as YAML, without the playbook's own comments.
func encode(n *yaml.Node) (string, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := errors.Join(e.Encode(uncommented(n)), e.Close())
	return out.String(), err
}

func uncommented(n *yaml.Node) *yaml.Node {
	c := *n
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	c.Content = slices.Clone(n.Content)
	for i := range c.Content {
		c.Content[i] = uncommented(c.Content[i])
	}
	if strings.Contains(c.Value, "-->") { // which would end a comment of Markdown
		c.Style = yaml.DoubleQuotedStyle
	}
	return &c
}

// inComment writes a mapping as an invisible comment.
func inComment(n *yaml.Node) (string, error) {
	text, err := encode(n)
	return "<!-- egressplay\n" + strings.ReplaceAll(text, "-->", `--\x3E`) + "-->", err
}

// escapeMarkdown writes a text so that Markdown takes it as it is.
func escapeMarkdown(text string) string {
	var b strings.Builder
	runes := []rune(text)
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (runes[i] == '_' || runes[i] >= '0' && runes[i] <= '9' || runes[i] >= 'A' && runes[i] <= 'Z' || runes[i] >= 'a' && runes[i] <= 'z')
	}
	for i, c := range runes {
		switch {
		case strings.ContainsRune("\\*`[]<", c), c == '_' && !(word(i-1) && word(i+1)), c == '&' && i+1 < len(runes) && (word(i+1) || runes[i+1] == '#'),
			i == 0 && strings.ContainsRune("#>+-=~|", c), c == ':' && i == len(runes)-1:
			b.WriteByte('\\')
		case (c == '.' || c == ')') && isDigits(runes[:i]):
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func isDigits(runes []rune) bool {
	return len(runes) > 0 && !slices.ContainsFunc(runes, func(c rune) bool { return c < '0' || c > '9' })
}

// shownOf returns what a page shows of a step: of what is expected that which a reader
// sees in the command's output.
func shownOf(s *runner.Step, n *yaml.Node) string {
	want := key(n, "expect")
	if s.Kind == "policy" {
		if mode := valueOf(key(n, "policy"), "expect"); mode != "" {
			return "mode: " + mode
		}
		return ""
	}
	if s.Kind == "shell" {
		shown := key(want, "shown")
		if text := valueOf(shown, "text"); text != "" {
			return unliteral(text)
		}
		if shown != nil && shown.Kind == yaml.ScalarNode {
			return unliteral(shown.Value)
		}
		return ""
	}
	if s.Kind != "exec" || want == nil {
		return ""
	}
	var lines []string
	if responses := key(want, "responses"); responses != nil && !slices.ContainsFunc(responses.Content, func(r *yaml.Node) bool {
		return valueOf(r, "proto") == "" || valueOf(r, "status") == ""
	}) {
		for i, response := range responses.Content {
			lines = append(lines, statusLine(valueOf(response, "proto"), valueOf(response, "status")), "...")
			headers := key(response, "headers")
			if i == len(responses.Content)-1 && headers == nil {
				headers = key(want, "headers")
			}
			for k := 0; headers != nil && k+1 < len(headers.Content); k += 2 {
				if v := headers.Content[k+1]; v.Kind == yaml.ScalarNode && v.Value != "" {
					lines = append(lines, headers.Content[k].Value+": "+v.Value, "...")
				}
			}
		}
	}
	for _, claim := range claimed(want) {
		if len(lines) == 0 {
			lines = append(lines, "...")
		}
		lines = append(lines, claim.line(), "...")
	}
	code := key(want, "exitCode")
	if is := key(code, "is"); is != nil {
		code = is
	}
	if code != nil && code.Kind == yaml.ScalarNode && code.Value != "0" {
		if isVerbose(n) && len(lines) == 0 {
			lines = append(lines, "...")
		}
		lines = append(lines, terminated+code.Value)
	}
	return strings.Join(lines, "\n")
}

var verbose = regexp.MustCompile(`\bcurl\b.* (?:-[a-zA-Z]*v|--verbose)\b`)

// isVerbose reports whether a command tells of its work beside what it is asked for.
func isVerbose(n *yaml.Node) bool {
	text, err := yaml.Marshal(key(n, "exec"))
	return err == nil && verbose.Match(bytes.ReplaceAll(text, []byte(","), nil))
}

// statusLine returns the first line of a response.
func statusLine(proto, status string) string {
	code, _ := strconv.Atoi(status)
	if proto == "HTTP/1.0" || proto == "HTTP/1.1" {
		return strings.TrimSpace(proto + " " + status + " " + http.StatusText(code))
	}
	return proto + " " + status
}

// unliteral is the opposite of literal.
func unliteral(text string) string { return strings.ReplaceAll(text, "$${", "${") }
