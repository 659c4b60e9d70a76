package transcript

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/egressplay/egressplay/runner"
)

// slowest are the steps that took longest, the longest first.
type slowest struct {
	steps  []slowStep
	reason string // why the last attempt of the step that runs did not hold
}

type slowStep struct {
	step      runner.StepInfo
	context   string // of the cluster in which it ran
	took      time.Duration
	waitedFor string
}

// missed takes down an attempt that did not hold.
func (s *slowest) missed(e runner.Event) { s.reason = oneLine(problemText(e.Problem)) }

// note takes down a step of a playbook that has ended; at most n are kept.
func (s *slowest) note(e runner.Event, p runner.PlaybookInfo, n int) {
	reason := s.reason
	s.reason = ""
	if e.Status == runner.Skipped {
		return
	}
	if reason == "" {
		reason = "the " + e.Step.Kind + " itself, tried once"
	} else {
		reason = fmt.Sprintf("%d tries, before the last: %s", e.Attempts, reason)
	}
	s.steps = append(s.steps, slowStep{step: *e.Step, context: p.Context, took: e.Took, waitedFor: reason})
	slices.SortStableFunc(s.steps, func(a, b slowStep) int { return cmp.Compare(b.took, a.took) })
	s.steps = s.steps[:min(len(s.steps), n)]
}

// add lists the steps and what each waited for.
func (s *slowest) add(b *block, p palette, width int) {
	b.add("", p.strong, "The slowest steps")
	for _, step := range s.steps {
		const lead = "          "
		b.add("", p.faint, fold(fmt.Sprintf("%8s  %s:%d: %s%s", took(step.took), oneLine(step.step.File), step.step.Line, oneLine(step.step.Title), inContext(step.context)), width)...)
		b.add(lead, p.faint, cut(step.waitedFor, max(width-len(lead), 0)))
	}
}
