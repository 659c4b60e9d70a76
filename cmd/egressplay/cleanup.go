package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

func newCleanup() *cobra.Command {
	var o runOptions
	var all, list bool
	cmd := &cobra.Command{
		Use:   "cleanup RUN... | --all | --list",
		Short: "Put back what earlier runs left changed",
		Long: `Puts back what runs left that were killed, could not put back everything, or were
told to --keep it. What somebody else has changed since then stays as it is.

A run is named by its ID, which --list shows. What a run changed is noted in the
cluster, so that it can be put back from any machine.

The exit code is 0 when all is as it was, 2 for bad usage, 3 when it could not be
tried, 4 when something could not be put back.`,
		Example: `  egressplay cleanup --list
  egressplay cleanup --all
  egressplay cleanup 7k2m4x9qpa --context kind-kind`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case all && list, (all || list) && len(args) > 0:
				return usagef("name runs, or --all, or --list", "only one of these can be meant")
			case !all && !list && len(args) == 0:
				return usagef(`"egressplay cleanup --list" shows the runs that left something, --all means them all`, "name a run")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := placeFromEnv(cmd, &o); err != nil {
				return err
			}
			return cleanup(cmd.Context(), &o, args, list)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "put back what all runs left that have ended")
	f.BoolVar(&list, "list", false, "list the runs that left something, or still go on")
	addPlace(cmd, &o)
	addContext(cmd, &o)
	f.BoolVar(&o.allowMeshChanges, "allow-mesh-changes", false, "put back also what is outside of the namespace in which it was noted")
	f.StringVar(&o.color, "color", "auto", "use colours: auto, always or never")
	return cmd
}

// cleanup lists or puts back what runs left; without names those of all runs that
// have ended.
func cleanup(ctx context.Context, o *runOptions, names []string, list bool) error {
	look, err := terminalOptions(o.color, os.Stdout)
	if err != nil {
		return err
	}
	term := transcript.New(os.Stdout, look)
	defer term.Close()
	s := &session{o: o, term: term, standing: true}
	ctx, _, release := untilSignal(ctx,
		func() { term.Note("\ninterrupted: what has been begun is put back (once more quits at once)") },
		func(signal int) { os.Exit(exitSignal + signal) })
	defer release()
	p, err := s.connect(ctx)
	if err != nil {
		return err
	}
	found, err := leavings(ctx, p, cmp.Or(o.namespace, p.client.Namespace()))
	if err != nil {
		return err
	}
	term.Wait("")
	if list {
		return listLeavings(os.Stdout, found)
	}
	chosen, err := choose(found, names)
	if err != nil {
		return err
	}
	left := false
	var refused error
	var done []leaving
	for _, l := range chosen {
		if ctx.Err() != nil {
			break
		}
		if err := l.may(p, o, found, done); err != nil {
			if len(chosen) > 1 { // which does not concern the others
				term.Note("run " + l.Run.ID + " is left as it is: " + err.Error())
			}
			refused = cmp.Or(refused, err)
			continue
		}
		complete, err := s.putBack(ctx, p, l)
		if err != nil {
			return err
		}
		done = append(done, l)
		left = left || !complete
	}
	switch {
	case ctx.Err() != nil:
		return exitCodeError(exitSignal + signalOf(ctx))
	case refused != nil:
		return refused
	case left:
		return exitCodeError(exitLeft)
	case len(chosen) == 0:
		term.Note("nothing is left of earlier runs")
	}
	return nil
}

