package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/playbooks/fill"
)

// notes of an author about statements: the keys of an annotation.
type settings struct {
	skip   string
	exit   string
	within string
	holds  string
	file   string
	output string
	tab    string
	at     place
	more   *yaml.Node // further keys of the step; nil for none
}

// settingKeys are the keys of an annotation.
var settingKeys = []string{"exit", "file", "holds", "output", "skip", "tab", "within"}

// meantKey asks for the known key that an unknown one is most probably a slip of; "" for
// none.
func meantKey(name string, known []string) string {
	if near := fill.DidYouMean(name, known); near != "" {
		return near + " "
	}
	return ""
}

// set gives a key its value. The error says what is wrong with it.
func (s *settings) set(name, value string) error {
	if value == "" {
		return fmt.Errorf("%s has no value", name)
	}
	switch name {
	case "skip":
		s.skip = value
	case "exit":
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 255 {
			return fmt.Errorf("exit must be 0-255, got %q", value)
		}
		s.exit = value
	case "within":
		s.within = value
	case "holds":
		s.holds = value
	case "file":
		s.file = value
	case "output":
		if value != "exit" {
			return fmt.Errorf("output must be exit (only the exit codes count), got %q", value)
		}
		s.output = value
	case "tab":
		s.tab = value
	default:
		return fmt.Errorf("the key %q is not known: %sthe keys are %s", name, meantKey(name, settingKeys), strings.Join(settingKeys, ", "))
	}
	return nil
}

// merge adds the settings of an outer annotation where this has none.
func (s settings) merge(outer settings) settings {
	for _, pair := range []struct {
		into *string
		from string
	}{{&s.skip, outer.skip}, {&s.exit, outer.exit}, {&s.within, outer.within}, {&s.holds, outer.holds}, {&s.output, outer.output}, {&s.tab, outer.tab}} {
		if *pair.into == "" {
			*pair.into = pair.from
		}
	}
	if s.more == nil {
		s.more = outer.more
	}
	return s
}

var keyValue = regexp.MustCompile(`^\s*([A-Za-z]+)=(?:"([^"]*)"|([^\s"]+))`)

// parseSettings reads key="value" pairs.
func parseSettings(text string) (settings, error) {
	var s settings
	for strings.TrimSpace(text) != "" {
		m := keyValue.FindStringSubmatch(text)
		if m == nil {
			return s, fmt.Errorf("an annotation is KEY=\"VALUE\" pairs, and %q is none", strings.TrimSpace(text))
		}
		if err := s.set(m[1], m[2]+m[3]); err != nil {
			return s, err
		}
		text = text[len(m[0]):]
	}
	return s, nil
}

// annotations are the keys and steps that an author writes in comments of a page.
type annotations struct {
	header *yaml.Node              // what the page says as a playbook; nil for nothing
	whole  settings                // of the whole page
	fences map[*fence]settings     // of one fence
	hidden map[*fence][]*yaml.Node // steps in front of a fence
	last   []*yaml.Node            // steps behind the last fence
}

// readAnnotations reads the comments of the page.
func (m *mapper) readAnnotations() *annotations {
	a := &annotations{fences: map[*fence]settings{}, hidden: map[*fence][]*yaml.Node{}}
	firstProse := len(m.page.lines) + 1
	for _, t := range m.page.prose {
		firstProse = min(firstProse, t.at)
	}
	for _, f := range m.page.fences {
		firstProse = min(firstProse, f.at)
	}
	for _, c := range m.page.comments {
		at := place{c.at, c.column}
		if c.slip {
			m.fail(at, "did you mean egressplay?", "this comment begins with %q, and would be read by nobody", firstWord.FindString(strings.TrimSpace(c.text)))
			continue
		}
		body := strings.TrimPrefix(strings.TrimLeft(c.text, " \t\r\n"), "egressplay")
		next := m.fenceBehind(c.at)
		if rest, ok := strings.CutPrefix(body, ":"); ok {
			s, err := parseSettings(rest)
			if err != nil {
				m.fail(at, "", "%v", err)
				continue
			}
			s.at = at
			switch {
			case c.at < firstProse:
				a.whole = s.merge(a.whole)
			case next == nil:
				m.fail(at, "put it right before a fence, or first in the page for all of it", "this annotation concerns no fence")
			default:
				a.fences[next] = s.merge(a.fences[next])
			}
			continue
		}
		if body != "" && !strings.ContainsAny(body[:1], " \t\r\n") {
			continue // a word of its own
		}
		if more := m.mappingOf(c, body); more != nil {
			switch {
			case c.at < firstProse && a.header == nil:
				a.header = more
			case next == nil:
				m.fail(at, "put it right before a fence, or first in the page for all of it", "this annotation concerns no fence")
			case a.fences[next].more != nil:
				m.fail(at, "write one", "a second annotation with keys of the same step")
			default:
				s := a.fences[next]
				s.more = more
				a.fences[next] = s
			}
			continue
		}
		steps := m.hiddenSteps(c, body)
		if next == nil {
			a.last = append(a.last, steps...)
		} else {
			a.hidden[next] = append(a.hidden[next], steps...)
		}
	}
	return a
}

// fenceBehind returns the fence that an annotation is in front of: no heading lies
// between them.
func (m *mapper) fenceBehind(at int) *fence {
	for _, f := range m.page.fences {
		if f.at <= at {
			continue
		}
		for _, t := range m.page.prose {
			if t.level > 0 && t.at > at && t.at < f.at {
				return nil
			}
		}
		return f
	}
	return nil
}

