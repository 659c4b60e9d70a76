package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ownHosts names a playbook's own hosts where they could not be taken away.
const ownHosts = "the playbook's hosts in the lab's internet"

// bringHosts brings a playbook's own hosts into the lab's internet, if it has any.
// Where there is no such internet, the playbook is skipped.
func (r *Runner) bringHosts(ctx context.Context, s *Scope, p *Playbook) (Status, error) {
	if p.Internet == "" {
		return Skipped, nil
	}
	if r.Internet == nil {
		return Skipped, errors.New("it brings hosts of its own (internet), and these can only come into a lab of this machine")
	}
	take, err := r.Internet(ctx, p)
	if err != nil {
		return Errored, fmt.Errorf("bring %s: %w", ownHosts, err)
	}
	s.takeHosts = take
	return Skipped, nil
}

// takeHosts takes the playbook's own hosts away again, if it has any. It returns
// what is left.
func (r *Runner) takeHosts(ctx context.Context, s *Scope) (left []string) {
	if s.takeHosts == nil {
		return nil
	}
	started := time.Now()
	// An interrupt has cancelled ctx: this needs time of its own.
	ctx = context.WithoutCancel(ctx)
	if r.UndoTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.UndoTimeout, fmt.Errorf("it took longer than %v", r.UndoTimeout))
		defer cancel()
	}
	err := s.takeHosts(ctx)
	if err == nil {
		return nil // as nobody was told of their coming
	}
	r.send(Event{Kind: Undone, Undo: ownHosts, Took: time.Since(started), Problem: problem(err)})
	return []string{ownHosts}
}
