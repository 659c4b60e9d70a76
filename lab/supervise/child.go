package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/egressplay/egressplay/lab/proc"
)

// child is one process that a supervisor owns, through all its runs.
type child struct {
	owner *Supervisor
	spec  Process
	log   *logFile // nil if the output is thrown away
	since time.Time

	decided chan struct{} // closed when the first start has its outcome
	stopped chan struct{} // closed by stop
	gone    chan struct{} // closed when nothing runs and nothing will

	mu       sync.Mutex
	startErr error // the outcome; final once decided is closed
	state    State
	run      *run  // nil when none runs
	probeErr error // the error of the last probe of the present run
	restarts int
	took     time.Duration
}

// newChild starts the first run.
func (s *Supervisor) newChild(p Process) (*child, error) {
	c := &child{
		owner: s, spec: p.withDefaults(), since: time.Now(),
		decided: make(chan struct{}), stopped: make(chan struct{}), gone: make(chan struct{}),
	}
	if p.Log != "" {
		log, err := openLog(p.Log, maxLog)
		if err != nil {
			return nil, err
		}
		c.log = log
	}
	first, err := c.launch()
	if err != nil {
		return nil, errors.Join(err, c.log.Close())
	}
	go c.live(first)
	return c, nil
}

// live waits for the end of each run, and starts the next one if there is to be one.
func (c *child) live(r *run) {
	defer close(c.gone)
	defer c.log.Close() // every run has written its output by then
	for again := 0; ; again++ {
		ready, err := c.see(r)
		if ready {
			again = 0
		}
		c.decide(ErrEndedEarly, err) // nothing new if it was ready before
		if c.outcome() != nil || c.isStopped() || !c.spec.Restart {
			c.exit(err)
			return
		}
		if r = c.restart(again); r == nil {
			c.exit(err)
			return
		}
	}
}

// see probes a run until it is ready, and waits for its end. It reports whether the run
// was ready.
func (c *child) see(r *run) (ready bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.spec.ReadyTimeout)
	defer cancel()
	probed := make(chan bool, 1)
	go func() {
		ready := c.probe(ctx)
		switch {
		case ready:
			c.setReady()
		case !errors.Is(ctx.Err(), context.DeadlineExceeded): // it ended
		case !c.decide(ErrTooSlow, nil):
			r.signal(syscall.SIGKILL) // a later run: try another
		}
		probed <- ready
	}()
	err = r.wait()
	cancel()
	return <-probed, err
}

// The pause between two probes doubles from the shortest to the longest. No single
// probe takes longer than probeTimeout.
const (
	shortestProbePause = 5 * time.Millisecond
	longestProbePause  = 100 * time.Millisecond
	probeTimeout       = 5 * time.Second
)

// probe asks until the process is ready, or ctx ends.
func (c *child) probe(ctx context.Context) bool {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for next := shortestProbePause; ; next = min(2*next, longestProbePause) {
		select {
		case <-ctx.Done():
			return false
		case <-pause.C:
		}
		one, cancel := context.WithTimeout(ctx, probeTimeout)
		err := c.spec.Ready(one)
		cancel()
		if ctx.Err() != nil {
			return false // this probe was cut off: the error of the one before says more
		}
		if err == nil {
			return true
		}
		c.mu.Lock()
		c.probeErr = err
		c.mu.Unlock()
		pause.Reset(next)
	}
}

// launch starts a run, unless stop was called.
func (c *child) launch() (*run, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isStopped() {
		return nil, errStopped
	}
	r, err := startRun(c.spec, c.log)
	if err != nil {
		return nil, err
	}
	c.run, c.state, c.probeErr = r, Starting, nil
	return r, nil
}

// restart starts the next run after a pause. It returns nil if stop was called.
func (c *child) restart(again int) *run {
	for ; ; again++ {
		c.mu.Lock()
		c.run, c.state = nil, Waiting
		c.restarts++
		c.mu.Unlock()
		pause := time.NewTimer(c.owner.pause(again))
		select {
		case <-c.stopped:
			pause.Stop()
			return nil
		case <-pause.C:
		}
		r, err := c.launch()
		if err == nil {
			return r
		}
		if errors.Is(err, errStopped) {
			return nil
		}
		fmt.Fprintf(c.log, "start it again: %v\n", err)
	}
}

// decide settles a first start that failed, and reports whether there was anything to
// settle.
func (c *child) decide(reason, exit error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.decided:
		return false
	default:
	}
	if c.isStopped() {
		c.startErr = fmt.Errorf("start %s: %w", c.spec.Name, errStopped)
	} else {
		c.startErr = &StartError{
			Name: c.spec.Name, Reason: reason, After: time.Since(c.since), Exit: exit,
			Probe: c.probeErr, Log: lastLines(c.spec.Log, shownLines), File: c.spec.Log,
		}
	}
	if errors.Is(reason, ErrEndedEarly) {
		c.run, c.state = nil, Exited // before anyone hears of the outcome
	}
	close(c.decided)
	return true
}

func (c *child) setReady() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = Ready
	select {
	case <-c.decided:
	default:
		c.took = time.Since(c.since)
		close(c.decided)
	}
}

// outcome returns the error of the first start; nil while that is undecided, or if it
// succeeded.
func (c *child) outcome() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.startErr
}

// exit records the end of the last run, and reports it if nobody asked for it.
func (c *child) exit(err error) {
	c.mu.Lock()
	c.run, c.state = nil, Exited
	c.mu.Unlock()
	if c.outcome() != nil || c.isStopped() || c.owner.onExit == nil {
		return
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	var tail strings.Builder
	writeLog(&tail, c.spec.Log, lastLines(c.spec.Log, shownLines))
	go c.owner.onExit(c.spec.Name, fmt.Errorf("%s has ended: %w%s", c.spec.Name, err, tail.String()))
}

// stop ends the present run and prevents any other.
func (c *child) stop(ctx context.Context) error {
	c.mu.Lock()
	r := c.run
	if c.isStopped() {
		r = nil // another stop ends it
	} else {
		close(c.stopped)
	}
	c.mu.Unlock()
	if r == nil {
		<-c.gone
		return nil
	}
	r.signal(syscall.SIGTERM)
	grace := time.NewTimer(c.spec.Grace)
	defer grace.Stop()
	why := "it was killed: it did not end within " + c.spec.Grace.String()
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		why = "it was killed: no time was left"
	case <-grace.C:
	}
	r.signal(syscall.SIGKILL)
	<-c.gone
	return errors.New(why)
}

func (c *child) isStopped() bool {
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}

func (c *child) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Name: c.spec.Name, State: c.state, Restarts: c.restarts, Took: c.took}
	if c.run != nil {
		s.Pid = c.run.pid
		// A run that ends at this moment uses nothing.
		s.Usage, _ = proc.Of(c.run.pid)
	}
	return s
}
