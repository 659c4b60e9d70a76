package pages

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// A change of a statement's text.
type edit struct {
	from, to int
	text     string
}

// lookedFiles reads a file into which a page writes what it looks up as a variable: LOOK >
// FILE sets it, and a tool that reads the file reads the variable. A statement that does
// neither is returned as it is.
func (m *mapper) lookedFiles(st *statement) *statement {
	if st.file == nil {
		return st
	}
	if there := m.writesLook(st); there != nil {
		return there
	}
	if len(m.looked) == 0 {
		return st
	}
	var edits []edit
	syntax.Walk(st.file, func(n syntax.Node) bool {
		if stmt, ok := n.(*syntax.Stmt); ok {
			edits = append(edits, m.readsLook(st.text(), stmt)...)
		}
		return true
	})
	return edited(st, edits)
}

// edited returns a statement with a changed text of as many lines; the statement itself if
// that cannot be read.
func edited(st *statement, edits []edit) *statement {
	text := st.text()
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	for _, e := range slices.Backward(edits) {
		text = text[:e.from] + e.text + text[e.to:]
	}
	lines := strings.Split(text, "\n")
	file, _, problem := shell.Parse(text)
	if len(edits) == 0 || problem != nil || len(lines) != len(st.lines) {
		return st
	}
	there := *st
	there.file, there.lines = file, slices.Clone(st.lines)
	for i := range lines {
		there.lines[i].text = lines[i]
	}
	return &there
}

// writesLook returns LOOK > FILE as NAME=$(LOOK); nil if a statement is something else. An
// exit code that is shown of it could not be judged then.
func (m *mapper) writesLook(st *statement) *statement {
	if len(st.file.Stmts) != 1 || len(st.shown) > 0 {
		return nil
	}
	all := stages(st.file.Stmts[0])
	first, ok := all[0].Cmd.(*syntax.CallExpr)
	last := all[len(all)-1]
	if !ok || len(first.Args) < 2 || first.Args[0].Lit() != "kubectl" || len(last.Redirs) != 1 {
		return nil
	}
	texts, _, _ := m.wordsOf(first)
	k, err := shell.ParseKubectl(texts)
	r := last.Redirs[0]
	name := baseOf(r.Word.Lit())
	if err != nil || !k.Looks() || r.Op != syntax.RdrOut || r.N != nil || !plainFile.MatchString(name) {
		return nil
	}
	variable := strings.ToUpper(notInName.ReplaceAllString(name, "_"))
	if variable[0] >= '0' && variable[0] <= '9' || m.set[variable] > 0 && m.looked[name] != variable {
		variable = "FILE_" + variable
	}
	text := st.text()
	from, to := int(r.Pos().Offset()), int(r.End().Offset())
	if strings.TrimSpace(text[to:]) != "" {
		return nil
	}
	there := edited(st, []edit{{0, 0, variable + "=$("}, {len(strings.TrimRight(text[:from], " \t")), len(text), ")"}})
	if there == st {
		return nil
	}
	delete(m.files, name)
	m.looked[name] = variable
	line, column := st.place(1, 1)
	m.note(place{line, column}, false, "the file %s is the variable %s here", name, variable)
	return there
}

var (
	plainFile = regexp.MustCompile(`^[A-Za-z0-9_][\w.-]*$`)
	notInName = regexp.MustCompile(`[^A-Za-z0-9]`)
)

// readersOfFiles are tools for which a line feed more at the end of a file makes no
// difference: a variable has none, and echo writes one.
var readersOfFiles = []string{"awk", "cat", "cut", "grep", "head", "jq", "sed", "sort", "tail", "uniq"}

// readsLook returns the changes by which a command reads the variable of a file.
func (m *mapper) readsLook(text string, stmt *syntax.Stmt) []edit {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Assigns) > 0 || len(stmt.Redirs) > 1 {
		return nil
	}
	tool := call.Args[0].Lit()
	decodes := tool == "base64" && slices.ContainsFunc(call.Args, func(w *syntax.Word) bool { return slices.Contains([]string{"-d", "-D", "--decode"}, w.Lit()) })
	if !slices.Contains(readersOfFiles, tool) && !decodes {
		return nil
	}
	read := call.Args[len(call.Args)-1]
	from, to, name := int(read.Pos().Offset()), int(read.End().Offset()), read.Lit()
	if len(stmt.Redirs) == 1 {
		r := stmt.Redirs[0]
		if r.Op != syntax.RdrIn {
			return nil
		}
		from, to, name = int(r.Pos().Offset()), int(r.End().Offset()), r.Word.Lit()
	}
	variable := m.looked[baseOf(name)]
	if variable == "" || name == "" {
		return nil
	}
	at := int(call.Pos().Offset())
	from = len(strings.TrimRight(text[:from], " \t"))
	if tool == "cat" && len(call.Args) <= 2 {
		return []edit{{at, to, `echo "$` + variable + `"`}}
	}
	return []edit{{at, at, `echo "$` + variable + `" | `}, {from, to, ""}}
}
