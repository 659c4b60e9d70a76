package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/explain"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// undoTimeout bounds how long it may take to put back one change.
const undoTimeout = time.Minute

// runOptions are the flags of run.
type runOptions struct {
	all                 bool
	context, kubeconfig string
	contexts            []string // all that run is told to use
	labName             string
	parts               parts
	stdin               func() ([]byte, error)
	allowMeshChanges    bool
	namespace           string
	istioNamespace      string
	revision            string
	set, setSecret      []string
	secrets             *redact.Redactor // what no text may have in it
	keep, step          bool
	pauseOnFailure      bool
	waitFor             time.Duration
	dryRun              string
	internet            string
	timeout             time.Duration
	report              []string
	verbose, quiet      bool
	slowest             int
	strict              bool
	repeat              int
	color               string
	pages               pageFlags
	toStderr            bool // the transcript: stdout is for something else
}

func newRun() *cobra.Command { return newRunWith(new(runOptions)) }

// newRunWith returns the verb run, whose flags are these options.
func newRunWith(o *runOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run PLAYBOOK...",
		Short: "Run playbooks",
		Long: `Runs playbooks one after the other and prints what happens. A playbook is a file, a
folder of files, or the name of a built-in one; a file that exists wins; - is one
that comes by stdin. A file may be a tutorial in Markdown, PAGE.md: its commands become
steps, and what it shows is expected.

Of one playbook a part can be run: --only, --from and --until take a step by its id,
its number or words of its title. Steps before those that are run are left out where
they only look; what changes something or sets a variable runs, and is marked.

It runs in the lab: the running one, the one that --lab names, or one that is started
for the run and gone afterwards. A cluster of your own is named by --context, by --kubeconfig or by
EGRESSPLAY_CONTEXT or EGRESSPLAY_KUBECONFIG. With several --context the playbooks run in
each cluster, one after the other. All of them are asked first whether they can be run
there; what goes wrong in one does not keep them from running in the next.

Whatever a playbook changes is put back when it ends, also after Ctrl-C; a second
Ctrl-C quits at once.

The exit code is 0 when every playbook passed, 1 when an expectation did not hold,
2 for bad usage or a bad playbook, 3 when it could not be run or everything was
skipped, 4 when something could not be put back, 128 and the number of the signal
that interrupted it, which is 130 for Ctrl-C. A run in several clusters has the code of
the cluster in which it ended worst.`,
		Example: `  egressplay run tls-origination
  egressplay run --all --report junit=report.xml --report html=report.html
  egressplay run tls-origination --from "An HTTP request" -v
  egressplay run --topic 3 --quiet
  egressplay run mine.yaml --context kind-kind --allow-mesh-changes
  egressplay run mine.yaml --context old-mesh --context new-mesh`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.all && len(args) > 0 {
				return usagef("leave out --all, or the names", "--all runs every built-in playbook, and %q names one", args[0])
			}
			if o.all || o.parts.playbooksChosen() {
				return nil
			}
			return atLeastOne("a playbook", `"egressplay list" shows the built-in ones, --all runs them`)(cmd, args)
		},
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := placeFromEnv(cmd, o); err != nil {
				return err
			}
			o.stdin = sync.OnceValues(readStdin)
			if o.all || len(args) == 0 {
				args = append(args, builtins()...)
			}
			return run(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "run every built-in playbook")
	addParts(cmd, &o.parts)
	addPlace(cmd, o)
	f.StringArrayVar(&o.contexts, "context", nil, "the cluster of this `CONTEXT` of your kubeconfig; may be repeated, for one cluster after the other")
	register(cmd, "context", completeContexts)
	f.BoolVar(&o.allowMeshChanges, "allow-mesh-changes", false, "let playbooks change what holds for a whole mesh or cluster that is no lab's")
	f.DurationVar(&o.waitFor, "wait-for", 0, "how long to wait for another run that is changing the same namespace")
	f.StringVar(&o.revision, "revision", "", "istiod's revision")
	addSet(cmd, &o.set, &o.setSecret)
	f.StringVar(&o.internet, "internet", "", "bring the hosts of this `FILE` into the lab's internet while the run lasts")
	f.BoolVar(&o.keep, "keep", false, "leave what the playbooks changed, and say what is left")
	f.StringVar(&o.dryRun, "dry-run", "", "change nothing: `client` prints what would be done, server has the API server judge each change")
	f.BoolVar(&o.step, "step", false, "show each step before it runs, and wait for a key: ? lists them")
	f.BoolVar(&o.pauseOnFailure, "pause-on-failure", false, "wait at a step that does not pass, with the cluster as it is; --step does that too")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long each playbook may take, 0 for no limit")
	f.StringArrayVar(&o.report, "report", nil, "also write a report, `FORMAT=PATH`, - for stdout; may be repeated; formats: "+strings.Join(transcript.FormatNames(), ", "))
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show each command and its output in full")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show only what did not pass, and the summary")
	f.BoolVar(&o.strict, "strict", false, "treat a claim that cannot be checked in this cluster as an error")
	f.IntVar(&o.repeat, "repeat", 1, "run the playbooks `N` times, and say which steps ended differently")
	f.IntVar(&o.slowest, "slowest", 0, "list the `N` slowest steps at the end, and what each waited for")
	addPages(cmd, &o.pages)
	f.StringVar(&o.color, "color", "auto", "use colours: auto, always or never")
	register(cmd, "color", fixed("auto", "always", "never"))
	register(cmd, "dry-run", fixed("client", "server"))
	register(cmd, "report", completeFormats)
	return cmd
}

