package transcript

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/charmbracelet/lipgloss"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Options say how a [Terminal] writes.
type Options struct {
	// Color uses colours and weights.
	Color bool
	// Width returns the number of columns. Where it is nil or returns 0,
	// nothing is wrapped or cut. It is asked each time, for a terminal's width
	// changes.
	Width func() int
	// Verbose shows each step's whole command and output.
	Verbose bool
	// Texts shows what each playbook says of itself. Verbose shows it too, and that
	// of each step.
	Texts bool
	// Quiet shows only steps and changes that did not go well, and the summary.
	Quiet bool
	// Interactive shows on the last line what is being waited for and for how
	// long, and redraws it. Only for a terminal.
	Interactive bool
	// Slowest is how many of the slowest steps are listed at the end.
	Slowest int
}

const (
	briefLines = 7   // of a passed step's output
	fullLines  = 200 // of a failed step's command and output, each
	wantLines  = 20  // of what was wanted and of what came, each
)

// A Terminal writes a run for a reader, as the tutorial would print it: passed
// steps in a few lines, a failed one in full. It is a [runner.Sink]; its
// methods may be called from several goroutines.
type Terminal struct {
	o Options
	p palette

	mu      sync.Mutex
	w       io.Writer
	err     error // the first error of writing; nothing is written after it
	waiting wait
	drawn   bool // the line that says what is waited for is on the screen
	stop    func()

	playbooks int
	steps     map[runner.Status]int // how many steps ended so, those aside that were left out
	leftOut   int
	ended     map[int]runner.Status // of the playbook's steps, by index
	failures  []failure
	slowest   slowest
	flakes    flakes
	clusters  clusters
	context   string // of the cluster in which a run in several goes on
	playbook  runner.PlaybookInfo
	untitled  bool   // its title has not been written
	command   string // of the step that runs
	short     bool   // the last block was a single line
	cleaning  bool   // a line about clean-up has been written
	stopped   bool   // by its user
}

var _ runner.Sink = (*Terminal)(nil)

// New returns a Terminal that writes to w. Close it.
func New(w io.Writer, o Options) *Terminal {
	if o.Width == nil {
		o.Width = func() int { return 0 }
	}
	t := &Terminal{o: o, p: newPalette(w, o.Color), w: w, steps: map[runner.Status]int{}, ended: map[int]runner.Status{}, stop: func() {}}
	if o.Interactive {
		t.stop = t.animate()
	}
	return t
}

// Close erases what is being waited for, and returns the first error of
// writing. Nothing is written afterwards.
func (t *Terminal) Close() error {
	t.stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = wait{}
	t.write("")
	err := t.err
	if t.err == nil {
		t.err = io.ErrClosedPipe
	}
	return err
}

// Announce shows a step before it runs: its title, what it says of itself, and its
// whole command.
func (t *Terminal) Announce(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = wait{}
	var b block
	b.text("")
	b.add("", t.p.strong, fold(fmt.Sprintf("next is step %d of %d: %s", e.Step.Index, t.playbook.Steps, oneLine(e.Step.Title)), t.o.Width())...)
	t.addText(&b, "  ", e.Step.Text, inner(t.o.Width(), 2))
	t.addCommand(&b, "  ", e.Command, true, inner(t.o.Width(), 2))
	t.write(b.String())
}

// Evidence shows all that is known of a step that has ended.
func (t *Terminal) Evidence(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b block
	width := inner(t.o.Width(), 2)
	b.add("", t.p.strong, fold(fmt.Sprintf("step %d: %s", e.Step.Index, oneLine(e.Step.Title)), t.o.Width())...)
	t.addCommand(&b, "  ", e.Command, true, width)
	b.add("  ", lipgloss.Style{}, fill(bounded(linesOf(e.Output), fullLines), width)...)
	for _, v := range e.Verdicts {
		if v.Outcome != evidence.Held {
			b.add("  ", t.p.bad, fold(string(v.Outcome)+": "+clean(v.String()), width)...)
		}
	}
	if e.Evidence != nil {
		for _, l := range allEvidence(e.Evidence, e.Verdicts) {
			b.add("  ", t.p.faint, fold(clean(l), width)...)
		}
	}
	if e.Evidence == nil && len(e.Verdicts) == 0 && e.Problem != nil {
		b.add("  ", t.p.bad, fold(clean(e.Problem.Text), width)...)
	}
	t.write(b.String())
}

