package transcript

import (
	"fmt"
	"regexp"
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

// isDocument says whether a command has a here-document, whose lines are not to
// be changed.
func isDocument(command string) bool {
	first, _, _ := strings.Cut(command, "\n")
	return strings.Contains(first, "<<")
}

// wrapCommand breaks the lines of a command that are wider than width between
// their words, with a backslash, so that it can still be copied into a shell.
func wrapCommand(command string, width int) []string {
	lines := strings.Split(command, "\n")
	if width <= 0 {
		return lines
	}
	if isDocument(command) {
		return append(wrapLine(lines[0], width), lines[1:]...)
	}
	var wrapped []string
	for _, l := range lines {
		wrapped = append(wrapped, wrapLine(l, width)...)
	}
	return wrapped
}

func wrapLine(s string, width int) []string {
	if ansi.StringWidth(s) <= width {
		return []string{s}
	}
	const indent = "    "
	var wrapped []string
	line := ""
	for _, word := range shellWords(s) {
		switch {
		case line == "" || line == indent:
			line += word
		case ansi.StringWidth(line)+1+ansi.StringWidth(word) <= width-2: // " \"
			line += " " + word
		default:
			wrapped = append(wrapped, line+` \`)
			line = indent + word
		}
	}
	return append(wrapped, line)
}

// shellWords splits a command at the spaces that no quote protects.
func shellWords(s string) []string {
	var words []string
	start, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ' ':
			if i > start {
				words = append(words, s[start:i])
			}
			start = i + 1
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

// count renders a number of things: "1 step", "3 tries".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
