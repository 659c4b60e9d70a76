package supervise

import (
	"context"
	"os"
	"time"
)

// Process describes what to run and how to tell that it is well.
type Process struct {
	Name string // unique in a supervisor
	Path string
	Args []string // without the program's name
	Env  []string // nil is this process's own environment
	Dir  string   // "" is where this process is

	ExtraFiles []*os.File // file descriptors 3, 4, ... of the process

	// Log is the file that gets stdout and stderr. At 32 MiB it becomes
	// Log + ".1", and a new one begins. "" throws the output away.
	Log string

	// Ready is asked again and again, each time with a deadline, until it
	// returns nil. A process without it is ready once it runs.
	Ready func(ctx context.Context) error

	ReadyTimeout time.Duration // for Ready, from the start; 0 is three minutes, for a machine that is busy
	Grace        time.Duration // between SIGTERM and SIGKILL; 0 is five seconds

	// Restart starts the process again, after a short pause, when it ends
	// after it had been ready. The pauses are between 0.1 and 5 seconds.
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
