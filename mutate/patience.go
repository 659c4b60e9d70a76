package main

import (
	"fmt"
	"slices"
	"time"
)

// patience is how long the steps of a mutant may take until their expectations hold. A
// killed mutant waits that long, so it is less than in the playbook. A step gets
// several times what it took without mutation, because too little time would kill
// mutants wrongly.
type patience struct {
	least     time.Duration // for any step
	leastWait time.Duration // for a wait step, which usually waits until pods start
}

// defaultWithin is the within of a step that states none.
const defaultWithin = 30 * time.Second

// times is how many times as long a step may take as without mutation.
const times = 3

func (p patience) of(s *step, took time.Duration) time.Duration {
	least := p.least
	if s.verb == "wait" && s.within != nil {
		least = p.leastWait
	}
	return max(least, (times * took).Round(time.Second))
}

// shorten returns the lines of a playbook with less time to wait. took has the
// time of each step, in their order.
func (p patience) shorten(pb *playbook, took []time.Duration) ([]string, error) {
	lines := slices.Clone(pb.lines)
	var ordinary time.Duration
	for i := range pb.steps {
		s := &pb.steps[i]
		d := p.of(s, took[i])
		if s.within == nil {
			ordinary = max(ordinary, d)
			continue
		}
		stated, err := time.ParseDuration(s.within.Value)
		if err != nil || stated <= d { // it may be a variable: then it stays
			continue
		}
		if err := replace(lines, s.within, d.String()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", pb.file, s.within.Line, err)
		}
	}
	if !pb.defaults { // a key after all others leaves the lines of the steps as they are
		return append(lines, "defaults: {within: "+min(ordinary, defaultWithin).String()+"}"), nil
	}
	if pb.within == nil {
		return lines, nil
	}
	if stated, err := time.ParseDuration(pb.within.Value); err == nil && ordinary < stated {
		if err := replace(lines, pb.within, ordinary.String()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", pb.file, pb.within.Line, err)
		}
	}
	return lines, nil
}
