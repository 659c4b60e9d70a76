package expect

import (
	"fmt"
	"strings"
)

// explainEntry names the field in which the entry of the log that is nearest to a shown
// one differs.
func (c *comparison) explainEntry(d *difference, page string) {
	p := entryLine.FindStringSubmatch(page)
	if p == nil {
		return
	}
	for _, line := range c.real {
		r := entryLine.FindStringSubmatch(line)
		if r == nil || p[1] != r[1] {
			continue
		}
		d.got = scalar(line)
		for _, field := range []struct{ name, shown, got string }{
			{"status", p[2], r[2]}, {"flags", p[3], r[3]}, {"cluster", upstream.FindString(p[4]), upstream.FindString(r[4])}, {"SNI", sniOf(p[4]), sniOf(r[4])},
		} {
			if field.shown != field.got {
				d.field, d.shown, d.was = strings.ToLower(field.name), orNone(field.shown), orNone(field.got)
				d.why = fmt.Sprintf("%s: shown %s, was %s", field.name, orNone(field.shown), orNone(field.got))
				return
			}
		}
	}
}

func orNone(text string) string {
	if strings.TrimSpace(text) == "" {
		return "none"
	}
	return text
}
