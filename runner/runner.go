package runner

import (
	"context"
	"time"

	"github.com/egressplay/egressplay/cluster"
)

// A Runner runs playbooks, one after the other.
type Runner struct {
	Cluster cluster.Interface
	Target  Target
	Sink    Sink

	Namespace      string // see [Scope]
	IstioNamespace string
	Revision       string

	// Timeout bounds each playbook, its clean-up not included.
	Timeout time.Duration
	// CleanupTimeout bounds the clean-up of each playbook.
	CleanupTimeout time.Duration
	// Keep leaves what the playbooks changed, and says what is left.
	Keep bool

	// Pause is called before each step where it is not nil. Its error ends
	// the playbook as an interrupt does.
	Pause func(context.Context, StepInfo) error
	// Now is the clock, time.Now where it is nil.
	Now func() time.Time
}

// A Result is how a run ended.
type Result struct {
	Summary Summary
	// Left names what has not been put back, --keep aside.
	Left []string
	// Interrupted is set when the run's context was cancelled before it was
	// done.
	Interrupted bool
}
