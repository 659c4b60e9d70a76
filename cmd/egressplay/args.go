package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(helpHint(cmd), "%s takes no arguments, got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usagef(helpHint(cmd), "%s needs %s", cmd.CommandPath(), what)
		case 1:
			return nil
		}
		return usagef(helpHint(cmd), "%s takes one argument, got %s", cmd.CommandPath(), strings.Join(args, " "))
	}
}

func atLeastOne(what, hint string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef(hint, "%s needs %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

func helpHint(cmd *cobra.Command) string { return `"` + cmd.CommandPath() + ` --help" says more` }

// orList joins alternatives: "a", "a or b".
func orList(names []string) string { return strings.Join(names, " or ") }

func addSet(cmd *cobra.Command, set, secret *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "set a variable of the playbooks: `NAME=VALUE`; may be repeated")
	cmd.Flags().StringArrayVar(secret, "set-secret", nil, "the same for a value that is shown nowhere: `NAME=VALUE`, or NAME=@FILE for a file's text")
}