// Note writes a line of the caller's among those of the run.
func (t *Terminal) Note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(t.note(text))
}

func (t *Terminal) note(text string) string {
	var b block
	b.add("", t.p.faint, fold(clean(text), t.o.Width())...)
	return b.String()
}

// Send implements [runner.Sink].
func (t *Terminal) Send(e runner.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case runner.RunStarted:
		if t.waiting = (wait{}); !t.o.Quiet {
			t.write(t.header(e))
		}
	case runner.ClusterStarted:
		t.context = e.Target.Context
		if t.waiting = (wait{}); !t.o.Quiet {
			t.write("\n" + t.where("In ", e.Target))
		}
	case runner.PlaybookStarted:
		t.playbooks++
		t.playbook, t.short, t.cleaning, t.ended = *e.Playbook, false, false, map[int]runner.Status{}
		if t.untitled = t.o.Quiet; !t.untitled {
			t.write(t.title(t.playbook))
		}
	case runner.StepStarted:
		t.command = e.Command
		t.wait(fmt.Sprintf("%d  %s", e.Step.Index, oneLine(e.Step.Title)))
	case runner.Attempt:
		t.slowest.missed(e)
		t.waiting.note = fmt.Sprintf("try %d: %s", e.Attempts, oneLine(problemText(e.Problem)))
	case runner.Waiting:
		t.waiting.note = oneLine(e.Text)
	case runner.Note:
		if t.o.Quiet { // else it stands below the name of the cluster
			e.Text += inContext(t.context)
		}
		t.write(t.note(e.Text))
	case runner.StepFinished:
		t.count(e)
		t.slowest.note(e, t.playbook, t.o.Slowest)
		t.flakes.note(e)
		t.stopped = t.stopped || e.Problem != nil && e.Problem.Interrupted
		if e.Command == "" {
			e.Command = t.command
		}
		t.command = ""
		t.waiting = wait{}
		if t.o.Quiet && (e.Status == runner.Passed || e.Status == runner.Skipped) {
			t.stepBlock(e) // it counts
			break
		}
		t.entitle()
		b := t.stepBlock(e)
		if short := b.lines() == 1; !short || !t.short {
			t.write("\n" + b.String())
			t.short = short
		} else {
			t.write(b.String())
		}
	case runner.CleanupStarted:
		t.wait("putting back what was changed")
	case runner.Undone:
		if !t.o.Quiet || e.Problem != nil {
			t.entitle()
			t.write(t.undone(e))
		}
	case runner.PlaybookFinished:
		t.clusters.note(t.playbook.Context, e.Status)
		t.waiting = wait{}
		if end := t.ending(e); end != "" {
			t.entitle()
			t.write(end)
		}
	case runner.RunFinished:
		t.waiting = wait{}
		t.write(t.summary(e))
	}
}

// count counts how a step ended. One that was run again counts as it ended last.
func (t *Terminal) count(e runner.Event) {
	if e.Step.Choice == runner.LeftOut {
		t.leftOut++
		return
	}
	if before, again := t.ended[e.Step.Index]; again {
		t.steps[before]--
		t.failures = slices.DeleteFunc(t.failures, func(f failure) bool { return f.step == *e.Step && f.playbook == t.playbook })
	}
	t.steps[e.Status]++
	t.ended[e.Step.Index] = e.Status
}

// entitle writes the title of a playbook that has none yet.
func (t *Terminal) entitle() {
	if t.untitled {
		t.write(t.title(t.playbook))
	}
	t.untitled = false
}

// write writes text in place of the line that says what is waited for, which
// is drawn again below it with the next tick.
func (t *Terminal) write(text string) {
	if t.drawn {
		text = eraseLine + text
		t.drawn = false
	}
	if t.err == nil && text != "" {
		_, t.err = io.WriteString(t.w, text)
	}
}

