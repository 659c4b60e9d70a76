package redact

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addLines adds a value of several lines.
func (r *Redactor) addLines(value string) {
	lines := strings.Split(strings.ReplaceAll(value, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
		if telling(lines[i]) {
			r.addForms(lines[i])
		}
	}
	r.texts = append(r.texts, lines)
	if len(value) <= longest {
		r.cores = append(r.cores, cores(value)...)
	}
}

// telling reports whether a line of a secret is secret at any place: it is long enough,
// not an ordinary word, and not the header or footer of a key in PEM.
func telling(line string) bool {
	return utf8.RuneCountInString(line) >= Short && !ordinary[strings.ToLower(line)] &&
		!strings.HasPrefix(line, "-----") && strings.ContainsFunc(line, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) })
}

// replaceLines replaces the lines of a value of several lines if some of them follow
// each other, however they are indented or escaped. At least one of them must be
// telling.
func replaceLines(text string, lines []string) string {
	type span struct{ start, end int }
	var spans []span
	for i, line := range lines {
		if !telling(line) {
			continue
		}
		for from := 0; ; {
			at := strings.Index(text[from:], line)
			if at < 0 {
				break
			}
			s := span{from + at, from + at + len(line)}
			from = s.end
			for _, next := range lines[i+1:] {
				end := s.end + separator(text[s.end:])
				if next != "" && !strings.HasPrefix(text[end:], next) {
					break
				}
				if next != "" {
					s.end = end + len(next)
				}
			}
			for _, previous := range slices.Backward(lines[:i]) {
				start := s.start - separatorBefore(text[:s.start])
				if previous != "" && !strings.HasSuffix(text[:start], previous) {
					break
				}
				if previous != "" {
					s.start = start - len(previous)
				}
			}
			spans = append(spans, s)
		}
	}
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var b strings.Builder
	done := 0
	for i, s := range spans {
		if i == 0 || s.start > done {
			b.WriteString(text[done:s.start] + Mark)
		}
		done = max(done, s.end)
	}
	b.WriteString(text[done:])
	return b.String()
}

// separators are the texts that may separate two lines.
var separators = []string{`\\n`, `\\r`, `\n`, `\r`, "\n", "\r", " ", "\t", "%0A", "%0D"}

// separator returns the length of the separators at the start of text.
func separator(text string) int {
	n := 0
	for {
		i := slices.IndexFunc(separators, func(s string) bool { return strings.HasPrefix(text[n:], s) })
		if i < 0 {
			return n
		}
		n += len(separators[i])
	}
}

// separatorBefore returns the length of the separators at the end of text.
func separatorBefore(text string) int {
	n := 0
	for {
		i := slices.IndexFunc(separators, func(s string) bool { return strings.HasSuffix(text[:len(text)-n], s) })
		if i < 0 {
			return n
		}
		n += len(separators[i])
	}
}
