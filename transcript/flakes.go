package transcript

import (
	"fmt"
	"slices"

	"github.com/egressplay/egressplay/runner"
)

// Flakes are the steps that passed in one round of a run and not in another.
type flakes struct {
	rounds bool
	order  []string
	steps  map[string]*flake
}

type flake struct {
	where         string
	passed, other int
	last          string // why it did not pass last
}

// note counts how a step ended.
func (f *flakes) note(e runner.Event) {
	if e.Playbook == nil || e.Playbook.Round == 0 || e.Step == nil || e.Status == runner.Skipped {
		return
	}
	f.rounds = true
	if f.steps == nil {
		f.steps = map[string]*flake{}
	}
	where := fmt.Sprintf("%s:%d: %s%s", e.Step.File, e.Step.Line, e.Step.Title, inContext(e.Playbook.Context))
	s := f.steps[where]
	if s == nil {
		s = &flake{where: where}
		f.steps[where] = s
		f.order = append(f.order, where)
	}
	if e.Status == runner.Passed {
		s.passed++
		return
	}
	s.other++
	s.last = problemText(e.Problem)
}

// add says which steps did not pass in each round.
func (f *flakes) add(b *block, p palette, width int) {
	if !f.rounds {
		return
	}
	flaky := slices.DeleteFunc(slices.Clone(f.order), func(where string) bool { return f.steps[where].other == 0 })
	if len(flaky) == 0 {
		b.add("", p.good, "no step ended differently from one round to another")
		return
	}
	for _, where := range flaky {
		s := f.steps[where]
		b.add("", p.bad, fold(fmt.Sprintf("%s: passed in %d of %d rounds; last: %s", oneLine(s.where), s.passed, s.passed+s.other, oneLine(s.last)), width)...)
	}
}