// header returns what is run, and where.
func (t *Terminal) header(e runner.Event) string {
	runs, rounds := len(e.Playbooks)/max(len(e.Targets), 1), 1
	for _, p := range e.Playbooks {
		rounds = max(rounds, p.Round)
	}
	what := Count(runs/rounds, "playbook", "playbooks")
	if runs == rounds {
		what = "the " + source(e.Playbooks[0])
	}
	if rounds > 1 {
		what += fmt.Sprintf(" %d times", rounds)
	}
	if len(e.Targets) > 0 {
		var b block
		b.add("", t.p.strong, fold(fmt.Sprintf("Runs %s in %d clusters, one after the other", what, len(e.Targets)), t.o.Width())...)
		return b.String()
	}
	return t.where("Runs "+what+" in ", e.Target)
}

// where says in which cluster something takes place, and what takes part.
func (t *Terminal) where(what string, target *runner.Target) string {
	var b block
	b.add("", t.p.strong, fold(what+oneLine(target.Describe), t.o.Width())...)
	var versions []string
	for _, name := range []string{"kubernetes", "istio", "envoy"} {
		if v := target.Versions[name]; v != "" {
			versions = append(versions, name+" "+oneLine(v))
		}
	}
	if len(versions) > 0 {
		b.add("", t.p.faint, fold(strings.Join(versions, ", "), t.o.Width())...)
	}
	return b.String()
}

// title introduces a playbook.
func (t *Terminal) title(p runner.PlaybookInfo) string {
	var b block
	name := p.Title
	if name == "" {
		name = p.Name
	}
	b.add("", t.p.strong.Inherit(t.p.accent), fold(oneLine(name), t.o.Width())...)
	about := source(p) + ", " + Count(p.Steps, "step", "steps")
	if p.Part != "" {
		about += ", of which only a part is run: " + p.Part
	}
	if p.Round > 0 {
		about += fmt.Sprintf(", round %d", p.Round)
	}
	about += inContext(p.Context)
	b.add("", t.p.faint, fold(about, t.o.Width())...)
	if t.o.Verbose || t.o.Texts {
		if p.Text != "" {
			b.text("")
			t.addText(&b, "", p.Text, t.o.Width())
		}
		if url := webPage(p.Source); url != "" {
			b.text("")
			b.add("", t.p.accent, url)
		}
	}
	return "\n" + b.String()
}

// source returns where a playbook was read from.
func source(p runner.PlaybookInfo) string {
	if file, builtIn := strings.CutPrefix(p.File, "built-in:"); builtIn {
		return "built-in playbook " + oneLine(file)
	}
	return "playbook " + oneLine(p.File)
}

// stepBlock shows a step that has ended.
func (t *Terminal) stepBlock(e runner.Event) *block {
	var b block
	digits := len(fmt.Sprint(max(t.playbook.Steps, e.Step.Index)))
	lead := strings.Repeat(" ", digits+6) // what stands before the title
	width := t.o.Width()
	if width > 0 {
		width = max(width-len(lead), 20)
	}

	mark, look := t.p.mark(e.Status)
	titleLook := t.p.strong
	after := took(e.Took)
	if e.Attempts > 1 {
		after += ", " + Count(e.Attempts, "try", "tries")
	}
	if e.Step.Choice == runner.Needed {
		after += ", needed by what follows"
	}
	switch {
	case e.Step.Choice == runner.LeftOut:
		titleLook, after = t.p.faint, string(runner.LeftOut)
	case e.Status == runner.Skipped:
		titleLook, after = t.p.faint, "skipped"
		if reason := oneLine(problemText(e.Problem)); reason != "" {
			after += ": " + reason
		}
	}
	title := fold(oneLine(e.Step.Title), width)
	for i, l := range title {
		if i == 0 {
			b.text(fmt.Sprintf("  %s %s  %s", look.Render(mark), t.p.faint.Render(fmt.Sprintf("%*d", digits, e.Step.Index)), titleLook.Render(l)))
		} else {
			b.text(lead + titleLook.Render(l))
		}
	}
	if last := title[len(title)-1]; width > 0 && lipgloss.Width(last)+2+lipgloss.Width(after) > width {
		b.add(lead, t.p.faint, fold(after, width)...)
	} else {
		b.last("  " + t.p.faint.Render(after))
	}
	if e.Status == runner.Skipped {
		return &b
	}

	if t.o.Verbose && !t.o.Texts {
		t.addText(&b, lead, e.Step.Text, width)
	}
	full := t.o.Verbose || e.Status != runner.Passed
	t.addCommand(&b, lead, e.Command, full, width)
	if e.Status != runner.Passed {
		t.addFailure(&b, lead, e, width)
		return &b
	}
	output := linesOf(e.Output)
	if full {
		b.add(lead, lipgloss.Style{}, fill(output, width)...)
		t.addProof(&b, lead, e, width)
		return &b
	}
	for _, l := range briefly(output, briefLines) {
		if strings.HasPrefix(l, "…") {
			b.add(lead, t.p.faint, l)
		} else {
			b.add(lead, lipgloss.Style{}, cut(l, width))
		}
	}
	t.addProof(&b, lead, e, width)
	return &b
}

