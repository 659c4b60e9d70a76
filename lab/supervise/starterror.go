package supervise

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The ways in which a start fails, for errors.Is.
var (
	ErrEndedEarly = errors.New("ended before it was ready")
	ErrTooSlow    = errors.New("was not ready in time")
)

// StartError reports that a process did not get ready, and what is known of why.
type StartError struct {
	Name   string
	Reason error         // ErrEndedEarly or ErrTooSlow
	After  time.Duration // since its start
	Exit   error         // how it ended; nil if it still ran, or ended with exit code 0
	Probe  error         // the error of the last probe; nil if there was none
	Log    []string      // its last lines
	File   string        // the path of the whole log; "" if there is none
}

func (e *StartError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v, after %.1fs", e.Name, e.Reason, e.After.Seconds())
	if e.Exit != nil {
		fmt.Fprintf(&b, ": %v", e.Exit)
	}
	if e.Probe != nil {
		fmt.Fprintf(&b, "\n  last probe: %v", e.Probe)
	}
	writeLog(&b, e.File, e.Log)
	return b.String()
}

// Unwrap returns the reason and the causes.
func (e *StartError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Reason, e.Exit, e.Probe} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func writeLog(b *strings.Builder, file string, lines []string) {
	if file == "" {
		return
	}
	fmt.Fprintf(b, "\n  log: %s", file)
	for _, line := range lines {
		fmt.Fprintf(b, "\n    %s", line)
	}
}
