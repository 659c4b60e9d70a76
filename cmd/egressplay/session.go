package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/explain"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// A session is one run, from the choice of the cluster to its end.
type session struct {
	o         *runOptions
	args      []string
	playbooks []*runner.Playbook
	hosts     *hostsFile // for the whole run, nil for none
	term      *transcript.Terminal
	reports   *reports
	stdout    *output                // takes the transcript
	stderr    *output                // may be the same one
	lab       atomic.Pointer[ownLab] // the lab that was started for the run, if one was
	standing  bool                   // no lab is to be started
	journal   atomic.Pointer[changes.Journal]
	part      atomic.Pointer[session] // the one whose cluster it is at, itself where there is one
}

// play runs the playbooks where they are to be run: in one cluster, or in several, one
// after the other.
func (s *session) play(ctx context.Context, cancel context.CancelCauseFunc) (out outcome) {
	all, err := s.stages(ctx)
	defer func() {
		for _, st := range all {
			out.left = !st.leave(ctx) || out.left
		}
	}()
	if err == nil && s.o.dryRun == "server" {
		err := s.judged(ctx, all)
		return outcome{signal: signalOf(ctx), err: err, summary: runner.Summary{Passed: len(s.playbooks)}}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		s.reports.fail(err, s.o.secrets)
		return outcome{signal: signalOf(ctx), err: err}
	}
	now := all[0]
	var pause func(context.Context, runner.Paused) (runner.Decision, error)
	if s.o.step || s.o.pauseOnFailure {
		shell := func(ctx context.Context) error { return now.session.shell(ctx, now.place, now.namespace()) }
		pause = pauses(os.Stdin, s.term, shell, cancel)
	}
	for i, sink := range s.sinks(all) {
		now = all[i]
		s.part.Store(now.session)
		part := now.perform(ctx, sink, pause)
		if len(all) > 1 {
			part = part.in(now.session.o.context)
		}
		if i > 0 {
			part = out.and(part)
		}
		out = part
	}
	if skipped := s.o.pages.skipped(); skipped != "" {
		s.note(skipped)
	}
	return out
}

// perform runs the playbooks in a cluster. What ends the run there, such as a Lease that
// is lost, does not end it elsewhere.
func (st *stage) perform(ctx context.Context, sink runner.Sink, pause func(context.Context, runner.Paused) (runner.Decision, error)) outcome {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, o, p := st.session, st.session.o, st.place
	m := &mesh.Mesh{
		Cluster: p.client, Namespace: o.istioNamespace, Revision: o.revision,
		Workloads: st.namespace(),
	}
	defer m.Close()
	r := &runner.Runner{
		Cluster:        p.client,
		Target:         p.target,
		Sink:           sink,
		Secrets:        o.secrets,
		Namespace:      m.Workloads,
		IstioNamespace: o.istioNamespace,
		Revision:       o.revision,
		Timeout:        o.timeout,
		UndoTimeout:    undoTimeout,
		Keep:           o.keep,
		Strict:         o.strict,
		Repeat:         o.repeat,
		Require:        m.Missing,
		Collectors:     []runner.Collector{&mesh.Witness{Mesh: m}, p},
		Settler:        &mesh.Sync{Mesh: m},
		Pause:          pause,
		StepByStep:     o.step,
	}
	if p.lab != "" {
		m.Istioctl, r.Analyze = true, p.analyze
		r.Internet = func(ctx context.Context, playbook *runner.Playbook) (func(context.Context) error, error) {
			return p.hold(ctx, &hostsFile{playbook.File, playbook.Internet})
		}
	}
	witness := &mesh.Witness{Mesh: m}
	r.Explain = (&explain.Explainer{Cluster: p.client, Look: witness.Look, Config: m.Ask}).Explain
	var release func(context.Context)
	r.Changes, release = s.changesOf(p, r, cancel)
	s.journal.Store(r.Changes)
	r.Notes = st.notes
	if r.Changes.Store != nil && ctx.Err() == nil {
		r.Notes = append(r.Notes, leftBefore(ctx, p, r.Namespace)...)
	}
	result := r.Run(ctx, s.playbooks)
	s.giveBack(ctx, release)
	out := outcome{summary: result.Summary, left: len(result.Left) > 0}
	if o.keep {
		out.err = s.keep(ctx, r.Changes)
	}
	if lost, ok := errors.AsType[*changes.LostError](context.Cause(ctx)); ok {
		out.err = errors.Join(out.err, lost)
	}
	if how := s.howToPutBack(r.Changes); out.left && how != "" {
		s.note(how)
	}
	if result.Interrupted {
		out.signal = signalOf(ctx)
	}
	return out
}

