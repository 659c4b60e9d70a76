package pages

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// inFile matches a variable in a file, as envsubst replaces it: $NAME, and ${NAME}, which
// a text of the playbook has as $${NAME}.
var inFile = regexp.MustCompile(`\$\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)`)

// envsubst maps envsubst of a file, into another file or into kubectl apply: with the
// variables of the page, and with no others.
func (m *mapper) envsubst(c *command, stmt *syntax.Stmt) ([]*yaml.Node, bool, error) {
	first := 0
	file := ""
	if call, ok := stmt.Cmd.(*syntax.CallExpr); ok && call.Args[0].Lit() == "cat" && len(call.Args) == 2 && len(c.stages) > 1 {
		file, stmt, first = wordOf(call.Args[1]).text, c.stages[1], 1
	}
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || call.Args[0].Lit() != "envsubst" {
		return nil, false, nil
	}
	var out *syntax.Redirect
	for _, r := range stmt.Redirs {
		switch r.Op {
		case syntax.RdrIn:
			file = wordOf(r.Word).text
		case syntax.RdrOut:
			out = r
		}
	}
	only := ""
	for _, w := range call.Args[1:] {
		only += wordOf(w).text + " "
	}
	if file == "" || out == nil && len(c.stages) != first+2 || out != nil && len(c.stages) != first+1 {
		return nil, false, cannot("", "envsubst is known here as envsubst < FILE, into kubectl apply -f - or into a file")
	}
	text, err := m.content(file)
	if err != nil {
		return nil, false, err
	}
	unset := ""
	text = inFile.ReplaceAllStringFunc(text, func(use string) string {
		name := strings.Trim(use, "${}")
		if only != "" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(only) {
			return use
		}
		if m.set[name] == 0 && !predefined[name] && unset == "" {
			unset = name
		}
		return "${" + name + "}"
	})
	if unset != "" {
		return nil, false, cannot("a hidden step or the overlay can set it: set: {"+unset+": VALUE}", "nothing on this page sets the variable %s, which the file %s names", unset, file)
	}
	if out != nil {
		m.files[baseOf(wordOf(out.Word).text)] = memoryFile{text: text}
		return nil, true, nil
	}
	into, ok := c.stages[first+1].Cmd.(*syntax.CallExpr)
	if !ok {
		return nil, false, cannot("", "envsubst is known here into kubectl apply -f -")
	}
	texts, _, plain := m.wordsOf(into)
	k, err := shell.ParseKubectl(texts)
	if err != nil || !plain || k.Verb != "apply" && k.Verb != "create" || k.Flag("filename") != "-" {
		return nil, false, cannot("", "envsubst is known here into kubectl apply -f -")
	}
	if !onlyVerbLines(c.st.shown) {
		return nil, false, cannot("", "the page shows of kubectl %s what it does not print", k.Verb)
	}
	return []*yaml.Node{c.at.mapping("title", c.title, "apply", m.manifest(c, k, text, 0))}, true, nil
}
