// Egressplay runs playbooks about Istio's egress traffic against a Kubernetes
// API, and prints a transcript that reads like the tutorial they mirror.
//
//	egressplay run tls-origination.yaml    run a playbook
//	egressplay list                        list the built-in playbooks
//	egressplay show NAME                   print a built-in playbook
//	egressplay lint FILE...                check playbooks without running them
//	egressplay explain exec.expect         say what a key of a playbook means
//	egressplay schema                      print the JSON Schema of a playbook
//	egressplay init mine.yaml              write a playbook to begin with
//	egressplay convert PAGE.md             make a playbook of a tutorial
//	egressplay cleanup --all               put back what killed runs left
//	egressplay rbac NAME                   print the least roles to run a playbook with
//	egressplay why POD -- curl ...         explain one request
//	egressplay lab up                      start a cluster on this machine (Linux)
//	egressplay version                     print the versions of all parts
//	egressplay completion SHELL            print a completion script
//
// By default a playbook runs in the lab: the running one, or one that is started for
// the run and gone afterwards. --context or --kubeconfig names another cluster.
// egressplay uses neither KUBECONFIG nor the current context unasked.
//
// The exit code is 0 when every playbook passed, 1 when an expectation did not
// hold, 2 for bad usage, a bad playbook or nothing to run, 3 when it could not
// be run or every playbook was skipped, 4 when all passed but something could
// not be put back, and 128 + the number of the signal that interrupted it, such as
// 130 for Ctrl-C. Of several, the first that applies in the order 128 + signal, 2,
// 1, 3, 4.
//
// This package parses flags, prints, and maps errors to exit codes; everything
// else is done by the packages beside it. Each verb has a file of its own.
package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the linker: -ldflags "-X main.version=...".
var version = "dev"

func main() {
	os.Exit(execute(os.Args[1:]))
}

// execute runs the program with these arguments and returns its exit code.
func execute(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitPassed
	}
	if code, ok := errors.AsType[exitCodeError](err); ok {
		return int(code)
	}
	printError(os.Stderr, err)
	return exitCode(outcome{err: err})
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   ownName,
		Short: "Run playbooks about Istio's egress traffic, step by step, on a real mesh",
		Long: `Egressplay runs playbooks about Istio's egress traffic against a Kubernetes API,
and prints a transcript that reads like the tutorial they mirror.

By default a playbook runs in the lab: the running one, or one that is started for
the run and gone afterwards. Name a cluster of your own by --context or --kubeconfig.`,
		Example: `  egressplay run tls-origination
  egressplay run my-playbook.yaml --context kind-kind
  egressplay list`,
		Version:                    version,
		SilenceErrors:              true, // execute prints them
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE:                       noCommand,
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(), newList(), newShow(), newLint(), newConvert(), newRender(), newDrift(), newUpdate(), newExplain(), newSchema(), newInit(), newCleanup(), newRBAC(), newWhy(), newLab(), newVersion(), newMan())
	root.SetHelpCommand(newHelp())
	root.InitDefaultCompletionCmd()
	refuseUnknownShells(root)
	nameAsCalled(root)
	return root
}

// refuseUnknownShells has cobra's completion refuse a shell that it does not know,
// which it would answer with a help text and exit code 0.
func refuseUnknownShells(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			var shells []string
			for _, shell := range c.Commands() {
				shells = append(shells, shell.Name())
			}
			hint := "there are " + strings.Join(shells, ", ")
			if len(args) == 0 {
				return usagef(hint, "%s needs the name of a shell", c.CommandPath())
			}
			return usagef(hint, "no completion for %q", args[0])
		}
	}
}

// noCommand is what the program does without a verb that it knows.
func noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return root.Help()
	}
	return unknownCommand(root, args[0])
}

// ofLab are the commands of egressplay lab, some of which a user may type without lab.
var ofLab = []string{"up", "down", "status", "kubectl", "istioctl", "kubeconfig", "shell", "logs", "internet", "add-host", "images", "load", "check"}

func unknownCommand(root *cobra.Command, name string) error {
	hint := `"egressplay --help" lists the commands`
	if near := root.SuggestionsFor(name); len(near) > 0 {
		hint = "did you mean " + orList(near) + "?"
	}
	for _, of := range ofLab {
		if of == name {
			hint = "did you mean lab " + name + "?"
		}
	}
	return usagef(hint, "unknown command %q", name)
}
