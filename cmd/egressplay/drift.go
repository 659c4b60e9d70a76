package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/pages"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// ofRuns are the flags of run that drift and update have.
var ofRuns = []string{
	"allow-mesh-changes", "context", "istio-namespace", "kubeconfig", "lab", "namespace", "revision", "set", "set-secret", "skip-unmapped", "tab", "timeout", "with",
}

// A look is what drift and update know of a page's run.
type look struct {
	options runOptions
	run     *cobra.Command
	from    string // a report of it; "" where the page is to be run
}

// addTo adds the flags.
func (l *look) addTo(cmd *cobra.Command) {
	l.run = newRunWith(&l.options)
	for _, name := range ofRuns {
		cmd.Flags().AddFlag(l.run.Flags().Lookup(name))
	}
	cmd.Flags().StringVar(&l.from, "from", "", "take what the page's commands showed from this `FILE`, a report of run by --report json=FILE, rather than run the page")
}

// seen is what a report in JSON has of a run of pages.
type seen struct {
	Playbooks []struct {
		File, Status string
		Steps        []struct {
			Kind, File, Status, Output, Title string
			Line                              int
			ExitCode                          *int
			Error                             *string
			Verdicts                          []struct {
				At struct {
					File string
					Line int
				}
				What, Outcome, Want, Got, Why string
			}
		}
	}
}

// seen returns what a page's run showed.
func (l *look) seen(cmd *cobra.Command, page string) (*seen, error) {
	file := l.from
	if file == "" {
		dir, err := os.MkdirTemp("", "egressplay-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file = filepath.Join(dir, "report.json")
		l.options.report, l.options.toStderr = []string{"json=" + file}, true
		if l.options.several() != nil {
			return nil, usagef("name one", "%s runs a page in one cluster, and --context names %d", cmd.Name(), len(l.options.contexts))
		}
		l.run.SetContext(cmd.Context())
		// That some of the page does not hold is what is asked for.
		if err := l.run.RunE(l.run, []string{page}); err != nil && !errors.Is(err, exitCodeError(exitFailed)) {
			return nil, err
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("egressplay run PAGE.md --report json=FILE writes one", "%v", err)
	}
	var s seen
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, usagef("egressplay run PAGE.md --report json=FILE writes one", "%s is no report in JSON: %v", file, err)
	}
	kept := s.Playbooks[:0]
	for _, p := range s.Playbooks {
		if filepath.Clean(p.File) == filepath.Clean(page) {
			kept = append(kept, p)
		}
	}
	if s.Playbooks = kept; len(kept) == 0 {
		return nil, usagef("name the page as run was given it", "%s has no run of %s", file, page)
	}
	return &s, nil
}

func newDrift() *cobra.Command {
	var l look
	cmd := &cobra.Command{
		Use:   "drift PAGE.md [PLAYBOOK]",
		Short: "Tell in what a page differs from a playbook, or from what its commands show",
		Long: `With a playbook, compares the page with it, step by step, without a cluster. Without
one, runs the page as run does, and lists each line at which it shows something else
than its commands do, what may differ among it. The transcript goes to stderr.

The exit code is 0 where nothing differs, and 1 where something does.`,
		Example: `  egressplay drift tutorial.md tutorial.yaml
  egressplay drift tutorial.md`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := atLeastOne("a page", `such as "egressplay drift tutorial.md"`)(cmd, args); err != nil {
				return err
			}
			if len(args) > 2 || !isPage(args[0]) || len(args) == 2 && isPage(args[1]) {
				return usagef(`such as "egressplay drift tutorial.md tutorial.yaml"`, "drift takes one page, and at most one playbook")
			}
			return nil
		},
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				s, err := l.seen(cmd, args[0])
				if err != nil {
					return err
				}
				return s.drift(cmd)
			}
			o := playbooks.Options{Namespace: "default", IstioNamespace: "istio-system", Readers: l.options.pages.readers()}
			list, err := playbooks.Load(args, o)
			l.options.pages.writeNotes(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if len(list) != 2 {
				return usagef("name one file", "%s is a folder", args[1])
			}
			all, same := pages.Drifted(list[0], list[1])
			for _, d := range all {
				fmt.Fprintln(cmd.OutOrStdout(), runner.Plain(d.String()))
			}
			return drifted(cmd, len(all), transcript.Count(same, "step is the same", "steps are the same"))
		},
	}
	l.addTo(cmd)
	return cmd
}

