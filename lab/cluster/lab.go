package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/internet"
	"github.com/egressplay/egressplay/lab/networkpolicy"
	"github.com/egressplay/egressplay/lab/supervise"
)

// Config describes the lab to bring up.
type Config struct {
	Name     string
	Version  string // of this program
	Folder   Folder
	Programs Programs
	Starter  []string        // the command line of the program that becomes a container; see [starter.Start]
	Hosts    []internet.Host // of the stand-in internet

	API     net.Listener // where the host reaches the API: on the host's loopback, inherited
	Control net.Listener // on [Folder.Control], inherited
}

// lab is a lab in its first process.
type lab struct {
	Config
	events     *events
	supervisor *supervise.Supervisor
	end        context.CancelCauseFunc // ends the lab

	// Set in the course of the bring-up.
	keys     *credentials
	policies *networkpolicy.Controller
	api      atomic.Pointer[api]
	cri      atomic.Pointer[cri.Server]
	internet atomic.Pointer[internet.Internet]
	isolates atomic.Bool // the network policies are enforced
	up       atomic.Bool
}

// Run brings the lab up and keeps it until ctx ends; then it returns nil. It returns an
// error if the lab did not come up, or if something that it needs has failed. Call it
// from the lab's first process and exit afterwards: the kernel then kills all other
// processes of the lab.
func Run(ctx context.Context, c Config) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	l := &lab{Config: c, events: newEvents(), end: end}
	l.supervisor = supervise.New(func(_ string, err error) { end(err) })
	control := l.newControl()
	l.keep(ctx, "control", func() error { return control.Serve(c.Control) })

	err := l.bringUp(ctx)
	if err == nil {
		<-ctx.Done()
	}
	if ctx.Err() != nil { // that is why the bring-up failed, if it did
		err = context.Cause(ctx)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if !l.up.Load() {
		l.events.add(Event{Error: err.Error()})
		l.leave(control)
	}
	return err
}

// leave gives the clients that wait for the lab time to read why it did not come up.
func (l *lab) leave(control *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	_ = control.Shutdown(ctx) // a client that has not read by then sees the connection end
}

const leaveTime = time.Second

// keep runs something that must run as long as the lab: if serve returns, the lab ends.
func (l *lab) keep(ctx context.Context, name string, serve func() error) {
	go func() {
		err := serve()
		if ctx.Err() == nil {
			l.end(fmt.Errorf("%s has ended: %w", name, errors.Join(err, os.ErrClosed)))
		}
	}()
}
