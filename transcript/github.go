package transcript

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// githubAnnotations returns what did not pass as workflow commands of GitHub
// Actions, each at its line of the playbook.
// Source: GitHub's documentation, "Workflow commands for GitHub Actions", and
// packages/core/src/command.ts of actions/toolkit for what is escaped.
func githubAnnotations(d *document) []byte {
	var b bytes.Buffer
	for _, m := range d.Mistakes {
		d.annotate(&b, "error", m.At, "", m.Text+hintLine(m.Hint))
	}
	for _, p := range d.Playbooks {
		at, in := evidence.Position{File: p.File}, inContext(p.Context)
		switch {
		case p.Error == nil || len(d.Mistakes) > 0:
		case p.Status == runner.Skipped:
			d.annotate(&b, "notice", at, p.Title+in, "skipped: "+*p.Error)
		default:
			d.annotate(&b, "error", at, p.Title+in, *p.Error)
		}
		for _, s := range p.Steps {
			d.annotateStep(&b, s, in)
		}
		for _, u := range p.Cleanup {
			if u.Error != "" {
				d.annotate(&b, "error", at, "not put back: "+u.What+in, u.Error)
			}
		}
	}
	return b.Bytes()
}

// annotateStep annotates a step. in says in which of several clusters it ran.
func (d *document) annotateStep(b *bytes.Buffer, s *stepReport, in string) {
	at, title := evidence.Position{File: s.File, Line: s.Line}, s.Title+in
	for _, v := range s.of(evidence.NotChecked) {
		d.annotate(b, "warning", v.At, title, "not checked here: "+v.Subject()+", for "+v.Why)
	}
	if s.Error == nil || s.Status == runner.Skipped {
		return
	}
	more := hintLine(s.Hint)
	for i := range s.Findings {
		more = "\ncause: " + s.Findings[i].Cause + more
	}
	wrong := s.of(evidence.NotHeld, evidence.NotJudged)
	for i := range wrong {
		v := &wrong[i]
		if v.At.Line > 0 {
			at = v.At
		}
		text := v.String()
		if v.Outcome == evidence.NotJudged {
			text = v.Subject() + " cannot be judged: " + v.Why
		}
		if i == 0 {
			text += more
		}
		d.annotate(b, "error", at, title, text)
	}
	if len(wrong) == 0 {
		d.annotate(b, "error", at, title, *s.Error+more)
	}
}

// annotate writes one annotation. A built-in playbook is no file of the workspace.
func (d *document) annotate(b *bytes.Buffer, level string, at evidence.Position, title, text string) {
	var parameters []string
	add := func(name, value string) {
		parameters = append(parameters, name+"="+githubParameter.Replace(runner.Plain(value)))
	}
	if strings.HasPrefix(at.File, "built-in:") {
		text = strings.TrimSuffix(fmt.Sprintf("%s:%d", at.File, at.Line), ":0") + ": " + text
	} else if at.File != "" {
		add("file", d.inWorkspace(at.File))
		if at.Line > 0 {
			add("line", fmt.Sprint(at.Line))
		}
		if at.Column > 0 {
			add("col", fmt.Sprint(at.Column))
		}
	}
	if title != "" {
		add("title", title)
	}
	lead := "::" + level
	if len(parameters) > 0 {
		lead += " " + strings.Join(parameters, ",")
	}
	b.WriteString(lead + "::" + githubText.Replace(runner.Plain(text)) + "\n")
}

var (
	githubText      = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubParameter = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// inWorkspace returns a file's name as annotations have it, relative to the
// workspace where it is in it.
func (d *document) inWorkspace(file string) string {
	if d.workspace == "" {
		return file
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	rel, err := filepath.Rel(d.workspace, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return file
	}
	return filepath.ToSlash(rel)
}

func hintLine(hint string) string {
	if hint == "" {
		return ""
	}
	return "\nhint: " + hint
}

// Summary returns a short summary of the run in Markdown, for the page of a job.
func (r *Report) Summary() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return githubSummary(r.complete())
}

func githubSummary(d *document) []byte {
	var b markdown
	b.line("### egressplay: %s", escape(summaryWords(d)))
	b.line("")
	b.line("| | playbook | steps | |")
	b.line("| --- | --- | --- | --- |")
	for _, p := range d.Playbooks {
		round, said := "", ""
		if p.Part != "" {
			round = ", " + p.Part
		}
		if p.Round > 0 {
			round += fmt.Sprintf(" (round %d)", p.Round)
		}
		round += inContext(p.Context)
		passed := 0
		for _, s := range p.Steps {
			if s.Status == runner.Passed {
				passed++
			} else if s.Error != nil && said == "" {
				said = fmt.Sprintf("%s:%d: %s: %s", s.File, s.Line, s.Title, firstLine(*s.Error))
			}
		}
		if p.Error != nil {
			said = *p.Error
		}
		b.line("| %s %s | %s | %d of %d | %s |", sign(p.Status), p.Status, escape(p.Title+round), passed, len(p.Steps), escape(said))
	}
	for _, left := range d.Cleanup.Left {
		b.line("")
		b.line("**not put back:** %s", escape(left))
	}
	return b.bytes()
}
