package runner

import (
	"context"
	"sync"
	"time"
)

// A clock ends a context when a time is over. It can be stopped in between. A nil
// clock never ends anything.
type clock struct {
	mu    sync.Mutex
	left  time.Duration
	since time.Time
	timer *time.Timer
}

// withClock returns a context that ends with a cause after limit; 0 is no limit.
func withClock(ctx context.Context, limit time.Duration, cause error) (context.Context, *clock, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if limit <= 0 {
		return ctx, nil, func() { cancel(nil) }
	}
	c := &clock{left: limit, since: time.Now()}
	c.timer = time.AfterFunc(limit, func() { cancel(cause) })
	return ctx, c, func() {
		c.stop()
		cancel(nil)
	}
}

// stop stops the clock until it is started again.
func (c *clock) stop() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer.Stop() {
		c.left -= time.Since(c.since)
	}
}

// start has the clock go on after stop.
func (c *clock) start() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = time.Now()
	c.timer.Reset(c.left)
}
