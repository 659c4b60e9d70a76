package main

import (
	"fmt"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

func newLint() *cobra.Command {
	var set, secret []string
	stdin := sync.OnceValues(readStdin)
	var pages pageFlags
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check playbooks as run does, without running them",
		Long: `Checks playbooks as run does, without running them and without a cluster. All
errors are told, each with its file, line and column. A page in Markdown is checked
as the playbook that it is run as. - is a playbook that comes by stdin.`,
		Args:              atLeastOne("a playbook", `such as "egressplay lint my-playbook.yaml"`),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, secrets, err := readSecrets(secret)
			if err != nil {
				return err
			}
			list, err := playbooks.Lint(args, playbooks.Options{Namespace: "default", IstioNamespace: "istio-system", Set: set, SetSecret: secret, Stdin: stdin, Readers: pages.readers(slices.Concat(set, secret)...)})
			pages.writeNotes(cmd.ErrOrStderr())
			if err == nil {
				err = checkHosts(cmd.Context(), ownHosts(list)...)
			}
			if err != nil {
				return safe(err, secrets)
			}
			for _, p := range list {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s\n", runner.Plain(p.File), transcript.Count(len(p.Steps), "step", "steps"))
			}
			return nil
		},
	}
	addSet(cmd, &set, &secret)
	addPages(cmd, &pages)
	return cmd
}
