package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

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
	contexts            []string // all that the command line names
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

// run runs playbooks. The caller prints the error that it returns; a run whose errors
// are printed already ends in an [exitCodeError].
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
