package variables

import (
	"regexp"
	"strings"
)

// A text in which a variable stands for itself has its name between two characters
// for private use, which no tutorial has. The second says of which kind it is.
const (
	open       = "\uE0A0"
	endOne     = "\uE0A1"
	endSeveral = "\uE0A2"
)

var stand = regexp.MustCompile(open + `([A-Za-z_][A-Za-z0-9_]*)([` + endOne + endSeveral + `])`)

// Stand returns a text that stands for a variable in a command for a reader, who
// is shown $NAME in its place. several reports whether its value has several lines.
func Stand(name string, several bool) string {
	if several {
		return open + name + endSeveral
	}
	return open + name + endOne
}

// A Part of a text is text as it is, or a variable that stands for itself.
type Part struct {
	Text    string // "" for a variable
	Name    string // "" for a text
	Several bool   // the variable's value has several lines
}

// Parts splits a text at the variables that stand for themselves in it.
func Parts(text string) []Part {
	var parts []Part
	last := 0
	for _, m := range stand.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > last {
			parts = append(parts, Part{Text: text[last:m[0]]})
		}
		parts = append(parts, Part{Name: text[m[2]:m[3]], Several: text[m[4]:m[5]] == endSeveral})
		last = m[1]
	}
	if last < len(text) {
		parts = append(parts, Part{Text: text[last:]})
	}
	return parts
}

// Stands reports whether a variable stands for itself in a text.
func Stands(text string) bool { return strings.Contains(text, open) && stand.MatchString(text) }

// StandsAlone reports whether a text is a variable that stands for itself, and nothing else.
func StandsAlone(text string) bool {
	parts := Parts(text)
	return len(parts) == 1 && parts[0].Name != ""
}
