package pages

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// ownName returns the name that replaces a name which each playbook uses for something
// else.
func ownName(name string) string { return "PAGE_" + name }

// renameOwn gives another name to the variables of the page that each playbook has
// already, where the page sets them to a value of its own.
func (m *mapper) renameOwn() {
	if m.header != nil {
		return
	}
	for name := range predefined {
		if !slices.ContainsFunc(m.statements, func(st *statement) bool { return setsOwn(st, name) }) {
			continue
		}
		uses := regexp.MustCompile(`\$` + name + `\b|\$\{` + name + `\}|(^|[\s;&|(])` + name + `=`)
		for _, st := range m.statements {
			lines := slices.Clone(st.lines)
			for i := range lines {
				lines[i].text = uses.ReplaceAllStringFunc(lines[i].text, func(use string) string { return strings.Replace(use, name, ownName(name), 1) })
			}
			renamed := *st
			renamed.lines = lines
			if file, _, problem := shell.Parse(renamed.text()); problem == nil && st.file != nil {
				st.lines, st.file = lines, file
			}
		}
	}
}

// setsOwn reports whether a statement gives a variable a value that the page has written.
func setsOwn(st *statement, name string) (sets bool) {
	if st.file == nil || inBraces.MatchString(st.text()) || st.blank != "" {
		return false
	}
	syntax.Walk(st.file, func(n syntax.Node) bool {
		a, ok := n.(*syntax.Assign)
		sets = sets || ok && a.Name != nil && a.Name.Value == name && a.Value != nil
		return true
	})
	return sets
}

// inBraces matches a value that is left to the reader, NAME={your name}.
var inBraces = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_]\w*)=["']?(\{[A-Za-z][^,{}$"']*\})`)

// blankValue matches an assignment of what was left to the reader, which the splitter has
// filled in.
var blankValue = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_]\w*)=["']?_+["']?\s*$`)

// leftOver judges the assignment of a value that is left to the reader. That of NAMESPACE is
// the namespace of the run, and --set may give the others. done reports whether nothing is
// left to do.
func (m *mapper) leftOver(st *statement, at place) (done bool, err error) {
	name, what := "", st.blank
	if g := inBraces.FindStringSubmatch(st.text()); g != nil {
		name, what = g[1], g[2]
	} else if g := blankValue.FindStringSubmatch(st.text()); g != nil && st.blank != "" {
		name = g[1]
	}
	switch {
	case name == "", name == "KUBECONFIG", name == "PATH":
		return false, nil
	case predefined[name]:
		m.note(at, false, "not run: %s is that of the run", name)
		return true, nil
	case m.givenBySet(name, at):
		return true, nil
	}
	return false, cannot("write it out, or give it by --set "+name+"=VALUE", "what stands for %s is left to the reader", what)
}

// givenBySet reports whether the command line gives a variable its value, and notes it.
func (m *mapper) givenBySet(name string, at place) bool {
	if !m.options.Set[name] {
		return false
	}
	m.note(at, false, "not run: the command line says what %s is", name)
	m.set[name] = max(1, at.line)
	delete(m.values, name)
	return true
}

// setVars returns the variables of the playbook that the command line gives their values.
func (m *mapper) setVars(at place) *yaml.Node {
	vars := at.mapping()
	for _, name := range slices.Sorted(maps.Keys(m.options.Set)) {
		if m.options.Set[name] && mentions(m.steps, name) {
			vars.Content = append(vars.Content, at.scalar(name), at.scalar(""))
		}
	}
	return vars
}