// atItsLines returns a text of a comment behind so many line feeds that a parser's
// lines are those of the page.
func (c comment) atItsLines(body string) []byte {
	lead := strings.Count(c.text[:strings.Index(c.text, "egressplay")], "\n")
	return []byte(strings.Repeat("\n", c.at-1+lead) + body)
}

// mappingOf reads a comment that is a mapping; nil for another one.
func (m *mapper) mappingOf(c comment, body string) *yaml.Node {
	var doc yaml.Node
	if yaml.Unmarshal(c.atItsLines(body), &doc) != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	return doc.Content[0]
}

// hiddenSteps reads steps in the playbook's own grammar. Each is at its own lines.
func (m *mapper) hiddenSteps(c comment, body string) []*yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(c.atItsLines(body), &doc); err != nil {
		m.fail(place{c.at, c.column}, "write a list of steps, as in a playbook", "the hidden steps are no YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.SequenceNode {
		m.fail(place{c.at, c.column}, `write a list of steps, or egressplay: KEY="VALUE"`, "the comment is neither an annotation nor a list of steps")
		return nil
	}
	return doc.Content[0].Content
}

// An overlayEntry has the annotations that an overlay gives to one statement.
type overlayEntry struct {
	settings
	section, statement string
	nth                int
	before, after      []*yaml.Node
	node               *yaml.Node
}

// parseOverlay reads an overlay: a list of mappings.
func (m *mapper) parseOverlay(text, file string) (whole settings, entries []*overlayEntry) {
	fail := func(n *yaml.Node, format string, args ...any) {
		m.errs = append(m.errs, &playbooks.Error{File: file, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...)})
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		m.errs = append(m.errs, &playbooks.Error{File: file, Msg: "no valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")})
		return
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.SequenceNode {
		m.errs = append(m.errs, &playbooks.Error{File: file, Line: 1, Column: 1, Msg: "an overlay is a list of entries, each with at: {statement: FIRST WORDS}"})
		return
	}
	for _, n := range doc.Content[0].Content {
		e := &overlayEntry{node: n, nth: 1}
		if n.Kind != yaml.MappingNode {
			fail(n, "an entry is a mapping with at")
			continue
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			switch {
			case k.Value == "at":
				m.overlayAnchor(e, v, fail)
			case k.Value == "before" || k.Value == "after":
				if v.Kind != yaml.SequenceNode {
					fail(v, "%s is a list of steps", k.Value)
				} else if k.Value == "before" {
					e.before = v.Content
				} else {
					e.after = v.Content
				}
			case v.Kind != yaml.ScalarNode:
				fail(v, "%s is a text", k.Value)
			default:
				if err := e.set(k.Value, v.Value); err != nil {
					fail(k, "%v, at, before, after", err)
				}
			}
		}
		if key(n, "at") == nil {
			if e.tab == "" {
				fail(n, "the entry has no at: {statement: FIRST WORDS}")
			}
			whole = e.settings.merge(whole)
			continue
		}
		entries = append(entries, e)
	}
	return whole, entries
}

func (m *mapper) overlayAnchor(e *overlayEntry, at *yaml.Node, fail func(*yaml.Node, string, ...any)) {
	if at.Kind != yaml.MappingNode {
		fail(at, "at is a mapping: section, statement, nth")
		return
	}
	for i := 0; i+1 < len(at.Content); i += 2 {
		k, v := at.Content[i], at.Content[i+1]
		switch k.Value {
		case "section":
			e.section = v.Value
		case "statement":
			e.statement = v.Value
		case "nth":
			n, err := strconv.Atoi(v.Value)
			if err != nil || n < 1 {
				fail(v, "nth counts from 1")
				continue
			}
			e.nth = n
		default:
			fail(k, "the key %q is not known: %sthe keys of at are section, statement, nth", k.Value, meantKey(k.Value, []string{"section", "statement", "nth"}))
		}
	}
	if e.statement == "" && e.section == "" {
		fail(at, "at names neither a section nor a statement")
	}
}

// anchor finds the statement that an entry is about. file is the overlay's.
func (m *mapper) anchor(e *overlayEntry, file string) *statement {
	n := 0
	for _, st := range m.statements {
		if e.section != "" {
			h := m.page.headingBefore(st.lines[0].line)
			if h == nil || !strings.EqualFold(strings.TrimSpace(h.text), strings.TrimSpace(e.section)) {
				continue
			}
		}
		if !strings.HasPrefix(strings.Join(strings.Fields(st.text()), " "), strings.Join(strings.Fields(e.statement), " ")) {
			continue
		}
		if n++; n == e.nth {
			return st
		}
	}
	hint := ""
	if e.statement != "" && n > 0 {
		hint = fmt.Sprintf("the page has %d such statements", n)
	}
	m.errs = append(m.errs, &playbooks.Error{
		File: file, Line: e.node.Line, Column: e.node.Column, Hint: hint,
		Msg: fmt.Sprintf("the page has no statement %q%s: it has changed, or the anchor is wrong", e.statement, inSection(e.section)),
	})
	return nil
}

func inSection(section string) string {
	if section == "" {
		return ""
	}
	return fmt.Sprintf(" in the section %q", section)
}

// copyNodes returns deep copies of nodes at a place of the page.
func copyNodes(nodes []*yaml.Node, at place) []*yaml.Node {
	var all []*yaml.Node
	for _, n := range nodes {
		c := deepCopy(n)
		move(c, at)
		all = append(all, c)
	}
	return all
}

func deepCopy(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = slices.Clone(n.Content)
	for i := range c.Content {
		c.Content[i] = deepCopy(c.Content[i])
	}
	return &c
}
