package pages

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/expect"
)

// A page may say more of itself than a reader sees:
//
//   - a comment with a mapping, first in the page, is what a playbook says beside its
//     steps. Such a page is run as a playbook is: it ends at the first step that does
//     not pass, and each title is the whole sentence above the command.
//   - a comment with a mapping before a fence has further keys of the step that the
//     fence becomes. It adds to what the commands say, and cannot say otherwise.
//   - a fence of YAML with the word egressplay behind its tag has steps that no command
//     can stand for.

// setHeader takes over the keys that the page sets for itself as a whole.
func (m *mapper) setHeader(n *yaml.Node) {
	m.header, m.builtin = n, true
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch k, v := n.Content[i], n.Content[i+1]; k.Value {
		case "steps", "apiVersion", "kind":
			m.fail(place{k.Line, k.Column}, "the page's commands say it", "%s is not for a page", k.Value)
		case "defaults": // in and namespace also say whose sidecar a policy must have reached
			for j := 0; v.Kind == yaml.MappingNode && j+1 < len(v.Content); j += 2 {
				if d := v.Content[j]; !slices.Contains([]string{"in", "namespace", "within"}, d.Value) {
					m.fail(place{d.Line, d.Column}, "the page's commands say it", "defaults: %s is not for a page", d.Value)
				}
			}
		case "vars":
			for j := 0; v.Kind == yaml.MappingNode && j+1 < len(v.Content); j += 2 {
				name, value := v.Content[j], v.Content[j+1]
				m.set[name.Value] = max(1, name.Line)
				m.values[name.Value] = value.Value
			}
		}
	}
}

// given reports whether an assignment is of a variable that the header has, or that
// each playbook has: it is for those who type the commands.
func (m *mapper) given(name string, w word) (is bool, err error) {
	if m.header == nil {
		return false, nil
	}
	if predefined[name] {
		return true, nil
	}
	value := key(key(m.header, "vars"), name)
	switch {
	case value == nil:
		return false, nil
	case w.dynamic || value.Value != w.text:
		return false, cannot("write the same value at both places", "the page's header has another value for %s: %s", name, value.Value)
	}
	return true, nil
}

// headed puts what the header says into the root of the playbook.
func (m *mapper) headed(root *yaml.Node) {
	if m.header == nil {
		return
	}
	for i := 0; i+1 < len(m.header.Content); i += 2 {
		k, v := m.header.Content[i], m.header.Content[i+1]
		if old := key(root, k.Value); old == nil {
			root.Content = append(root.Content, k, v)
		} else if k.Value != "requires" {
			*old = *v
		} else {
			for _, r := range old.Content {
				if !slices.ContainsFunc(v.Content, func(n *yaml.Node) bool { return n.Value == r.Value }) {
					v.Content = append(v.Content, r)
				}
			}
			*old = *v
		}
	}
	if text := m.introduction(); text != "" && key(root, "text") == nil {
		at := place{1, 1}
		root.Content = append(root.Content, at.scalar("text"), at.scalar(text))
	}
}

// introduction returns what stands between the page's first heading and what follows:
// another heading, a comment, a fence.
func (m *mapper) introduction() string {
	from := 0
	for _, t := range m.page.prose {
		if t.level > 0 {
			from = t.end
			break
		}
	}
	if from == 0 {
		return ""
	}
	to := len(m.page.lines)
	for _, t := range m.page.prose {
		if t.level > 0 && t.at > from {
			to = min(to, t.at-1)
		}
	}
	for _, f := range m.page.fences {
		to = min(to, f.at-1)
	}
	for _, c := range m.page.comments {
		if c.at > from {
			to = min(to, c.at-1)
		}
	}
	return strings.TrimSpace(strings.Join(m.page.lines[from:max(from, to)], "\n"))
}

// more adds to a step what the annotation of its fence says.
func (m *mapper) more(f *fence, n, more *yaml.Node) {
	at := place{more.Line, more.Column}
	if m.saidMore[f] {
		m.fail(at, "split the fence, or write the steps in a fence of their own: ```yaml egressplay", "the fence's commands become several steps, and this annotation is about one")
		return
	}
	m.saidMore[f] = true
	verb := verbOf(n)
	for i := 0; i+1 < len(more.Content); i += 2 {
		k, v := more.Content[i], more.Content[i+1]
		switch old := key(n, k.Value); {
		case k.Value == verb:
			m.moreOf(verb, old, v)
		case old == nil:
			n.Content = append(n.Content, k, v)
		case k.Value == "expect":
			m.fail(place{k.Line, k.Column}, "leave out one of them", "the page's commands and what it shows say already what is expected")
		default:
			*old = *v
		}
	}
}

// moreOf adds to what a step does.
func (m *mapper) moreOf(verb string, old, more *yaml.Node) {
	if old.Kind == yaml.ScalarNode && verb == "apply" {
		text := *old
		at := place{old.Line, old.Column}
		*old = *at.mapping("manifest", &text)
	}
	if old.Kind != yaml.MappingNode || more.Kind != yaml.MappingNode {
		m.fail(place{more.Line, more.Column}, "", "%s: nothing can be added to what the command says", verb)
		return
	}
	for i := 0; i+1 < len(more.Content); i += 2 {
		k, v := more.Content[i], more.Content[i+1]
		if key(old, k.Value) != nil {
			m.fail(place{k.Line, k.Column}, "leave it out", "%s: the command says already what %s is", verb, k.Value)
			continue
		}
		old.Content = append(old.Content, k, v)
	}
}

