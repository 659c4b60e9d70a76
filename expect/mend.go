package expect

import (
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// Mend returns what a tutorial would show of an output that came, as near to what it
// shows as that is true: lines that hold stay as they are, with their ellipses and the
// values that vary; others are written as they came. codes are the exit codes of the
// commands in pods, in order. It is what was shown where that holds.
func Mend(shown, real string, codes []int, log bool) string {
	holds := func(text string) bool {
		s := &evidence.Shell{Text: real}
		for _, code := range codes {
			s.Stages = append(s.Stages, evidence.Stage{Argv: []string{"kubectl", "exec"}, Code: code, Exec: !log, Log: log})
		}
		vs := (&Shown{Text: text}).Judge(&evidence.Attempt{Shell: s})
		return len(vs.Of(evidence.NotHeld)) == 0 && len(vs.Of(evidence.NotJudged)) == 0
	}
	if holds(shown) {
		return shown
	}
	page, came := textLines(shown), textLines(real)
	for _, text := range []string{mend(page, came, true), mend(page, came, false)} {
		if holds(text) {
			return text
		}
	}
	return strings.Join(came, "\n") + "\n"
}

// textLines returns the lines of a text that say something.
func textLines(text string) (all []string) {
	for _, line := range strings.Split(text, "\n") {
		line = line[strings.LastIndexByte(line, '\r')+1:]
		if line = strings.TrimRight(line, " \t"); !meter.MatchString(line) {
			all = append(all, line)
		}
	}
	for len(all) > 0 && all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}

// mend goes through both sides from one line that holds to the next. What lies between
// comes from the output; with ellipses those of the page stay, for what they can hide.
func mend(page, came []string, ellipses bool) string {
	pairs := common(page, came)
	pairs = append(pairs, [2]int{len(page), len(came)})
	var out []string
	i, j := 0, 0
	for _, p := range pairs {
		out = append(out, between(page[i:p[0]], came[j:p[1]], ellipses)...)
		if p[0] < len(page) {
			out = append(out, page[p[0]])
		}
		i, j = p[0]+1, p[1]+1
	}
	return strings.Join(out, "\n") + "\n"
}

// between returns what stands between two lines that hold.
func between(page, came []string, ellipses bool) (out []string) {
	at := slices.IndexFunc(page, isEllipsis)
	if at < 0 || !ellipses {
		return came
	}
	// A line that says the same of another value stays at its place; so does what an
	// ellipsis cannot hide.
	hidden := false
	for _, line := range came {
		says := isFact(line) || slices.ContainsFunc(page, func(p string) bool { return !isEllipsis(p) && sameSubject(p, line) })
		switch {
		case says:
			out, hidden = append(out, line), false
		case !hidden:
			out, hidden = append(out, page[at]), true
		}
	}
	if !slices.ContainsFunc(out, isEllipsis) {
		out = append(out, page[at])
	}
	return out
}

// sameSubject reports whether two lines say something of the same thing: a header, a key
// of JSON, a row of a table.
func sameSubject(a, b string) bool {
	for _, re := range []string{"header", "json"} {
		p, r := headerLine.FindStringSubmatch(strings.TrimSpace(a)), headerLine.FindStringSubmatch(strings.TrimSpace(b))
		if re == "json" {
			p, r = jsonLine.FindStringSubmatch(a), jsonLine.FindStringSubmatch(b)
		}
		if p != nil && r != nil && strings.EqualFold(p[1], r[1]) {
			return true
		}
	}
	return false
}

// common returns the longest series of pairs of lines that mean the same, in order.
func common(page, came []string) [][2]int {
	same := func(i, j int) bool {
		if strings.TrimSpace(page[i]) == "" || isEllipsis(page[i]) {
			return false
		}
		ok, _ := lineMatches(strings.TrimSpace(page[i]), strings.TrimSpace(came[j]), nil)
		return ok
	}
	return InOrder(len(page), len(came), same)
}
