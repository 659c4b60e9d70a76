package fill

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/variables"
)

// Place adds the errors that err joins, each where its field is in n. step is
// the step that is about to run, 0 for before the run.
func (d *Decoder) Place(n *yaml.Node, err error, step int) {
	for _, e := range Flatten(err) {
		at, _ := Find(n, e.Field)
		placed := &Error{File: d.File, Line: at.Line, Column: at.Column, Msg: e.Err.Error(), Hint: e.Hint}
		if err, ok := errors.AsType[*variables.UndefinedError](e.Err); ok {
			placed.Line, placed.Column = d.variable(at, "${"+err.Name+"}")
			d.unset = append(d.unset, unset{placed, err.Name, step})
		} else if _, ok := errors.AsType[*variables.SyntaxError](e.Err); ok {
			placed.Line, placed.Column = d.variable(at, "")
		} else if e.Line > 0 && at.Kind == yaml.ScalarNode {
			placed.Line, placed.Column = d.line(at, e.Line)
			placed.Column += further(at.Value, e.Line, e.Column)
		}
		d.Errs = append(d.Errs, placed)
	}
}

// An unset is an error about a variable without a value, to be explained when
// it is known which steps set which variables.
type unset struct {
	err  *Error
	name string
	step int
}

// ExplainUnset says of each variable without a value what is wrong with it. setBy
// has the first step that sets a variable, from 1.
func (d *Decoder) ExplainUnset(setBy map[string]int) {
	known := slices.Sorted(maps.Keys(d.Vars))
	known = append(known, slices.Sorted(maps.Keys(setBy))...)
	for _, u := range d.unset {
		e, setter := u.err, setBy[u.name]
		switch {
		case setter == 0:
			e.Msg = "the variable " + u.name + " is not defined"
			e.Hint = DidYouMean(u.name, known)
			if e.Hint == "" {
				e.Hint = "define it under vars or in a set step, or write $${" + u.name + "} for the text ${" + u.name + "}"
			}
		case u.step == 0:
			e.Msg = fmt.Sprintf("the variable %s has no value before the run: step %d sets it", u.name, setter)
			e.Hint = "only a variable that is under vars can stand here"
		case u.step == setter:
			e.Msg = "the variable " + u.name + " has no value yet: this same step sets it"
			e.Hint = "refer to it from the next step on"
		default:
			e.Msg = fmt.Sprintf("the variable %s has no value in step %d: step %d sets it", u.name, u.step, setter)
			e.Hint = "let a set step before it set the variable"
		}
	}
}

// Find follows a path of keys below n, and returns the node at its end and true. If
// a key is missing, it returns the last node that it reached, and false. The value of a
// mapping's short form is at the path of the key that it is short for.
func Find(n *yaml.Node, path []string) (*yaml.Node, bool) {
	for _, key := range path {
		switch n.Kind {
		case yaml.MappingNode:
			i := 0
			for i+1 < len(n.Content) && n.Content[i].Value != key {
				i += 2
			}
			if i+1 >= len(n.Content) {
				return n, false
			}
			n = n.Content[i+1]
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(key); err == nil && 0 <= i && i < len(n.Content) {
				n = n.Content[i]
			}
		}
	}
	return n, true
}

// line returns the place of a line, from 1, of the text that n is.
func (d *Decoder) line(n *yaml.Node, line int) (int, int) {
	at := n.Line + line - 1
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		at++ // the text begins below its | or >
	} else if line == 1 {
		return n.Line, n.Column
	}
	if at > len(d.Lines) {
		return n.Line, n.Column
	}
	text := d.Lines[at-1]
	return at, utf8.RuneCountInString(text[:len(text)-len(strings.TrimLeft(text, " "))]) + 1
}

// further returns how far behind the beginning of a line of a text a column is.
func further(text string, line, column int) int {
	lines := strings.Split(text, "\n")
	if column == 0 || line > len(lines) {
		return 0
	}
	of := lines[line-1]
	return max(0, column-1-(len(of)-len(strings.TrimLeft(of, " "))))
}

// isReference reports whether text begins with a variable.
func isReference(text string) bool {
	name, _, closed := strings.Cut(strings.TrimPrefix(text, "${"), "}")
	return closed && variables.ValidName(name)
}

// variable returns the place of the first such reference in the text that n
// is; with "" of the first ${ that is no reference.
func (d *Decoder) variable(n *yaml.Node, ref string) (int, int) {
	if !strings.Contains(n.Value, "${") { // a variable that is named alone
		return n.Line, n.Column
	}
	skip := n.Column - 1
	for line := n.Line; 0 < line && line <= len(d.Lines); line++ {
		text := []rune(d.Lines[line-1])
		skip = min(skip, len(text))
		before, rest := string(text[:skip]), string(text[skip:])
		for i := range len(rest) {
			if !strings.HasPrefix(rest[i:], "${") || i > 0 && rest[i-1] == '$' {
				continue
			}
			if ref != "" && strings.HasPrefix(rest[i:], ref) || ref == "" && !isReference(rest[i:]) {
				return line, utf8.RuneCountInString(before+rest[:i]) + 1
			}
		}
		skip = 0
	}
	return n.Line, n.Column
}
