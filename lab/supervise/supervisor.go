// Package supervise starts the processes of a lab, waits until each is ready,
// keeps their logs within bounds, and ends them.
//
// A start has three endings: ready, ended early, too slow. The last two are a
// [StartError] with the last probe and the last log lines. A process that ends after it
// was ready is restarted if its [Process] says so. Otherwise the owner of the
// [Supervisor] is called, who takes the lab down.
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

// New makes a supervisor without processes. onExit is called, in a goroutine of its
// own, when a process ends that was ready and is not restarted, unless Stop was called;
// err says how it ended, with its last log lines. onExit may be nil.
func New(onExit func(name string, err error)) *Supervisor {
	return &Supervisor{onExit: onExit, pause: backOff}
}

// The pause before a restart doubles from the shortest to the longest, as long as the
// process does not get ready in between.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

func backOff(again int) time.Duration {
	return min(shortestPause<<min(again, 10), longestPause)
}

// Start starts a process, begins to probe it, and returns without waiting for the
// outcome, so independent processes can start at the same time. It returns an error of
// the operating system, or if Stop was called.
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

// WaitReady waits until a started process is ready for the first time. Its error is a
// *[StartError], or the cause of ctx. A process that is too slow runs on until Stop.
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

// Stop ends all processes, the last started first, each with its grace; once ctx has
// ended, without grace. When it returns, they and their process groups are gone. It
// returns an error for each process that had to be killed. Start fails from now on; a
// second Stop only waits.
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

// Status returns the status of every process, in the order of their start.
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

// Probe checks now whether a process is ready, with the check of its start. For a
// process that does not run, the error is its state.
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

// find returns the process with a name. It needs the lock.
func (s *Supervisor) find(name string) *child {
	i := slices.IndexFunc(s.children, func(c *child) bool { return c.spec.Name == name })
	if i < 0 {
		return nil
	}
	return s.children[i]
}
