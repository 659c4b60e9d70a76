package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

var _ runner.Collector = (*place)(nil)

// Watch implements [runner.Collector]: it gathers what reaches the lab's
// internet. Where no lab on this machine keeps a record, that is a fact, too.
func (p *place) Watch(_ context.Context, needs evidence.Needs, _ *cluster.Pod) (func(context.Context, *evidence.Attempt) error, error) {
	if !needs.Arrivals {
		return nil, nil
	}
	return func(ctx context.Context, a *evidence.Attempt) error {
		arrivals := &evidence.Arrivals{}
		if p.lab != "" {
			all, err := p.arrivals(ctx)
			if err != nil {
				return err
			}
			arrivals.Recorded = true
			// The lab's internet runs on this machine, by the same clock, and
			// records a request before it answers. What a proxy copies arrives
			// later at times.
			for _, r := range all {
				if !r.Time.Before(a.Started) {
					arrivals.All = append(arrivals.All, r)
				}
			}
		}
		a.Arrivals = arrivals
		return nil
	}, nil
}

// arrivals returns what the lab's internet has recorded so far.
func (p *place) arrivals(ctx context.Context) ([]evidence.Arrival, error) {
	cmd := exec.CommandContext(ctx, p.lab, "logs", "internet", "-o", "json", "--name", p.target.Name)
	cmd.Env = labEnv()
	var said lastBytes
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read what reached the lab's internet: %w: %s", err, said)
	}
	var all []evidence.Arrival
	lines := json.NewDecoder(bytes.NewReader(out))
	for lines.More() {
		var a evidence.Arrival
		if err := lines.Decode(&a); err != nil {
			return nil, fmt.Errorf("read what reached the lab's internet: %w", err)
		}
		all = append(all, a)
	}
	return all, nil
}