// allow returns an error where a playbook would change what it may not.
func (s *session) allow(p *place) error {
	if p.target.Lab || s.o.allowMeshChanges {
		return nil
	}
	guard := s.guard(p)
	for _, playbook := range s.playbooks {
		var earlier []changes.Target
		for i := range playbook.Steps {
			step := &playbook.Steps[i]
			for _, t := range step.Targets {
				if why := guard.Why(t, earlier); why != "" {
					return usagef("it is put back at the end, but until then others feel it\n"+
						"if that is all right, say so: --allow-mesh-changes\n"+
						"or run it in the lab: leave out --context and --kubeconfig",
						"%s:%d: step %d changes %s in %s: %s", step.File, step.Line, step.Index, t.Ref, p.target.Describe, why)
				}
			}
			earlier = append(earlier, step.Targets...)
		}
	}
	return nil
}

// giveBack gives back the places that a run has taken.
func (s *session) giveBack(ctx context.Context, release func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	release(ctx)
}

// guard returns what tells changes of the run's own workloads from others.
func (s *session) guard(p *place) changes.Guard {
	return changes.Guard{
		Namespace: cmp.Or(s.o.namespace, p.client.Namespace()), IstioNamespace: s.o.istioNamespace, RootNamespace: p.rootNamespace,
	}
}

// readPause is how long a reader may pause who is waited for although a signal has
// ended the run.
const readPause = 2 * time.Second

// close ends what belongs to the session, however it ended, tells what went wrong,
// and completes the outcome. Only when everything is done that concerns others does
// it wait for whoever reads what was written.
func (s *session) close(ctx context.Context, out *outcome) {
	if lab := s.lab.Load(); lab != nil {
		s.wait("") // the time of what was waited for before is not this one's
		s.wait("taking the lab down")
		out.err = errors.Join(out.err, lab.stop())
	}
	out.err = errors.Join(out.err, s.reports.write(ctx, false))
	lost := false
	drained := func(o *output, err error) {
		err = errors.Join(err, o.drain(ctx.Done(), readPause))
		lost = lost || errors.Is(err, errNotRead)
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, errNotRead) { // a reader may go, as head does
			out.err = errors.Join(out.err, err)
		}
	}
	drained(s.stdout, s.term.Close())
	out.err = errors.Join(out.err, s.reports.write(ctx, true))
	if job := s.reports.github; job != nil {
		out.err = errors.Join(out.err, job.summarize(s.reports))
	}
	if out.err != nil {
		printError(s.stderr, safe(out.err, s.o.secrets))
	}
	drained(s.stderr, nil)
	if job := s.reports.github; job != nil {
		_, err := s.stdout.Write([]byte(job.annotations(s.reports)))
		drained(s.stdout, err)
	}
	if lost && out.signal == 0 {
		out.signal = signalOf(ctx)
	}
}

// note writes a line of ours among those of the run.
func (s *session) note(text string) { s.term.Note(s.o.secrets.Text(text)) }

// wait shows what is being waited for.
func (s *session) wait(text string) { s.term.Wait(s.o.secrets.Text(text)) }

// quit ends the program at once and says what that leaves. It waits for nobody
// who may be waiting for a terminal.
func (s *session) quit(signal int) {
	left, complete := s.reports.collected.Left()
	fmt.Fprintln(s.stderr, "\negressplay: interrupted again: quitting at once")
	switch {
	case s.lab.Load() != nil:
		fmt.Fprintln(s.stderr, "  what was changed goes with the lab")
	case !complete:
		fmt.Fprintln(s.stderr, "  what the playbook has changed so far is left in the cluster")
	case len(left) > 0:
		fmt.Fprintln(s.stderr, "  left as the playbook made it:")
		for _, what := range left {
			fmt.Fprintln(s.stderr, "    "+what)
		}
	}
	part := cmp.Or(s.part.Load(), s)
	if how := part.howToPutBack(part.journal.Load()); how != "" && s.lab.Load() == nil {
		fmt.Fprintln(s.stderr, "  "+how)
	}
	now, done := context.WithCancel(context.Background())
	done()
	if err := s.reports.write(now, false); err != nil { // a stream that nobody reads takes nothing
		printError(s.stderr, err)
	}
	_ = s.stderr.drain(now.Done(), readPause) // then nobody reads it
	os.Exit(exitSignal + signal)
}
