package worlds

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/inlab"
)

// A Result has the outcomes of the claims of all worlds.
type Result struct {
	Lies, Caught   int
	Honest, Passed int
	// Missed has a text for each claim that was judged wrongly.
	Missed []string
	// Broken has a text for each world that could not be set up, so its claims show
	// nothing.
	Broken []string
}

// Good reports whether there were claims of both kinds, and all were judged correctly.
func (r *Result) Good() bool {
	return r.Lies > 0 && r.Honest > 0 && len(r.Missed) == 0 && len(r.Broken) == 0
}

// Print prints the claims that were missed, and how many claims there were.
func (r *Result) Print(w io.Writer) {
	for _, text := range slices.Concat(r.Broken, r.Missed) {
		fmt.Fprintln(w, text)
	}
	fmt.Fprintf(w, "%d of %d deceptive worlds caught; %d of %d honest worlds passed\n", r.Caught, r.Lies, r.Passed, r.Honest)
}

// Judge compares the report of a run of worlds with what each claim declares.
func Judge(report *inlab.Report) *Result {
	r := &Result{}
	for i := range report.Playbooks {
		p := &report.Playbooks[i]
		if p.Error != nil {
			r.Broken = append(r.Broken, fmt.Sprintf("%s: broken: %s", p.File, *p.Error))
		}
		for j := range p.Steps {
			r.judge(p, &p.Steps[j])
		}
	}
	return r
}

// judge counts one step.
func (r *Result) judge(p *inlab.Playbook, s *inlab.Step) {
	place := fmt.Sprintf("%s:%d: %s (%s)", p.File, s.Line, s.Title, s.ID)
	kind, by := declared(s.ID)
	var err error
	switch kind {
	case lie:
		r.Lies++
		if err = caught(s, by); err == nil {
			r.Caught++
			return
		}
	case honest:
		r.Honest++
		if err = passed(s); err == nil {
			r.Passed++
			return
		}
	default:
		if s.Status != "passed" {
			r.Broken = append(r.Broken, fmt.Sprintf("%s:%d: broken: %s: %s", p.File, s.Line, s.Title, ending(s)))
		}
		return
	}
	r.Missed = append(r.Missed, place+": "+err.Error())
}

const (
	lie    = "lie"
	honest = "honest"
	// change is the kind of lie that must be caught by the report that a change is not
	// in force.
	change = "change"
)

// declared returns what the id of a step declares: the kind of its claim, "" for none,
// and the expectation or verb that has to catch a lie.
func declared(id string) (kind, by string) {
	words := strings.Split(id, "-")
	switch {
	case words[0] == lie && len(words) > 2:
		return lie, words[1]
	case words[0] == honest && len(words) > 1:
		return honest, ""
	}
	return "", ""
}

// caught returns an error if a lie was not caught by what has to catch it.
func caught(s *inlab.Step, by string) error {
	if s.Status != "failed" && s.Status != "error" {
		return errors.New("a lie that was not caught: it " + s.Status)
	}
	if by == change {
		if s.Error != nil && (strings.Contains(*s.Error, "what was changed is not in force") || strings.Contains(*s.Error, "nothing that was changed is in force")) {
			return nil
		}
		return errors.New("not caught by what says that a change is not in force: " + ending(s))
	}
	is := false
	for _, v := range s.Verdicts {
		switch own := strings.EqualFold(keyOf(v.Key), by); {
		case own:
			is = is || v.Outcome == evidence.NotHeld || v.Outcome == evidence.NotJudged
		case v.Outcome != evidence.Held:
			return fmt.Errorf("not the world that it is said to be: %s", v.String())
		}
	}
	if !is {
		return fmt.Errorf("not caught by %s: %s", by, ending(s))
	}
	return nil
}

// passed returns an error if an honest claim did not pass.
func passed(s *inlab.Step) error {
	if s.Status != "passed" {
		return errors.New("an honest claim that did not pass: " + ending(s))
	}
	if len(s.Verdicts) == 0 && s.ExitCode != nil {
		return errors.New("an honest claim that nothing was checked of")
	}
	for _, v := range s.Verdicts {
		if v.Outcome != evidence.Held {
			return fmt.Errorf("an honest claim that was not checked: %s", v.String())
		}
	}
	return nil
}

// keyOf returns the expectation or the verb to which a key of a verdict belongs.
func keyOf(key string) string {
	key = strings.TrimPrefix(key, "expect.")
	if end := strings.IndexAny(key, ".["); end >= 0 {
		key = key[:end]
	}
	return key
}

func ending(s *inlab.Step) string {
	if s.Error == nil {
		return s.Status
	}
	return s.Status + ": " + strings.Join(strings.Split(strings.TrimSpace(*s.Error), "\n"), "; ")
}
