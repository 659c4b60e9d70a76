package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/explain"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/steps"
	"github.com/egressplay/egressplay/transcript"
)

func newWhy() *cobra.Command {
	var o runOptions
	var container, output string
	cmd := &cobra.Command{
		Use:   "why POD -- curl ARGUMENTS...",
		Short: "Make a request from a pod, show the way that it takes, and explain it if it fails",
		Long: `Makes a request once, by curl in a pod of the cluster, and shows the way that it
took, proxy by proxy. Where it fails, it names the cause, as far as it is known: the
object, the field, and the next command. Nothing is changed in the cluster.

POD is a pod's name, or a workload such as deploy/sleep. By default it is in the
running lab.

The exit code is 0 when the server answered with less than 400, 1 when it did not,
2 for bad usage, 3 when the request could not be made.`,
		Example: `  egressplay why deploy/sleep -- curl -sI https://www.google.com
  egressplay why deploy/curl -n shop --context kind-kind -- curl -s http://edition.cnn.com/politics`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch at := cmd.ArgsLenAtDash(); {
			case at != 1 || len(args) < 2:
				return usagef("egressplay why deploy/sleep -- curl -sI https://www.google.com", "name a pod, and the curl behind --")
			case output != "" && output != "json":
				return usagef("-o json, or nothing", "%q is no form of output", output)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := placeFromEnv(cmd, &o); err != nil {
				return err
			}
			return why(cmd.Context(), &o, args[0], container, output, args[1:])
		},
	}
	addPlace(cmd, &o)
	addContext(cmd, &o)
	f := cmd.Flags()
	f.Lookup("namespace").Usage = "where the pod is (default that of the context)"
	f.StringVarP(&container, "container", "c", "", "the container in which curl is")
	f.StringVar(&o.revision, "revision", "", "istiod's revision")
	f.StringVarP(&output, "output", "o", "", "json: all that is known, as data")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show all evidence")
	f.StringVar(&o.color, "color", "auto", "use colours: auto, always or never")
	return cmd
}

// An answered request is what why expects: that something answers with less than
// 400.
type answered struct{}

// Needs implements [runner.Expectation].
func (answered) Needs() evidence.Needs {
	return evidence.Needs{Lines: true, Way: true, Arrivals: true, Curl: true}
}

// Judge implements [runner.Expectation].
func (answered) Judge(a *evidence.Attempt) evidence.Verdicts {
	v := evidence.Verdict{Outcome: evidence.Held, Want: "an answer with less than 400"}
	for i := range a.Transfers {
		t := &a.Transfers[i]
		switch {
		case t.ExitCode != 0:
			v.Outcome, v.Got = evidence.NotHeld, fmt.Sprintf("curl's exit code %d: %s", t.ExitCode, cmp.Or(explain.CurlExit(t.ExitCode), t.Error))
		case t.Status >= 400:
			v.Outcome, v.Got = evidence.NotHeld, fmt.Sprintf("status %d", t.Status)
		}
	}
	return evidence.Verdicts{v}
}

// why makes a request and explains it.
func why(ctx context.Context, o *runOptions, target, container, output string, argv []string) error {
	look, err := terminalOptions(o.color, os.Stdout)
	if err != nil {
		return err
	}
	look.Verbose = o.verbose
	o.secrets = redact.New()
	s := &session{o: o, term: transcript.New(os.Stdout, look), standing: true}
	defer s.term.Close()
	p, err := s.connect(ctx)
	if err != nil {
		return err
	}
	s.term.Wait("")
	namespace := cmp.Or(o.namespace, p.client.Namespace())
	m := &mesh.Mesh{Cluster: p.client, Namespace: o.istioNamespace, Revision: o.revision, Workloads: namespace}
	defer m.Close()
	witness := &mesh.Witness{Mesh: m}
	action := &steps.Exec{In: steps.Pod{Name: target}, Container: container, Namespace: namespace, Argv: steps.Words(argv)}
	step := runner.Step{
		StepInfo: runner.StepInfo{Index: 1, Title: "Why " + argv[len(argv)-1], Kind: "exec", File: "egressplay why", Line: 1}, Holds: 1,
		Bind: func(runner.Lookup) (runner.Action, []runner.Check, error) {
			return action, []runner.Check{{Key: "answer", Expectation: answered{}}}, nil
		},
	}
	made := &lastStep{next: s.term, quiet: output == "json"}
	r := &runner.Runner{
		Cluster: p.client, Sink: made, Secrets: o.secrets, Namespace: namespace, IstioNamespace: o.istioNamespace, Revision: o.revision,
		Collectors: []runner.Collector{witness, p}, UndoTimeout: undoTimeout,
		Explain: (&explain.Explainer{Cluster: p.client, Look: witness.Look, Config: m.Ask}).Explain,
	}
	r.Run(ctx, []*runner.Playbook{{Name: "why", Title: "why", File: "egressplay why", Steps: []runner.Step{step}}})
	e := made.event
	if output == "json" {
		text, err := json.MarshalIndent(map[string]any{
			"command": e.Command, "status": e.Status, "verdicts": e.Verdicts, "findings": e.Findings, "problem": e.Problem, "evidence": e.Evidence,
		}, "", "  ")
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	} else {
		s.term.Note("nothing was changed in the cluster")
	}
	switch e.Status {
	case runner.Passed:
		return nil
	case runner.Failed:
		return exitCodeError(exitFailed)
	}
	if e.Problem == nil {
		return errors.New("the request was not made")
	}
	return exitCodeError(exitError)
}

// A lastStep passes on the events of a step, and remembers the last one.
type lastStep struct {
	next  runner.Sink
	quiet bool
	event runner.Event
}

// Send implements [runner.Sink].
func (l *lastStep) Send(e runner.Event) {
	switch e.Kind {
	case runner.StepFinished:
		l.event = e
		fallthrough
	case runner.StepStarted, runner.Waiting, runner.Attempt:
		if !l.quiet {
			l.next.Send(e)
		}
	}
}
