package pages

import (
	"regexp"
	"strings"
)

// A detail is a part of a page that its reader opens, or leaves closed.
type detail struct {
	from, to int // its lines
	summary  string
}

var (
	detailBegins = regexp.MustCompile(`(?i)<details\b`)
	detailEnds   = regexp.MustCompile(`(?i)</details>`)
	summaryOf    = regexp.MustCompile(`(?is)<summary[^>]*>(.*?)</summary>`)
	anyTag       = regexp.MustCompile(`<[^>]*>`)
	needNotOpen  = regexp.MustCompile(`(?i)^\W*(?:tips?|hints?|optional)\b|提示|可选|힌트`)
)

// details finds these parts. outside reports whether a line, from 1, is in no fence.
func (p *page) findDetails(outside func(at int) bool) {
	var open []int // in p.details
	for i, l := range p.lines {
		at := i + 1
		if !outside(at) {
			continue
		}
		if detailBegins.MatchString(l) {
			d := detail{from: at, to: len(p.lines)}
			text := strings.Join(p.lines[i:min(i+4, len(p.lines))], "\n")
			if g := summaryOf.FindStringSubmatch(text); g != nil {
				d.summary = strings.Join(strings.Fields(anyTag.ReplaceAllString(g[1], "")), " ")
			}
			p.details = append(p.details, d)
			open = append(open, len(p.details)-1)
		}
		if detailEnds.MatchString(l) && len(open) > 0 {
			p.details[open[len(open)-1]].to = at
			open = open[:len(open)-1]
		}
	}
}

// closed returns the part that a line lies in and that a reader who follows the page
// leaves closed: a tip or a hint, which says with gaps what the page says itself. It
// returns "" for none.
func (p *page) closed(at int) (summary string) {
	for _, d := range p.details {
		if d.from <= at && at <= d.to && needNotOpen.MatchString(d.summary) {
			return d.summary
		}
	}
	return ""
}