// addProof shows what the pass of a step rests on, and what was not checked.
func (t *Terminal) addProof(b *block, lead string, e runner.Event, width int) {
	for _, v := range e.Verdicts.Of(evidence.NotChecked) {
		b.add(lead, t.p.warn, fold("not checked here: "+clean(v.Subject())+", for "+clean(v.Why), width)...)
	}
	if e.Evidence == nil {
		return
	}
	if t.o.Verbose {
		for _, l := range allEvidence(e.Evidence, e.Verdicts) {
			b.add(lead, t.p.faint, fold(clean(l), width)...)
		}
		return
	}
	for _, l := range proof(e.Evidence) {
		b.add(lead, t.p.faint, cut(clean(l), width))
	}
}

// addText shows what a playbook or a step says of itself, paragraph by paragraph.
func (t *Terminal) addText(b *block, lead, text string, width int) {
	for i, p := range paragraphs(text) {
		if i > 0 {
			b.text("")
		}
		b.add(lead, lipgloss.Style{}, fold(p, width)...)
	}
}

// addCommand shows what a person would have typed.
func (t *Terminal) addCommand(b *block, lead, command string, full bool, width int) {
	command = strings.TrimRight(clean(command), "\n ")
	if command == "" {
		return
	}
	if isDocument(command) && !full {
		command, _, _ = strings.Cut(command, "\n")
		command += " …"
	}
	literal := isLiteral(command)
	lines := wrapCommand(command, inner(width, len("$ ")))
	switch {
	case !full:
		lines = bounded(lines, 2*briefLines)
	case !t.o.Verbose:
		lines = bounded(lines, fullLines)
	}
	for i, l := range lines {
		switch {
		case i == 0:
			b.add(lead, t.p.faint, "$ "+l)
		case literal: // a space in front would be a part of it
			b.add("", t.p.faint, l)
		default:
			b.add(lead, t.p.faint, "  "+l)
		}
	}
}

// addFailure shows all that is known about a step that did not pass.
func (t *Terminal) addFailure(b *block, lead string, e runner.Event, width int) {
	p := e.Problem
	if p == nil {
		p = &runner.Problem{}
	}
	t.failures = append(t.failures, failure{*e.Step, t.playbook})
	attempts, spent := e.Attempts, e.Took

	b.text("")
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		head := clean(v.Subject())
		if own := (evidence.Position{File: e.Step.File, Line: e.Step.Line, Column: 1}); v.At != own && v.At.Line > 0 {
			head += t.p.faint.Render("  " + oneLine(v.At.String()))
		}
		b.add(lead, t.p.bad, fold(head, width)...)
		if v.Outcome != evidence.NotHeld {
			b.add(lead+"  ", t.p.bad, fold(string(v.Outcome)+": "+clean(v.Why), inner(width, 2))...)
			continue
		}
		t.addValue(b, lead+"  want  ", t.p.good, v.Want, width)
		t.addValue(b, lead+"  got   ", t.p.bad, v.Got, width)
		if words := meaning(v, e.Command); words != "" {
			b.add(lead+"        ", t.p.faint, fold(words, inner(width, 8))...)
		}
		if v.Why != "" {
			b.add(lead+"        ", t.p.faint, fold(clean(v.Why), inner(width, 8))...)
		}
		for _, fact := range v.Facts {
			if fact != v.Why {
				b.add(lead+"        ", t.p.faint, fold(clean(fact), inner(width, 8))...)
			}
		}
	}
	if len(p.Verdicts) == 0 {
		for _, l := range bounded(linesOf(p.Text), fullLines) {
			b.add(lead, t.p.bad, fold(l, width)...)
		}
	}
	t.addFindings(b, lead, e.Findings, width)
	b.text("")
	tries := "tried once, in " + took(spent)
	if attempts > 1 {
		tries = fmt.Sprintf("%d tries in %s", attempts, took(spent))
	}
	b.add(lead, t.p.faint, fold(fmt.Sprintf("%s:%d, %s", oneLine(e.Step.File), e.Step.Line, tries), width)...)
	if output := linesOf(e.Output); len(output) > 0 {
		said := "what it showed:"
		if attempts > 1 {
			said = "what the last one showed:"
		}
		b.add(lead, t.p.faint, said)
		if !t.o.Verbose {
			output = bounded(output, fullLines)
		}
		for _, l := range fill(output, inner(width, 2)) {
			b.add(lead+t.p.faint.Render("│")+" ", lipgloss.Style{}, l)
		}
	}
	if p.Hint != "" {
		b.text("")
		b.add(lead, t.p.accent, fold("hint: "+clean(p.Hint), width)...)
	}
	if t.o.Verbose && e.Evidence != nil {
		b.text("")
		for _, l := range allEvidence(e.Evidence, nil) {
			b.add(lead, t.p.faint, fold(clean(l), width)...)
		}
	}
}

