package expect

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Shown is what a tutorial shows of a script: all exit codes, and the lines that
// come out of it. An exit code other than 0 is shown as kubectl tells it,
// "command terminated with exit code N". What is known to vary (times, addresses,
// names of pods, ids) may be another value of its kind; a line "..." stands for
// any lines, and "..." in a line for any text.
type Shown struct {
	Text string `yaml:"text,scalar"`
	// Output is "exit" where only the exit codes count.
	Output string `yaml:"output"`
}

// Fine expects what a script shows of which nothing is stated: every command
// succeeds.
func Fine() runner.Expectation { return new(Shown) }

// Validate returns what is wrong with the expectation.
func (e *Shown) Validate() error {
	if e.Output != "" && e.Output != "exit" && !strings.Contains(e.Output, "${") {
		return &runner.FieldError{Field: []string{"output"}, Err: fmt.Errorf("output: want exit, got %q", e.Output)}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *Shown) Needs() evidence.Needs { return evidence.Needs{} }

// ShownExitCode returns the exit code of a line by which kubectl tells one.
func ShownExitCode(line string) (code string, ok bool) {
	m := terminated.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// terminated is how kubectl tells an exit code.
var terminated = regexp.MustCompile(`^\s*command terminated with exit code (\d+)\s*$`)

// Judge implements [runner.Expectation].
func (e *Shown) Judge(a *evidence.Attempt) evidence.Verdicts {
	if a.Shell == nil {
		return unjudged(nil, false, "the script did not run to its end", "")
	}
	page := e.lines()
	vs := judgeCodes(page, a.Shell.Stages)
	vs = append(vs, judgeLogs(a.Shell, e.Text != "" && e.Output != "exit")...)
	if e.Output == "exit" || e.Text == "" {
		return vs
	}
	c := newComparison(page, a.Shell)
	v := c.verdict(a.Shell)
	if older := olderLines(a.Shell); v.Outcome == evidence.NotHeld && v.Why == "" && older > 0 {
		v.Why = fmt.Sprintf("what the log has from before the last request is left out, %d lines of it", older)
	}
	vs = append(vs, v)
	if len(c.soft) > 0 && vs[len(vs)-1].Outcome == evidence.Held {
		vs = append(vs, evidence.Verdict{
			What: "shown, letter by letter", Outcome: evidence.NotChecked, Why: "the tutorial differs in what may differ: " + strings.Join(c.soft, "; "),
		})
	}
	return vs
}

// judgeLogs judges what commands in pods read of logs: a line without a known time may
// be of an earlier request. shows reports whether lines are shown.
func judgeLogs(s *evidence.Shell, shows bool) evidence.Verdicts {
	greps := slices.ContainsFunc(s.Stages, func(s evidence.Stage) bool { return strings.Contains(strings.Join(s.Argv, " "), "grep") })
	for _, stage := range s.Stages {
		command := strings.Join(stage.Argv, " ")
		var why string
		switch {
		case stage.Undated && (shows || greps):
			why = "it has lines without a time that is known, which may be of an earlier request"
		case stage.Older > 0 && !shows && stage.Code == 0 && strings.Contains(command, "grep") && strings.TrimSpace(s.Text) == "":
			why = "what grep found in the pod may be a line of an earlier request"
		default:
			continue
		}
		return evidence.Verdicts{{
			What: "the log that " + command + " reads", Outcome: evidence.NotJudged, Why: why,
			Hint: "show the log by kubectl logs, or a file of which each line begins with its time; skip=\"REASON\" leaves the command out",
		}}
	}
	return nil
}

func olderLines(s *evidence.Shell) (n int) {
	for _, stage := range s.Stages {
		n += stage.Older
	}
	return n
}

// Binds implements [runner.Binder].
func (e *Shown) Binds(a *evidence.Attempt) (o evidence.Output, ok bool) {
	if a.Shell == nil || e.Output == "exit" || e.Text == "" {
		return o, false
	}
	c := newComparison(e.lines(), a.Shell)
	if c.run() != nil {
		return o, false
	}
	return evidence.Output{Shown: e.Text, LastRequest: a.Shell.LastRequest, Bindings: c.bound.all()}, true
}

// A shownLine is a line of what a tutorial shows, and its index.
type shownLine struct {
	text string
	at   int
}

func (e *Shown) lines() []shownLine {
	var all []shownLine
	for i, text := range strings.Split(e.Text, "\n") {
		if text = strings.TrimRight(text, " \t\r"); text != "" {
			all = append(all, shownLine{text, i})
		}
	}
	return all
}

// judgeCodes judges the exit codes of all commands. Those of commands in pods must
// be those shown, in order; all others 0. That grep finds nothing is accepted only
// behind a command that failed as shown.
func judgeCodes(page []shownLine, stages []evidence.Stage) evidence.Verdicts {
	var want, got []int
	at := 0
	for _, line := range page {
		if m := terminated.FindStringSubmatch(line.text); m != nil {
			n, _ := strconv.Atoi(m[1])
			if len(want) == 0 {
				at = line.at
			}
			want = append(want, n)
		}
	}
	field := []string(nil)
	if len(want) > 0 {
		field = []string{strconv.Itoa(at)}
	}
	var first string // the first command whose exit code is not as shown
	failed := false  // something failed in front of the stage, in its pipe
	var vs evidence.Verdicts
	for i, s := range stages {
		failed = failed && s.Behind
		switch {
		case s.Exec && s.Code != 0:
			if len(got) >= len(want) || want[len(got)] != s.Code {
				first = firstOf(first, strings.Join(s.Argv, " "))
			}
			got = append(got, s.Code)
			failed = true
		case s.Exec && len(want) > len(got) && first == "" && !laterFails(stages, &s):
			first = strings.Join(s.Argv, " ")
		case s.Code == 1 && s.Argv[0] == "grep" && failed:
		case s.Code == evidence.FoundIssues && s.Argv[0] == "istioctl" && slices.ContainsFunc(page, tellsIssues):
		case s.Code != 0:
			what := fmt.Sprintf("exit code of %s", strings.Join(s.Argv, " "))
			v := judge(field, false, "0", strconv.Itoa(s.Code))
			v.What = what
			if s.Argv[0] == "grep" && s.Code == 1 {
				v.Why = "no line has what it looks for"
				v.Means = grepMeans(stages, i)
			}
			vs = append(vs, v)
		}
	}
	v := judge(field, slices.Equal(want, got), codes(want), codes(got))
	v.What = "exit codes other than 0"
	if v.Outcome != evidence.Held {
		v.Means = codesMean(want, stages)
		if first != "" {
			v.Why = "it is " + first
		}
	}
	return append(evidence.Verdicts{v}, vs...)
}

// tellsIssues reports whether a line is the one that istioctl analyze ends with then.
func tellsIssues(line shownLine) bool {
	return strings.HasPrefix(strings.TrimSpace(line.text), "Error: Analyzers found issues")
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// laterFails reports whether a command in a pod behind this one failed.
func laterFails(stages []evidence.Stage, s *evidence.Stage) bool {
	behind := false
	for i := range stages {
		if behind && stages[i].Exec && stages[i].Code != 0 {
			return true
		}
		behind = behind || &stages[i].Argv[0] == &s.Argv[0]
	}
	return false
}

func codes(list []int) string {
	if len(list) == 0 {
		return "none"
	}
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ", ")
}

// verdict judges the lines.
func (c *comparison) verdict(s *evidence.Shell) evidence.Verdict {
	err := c.run()
	v := judge(nil, err == nil, "", "")
	v.What = "shown"
	if miss, ok := errors.AsType[*difference](err); ok {
		if miss.line != nil {
			v.Field = []string{strconv.Itoa(miss.line.at)}
		}
		v.Want, v.Got, v.Why, v.Means = miss.want, miss.got, miss.why, c.means(miss, s.Stages)
		if s.Truncated {
			v.Outcome, v.Why = evidence.NotJudged, "the output is longer than is kept"
		}
	}
	return v
}
