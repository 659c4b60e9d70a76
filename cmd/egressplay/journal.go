package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// changesOf returns the journal of a run in a cluster, and what gives back the
// places that the run takes. In a lab that ends with the run nobody else changes
// anything, and nothing has to be kept.
func (s *session) changesOf(p *place, r *runner.Runner, cancel context.CancelCauseFunc) (j *changes.Journal, release func(context.Context)) {
	j = changes.New(p.client)
	if !p.target.Lab && !s.o.allowMeshChanges {
		guard := s.guard(p)
		guard.Made = j.Made
		j.Allow = guard.Allow
	}
	if s.lab.Load() != nil {
		return j, func(context.Context) {}
	}
	run := changes.Run{ID: j.Run, Holder: changes.Holder(), Process: changes.Process(), Started: time.Now()}
	leases := &changes.Leases{
		Cluster: p.client, Run: run, IstioNamespace: s.o.istioNamespace, WaitFor: s.o.waitFor,
		Lost:     func(err error) { cancel(err) },
		Watching: func(by *changes.HeldError) { r.Note(watching(by)) },
		Note: func(why error) {
			if slices.ContainsFunc(r.Notes, func(note string) bool { return strings.HasSuffix(note, withoutLease) }) {
				return // told already
			}
			r.Note("no Lease may be made here, so that " + withoutLease + ": " + why.Error())
		},
	}
	j.Take, j.Held = leases.Take, leases.Held
	secrets := &changes.Spread{Home: r.Namespace, In: func(namespace string) changes.Store {
		return &changes.Secrets{Cluster: p.client, Namespace: namespace, Run: run}
	}}
	j.Store = secrets
	if folder, err := journalFolder(); err == nil {
		file := &changes.File{Path: filepath.Join(folder, run.ID+".json"), Run: run, Server: p.client.Server()}
		j.Store = &changes.Either{First: secrets, Second: file, Instead: func(why error) {
			r.Note(fmt.Sprintf("what the run changes is kept in %s, since it cannot be kept in the cluster: %v", file.Path, why))
		}}
	}
	return j, leases.Release
}

// journalFolder is where the changes of runs are kept that cannot be kept in
// their cluster.
func journalFolder() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "egressplay", "runs"), nil
}

// A leaving is what a run has left, and whether the run still goes on.
type leaving struct {
	*changes.Kept
	alive bool
}

// leavings returns what runs have left of a cluster's changes, the newest first:
// in the cluster as far as we may look, and on this machine.
func leavings(ctx context.Context, p *place, namespace string) ([]leaving, error) {
	where := ""
	kept, err := changes.Find(ctx, p.client, where)
	if apierrors.IsForbidden(err) {
		where = namespace
		kept, err = changes.Find(ctx, p.client, where)
	}
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, err
	}
	if folder, err := journalFolder(); err == nil {
		files, err := changes.FindFiles(folder, p.client.Server())
		if err != nil {
			return nil, err
		}
		kept = append(kept, files...)
		slices.SortStableFunc(kept, func(a, b *changes.Kept) int { return b.Run.Started.Compare(a.Run.Started) })
	}
	alive, err := changes.Alive(ctx, p.client, where, kept)
	if err != nil {
		return nil, err
	}
	all := make([]leaving, len(kept))
	for i, k := range kept {
		all[i] = leaving{k, alive[i]}
	}
	return all, nil
}

// describe says whose leavings these are.
func (l leaving) describe() string {
	text := fmt.Sprintf("run %s of %s, %s", l.Run.ID, l.Run.Holder, ago(l.Run.Started))
	if l.alive {
		text += ", which still goes on"
	}
	return text
}

// ago returns how long ago something was.
func ago(t time.Time) string {
	switch d := time.Since(t); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// leftBefore returns what a reader is to know of runs that ended without putting
// back what they had changed. It is no reason not to run.
func leftBefore(ctx context.Context, p *place, namespace string) (notes []string) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	all, err := leavings(ctx, p, namespace)
	if err != nil {
		return []string{fmt.Sprintf("it could not be seen whether earlier runs have left something: %v", err)}
	}
	for _, l := range byRun(all) {
		if !l.alive {
			notes = append(notes, fmt.Sprintf("%s has left %s here; to put it back: %s", l.describe(), transcript.Count(len(l.Changes), "change", "changes"), asCalled("egressplay cleanup "+l.Run.ID)))
		}
	}
	return notes
}

// watching returns why a run does not begin at once where another seems to be gone.
func watching(by *changes.HeldError) string {
	return fmt.Sprintf("run %s of %s holds %s and seems to be gone; it is watched for 30 s to be certain", by.Run, by.Holder, by.Place)
}

// howToPutBack returns how what is left is put back later, where that can be.
func (s *session) howToPutBack(j *changes.Journal) string {
	if j == nil || j.Store == nil || len(j.Open()) == 0 {
		return ""
	}
	return asCalled("to put it back later: egressplay cleanup " + s.where() + j.Run)
}

// keep has the store keep what a run leaves, and says how it is put back later.
func (s *session) keep(ctx context.Context, j *changes.Journal) error {
	if j.Store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if len(j.Open()) == 0 { // what was made and deleted again has notes as well
		return j.Undo(ctx, nil, 0, func(changes.Undone) {})
	}
	if err := j.Save(ctx); err != nil {
		return errors.Join(errors.New("what is left cannot be put back later: it could not be kept what was changed"), err)
	}
	s.term.Note(s.howToPutBack(j))
	return nil
}

// where returns the flags that name the cluster of the run, with a blank behind.
func (s *session) where() (flags string) {
	if s.o.kubeconfig != "" {
		flags += "--kubeconfig " + s.o.kubeconfig + " "
	}
	if s.o.context != "" {
		flags += "--context " + s.o.context + " "
	}
	return flags
}
