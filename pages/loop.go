package pages

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// once returns what a loop without an end does in one round, without its pauses. is
// reports whether a text is such a loop and nothing else.
func once(text string) (round string, is bool) {
	file, _, problem := shell.Parse(text)
	if problem != nil || len(file.Stmts) != 1 || len(file.Stmts[0].Redirs) > 0 {
		return "", false
	}
	loop, ok := file.Stmts[0].Cmd.(*syntax.WhileClause)
	if !ok || loop.Until || len(loop.Cond) != 1 || !alwaysHolds(text, loop.Cond[0]) {
		return "", false
	}
	var commands []string
	for _, stmt := range loop.Do {
		part := textOfNode(text, stmt)
		if strings.HasPrefix(part, "sleep ") {
			continue
		}
		if strings.Contains(part, "\n") {
			return "", false
		}
		commands = append(commands, strings.TrimRight(part, "; "))
	}
	return strings.Join(commands, "; "), len(commands) > 0
}

// alwaysHolds reports whether the condition of a loop never ends it.
func alwaysHolds(text string, cond *syntax.Stmt) bool {
	condition := strings.TrimRight(textOfNode(text, cond), "; ")
	switch condition {
	case "true", ":", "[ 1 ]", "[ true ]", "[[ 1 ]]", "[[ true ]]", "((1))", "(( 1 ))":
		return true
	}
	return strings.HasPrefix(condition, "sleep ") && isCall(cond)
}

// endLoop has a loop without an end, which a pod's shell is given, run once.
func (m *mapper) endLoop(c *command, k *shell.Kubectl) error {
	if len(k.Command) != 3 || k.Command[1] != "-c" || !isShellAlone(k.Command[:1]) {
		return nil
	}
	file, _, problem := shell.Parse(k.Command[2])
	if problem != nil || !isEndless(file) {
		return nil
	}
	round, is := once(k.Command[2])
	if !is || len(c.st.shown) > 0 || len(c.stages) > 1 {
		return endlessInPod()
	}
	m.note(c.at, false, "a loop without an end: what is in it is run once")
	k.Command[2] = round
	return nil
}

func endlessInPod() error {
	return cannot("show a bounded one: for i in 1 2 3; do ...; done", "a loop without an end is not run in a pod")
}

// isEndless reports whether a script has a loop that may never end.
func isEndless(file *syntax.File) (found bool) {
	syntax.Walk(file, func(n syntax.Node) bool {
		_, is := n.(*syntax.WhileClause)
		found = found || is
		return true
	})
	return found
}

// textOfNode returns a part of a text.
func textOfNode(text string, n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	if from > to || to > len(text) {
		return ""
	}
	return text[from:to]
}

// oneRound returns a statement that is a loop without an end as one round of it. Where
// the page shows what the loop prints, how often it was run is a part of that: st itself
// is returned.
func (m *mapper) oneRound(st *statement) *statement {
	round, is := once(st.text())
	if !is || len(st.shown) > 0 {
		return st
	}
	file, _, problem := shell.Parse(round)
	if problem != nil {
		return st
	}
	first := st.lines[0]
	m.note(place{first.line, first.column}, false, "a loop without an end: what is in it is run once")
	there := *st
	first.text = round
	there.lines, there.file = []line{first}, file
	return &there
}

// untimed returns a statement without time in front of it, where the page shows nothing of
// what that measures.
func (m *mapper) untimed(st *statement) *statement {
	if st.file == nil || len(st.file.Stmts) != 1 {
		return st
	}
	clause, ok := st.file.Stmts[0].Cmd.(*syntax.TimeClause)
	if !ok || clause.Stmt == nil || slices.ContainsFunc(st.shown, func(l line) bool { return measured.MatchString(l.text) }) {
		return st
	}
	there := *st
	there.lines = slices.Clone(st.lines)
	first := &there.lines[0]
	at := int(clause.Stmt.Pos().Offset())
	if at > len(first.text) {
		return st
	}
	first.text, first.column = first.text[at:], first.column+at
	file, _, problem := shell.Parse(there.text())
	if problem != nil {
		return st
	}
	there.file = file
	m.note(place{first.line, first.column}, false, "the time that it takes is not measured, for the page shows none")
	return &there
}

// measured matches a line of what time prints.
var measured = regexp.MustCompile(`^\s*(?:real|user|sys)\s`)