// addFindings shows the causes of a failure, and the next command.
func (t *Terminal) addFindings(b *block, lead string, findings []evidence.Finding, width int) {
	for i := range findings {
		f := &findings[i]
		look := t.p.warn
		if f.Unknown {
			look = t.p.faint
		}
		b.text("")
		b.add(lead, look, fold("cause: "+clean(f.Cause), width)...)
		if f.Next != "" {
			b.add(lead, t.p.accent, "next:  "+clean(f.Next))
		}
		for _, fact := range f.Facts {
			b.add(lead+"       ", t.p.faint, fold(clean(fact), inner(width, 7))...)
		}
	}
}

// inner returns the width that is left behind so many columns, 0 for no limit.
func inner(width, columns int) int {
	if width <= 0 {
		return 0
	}
	return max(width-columns, 12)
}

// A failure is a step that did not pass.
type failure struct {
	step     runner.StepInfo
	playbook runner.PlaybookInfo
}

// addValue shows a value behind its name, each further line beneath the first.
func (t *Terminal) addValue(b *block, lead string, look lipgloss.Style, value string, width int) {
	width = inner(width, 8) // "  want  "
	lines := fill(bounded(strings.Split(clean(value), "\n"), wantLines), width)
	for i, l := range lines {
		if i == 1 {
			lead = strings.Repeat(" ", len(lead))
		}
		b.add(t.p.faint.Render(lead), look, l)
	}
}

// undone shows one thing that was put back, or was not.
func (t *Terminal) undone(e runner.Event) string {
	var b block
	if e.Status == runner.Skipped && e.Back == "" {
		return ""
	}
	if !t.cleaning {
		b.text("")
		t.cleaning = true
	}
	what := oneLine(e.Undo)
	if e.Status == runner.Skipped {
		b.add("  ", t.p.warn, fold("· left: "+what+" ("+oneLine(e.Back)+")", t.o.Width()-2)...)
		return b.String()
	}
	if e.Problem == nil {
		if e.Back != "" {
			what += " (" + oneLine(e.Back) + ")"
		}
		b.add("  ", t.p.faint, cut("↺ put back: "+what, t.o.Width()-2))
		return b.String()
	}
	b.add("  ", t.p.bad, fold("✗ not put back: "+what, t.o.Width()-2)...)
	for _, l := range linesOf(problemText(e.Problem)) {
		b.add("    ", t.p.bad, fold(l, t.o.Width()-4)...)
	}
	return b.String()
}

// ending closes a playbook: why it did not run to its end, and what is left.
func (t *Terminal) ending(e runner.Event) string {
	var b block
	width := t.o.Width() - 4
	if e.Problem != nil && e.Problem.Step == nil {
		mark, look := t.p.mark(e.Status)
		b.text("")
		lines := fold(fmt.Sprintf("%s: %s", e.Status, clean(problemText(e.Problem))), width)
		b.text("  " + look.Render(mark+" "+lines[0]))
		b.add("    ", look, lines[1:]...)
	}
	if len(e.Left) > 0 {
		b.text("")
		b.add("  ", t.p.warn, "left as the playbook made it:")
		for _, what := range e.Left {
			b.add("    ", t.p.warn, fold(oneLine(what), width)...)
		}
	}
	return b.String()
}

