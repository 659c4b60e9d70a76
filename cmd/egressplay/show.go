package main

import (
	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/playbooks"
)

func newShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show NAME",
		Short:             "Print a built-in playbook, to read or to copy",
		Example:           "  egressplay show tls-origination > mine.yaml",
		Args:              exactlyOne("the name of a built-in playbook"),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := playbooks.Show(args[0])
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
