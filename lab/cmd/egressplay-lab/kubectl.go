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
		Args:  noArgs,
		RunE: on(func(c *cobra.Command, i *instance, _ []string) error {
			path, err := i.kubeconfig()
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), path)
			return nil
		}),
	}
}

func newKubectl() *cobra.Command {
	return newClient("kubectl", "Run kubectl against the lab", kubectl)
}

func newIstioctl() *cobra.Command {
	return newClient("istioctl", "Run istioctl against the lab, such as proxy-config and analyze", istioctl)
}

// newClient makes the verb of a client of the lab's API.
func newClient(name, short string, run func(*instance, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:                name + " [--name NAME] ARGS...",
		Short:              short,
		DisableFlagParsing: true, // they are the client's
		RunE: func(c *cobra.Command, args []string) error {
			name, args := takeName(args)
			i, err := newInstance(name)
			if err != nil {
				return err
			}
			return failed(run(i, args))
		},
	}
}

// takeName returns the value of a leading --name, and the arguments after it.
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

// clients returns the programs that are clients of the API, by the name under which
// each is called.
func clients(programs cluster.Programs) map[string]string {
	return map[string]string{"kubectl": programs.Components, "istioctl": programs.Istiod}
}

func kubectl(i *instance, args []string) error  { return i.become("kubectl", args) }
func istioctl(i *instance, args []string) error { return i.become("istioctl", args) }

// become replaces this process by a client, so that the terminal, the signals and the
// exit code are the client's. It returns only if that fails.
func (i *instance) become(client string, args []string) error {
	kubeconfig, err := i.kubeconfig()
	if err != nil {
		return err
	}
	programs, err := cluster.FindPrograms()
	if err != nil {
		return err
	}
	env := append(os.Environ(), "KUBECONFIG="+kubeconfig)
	return fmt.Errorf("run %s: %w", client, syscall.Exec(clients(programs)[client], append([]string{client}, args...), env))
}
