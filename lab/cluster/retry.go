package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// retryPause is the time between two tries of what is expected to work soon.
const retryPause = 20 * time.Millisecond

// permanent is an error for which another try is useless.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// retry calls f until it returns nil or a permanent error, or ctx ends; then the error
// has f's last error.
func retry(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil || errors.As(err, &permanent{}) {
			return err
		}
		if pause(ctx); ctx.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// pause waits for a moment, or until ctx ends.
func pause(ctx context.Context) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
