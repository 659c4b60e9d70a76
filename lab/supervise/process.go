package supervise

import (
	"context"
	"os"
	"time"
)

// Process describes what to run, and how to check that it is ready.
type Process struct {
	Name string // unique in a supervisor
	Path string
	Args []string // without the program's name
	Env  []string // nil: this process's own environment
	Dir  string   // "": the working directory of this process

	ExtraFiles []*os.File // file descriptors 3, 4, ... of the process

	// Log is the file that gets stdout and stderr. At 32 MiB it becomes
	// Log + ".1", and a new one begins. If it is "", the output is thrown away.
	Log string

	// Ready is called repeatedly, each time with a deadline, until it returns nil. A
	// process without it is ready once it runs.
	Ready func(ctx context.Context) error

	ReadyTimeout time.Duration // for Ready, from the start; 0 means three minutes, for a busy machine
	Grace        time.Duration // between SIGTERM and SIGKILL; 0 means five seconds

	// Restart has the process started again, after a short pause, if it ends after it
	// was ready. The pauses are between 0.1 and 5 seconds.
	Restart bool
}

func (p Process) withDefaults() Process {
	if p.ReadyTimeout == 0 {
		p.ReadyTimeout = 3 * time.Minute
	}
	if p.Grace == 0 {
		p.Grace = 5 * time.Second
	}
	if p.Ready == nil {
		p.Ready = func(context.Context) error { return nil }
	}
	return p
}