// choose returns the leavings that are meant.
func choose(found []leaving, names []string) (chosen []leaving, err error) {
	for _, l := range found {
		switch named := slices.Contains(names, l.Run.ID); {
		case len(names) > 0 && !named:
		case l.alive && named:
			return nil, &hinted{fmt.Errorf("%s", l.describe()), "stop it first: it puts back itself what it has changed"}
		case !l.alive:
			chosen = append(chosen, l)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(chosen, func(l leaving) bool { return l.Run.ID == name }) {
			return nil, usagef(`"egressplay cleanup --list" shows those that there are`, "no run %q has left anything here", name)
		}
	}
	return chosen, nil
}

// may returns an error where what a run left must not be put back as it is noted:
// a note is only as good as whoever may write in its namespace, and a newer run
// may have changed the same objects.
func (l leaving) may(p *place, o *runOptions, found, done []leaving) error {
	if len(l.Unread) > 0 {
		return fmt.Errorf("run %s: %s", l.Run.ID, strings.Join(l.Unread, "; "))
	}
	for _, c := range l.Changes {
		if !p.target.Lab && !o.allowMeshChanges && l.Namespace != "" && c.Ref.Namespace != l.Namespace {
			return usagef("look at it, and if it is what the run has changed, say so: --allow-mesh-changes",
				"run %s, noted in namespace %s, is said to have changed %s outside of it", l.Run.ID, l.Namespace, where(c.Ref))
		}
		for _, newer := range found {
			isDone := slices.ContainsFunc(done, func(d leaving) bool { return d.Run.ID == newer.Run.ID })
			if newer.Run.ID == l.Run.ID || isDone || !newer.Run.Started.After(l.Run.Started) {
				continue
			}
			if slices.ContainsFunc(newer.Changes, func(n *changes.Change) bool { return n.Ref == c.Ref }) {
				return usagef("put that back first: egressplay cleanup "+newer.Run.ID, "run %s has changed %s after run %s", newer.Run.ID, where(c.Ref), l.Run.ID)
			}
		}
	}
	return nil
}

// where names an object with its namespace.
func where(ref cluster.Ref) string {
	if ref.Namespace == "" {
		return ref.String()
	}
	return ref.String() + " in namespace " + ref.Namespace
}

// putBack puts back what one run left.
func (s *session) putBack(ctx context.Context, p *place, l leaving) (complete bool, err error) {
	s.term.Note(l.describe() + ":")
	run := changes.Run{ID: changes.New(p.client).Run, Holder: changes.Holder(), Process: changes.Process(), Started: time.Now()}
	leases := &changes.Leases{
		Cluster: p.client, Run: run, IstioNamespace: s.o.istioNamespace,
		Watching: func(by *changes.HeldError) { s.term.Note(watching(by)) },
	}
	defer leases.Release(context.WithoutCancel(ctx))
	for _, c := range l.Changes {
		if err := leases.Take(ctx, changes.Place(c.Ref)); err != nil {
			return false, err
		}
	}
	// Another cleanup may have been at it until now.
	found, err := leavings(ctx, p, cmp.Or(s.o.namespace, p.client.Namespace()))
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(found, func(now leaving) bool { return now.Run.ID == l.Run.ID && now.Namespace == l.Namespace })
	if i < 0 {
		s.term.Note("it has been put back meanwhile")
		return true, nil
	}
	j := found[i].Journal(p.client)
	j.Held = leases.Held
	r := &runner.Runner{Sink: s.term, UndoTimeout: undoTimeout}
	left := r.PutBack(ctx, j, nil)
	return len(left) == 0, nil
}

// byRun returns leavings with those of one run as one: a run may have notes in
// several namespaces.
func byRun(found []leaving) (all []leaving) {
	for _, l := range found {
		i := slices.IndexFunc(all, func(other leaving) bool { return other.Run.ID == l.Run.ID })
		if i < 0 {
			all = append(all, l)
			continue
		}
		both := *all[i].Kept
		both.Changes = slices.Concat(both.Changes, l.Changes)
		slices.SortStableFunc(both.Changes, func(a, b *changes.Change) int { return a.Number - b.Number })
		all[i] = leaving{&both, all[i].alive || l.alive}
	}
	return all
}

// listLeavings prints the runs that left something, a line for each.
func listLeavings(out io.Writer, found []leaving) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "nothing is left of earlier runs")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tOF\tSTARTED\tSTATE\tCHANGED")
	for _, l := range byRun(found) {
		state := "ended"
		if l.alive {
			state = "goes on"
		}
		var what []string
		for _, c := range slices.Backward(l.Changes) {
			place := ""
			if c.Ref.Namespace != "" {
				place = " in " + c.Ref.Namespace
			}
			what = append(what, runner.Plain(c.What)+place)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Run.ID, runner.Plain(l.Run.Holder), ago(l.Run.Started), state, strings.Join(what, ", "))
	}
	return w.Flush()
}
