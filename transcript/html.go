package transcript

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

//go:embed report.html
var htmlText string

// htmlTemplate is well-formed XML as well, so that a strict parser reads the page.
var htmlTemplate = template.Must(template.New("report.html").Funcs(template.FuncMap{
	"clean":    clean,
	"context":  inContext,
	"count":    Count,
	"drawings": drawings,
	"line":     oneLine,
	"long":     func(text string) bool { return strings.Count(text, "\n") > 15 },
	"proof":    proof,
	"prose":    prose,
	"shown":    func(text string) string { return strings.Join(bounded(linesOf(text), fullLines), "\n") },
	"sign":     sign,
	"source":   func(file string) string { return source(runner.PlaybookInfo{File: file}) },
	"summary":  summaryWords,
	"took":     milliseconds,
	"web":      webPage,
	"where":    func(d *document) string { return d.where() },
	"words":    func(u undoReport) string { return u.words() },
	"mark":     outcomeMark,
	"unspecific": func(s *stepReport) string {
		if s.Error == nil || len(s.of(evidence.NotHeld, evidence.NotJudged)) > 0 {
			return ""
		}
		return *s.Error
	},
}).Parse(htmlText))

// htmlPage returns the report as a page that needs nothing else: no script, no
// network. Everything that it shows is escaped by the template.
func htmlPage(d *document) []byte {
	var b bytes.Buffer
	if err := htmlTemplate.Execute(&b, d); err != nil {
		panic(err) // a test executes each part of it
	}
	return printable(b.Bytes())
}

func outcomeMark(o evidence.Outcome) string {
	switch o {
	case evidence.Held:
		return "✓"
	case evidence.NotHeld:
		return "✗"
	case evidence.NotChecked:
		return "○"
	}
	return "!"
}

// A span is a part of a paragraph: plain, code, or a link.
type span struct{ Text, Code, URL string }

// prose returns the paragraphs of what a playbook says in Markdown. Of its marks
// code and links are known; all else is text.
func prose(text string) [][]span {
	var all [][]span
	for _, p := range paragraphs(text) {
		all = append(all, spansOf(p))
	}
	return all
}

func spansOf(text string) []span {
	var spans []span
	plain := func(s string) {
		if s != "" {
			spans = append(spans, span{Text: s})
		}
	}
	for text != "" {
		i := strings.IndexAny(text, "`[")
		if i < 0 {
			break
		}
		if text[i] == '`' {
			code, rest, ended := strings.Cut(text[i+1:], "`")
			if !ended {
				break
			}
			plain(text[:i])
			spans, text = append(spans, span{Code: code}), rest
			continue
		}
		label, rest, isLink := strings.Cut(text[i+1:], "](")
		url, rest, ended := strings.Cut(rest, ")")
		if !isLink || !ended || strings.ContainsAny(label, "`[") || webPage(url) == "" {
			plain(text[:i+1])
			text = text[i+1:]
			continue
		}
		plain(text[:i])
		spans, text = append(spans, span{Text: label, URL: webPage(url)}), rest
	}
	plain(text)
	return spans
}
