package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
)

func newUp() *cobra.Command {
	c := &cobra.Command{
		Use:   "up",
		Short: "Start the lab, and return when a pod with a sidecar would be injected and served",
		Args:  noArgs,
		RunE: after(ownHosts, func(c *cobra.Command, i *instance, hosts []byte) error {
			return up(c.Context(), i, hosts, c.OutOrStdout())
		}),
	}
	addInternet(c)
	return c
}

func up(ctx context.Context, i *instance, hosts []byte, out io.Writer) error {
	began := time.Now()
	if err := checkMachine(ctx, i, out); err != nil {
		return err
	}
	i.removeKilled(ctx, out)
	s, err := i.start(ctx, hosts)
	if err != nil {
		return err
	}
	if s == nil {
		return await(ctx, i, hosts, out)
	}
	if err := cluster.Dial(i.folder).Follow(ctx, newProgress(out).show); err != nil {
		if ctx.Err() == nil {
			if errors.Is(err, cluster.ErrEnded) {
				err = fmt.Errorf("%w: %w", err, s.end())
			}
			return errors.Join(i.explain(err), s.kill())
		}
		// Nobody needs the logs of a lab that was interrupted.
		killErr := s.kill()
		_, stopErr := i.stop(context.WithoutCancel(ctx))
		return errors.Join(fmt.Errorf("%w: lab %s was taken down again", context.Cause(ctx), i.name), killErr, stopErr)
	}
	if err := s.letGo(); err != nil {
		return errors.Join(err, s.kill())
	}
	fmt.Fprintf(out, "lab %s is ready after %.1fs\n", i.name, time.Since(began).Seconds())
	i.hint(out)
	return nil
}

// await waits until a lab that someone else has started is ready.
func await(ctx context.Context, i *instance, hosts []byte, out io.Writer) error {
	in, err := i.mustRun()
	if err != nil {
		return err
	}
	if err := errors.Join(i.refuseOther(in), i.refuseOtherHosts(hosts)); err != nil {
		return err
	}
	if err := cluster.Dial(i.folder).Follow(ctx, func(cluster.Event) {}); err != nil {
		return err
	}
	fmt.Fprintf(out, "lab %s is running\n", i.name)
	i.hint(out)
	return nil
}

// refuseOther returns an error if the running lab is of another version.
func (i *instance) refuseOther(in *info) error {
	if in.Version == version {
		return nil
	}
	return fmt.Errorf("lab %s was started by version %s and this is version %s: take it down with `egressplay lab down%s`, then start it again", i.name, in.Version, version, i.flag())
}

// hint prints what the user can do with the lab.
func (i *instance) hint(out io.Writer) {
	if i.name == defaultName {
		fmt.Fprintln(out, "  egressplay run tls-origination")
	}
	fmt.Fprintf(out, "  egressplay lab kubectl%s get pods -A\n", i.flag())
	fmt.Fprintf(out, "  export KUBECONFIG=%s\n", plain(i.folder.Kubeconfig()))
}

// explain adds to the error of a start where to look for the cause.
func (i *instance) explain(err error) error {
	hint := ""
	if strings.Contains(err.Error(), "inotify") { // programs report it as too many open files
		hint = "\nhint: a lab has about 20 inotify instances, which all programs of a user share: sysctl -w fs.inotify.max_user_instances=512"
	}
	return fmt.Errorf("lab %s did not come up: %w\nlogs: %s%s", i.name, err, i.folder.Logs(), hint)
}
