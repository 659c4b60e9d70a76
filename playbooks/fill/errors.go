package fill

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/runner"
)

// An Error says what is wrong with a file, and where.
type Error struct {
	// File is its name, or the argument that names none.
	File string
	// Line and Column count from 1, a column being a character; both are 0
	// where the error is about no place in a file.
	Line, Column int
	Msg          string
	// Hint returns what to do; "" when nothing useful can be said.
	Hint string
}

// Error returns the error as FILE:LINE:COLUMN: MESSAGE, with a second line for
// the hint. What a playbook has in it cannot reach a terminal as a command.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": " + e.Msg)
	if e.Hint != "" {
		b.WriteString("\n  hint: " + e.Hint)
	}
	return runner.Plain(b.String())
}

// Errors are all that is wrong with what was to be loaded, in the order of the
// arguments and within a file in that of its lines.
type Errors []*Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Sorted returns the errors of one file in the order of their places, each
// once.
func (es Errors) Sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	said := make(map[Error]bool, len(es))
	return slices.DeleteFunc(es, func(e *Error) bool {
		again := said[*e]
		said[*e] = true
		return again
	})
}

// Flatten returns the errors that err joins, each with the path of its field
// below the value that was looked at.
func Flatten(err error) []*runner.FieldError {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*runner.FieldError
		for _, err := range joined.Unwrap() {
			all = append(all, Flatten(err)...)
		}
		return all
	}
	outer, ok := err.(*runner.FieldError)
	if !ok { // also one that is wrapped: its place is in another text
		return []*runner.FieldError{{Err: err}}
	}
	var all []*runner.FieldError
	for _, inner := range Flatten(outer.Err) {
		all = append(all, &runner.FieldError{
			Field: slices.Concat(outer.Field, inner.Field),
			Line:  cmp.Or(inner.Line, outer.Line), Column: cmp.Or(inner.Column, outer.Column),
			Err:  inner.Err,
			Hint: cmp.Or(inner.Hint, outer.Hint),
		})
	}
	return all
}

// mostShown is how much of a text a message shows, in characters.
const mostShown = 60

// Quote returns text in quotes, cut short where it is long.
func Quote(text string) string {
	if utf8.RuneCountInString(text) > mostShown {
		text = string([]rune(text)[:mostShown-1]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

// Cut returns text, cut short where it is long or has several lines.
func Cut(text string) string {
	line, _, several := strings.Cut(text, "\n")
	if runes := []rune(line); len(runes) > mostShown {
		return string(runes[:mostShown-1]) + "…"
	}
	if several {
		return line + "…"
	}
	return line
}

// DidYouMean returns the hint for a name that is none of the known ones: the
// nearest of them, or "" when none is near.
func DidYouMean(name string, known []string) string {
	if near, ok := nearest.Name(name, known); ok {
		return "did you mean " + Quote(near) + "?"
	}
	return ""
}
