package pages

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// asked returns the program of a cloud or of a cluster that a $(...) asks for a value; ""
// for none.
func asked(sub *syntax.CmdSubst) (program string) {
	syntax.Walk(sub, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 && notOurs[call.Args[0].Lit()] {
			program = call.Args[0].Lit()
		}
		return program == ""
	})
	return program
}

// asksCloud reports whether a word of a command is what a cloud's program prints.
func asksCloud(words []word) bool {
	return slices.ContainsFunc(words, func(w word) bool {
		if w.sub != nil {
			return asked(w.sub) != ""
		}
		return w.asks != ""
	})
}

// isOfCloud reports whether a statement is one command of a cloud's program. Such a command
// is never run, whatever the reader has to fill in.
func isOfCloud(st *statement) bool {
	if len(st.file.Stmts) != 1 {
		return false
	}
	call, ok := stages(st.file.Stmts[0])[0].Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) > 0 && notOurs[call.Args[0].Lit()]
}
