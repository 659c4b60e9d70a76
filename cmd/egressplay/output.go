package main

import (
	"errors"
	"io"
	"sync"
	"time"
)

// An output takes what is written to it at once, and hands it on as fast as it is
// read. So nobody who writes to it waits for a reader, such as a pager, or a
// terminal that Ctrl-S stopped.
type output struct {
	to io.Writer

	mu      sync.Mutex
	rest    []byte // not handed on yet
	err     error  // the first error of writing; nothing is written after it
	changed chan struct{}
	more    chan struct{}
}

// newOutput returns an output that hands on to w.
func newOutput(w io.Writer) *output {
	o := &output{to: w, changed: make(chan struct{}), more: make(chan struct{}, 1)}
	go o.handOn()
	return o
}

// Write implements [io.Writer]. Its error is that of an earlier text.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	o.rest = append(o.rest, p...)
	select {
	case o.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// Behind reports whether something has not been read yet. What only says how far
// a run is need not be added to that.
func (o *output) Behind() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rest) > 0
}

// pieceBytes is how much is handed on at a time, which a pipe takes as a whole.
const pieceBytes = 4096

func (o *output) handOn() {
	for range o.more {
		for {
			o.mu.Lock()
			piece := o.rest[:min(len(o.rest), pieceBytes)]
			o.mu.Unlock()
			if len(piece) == 0 {
				break
			}
			n, err := o.to.Write(piece)
			o.mu.Lock()
			o.rest = o.rest[n:]
			if err != nil || len(o.rest) == 0 {
				o.rest, o.err = nil, err
			}
			close(o.changed)
			o.changed = make(chan struct{})
			o.mu.Unlock()
		}
	}
}

// errNotRead is the error of an output that nobody reads.
var errNotRead = errors.New("nobody reads the output")

// drain waits until everything is read. Once stop is closed, it waits only as long
// as something is read at least every while.
func (o *output) drain(stop <-chan struct{}, while time.Duration) error {
	var late <-chan time.Time
	for {
		o.mu.Lock()
		left, err, changed := len(o.rest), o.err, o.changed
		o.mu.Unlock()
		if left == 0 || err != nil {
			return err
		}
		select {
		case <-changed:
			if late != nil {
				late = time.After(while)
			}
		case <-stop:
			stop, late = nil, time.After(while)
		case <-late:
			return errNotRead
		}
	}
}
