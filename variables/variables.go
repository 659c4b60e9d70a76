// Package variables finds and replaces the variables in a text.
//
// Only ${NAME} is a variable, NAME being [A-Za-z_][A-Za-z0-9_]*. A dollar sign
// before anything else is itself, and $${ stands for ${ as text. A value that
// was put in is not looked at again.
package variables

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Position is a place in a text. Lines and columns count from 1, a column
// being a character.
type Position struct {
	Line, Column int
}

// A Ref is a variable that a text refers to.
type Ref struct {
	Name string
	Position
}

// A SyntaxError is a ${ that begins no variable.
type SyntaxError struct {
	Position
	Msg string
}

func (e *SyntaxError) Error() string { return e.Msg }

// An UndefinedError is a variable without a value.
type UndefinedError struct {
	Ref
}

func (e *UndefinedError) Error() string {
	return fmt.Sprintf("the variable %s is not defined", e.Name)
}

// Refs returns the variables that text refers to, in order; one that occurs
// twice is there twice. The error joins a [*SyntaxError] for each ${ that
// begins no variable; the variables beside it are returned all the same.
func Refs(text string) ([]Ref, error) {
	var refs []Ref
	var errs []error
	for _, p := range split(text) {
		switch {
		case p.err != nil:
			errs = append(errs, p.err)
		case p.ref != nil:
			refs = append(refs, *p.ref)
		}
	}
	return refs, errors.Join(errs...)
}

// Expand returns text with the value of each variable in its place and $${ as
// ${. The error joins a [*SyntaxError] for each ${ that begins no variable and
// an [*UndefinedError] for each variable that lookup does not know.
func Expand(text string, lookup func(name string) (value string, set bool)) (string, error) {
	if !strings.Contains(text, "${") {
		return text, nil
	}
	var b strings.Builder
	var errs []error
	for _, p := range split(text) {
		switch {
		case p.err != nil:
			errs = append(errs, p.err)
		case p.ref != nil:
			value, set := lookup(p.ref.Name)
			if !set {
				errs = append(errs, &UndefinedError{*p.ref})
			}
			b.WriteString(value)
		default:
			b.WriteString(p.text)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return b.String(), nil
}

// ValidName reports whether name can be a variable's.
func ValidName(name string) bool {
	return name != "" && nameLen(name) == len(name)
}

// A piece of a text is a variable, a mistake, or text as it stands.
type piece struct {
	ref  *Ref
	err  *SyntaxError
	text string
}

func split(text string) []piece {
	var pieces []piece
	pos := Position{Line: 1, Column: 1}
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			break
		}
		if i > 0 && text[i-1] == '$' { // $${ is ${ as text
			pieces = append(pieces, piece{text: text[:i-1] + "${"})
			pos = pos.after(text[:i+2])
			text = text[i+2:]
			continue
		}
		if i > 0 {
			pieces = append(pieces, piece{text: text[:i]})
			pos = pos.after(text[:i])
		}
		name, n, msg := reference(text[i:])
		if msg != "" {
			pieces = append(pieces, piece{err: &SyntaxError{pos, msg}})
		} else {
			pieces = append(pieces, piece{ref: &Ref{name, pos}})
		}
		pos = pos.after(text[i : i+n])
		text = text[i+n:]
	}
	if text != "" {
		pieces = append(pieces, piece{text: text})
	}
	return pieces
}

// reference reads the variable at the start of text, which is ${, and returns
// its name and its length, or what is wrong with it.
func reference(text string) (name string, n int, msg string) {
	const open = len("${")
	end := open + nameLen(text[open:])
	name = text[open:end]
	switch {
	case end == len(text) || text[end] == '\n':
		return "", open, "${ without }: write ${NAME} for a variable, or $${ for ${ as text"
	case text[end] == '}' && name == "":
		return "", open, "${} names no variable: write ${NAME}, or $${ for ${ as text"
	case text[end] == '}':
		return name, end + 1, ""
	}
	inside, _, closed := strings.Cut(text[open:], "}")
	if !closed || strings.ContainsAny(inside, "\n") || utf8.RuneCountInString(inside) > 60 {
		return "", open, "${ without }: write ${NAME} for a variable, or $${ for ${ as text"
	}
	return "", open, fmt.Sprintf("%q is no name of a variable, which has letters, digits and _ and does not begin with a digit: "+
		"write ${NAME} for a variable, or $${ for ${ as text", inside)
}

// nameLen returns the length of the name at the start of text, 0 for none.
func nameLen(text string) int {
	for i := range len(text) {
		c := text[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(text)
}

// after returns the position behind text, which begins at p.
func (p Position) after(text string) Position {
	if n := strings.Count(text, "\n"); n > 0 {
		p.Line += n
		p.Column = 1
		text = text[strings.LastIndexByte(text, '\n')+1:]
	}
	p.Column += utf8.RuneCountInString(text)
	return p
}
