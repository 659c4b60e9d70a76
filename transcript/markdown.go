package transcript

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// markdownDocument returns the report as a hand-out: the tutorial with what was
// seen.
func markdownDocument(d *document) []byte {
	var b markdown
	for i, p := range d.Playbooks {
		if i > 0 {
			b.paragraph("---")
		}
		b.playbook(d, p)
	}
	for _, m := range d.Mistakes {
		b.paragraph("**error:** %s", escape(m.Text+hintLine(m.Hint)))
	}
	b.paragraph("%s", escape(d.where()))
	return b.bytes()
}

// where returns where the run took place, when, and what took part.
func (d *document) where() string {
	if d.Target == "" {
		return "The run did not begin."
	}
	text := "Run in " + d.Target
	if !d.Started.IsZero() {
		text += " at " + d.Started.UTC().Format("2006-01-02 15:04 UTC")
	}
	if len(d.Targets) == 0 {
		return text + withVersions(d.Versions) + "."
	}
	var each []string
	for _, t := range d.Targets {
		each = append(each, t.Target+withVersions(t.Versions))
	}
	return text + ": " + strings.Join(each, "; ") + "."
}

// withVersions returns what took part.
func withVersions(by map[string]string) string {
	var versions []string
	for _, name := range []string{"egressplay", "kubernetes", "istio", "envoy"} {
		if v := by[name]; v != "" {
			versions = append(versions, name+" "+v)
		}
	}
	if len(versions) == 0 {
		return ""
	}
	return ", with " + strings.Join(versions, ", ")
}

// markdown is a text in CommonMark that is being written.
type markdown struct{ b bytes.Buffer }

func (b *markdown) line(format string, args ...any) { fmt.Fprintf(&b.b, format+"\n", args...) }

// paragraph writes lines that stand alone.
func (b *markdown) paragraph(format string, args ...any) {
	if b.b.Len() > 0 {
		b.line("")
	}
	b.line(format, args...)
}

func (b *markdown) bytes() []byte { return b.b.Bytes() }

// code writes a text as it is. The fence is longer than any in the text.
func (b *markdown) code(language, text string) {
	text = strings.TrimRight(clean(text), "\n")
	if text == "" {
		return
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	b.paragraph("%s%s\n%s\n%s", fence, language, text, fence)
}

func (b *markdown) playbook(d *document, p *playbookReport) {
	title := p.Title
	if p.Part != "" {
		title += ", " + p.Part
	}
	if p.Round > 0 {
		title += fmt.Sprintf(", round %d", p.Round)
	}
	title += inContext(p.Context)
	b.paragraph("# %s", escape(title))
	if p.Text != "" {
		b.paragraph("%s", passage(p.Text))
	}
	if url := webPage(p.Source); url != "" {
		b.paragraph("It follows <%s>.", url)
	}
	b.paragraph("**%s %s** in %s: %s, %s", sign(p.Status), p.Status, milliseconds(p.DurationMS), escape(source(runner.PlaybookInfo{File: p.File})), Count(len(p.Steps), "step", "steps"))
	if p.Error != nil {
		b.paragraph("%s", escape(*p.Error))
	}
	for _, s := range p.Steps {
		b.step(s)
	}
	if len(p.Cleanup)+len(p.Left) > 0 {
		b.paragraph("## Clean-up")
		b.line("")
		for _, u := range p.Cleanup {
			b.line("- %s", escape(u.words()))
		}
		for _, left := range p.Left {
			b.line("- **left as the playbook made it:** %s", escape(left))
		}
	}
}

// words returns what became of something that was to be put back.
func (u *undoReport) words() string {
	text := "put back: " + u.What
	switch {
	case u.Error != "":
		return "not put back: " + u.What + ": " + u.Error
	case u.Status == runner.Skipped && u.Back == "":
		return "nothing to put back: " + u.What
	case u.Status == runner.Skipped:
		text = "left: " + u.What
	}
	if u.Back != "" {
		text += " (" + u.Back + ")"
	}
	return text
}

func (b *markdown) step(s *stepReport) {
	b.paragraph("## %d. %s", s.Index, escape(s.Title))
	if s.Text != "" {
		b.paragraph("%s", passage(s.Text))
	}
	b.code("console", s.shellInput())
	if s.Status != runner.Skipped {
		b.code("text", strings.Join(bounded(linesOf(s.Output), fullLines), "\n"))
	}
	said := fmt.Sprintf("**%s %s**", sign(s.Status), s.Status)
	if s.Status != runner.Skipped {
		said += " in " + milliseconds(s.DurationMS)
	}
	if s.Choice == runner.Needed {
		said += ", needed by what follows"
	}
	if s.Attempts > 1 {
		said += ", " + Count(s.Attempts, "try", "tries")
	}
	if s.Error != nil && len(s.of(evidence.NotHeld, evidence.NotJudged)) == 0 {
		said += ": " + escape(*s.Error)
	}
	b.paragraph("%s", said)
	b.verdicts(s)
	if s.Evidence != nil {
		b.line("")
		for _, l := range proof(s.Evidence) {
			b.line("- %s", escape(l))
		}
	}
	for i := range s.Findings {
		b.paragraph("**cause:** %s", escape(s.Findings[i].Cause))
		b.code("console", s.Findings[i].Next)
	}
	if s.Hint != "" {
		b.paragraph("**hint:** %s", escape(s.Hint))
	}
}

// shellInput returns the command behind a prompt.
func (s *stepReport) shellInput() string {
	if s.Command == "" {
		return ""
	}
	return "$ " + s.Command
}

func (b *markdown) verdicts(s *stepReport) {
	if len(s.Verdicts) == 0 {
		return
	}
	b.line("")
	for i := range s.Verdicts {
		v := &s.Verdicts[i].Verdict
		switch v.Outcome {
		case evidence.Held:
			b.line("- ✓ %s: %s", escape(v.Subject()), inlineCode(v.Want))
		case evidence.NotHeld:
			b.line("- ✗ %s: want %s, got %s%s", escape(v.Subject()), inlineCode(v.Want), inlineCode(v.Got), inBrackets(escape(v.Why)))
		case evidence.NotJudged:
			b.line("- ! %s cannot be judged: %s", escape(v.Subject()), escape(v.Why))
		case evidence.NotChecked:
			b.line("- ○ %s was not checked here: %s", escape(v.Subject()), escape(v.Why))
		}
	}
}

func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// escape returns a text in one line that Markdown and HTML leave as it is.
func escape(text string) string { return markdownText.Replace(oneLine(text)) }

var markdownText = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "$", `\$`,
	"<", "&lt;", ">", "&gt;", "&", "&amp;",
)

// inlineCode returns a text as code in one line.
func inlineCode(text string) string {
	text = strings.ReplaceAll(oneLine(text), "|", "\\|")
	if text == "" {
		return "nothing"
	}
	marks := "`"
	for strings.Contains(text, marks) {
		marks += "`"
	}
	if len(marks) > 1 {
		return marks + " " + text + " " + marks
	}
	return marks + text + marks
}

// passage returns what a playbook says in Markdown. It is of its author's, but not
// its HTML.
func passage(text string) string {
	return strings.NewReplacer("<", "&lt;", "&", "&amp;").Replace(strings.TrimSpace(clean(text)))
}
