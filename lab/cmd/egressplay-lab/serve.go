package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
)

func newServe() *cobra.Command {
	c := &cobra.Command{
		Use:    "serve",
		Short:  "Start the lab for a program, and keep it until stdin ends",
		Hidden: true,
		Args:   noArgs,
		RunE: after(ownHosts, func(c *cobra.Command, i *instance, hosts []byte) error {
			return serve(c.Context(), i, hosts, os.Stdin, c.OutOrStdout())
		}),
	}
	addInternet(c)
	return c
}

// errStdin is the reason for the end of a served lab that nobody needs any more.
var errStdin = errors.New("stdin has ended")

// serve starts a lab and takes it down when stdin or ctx ends. It prints each event as
// a line of JSON. It returns an error if the lab runs already, or ends by itself.
func serve(ctx context.Context, i *instance, hosts []byte, stdin io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, err := io.Copy(io.Discard, stdin)
		cancel(errors.Join(errStdin, err))
	}()
	if err := checkMachine(ctx, i, os.Stderr); err != nil {
		return err
	}
	i.removeKilled(ctx, os.Stderr)
	s, err := i.start(ctx, hosts)
	if err != nil {
		return err
	}
	if s == nil {
		return fmt.Errorf("lab %s is running already: use it, or take another name", i.name)
	}
	if err := s.follow(ctx, out); err != nil {
		return errors.Join(err, s.kill()) // the logs stay
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), downTimeout)
	defer stop()
	_, err = i.stop(ctx)
	return errors.Join(err, s.kill())
}

// follow prints the events until the lab or ctx ends. It returns an error only for the
// end of the lab.
func (s *started) follow(ctx context.Context, out io.Writer) error {
	encoder := json.NewEncoder(out)
	// A reader that is gone needs no events.
	if err := cluster.Dial(s.folder).Follow(ctx, func(e cluster.Event) { _ = encoder.Encode(e) }); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return s.explain(err)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.gone:
		return fmt.Errorf("lab %s has ended by itself: %w\nlog: %s", s.name, s.cause, s.folder.Log(labLog))
	}
}