// verbOf returns the verb of a step that was made of a command: its second key.
func verbOf(n *yaml.Node) string {
	if len(n.Content) < 4 {
		return ""
	}
	return n.Content[2].Value
}

// unsaid reports annotations whose fence has become no step.
func (m *mapper) unsaid(notes *annotations) {
	for _, f := range m.page.fences {
		if s := notes.fences[f]; s.more != nil && s.skip == "" && !m.saidMore[f] && len(m.errs) == 0 {
			m.fail(place{s.more.Line, s.more.Column}, "", "the fence behind this annotation becomes no step")
		}
	}
}

// stepsOf returns the steps of a fence that has them in YAML.
func (m *mapper) stepsOf(f *fence) []*yaml.Node {
	fields := strings.Fields(f.info)
	if f.tag == "yaml" && len(fields) == 2 && isSlip(fields[1]) {
		m.fail(place{f.at, 1}, "did you mean egressplay?", "the word %q of this fence is not known", fields[1])
	}
	if f.tag != "yaml" || len(fields) != 2 || fields[1] != ours {
		return nil
	}
	texts := make([]string, len(f.lines))
	for i, l := range f.lines {
		texts[i] = l.text
	}
	c := comment{at: f.at + 1, column: 1, text: "egressplay"}
	return m.hiddenSteps(c, strings.Join(texts, "\n")+"\n")
}

// says reports whether an annotation says itself what is expected of a command.
func (s settings) says() *yaml.Node { return key(s.more, "expect") }

var shownHeader = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*): (.+)$`)

// judged reports shown lines that the expectation beside them does not judge. A reader
// would believe that they are checked.
func (m *mapper) judged(shown []line, want *yaml.Node) {
	responses := key(want, "responses")
	heads := 0
	fail := func(l line, format string, args ...any) {
		m.fail(place{l.line, l.column}, "say the same at both places", format, args...)
	}
	for _, l := range shown {
		text := strings.TrimSpace(l.text)
		if text == "" || text == "..." {
			continue
		}
		if code, ok := expect.ShownExitCode(text); ok {
			n := key(want, "exitCode")
			if is := key(n, "is"); is != nil {
				n = is
			}
			if n == nil || n.Value != code {
				fail(l, "the page shows the exit code %s, and its annotation does not expect that", code)
			}
			continue
		}
		if g := headLine.FindStringSubmatch(text); g != nil {
			heads++
			if responses == nil || len(responses.Content) < heads || valueOf(responses.Content[heads-1], "status") != g[2] || valueOf(responses.Content[heads-1], "proto") != g[1] {
				fail(l, "the page shows the response %s %s, and its annotation does not expect that", g[1], g[2])
			}
			continue
		}
		if g := shownHeader.FindStringSubmatch(text); g != nil && heads > 0 {
			headers := key(want, "headers")
			if responses != nil && len(responses.Content) >= heads {
				if own := key(responses.Content[heads-1], "headers"); own != nil {
					headers = own
				}
			}
			if !strings.EqualFold(valueOf(headers, strings.ToLower(g[1])), g[2]) {
				fail(l, "the page shows the header %s, and its annotation does not expect that", g[1])
			}
			continue
		}
		if !slices.ContainsFunc(claimed(want), func(c claim) bool { return text == c.line() || text == c.text }) {
			fail(l, "the page shows this, and its annotation does not expect it")
		}
	}
	if heads > 0 && len(responses.Content) != heads {
		fail(shown[0], "the page shows %d responses, and its annotation expects %d", heads, len(responses.Content))
	}
}

// A claim is a line that an expectation claims of an output; with part, a part of one.
type claim struct {
	text string
	part bool
}

// line returns the line as a page shows it.
func (c claim) line() string {
	if c.part {
		return "..." + c.text + "..."
	}
	return c.text
}

// claimed returns what an expectation claims of an output.
func claimed(want *yaml.Node) (all []claim) {
	add := func(text string, part bool) {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		for _, l := range lines {
			if l = strings.TrimSpace(l); l != "" {
				all = append(all, claim{l, part && len(lines) == 1})
			}
		}
	}
	for _, name := range []string{"stdout", "stderr", "body"} {
		n := key(want, name)
		add(valueOf(n, "equals"), false)
		add(valueOf(n, "contains"), true)
		if list := key(n, "json"); list != nil {
			for _, item := range list.Content {
				add(jsonClaim(item), false)
			}
		}
	}
	return all
}

var lastKey = regexp.MustCompile(`\.([A-Za-z0-9_-]+)\}$`)

// jsonClaim returns the line of an object in JSON that an expectation claims; "" for
// one that is none.
func jsonClaim(n *yaml.Node) string {
	g := lastKey.FindStringSubmatch(valueOf(n, "path"))
	value := key(n, "equals")
	if g == nil || value == nil || value.Kind != yaml.ScalarNode || value.Value == "" {
		return ""
	}
	return `"` + g[1] + `": "` + value.Value + `"`
}

// valueOf returns the text of a mapping's key; "" where it has none.
func valueOf(n *yaml.Node, name string) string {
	v := key(n, name)
	if v == nil || v.Kind != yaml.ScalarNode {
		return ""
	}
	return v.Value
}
