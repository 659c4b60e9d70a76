package main

import (
	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/playbooks"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a playbook, for an editor",
		Long: `Prints the JSON Schema of a playbook. An editor that knows it completes keys, shows
what they mean, and marks what is wrong while one writes.

What depends on the meaning of a text, such as whether a variable has a value, only
"egressplay lint" can tell.`,
		Example: `  egressplay schema > egressplay.schema.json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(playbooks.Schema())
			return err
		},
	}
}
