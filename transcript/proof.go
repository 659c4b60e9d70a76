package transcript

import (
	"fmt"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// proof returns what the pass of a request rests on, in two lines at most: the
// way that it took, and how the far end saw it or which lines it left, as far as
// that is known.
func proof(a *evidence.Attempt) []string {
	if len(a.Transfers) == 0 {
		return nil
	}
	lines := []string{wayTaken(a)}
	var seen []string
	if a.Arrivals != nil {
		for i := range a.Arrivals.All {
			if r := &a.Arrivals.All[i]; r.Ours {
				seen = append(seen, r.Words())
			}
		}
	}
	switch left := a.Of(evidence.Sidecar); {
	case len(seen) > 0:
		lines = append(lines, "arrived: "+strings.Join(seen, "; "))
	case len(left) > 0 && a.Ways != nil:
		lines = append(lines, "logged: "+briefLine(left[len(left)-1]))
	}
	return lines
}

// wayTaken returns the way of the last request; where nobody has looked, what
// curl alone tells.
func wayTaken(a *evidence.Attempt) string {
	if a.Past != nil {
		if held, judged, why := a.Past.Held(); held && judged {
			return "way: past the sidecar: " + why
		}
	}
	if len(a.Ways) > 0 {
		w := &a.Ways[len(a.Ways)-1]
		text := "way: " + w.Words()
		if w.By != "" && w.By != "log" {
			text += ", by " + w.By
		}
		return text
	}
	t := &a.Transfers[len(a.Transfers)-1]
	return "curl: " + t.Words()
}

// briefLine returns what a line of an access log says of a request.
func briefLine(l *evidence.Line) string {
	var words []string
	if l.Method != "" {
		words = append(words, fmt.Sprintf("%s %s %d", l.Method, l.Path, l.Status))
	} else if l.SNI != "" {
		words = append(words, "a connection for "+l.SNI)
	} else {
		words = append(words, "a connection")
	}
	if len(l.Flags) > 0 {
		words = append(words, "flags "+strings.Join(l.Flags, ","))
	}
	if l.Cluster != "" {
		words = append(words, "by "+l.Cluster)
	}
	return strings.Join(words, ", ")
}

// allEvidence returns everything that is known of an attempt.
func allEvidence(a *evidence.Attempt, verdicts evidence.Verdicts) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, v := range verdicts {
		if v.Outcome == evidence.Held {
			add("held: %s: %s", v.Subject(), v.Want)
		}
	}
	for i := range a.Transfers {
		t := &a.Transfers[i]
		by := ""
		if t.Local != "" {
			by = " at " + t.Local
		}
		add("curl%s: %s, exit code %d, in %v", by, t.Words(), t.ExitCode, t.Elapsed)
	}
	for i := range a.Ways {
		add("way: %s, by %s", a.Ways[i].Words(), orNone(a.Ways[i].By))
	}
	if a.Past != nil {
		_, _, why := a.Past.Held()
		add("past the sidecar: %s", orNone(why))
	}
	for i := range a.Lines {
		if l := &a.Lines[i]; l.By != "" {
			add("%s of %s, by its %s: %s", "line", l.Proxy, l.By, l.Text)
		}
	}
	for _, u := range a.Unread {
		add("a line of %s that cannot be read: %s", u.Proxy, u.Text)
	}
	for _, c := range a.Counters {
		if c.Grew != 0 && (c.Name == "rq_total" || c.Name == "cx_total" || strings.HasSuffix(c.Name, "fail")) {
			add("counter of %s: %s %s +%d (%s)", c.Proxy, c.Cluster, c.Name, c.Grew, c.Host)
		}
	}
	if a.Arrivals != nil && a.Arrivals.Recorded {
		for i := range a.Arrivals.All {
			if r := &a.Arrivals.All[i]; r.Ours {
				add("arrived: %s, by %s", r.Words(), r.By)
			}
		}
	}
	return lines
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
