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

// completeNames completes the names of built-in playbooks, and of files.
func completeNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, i := range playbooks.List() {
		names = append(names, cobra.CompletionWithDesc(i.Name, i.Title))
	}
	return names, cobra.ShellCompDirectiveDefault
}