// summary is the last line, and where to look for each failure of a run of
// several playbooks.
func (t *Terminal) summary(e runner.Event) string {
	var b block
	if t.o.Slowest > 0 {
		b.text("")
		t.slowest.add(&b, t.p, t.o.Width())
	}
	b.text("")
	t.flakes.add(&b, t.p, t.o.Width())
	if t.playbooks > 1 && !t.flakes.rounds { // else they are among those already
		for _, f := range t.failures {
			b.add("", t.p.bad, fold(fmt.Sprintf("%s:%d: %s%s", oneLine(f.step.File), f.step.Line, oneLine(f.step.Title), inContext(f.playbook.Context)), t.o.Width())...)
		}
	}
	one, many := "playbook", "playbooks"
	if t.flakes.rounds {
		one, many = "run", "runs"
	}
	t.clusters.add(&b, t.p, t.o.Width(), func(s runner.Summary) []string { return countsOf(s, one, many, t.stopped) })
	mark, look := t.p.mark(e.Status)
	var parts []string
	if t.clusters.several() {
		parts = countsOf(*e.Summary, "run", "runs", t.stopped)
	} else if t.playbooks > 1 {
		parts = countsOf(*e.Summary, one, many, t.stopped)
	} else {
		parts = counts(t.steps, "step", "steps", t.stopped)
	}
	if len(parts) == 0 {
		parts = []string{string(e.Status)}
	}
	if t.leftOut > 0 {
		parts = append(parts, fmt.Sprintf("%d left out", t.leftOut))
	}
	if t.playbook.Part != "" {
		parts = append(parts, "only "+t.playbook.Part+" run")
	}
	if n := e.Summary.NotChecked; n > 0 {
		parts = append(parts, Count(n, "claim", "claims")+" not checked here")
	}
	b.add("", look.Bold(true), fold(mark+" "+t.clusters.lead()+strings.Join(parts, ", ")+" in "+took(e.Took), t.o.Width())...)
	if len(e.Left) > 0 {
		b.add("", t.p.warn, Count(len(e.Left), "change", "changes")+" not put back, see above")
	}
	return b.String()
}

// countsOf renders how many playbooks ended in each way, as [counts] does.
func countsOf(s runner.Summary, one, many string, stopped bool) []string {
	return counts(map[runner.Status]int{
		runner.Passed: s.Passed, runner.Failed: s.Failed, runner.Skipped: s.Skipped, runner.Errored: s.Error,
	}, one, many, stopped)
}

// counts renders how many ended in each way: "3 steps passed, 1 failed".
func counts(by map[runner.Status]int, one, many string, stopped bool) []string {
	var parts []string
	for _, s := range []runner.Status{runner.Passed, runner.Failed, runner.Errored, runner.Skipped} {
		n := by[s]
		if n == 0 {
			continue
		}
		what := fmt.Sprint(n)
		if len(parts) == 0 {
			what = Count(n, one, many)
		}
		switch {
		case s == runner.Errored && stopped:
			parts = append(parts, what+" interrupted")
		case s == runner.Errored:
			parts = append(parts, what+" could not be run")
		default:
			parts = append(parts, what+" "+string(s))
		}
	}
	return parts
}

func problemText(p *runner.Problem) string {
	if p == nil {
		return ""
	}
	return p.Text
}

// A block is lines that are written together.
type block struct{ s []string }

func (b *block) text(line string) { b.s = append(b.s, line) }

// add adds lines of one look. What stands before them has none.
func (b *block) add(lead string, look lipgloss.Style, lines ...string) {
	for _, l := range lines {
		if l != "" {
			l = look.Render(l)
		}
		b.text(strings.TrimRight(lead+l, " "))
	}
}

func (b *block) last(more string) { b.s[len(b.s)-1] += more }

func (b *block) lines() int { return len(b.s) }

func (b *block) String() string {
	if len(b.s) == 0 {
		return ""
	}
	return strings.Join(slices.Concat(b.s, []string{""}), "\n")
}
