package transcript

import (
	"bytes"
	"net/url"
	"strings"
	"time"

	"github.com/egressplay/egressplay/runner"
)

// sign returns the sign of a status in a text without colours.
func sign(s runner.Status) string {
	mark, _ := palette{}.mark(s)
	return mark
}

// milliseconds renders a duration.
func milliseconds(ms int64) string { return took(time.Duration(ms) * time.Millisecond) }

// webPage returns a URL that a browser may open, "" for any other text.
func webPage(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.String()
}

// printable returns a document without the characters that a terminal obeys. The
// texts of events have none; the names of files may.
func printable(doc []byte) []byte {
	return bytes.Map(func(c rune) rune {
		if isControl(c) {
			return -1
		}
		return c
	}, doc)
}

// isControl reports whether a terminal obeys a character that is no end of a line
// and no tab: those of ECMA-48, and those that change the direction of a text.
func isControl(c rune) bool {
	return c < ' ' && c != '\n' && c != '\t' || 0x7f <= c && c <= 0x9f || 0x202a <= c && c <= 0x202e || 0x2066 <= c && c <= 0x2069
}

// summaryWords returns how a run ended: "2 playbooks passed, 1 failed".
func summaryWords(d *document) string {
	part := ""
	for _, p := range d.Playbooks {
		if p.Part != "" {
			part = ", only " + p.Part + " run"
		}
	}
	one, many, lead := "playbook", "playbooks", ""
	if n := len(d.Targets); n > 0 {
		one, many, lead = "run", "runs", "in "+Count(n, "cluster", "clusters")+": "
	}
	parts := countsOf(d.Summary, one, many, false)
	if n := d.Summary.NotChecked; n > 0 {
		parts = append(parts, Count(n, "claim", "claims")+" not checked here")
	}
	if len(parts) == 0 {
		return "nothing was run"
	}
	return lead + strings.Join(parts, ", ") + part
}