// builtins returns the arguments that name every built-in playbook.
func builtins() (args []string) {
	for _, p := range playbooks.List() {
		args = append(args, p.File)
	}
	return args
}

// run runs playbooks. What it returns is told by the caller; a run that has been
// told already ends in an [exitCodeError].
func run(ctx context.Context, o *runOptions, args []string) error {
	if o.timeout < 0 {
		return usagef("0 sets no limit", "--timeout %v is less than nothing", o.timeout)
	}
	if o.dryRun != "" && o.dryRun != "client" && o.dryRun != "server" {
		return usagef("client prints what would be done, server has the API server judge each change", "--dry-run %q: want client or server", o.dryRun)
	}
	if (o.step || o.pauseOnFailure) && slices.Contains(args, "-") {
		return usagef("write the playbook to a file", "--step and --pause-on-failure read keys from stdin, and so does the playbook -")
	}
	if o.repeat < 1 {
		return usagef("1 runs them once", "--repeat %d runs nothing", o.repeat)
	}
	if o.slowest < 0 {
		return usagef("0 lists none", "--slowest %d is less than nothing", o.slowest)
	}
	reports, err := readReports(o.report)
	if err != nil {
		return err
	}
	if o.dryRun != "" && len(o.report) > 0 {
		return usagef("leave out one of them", "--dry-run runs nothing, so that there is nothing for --report")
	}
	tty := os.Stdout
	if reports.toStdout() || o.toStderr {
		tty = os.Stderr
	}
	look, err := terminalOptions(o.color, tty)
	if err != nil {
		return err
	}
	if o.quiet && o.verbose {
		return usagef("leave out one of them", "--quiet and --verbose cannot both be meant")
	}
	look.Verbose, look.Texts, look.Quiet, look.Slowest = o.verbose, o.step, o.quiet, o.slowest

	hosts, err := readHostsFile(o.internet)
	if err != nil {
		return err
	}
	if o.setSecret, o.secrets, err = readSecrets(o.setSecret); err != nil {
		return err
	}
	list, err := load(o, args, "default")
	o.pages.writeNotes(os.Stderr)
	if err == nil {
		err = checkHosts(ctx, append(ownHosts(list), hosts)...)
	}
	if err != nil {
		return reports.unread(ctx, o, args, err)
	}
	if o.dryRun == "client" {
		return (&session{o: o, playbooks: list}).planned(ctx, os.Stdout, nil)
	}
	reports.plan(list, o)
	if err := reports.open(); err != nil {
		if isFull(err) {
			return err
		}
		return usagef("name a file in a folder that exists and can be written to", "%v", err)
	}

	outliveReaders()
	stderr := newOutput(os.Stderr)
	stdout := stderr
	if tty == os.Stdout {
		stdout = newOutput(tty)
	}
	if reports.github != nil {
		fmt.Fprint(stdout, reports.github.mute())
	}
	s := &session{
		o: o, args: args, playbooks: list, hosts: hosts, term: transcript.New(stdout, look), reports: reports,
		stdout: stdout, stderr: stderr,
	}
	ctx, cancel, release := untilSignal(ctx,
		func() { s.note("\ninterrupted: cleaning up (once more quits at once)") },
		s.quit)
	defer release()
	out := s.play(ctx, cancel)
	s.close(ctx, &out)
	if code := exitCode(out); code != exitPassed {
		return exitCodeError(code)
	}
	return nil
}

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

