package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// roundsOf returns to how many words a word of a loop expands, and whether that is
// known before the run: for a text that is written out, or one range such as {1..10}. A
// range is counted before it is expanded, because it may be large.
func roundsOf(w *syntax.Word) (int, bool) {
	text, ok := literal(w)
	if !ok {
		return 0, false
	}
	if inner, ok := strings.CutPrefix(text, "{"); ok && strings.HasSuffix(inner, "}") {
		from, to, isRange := strings.Cut(strings.TrimSuffix(inner, "}"), "..")
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if isRange && errA == nil && errB == nil {
			return max(a-b, b-a) + 1, true
		}
		return 0, false
	}
	return 1, !strings.ContainsAny(text, "{}")
}

// items returns the words of a loop that [Check] has accepted.
func items(words []*syntax.Word) ([]string, error) {
	return expand.Fields(&expand.Config{}, words...)
}
