package pages

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// orNothing reads COMMAND || true as COMMAND, where that is a change which may have been
// made before: what is to be deleted need not be there, and what is to be made may be.
// It reports whether it is one.
func (m *mapper) orNothing(c *command) bool {
	b, ok := c.stmt.Cmd.(*syntax.BinaryCmd)
	if !ok || b.Op != syntax.OrStmt || !isNothing(b.Y) {
		return false
	}
	call, ok := b.X.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" {
		return false
	}
	texts, _, _ := m.wordsOf(call)
	k, err := shell.ParseKubectl(texts)
	if err != nil || !slices.Contains([]string{"delete", "create namespace", "create serviceaccount", "label", "annotate"}, k.Verb) {
		return false
	}
	c.stmt, c.stages = b.X, []*syntax.Stmt{b.X}
	c.lax = k.Verb == "delete"
	return true
}

// isNothing reports whether a command does nothing and succeeds.
func isNothing(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(stmt.Redirs) > 0 {
		return false
	}
	name := call.Args[0].Lit()
	return name == "true" || name == ":" || name == "echo"
}

// makesFolder reports whether a command makes a folder, or an empty file, on the reader's
// machine if it is not there yet: test -d DIR || mkdir DIR.
func makesFolder(stmt *syntax.Stmt) bool {
	b, ok := stmt.Cmd.(*syntax.BinaryCmd)
	if !ok || b.Op != syntax.OrStmt || len(b.X.Redirs)+len(b.Y.Redirs) > 0 {
		return false
	}
	makes, ok := b.Y.Cmd.(*syntax.CallExpr)
	if !ok || len(makes.Args) < 2 || makes.Args[0].Lit() != "mkdir" && makes.Args[0].Lit() != "touch" {
		return false
	}
	switch asks := b.X.Cmd.(type) {
	case *syntax.TestClause:
		unary, ok := asks.X.(*syntax.UnaryTest)
		return ok && (unary.Op == syntax.TsDirect || unary.Op == syntax.TsExists || unary.Op == syntax.TsRegFile)
	case *syntax.CallExpr:
		if len(asks.Args) < 3 || asks.Args[0].Lit() != "test" && asks.Args[0].Lit() != "[" {
			return false
		}
		return slices.Contains([]string{"-d", "-e", "-f"}, asks.Args[1].Lit())
	}
	return false
}