// addPlace adds the flags that say in which cluster, and where in it, but --context: see
// [addContext].
func addPlace(cmd *cobra.Command, o *runOptions) {
	f := cmd.Flags()
	f.StringVar(&o.labName, "lab", "", "the running lab with this `NAME`")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the cluster of this kubeconfig `FILE`, at its current context if --context names none")
	f.StringVarP(&o.namespace, "namespace", "n", "", "where the playbooks' objects are (default that of the context)")
	f.StringVar(&o.istioNamespace, "istio-namespace", "istio-system", "where istiod is")
}

// addContext adds the flag that names the one context of a cluster.
func addContext(cmd *cobra.Command, o *runOptions) {
	cmd.Flags().Var(&oneContext{value: &o.context}, "context", "the cluster of this `CONTEXT` of your kubeconfig")
	register(cmd, "context", completeContexts)
}

// A oneContext is the value of a flag that is given once at most.
type oneContext struct {
	value *string
	given bool
}

// Set implements [pflag.Value].
func (c *oneContext) Set(name string) error {
	if c.given {
		return errors.New("only run takes several contexts")
	}
	*c.value, c.given = name, true
	return nil
}

func (c *oneContext) String() string { return *c.value }

// Type implements [pflag.Value].
func (c *oneContext) Type() string { return "string" }

// placeFromEnv takes from the environment what the flags do not say.
func placeFromEnv(cmd *cobra.Command, o *runOptions) error {
	cluster := cmd.Flags().Changed("context") || cmd.Flags().Changed("kubeconfig")
	if o.labName != "" && cluster {
		return usagef("leave out --lab, or the others", "--lab names a lab, and --context or --kubeconfig another cluster")
	}
	if o.labName == "" && !cluster {
		o.labName = os.Getenv("EGRESSPLAY_LAB")
	}
	if o.labName != "" {
		return nil
	}
	if !cmd.Flags().Changed("context") {
		o.context = os.Getenv("EGRESSPLAY_CONTEXT")
	}
	if !cmd.Flags().Changed("kubeconfig") {
		o.kubeconfig = os.Getenv("EGRESSPLAY_KUBECONFIG")
	}
	return o.chooseContext()
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

// wait says what is being waited for.
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

// load loads playbooks whose objects are in this namespace where no flag names
// another.
func load(o *runOptions, args []string, namespace string) ([]*runner.Playbook, error) {
	if o.namespace != "" {
		namespace = o.namespace
	}
	list, err := playbooks.Load(args, playbooks.Options{
		Namespace: namespace, IstioNamespace: o.istioNamespace, Set: o.set, SetSecret: o.setSecret, Stdin: o.stdin, Readers: o.pages.readers(slices.Concat(o.set, o.setSecret)...),
	})
	if err != nil {
		return nil, err
	}
	return o.parts.choose(list)
}
