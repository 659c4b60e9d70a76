// Package supervise starts the processes of a lab, waits until each is ready,
// keeps their logs within bounds, and ends them.
//
// A start has three endings: ready, ended early, too slow. The last two are a
// [StartError] with the last probe and the last log lines. A process that ends
// after it was ready is started again where its [Process] says so; any other
// is reported to the owner of the [Supervisor], who will take the lab down.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Supervisor owns processes. Make one with [New], and call Stop at the end.
type Supervisor struct {
	onExit func(name string, err error)
	pause  func(again int) time.Duration // before a process is started again

	mu       sync.Mutex
	stopping bool
	children []*child // in the order of their start
}

// New makes a supervisor without processes. onExit is called, from a goroutine
// of its own, when a process ends that had been ready and is not to be started
// again, unless Stop was called; err says how it ended, with its last log
// lines. Nil means that nobody wants to know.
func New(onExit func(name string, err error)) *Supervisor {
	return &Supervisor{onExit: onExit, pause: backOff}
}

// The pause before a process is started again doubles from the shortest to the
// longest, as long as it does not get ready in between.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

func backOff(again int) time.Duration {
	return min(shortestPause<<min(again, 10), longestPause)
}

// Start starts a process and begins to probe it, and returns without waiting
// for the outcome; so what does not depend on each other can start at once.
// The error is that of the operating system, or of an earlier Stop.
func (s *Supervisor) Start(p Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return fmt.Errorf("start %s: %w", p.Name, errStopped)
	}
	if s.find(p.Name) != nil {
		return fmt.Errorf("start %s: it has been started already", p.Name)
	}
	c, err := s.newChild(p)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	s.children = append(s.children, c)
	return nil
}

var errStopped = errors.New("the lab is being taken down")

// WaitReady waits until a process that was started has been ready for the first
// time. Its error is a *[StartError], or the cause of ctx. A process that is
// too slow runs on until Stop.
func (s *Supervisor) WaitReady(ctx context.Context, name string) error {
	s.mu.Lock()
	c := s.find(name)
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("wait for %s: it has not been started", name)
	}
	select {
	case <-c.decided:
		return c.startErr
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", name, context.Cause(ctx))
	}
}

// Stop ends all processes, the last started first, each with the grace that it
// has; once ctx ends, without grace. When it returns, they and their process
// groups are gone. A process that had to be killed is an error. Start fails
// from now on; a second Stop only waits.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	children := slices.Clone(s.children)
	s.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(children) {
		if err := c.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.spec.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Status tells of every process, in the order of their start.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	children := slices.Clone(s.children)
	s.mu.Unlock()
	list := make([]Status, 0, len(children))
	for _, c := range children {
		list = append(list, c.status())
	}
	return list
}

// Probe asks a process now whether it is ready, as it was asked at its start. One
// that does not run has its state as the error.
func (s *Supervisor) Probe(ctx context.Context, name string) error {
	s.mu.Lock()
	c := s.find(name)
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("ask %s: it has not been started", name)
	}
	if state := c.status().State; state != Ready {
		return fmt.Errorf("ask %s: it is %s", name, state)
	}
	return c.spec.Ready(ctx)
}

// find is called with the lock held.
func (s *Supervisor) find(name string) *child {
	i := slices.IndexFunc(s.children, func(c *child) bool { return c.spec.Name == name })
	if i < 0 {
		return nil
	}
	return s.children[i]
}
