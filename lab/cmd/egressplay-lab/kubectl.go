package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
)

func newKubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the running lab's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: on(func(c *cobra.Command, i *instance, _ []string) error {
			if _, err := i.mustRun(); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), i.folder.Kubeconfig())
			return nil
		}),
	}
}

func newKubectl() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl [--name NAME] ARGS...",
		Short:              "Run kubectl against the lab",
		DisableFlagParsing: true, // they are kubectl's
		RunE: func(c *cobra.Command, args []string) error {
			name, args := takeName(args)
			i, err := newInstance(name)
			if err != nil {
				return err
			}
			return failed(kubectl(i, args))
		},
	}
}

// takeName takes --name from the front of the arguments.
func takeName(args []string) (name string, rest []string) {
	if len(args) > 0 {
		if name, ok := strings.CutPrefix(args[0], "--name="); ok {
			return name, args[1:]
		}
	}
	if len(args) > 1 && args[0] == "--name" {
		return args[1], args[2:]
	}
	return defaultName, args
}

// kubectl becomes kubectl, so that the terminal, the signals and the exit code
// are its own. It returns only if that fails.
func kubectl(i *instance, args []string) error {
	if _, err := i.mustRun(); err != nil {
		return err
	}
	programs, err := cluster.FindPrograms()
	if err != nil {
		return err
	}
	argv := append([]string{"kubectl"}, args...)
	env := append(os.Environ(), "KUBECONFIG="+i.folder.Kubeconfig())
	return fmt.Errorf("run kubectl: %w", syscall.Exec(programs.Components, argv, env))
}
