package pages

import (
	"fmt"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// A word is a word of a command, as a text of the playbook: ${NAME} is a variable.
type word struct {
	text string
	// sub is what the word is, if it is one $(...) and nothing else.
	sub *syntax.CmdSubst
	// proc is what the word is, if it is one <(...).
	proc *syntax.ProcSubst
	// dynamic says that a part of it is known to a shell alone.
	dynamic bool
	// split says that a variable stands in it without quotes: a value with blanks
	// becomes several words.
	split []string
	// asks is the program of a cloud that a part of it asks for a value; "" for none.
	asks string
	pos  syntax.Pos
}

// wordOf returns a word of a command.
func wordOf(w *syntax.Word) word {
	out := word{pos: w.Pos()}
	parts := w.Parts
	if len(parts) == 1 {
		if q, ok := parts[0].(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
			parts = q.Parts
		}
		switch p := parts[0].(type) {
		case *syntax.CmdSubst:
			out.sub, out.dynamic = p, true
			return out
		case *syntax.ProcSubst:
			out.proc, out.dynamic = p, true
			return out
		}
	}
	out.add(w.Parts, false)
	return out
}

func (w *word) add(parts []syntax.WordPart, quoted bool) {
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			w.text += literal(shell.Unescape(part.Value, quoted))
		case *syntax.SglQuoted:
			w.text += literal(part.Value)
			w.dynamic = w.dynamic || part.Dollar
		case *syntax.DblQuoted:
			w.add(part.Parts, true)
		case *syntax.ParamExp:
			if !simple(part) {
				w.dynamic = true
				continue
			}
			w.text += "${" + part.Param.Value + "}"
			if !quoted {
				w.split = append(w.split, part.Param.Value)
			}
		case *syntax.CmdSubst:
			w.dynamic, w.asks = true, asked(part)
		default:
			w.dynamic = true
		}
	}
}

// simple reports whether p is $NAME or ${NAME}.
func simple(p *syntax.ParamExp) bool {
	return p.Param != nil && syntax.ValidName(p.Param.Value) && p.Exp == nil && p.Repl == nil && p.Slice == nil && p.Index == nil &&
		!p.Excl && !p.Length && !p.Width && p.Names == 0 && p.NestedParam == nil
}

// wordsOf returns the words of a command, and whether all are known without a
// shell. A word that is one $(...) stands as a mark, see subs.
func (m *mapper) wordsOf(call *syntax.CallExpr) (texts []string, words []word, plain bool) {
	plain = true
	for i, arg := range call.Args {
		w := wordOf(arg)
		words = append(words, w)
		switch {
		case w.sub != nil || w.proc != nil:
			w.text = fmt.Sprintf("\x00%d", i)
		case w.dynamic:
			plain = false
		}
		for _, name := range w.split {
			if strings.ContainsAny(m.values[name], " \t\n") {
				plain = false
			}
		}
		texts = append(texts, w.text)
	}
	return texts, words, plain
}

var mark = regexp.MustCompile(`^\x00(\d+)$`)

// document returns the text of a here-document as one of the playbook.
func document(r *syntax.Redirect) (string, bool) {
	var w word
	quoted := false
	for _, part := range r.Word.Parts {
		lit, ok := part.(*syntax.Lit)
		quoted = quoted || !ok || strings.Contains(lit.Value, `\`)
	}
	if r.Hdoc == nil {
		return "", true
	}
	for _, part := range r.Hdoc.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			text := part.Value
			if !quoted {
				text = shell.Unescape(text, true)
			}
			w.text += literal(text)
		default:
			w.add([]syntax.WordPart{part}, true)
		}
	}
	return w.text, !w.dynamic
}