func isPage(arg string) bool { return filepath.Ext(arg) == ".md" }

// drifted tells the sum, and returns the exit code.
func drifted(cmd *cobra.Command, n int, same string) error {
	if n == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "nothing differs, %s\n", same)
		return nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s, %s\n", transcript.Count(n, "difference", "differences"), same)
	return exitCodeError(exitFailed)
}

// drift lists the lines at which a page shows something else than its commands.
func (s *seen) drift(cmd *cobra.Command) error {
	n, same := 0, 0
	for _, p := range s.Playbooks {
		for _, step := range p.Steps {
			before := n
			tell := func(file string, line int, parts ...string) {
				n++
				text := ""
				for _, part := range parts {
					if part != "" {
						text += ": " + strings.TrimSuffix(part, "\n")
					}
				}
				fmt.Fprintln(cmd.OutOrStdout(), runner.Plain(fmt.Sprintf("%s:%d%s", file, line, text)))
			}
			for _, v := range step.Verdicts {
				switch v.Outcome {
				case "held":
				case "not held":
					tell(v.At.File, v.At.Line, v.What, "shown "+v.Want+", was "+v.Got, v.Why)
				default:
					tell(v.At.File, v.At.Line, v.What, v.Why)
				}
			}
			switch {
			case n > before:
			case step.Error != nil:
				tell(step.File, step.Line, step.Title, *step.Error)
			case step.Status == string(runner.Passed):
				same++
			default:
				tell(step.File, step.Line, step.Title, step.Status)
			}
		}
	}
	return drifted(cmd, n, transcript.Count(same, "step shows what the page does", "steps show what the page does"))
}

func newUpdate() *cobra.Command {
	var l look
	var write bool
	cmd := &cobra.Command{
		Use:   "update PAGE.md",
		Short: "Make a patch of a page's shown outputs, from what its commands show",
		Long: `Runs a page as run does, and prints a patch that makes what it shows true of that
run. What holds stays as it is, with its ellipses and with its names, addresses and
times. The file is changed only with --write. The transcript goes to stderr.`,
		Example: `  egressplay update tutorial.md > tutorial.patch
  egressplay update tutorial.md --write`,
		Args: exactlyOne("a page"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !isPage(args[0]) {
				return usagef("a page ends in .md", "%s is no page", args[0])
			}
			s, err := l.seen(cmd, args[0])
			if err != nil {
				return err
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			updated, changed := pages.Update(string(data), s.outputs())
			fmt.Fprint(cmd.OutOrStdout(), pages.Patch(args[0], string(data), updated))
			if len(changed) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "what the page shows holds: nothing to change")
				return nil
			}
			if !write {
				return nil
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			return os.WriteFile(args[0], []byte(updated), info.Mode().Perm())
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "change the page itself, too")
	l.addTo(cmd)
	return cmd
}

// outputs returns what the steps showed, by their lines in the page.
func (s *seen) outputs() map[int]pages.Output {
	all := map[int]pages.Output{}
	for _, p := range s.Playbooks {
		for _, step := range p.Steps {
			if step.Kind != "exec" && step.Kind != "shell" && step.Kind != "logs" || step.Status == string(runner.Skipped) || step.Status == string(runner.Errored) {
				continue
			}
			o := pages.Output{Text: step.Output, Script: step.Kind == "shell"}
			if step.ExitCode != nil {
				o.ExitCode = *step.ExitCode
			}
			all[step.Line] = o
		}
	}
	return all
}
