package transcript

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/egressplay/egressplay/runner"
)

// clean makes text harmless for a terminal, see [runner.Plain]: a playbook may
// come from anywhere.
func clean(s string) string {
	return strings.ReplaceAll(runner.Plain(s), "\t", "    ")
}

// oneLine is [clean] for what has to stay on one line, such as a title.
func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// paragraphs splits a text at its empty lines; each paragraph becomes one line.
func paragraphs(text string) []string {
	var all []string
	for p := range strings.SplitSeq(strings.TrimSpace(clean(text)), "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			all = append(all, p)
		}
	}
	return all
}

// linesOf splits text into clean lines, without the empty ones at its end.
func linesOf(s string) []string {
	s = strings.TrimRight(clean(s), "\n ")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// statusLine and keyHeader match the lines of an HTTP response's head that a
// reader of the tutorial looks for.
var (
	statusLine = regexp.MustCompile(`^HTTP/\d(\.\d)? \d{3}`)
	keyHeader  = regexp.MustCompile(`(?i)^location:`)
)

// briefly returns the few lines of a passed step's output that tell its story,
// "…" in place of the others: of HTTP responses the status lines and where
// they redirect to, of anything else the first lines.
func briefly(lines []string, most int) []string {
	heads := false
	for _, l := range lines {
		heads = heads || statusLine.MatchString(l)
	}
	if !heads {
		if len(lines) <= most+1 { // "… 1 more line" would be no shorter
			return lines
		}
		rest := fmt.Sprintf("… %d more lines", len(lines)-most)
		return append(lines[:most:most], rest)
	}

	var brief []string
	inHead, cut := false, false
	for _, l := range lines {
		starts := statusLine.MatchString(l)
		inHead = starts || inHead && l != ""
		if starts || inHead && keyHeader.MatchString(l) {
			brief, cut = append(brief, l), false
		} else if !cut && l != "" {
			brief, cut = append(brief, "…"), true
		}
	}
	if len(brief) > 2*most {
		brief = append(brief[:2*most:2*most], "…")
	}
	return brief
}

// bounded returns the first and the last of many lines.
func bounded(lines []string, most int) []string {
	if len(lines) <= most+1 {
		return lines
	}
	first := most / 4
	last := most - first
	cut := append([]string{}, lines[:first]...)
	cut = append(cut, fmt.Sprintf("… %d lines …", len(lines)-most))
	return append(cut, lines[len(lines)-last:]...)
}

// isDocument reports whether a command has a here-document.
func isDocument(command string) bool {
	first, _, _ := strings.Cut(command, "\n")
	return strings.Contains(first, "<<")
}

// isLiteral reports whether lines of a command are a text of its own: those of a
// here-document, or within quotes. Nothing may be put in front of them.
func isLiteral(command string) bool {
	return isDocument(command) || slices.ContainsFunc(shellWords(command), func(word string) bool { return len(word) > 1 && strings.Contains(word, "\n") })
}

// wrapCommand breaks a command that is wider than width between its words, with a
// backslash, so that it can still be copied into a shell. A word that is wider
// stays whole.
func wrapCommand(command string, width int) []string {
	if width <= 0 {
		return strings.Split(command, "\n")
	}
	document := ""
	if isDocument(command) {
		command, document, _ = strings.Cut(command, "\n")
	}
	var wrapped []string
	for _, words := range shellLines(command) {
		wrapped = append(wrapped, wrapLine(words, width)...)
	}
	if document != "" {
		wrapped = append(wrapped, strings.Split(document, "\n")...)
	}
	return wrapped
}

// wrapLine joins words to lines. A word may have several lines itself.
func wrapLine(words []string, width int) []string {
	line := strings.Join(words, " ")
	if strings.Contains(line, "\n") || ansi.StringWidth(line) > width {
		const indent = "    "
		line = ""
		column := 0 // at which line ends
		for i, word := range words {
			first, _, _ := strings.Cut(word, "\n")
			switch {
			case i == 0:
			case column+1+ansi.StringWidth(first) <= width-len(` \`):
				line += " "
			default:
				line, column = line+" \\\n"+indent, len(indent)
			}
			line += word
			column = ansi.StringWidth(line[strings.LastIndexByte(line, '\n')+1:])
		}
	}
	return strings.Split(line, "\n")
}

// shellLines splits a command at the ends of lines that no quote protects, and
// each line into its words.
func shellLines(command string) [][]string {
	var lines [][]string
	var words []string
	for _, word := range shellWords(command) {
		if word == "\n" {
			lines, words = append(lines, words), nil
			continue
		}
		words = append(words, word)
	}
	return append(lines, words)
}

// shellWords splits a command at the spaces that no quote protects. The end of a
// line that none protects is a word of its own.
func shellWords(s string) []string {
	var words []string
	start := 0
	var open []byte // the quotes and command substitutions that are not closed, the innermost last
	for i := 0; i < len(s); i++ {
		inner := byte(0)
		if len(open) > 0 {
			inner = open[len(open)-1]
		}
		quoted := bytes.ContainsAny(open, `'"`)
		switch c := s[i]; {
		case c == '\\' && inner != '\'':
			i++
		case inner == '\'' && c != '\'':
		case c == inner:
			open = open[:len(open)-1]
		case c == '$' && i+1 < len(s) && s[i+1] == '(':
			open = append(open, ')')
			i++
		case c == '"' || c == '\'' && inner != '"':
			open = append(open, c)
		case !quoted && (c == ' ' || c == '\n'):
			if i > start {
				words = append(words, s[start:i])
			}
			if start = i + 1; c == '\n' {
				words = append(words, "\n")
			}
		}
	}
	if start < len(s) {
		words = append(words, s[start:])
	}
	return words
}

// fold breaks text between words, and words that are wider than width.
func fold(s string, width int) []string {
	if width <= 0 {
		return strings.Split(s, "\n")
	}
	return strings.Split(ansi.Wrap(s, width, ""), "\n")
}

// fill breaks lines where width ends, whatever stands there.
func fill(lines []string, width int) []string {
	if width <= 0 {
		return lines
	}
	return strings.Split(ansi.Hardwrap(strings.Join(lines, "\n"), width, true), "\n")
}

// cut shortens a line to width.
func cut(line string, width int) string {
	if width <= 0 {
		return line
	}
	return ansi.Truncate(line, width, "…")
}

// took renders a duration with the digits that matter to a reader.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
}

// Count renders a number of things: "1 step", "3 tries".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
