package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/playbooks"
)

func newConvert() *cobra.Command {
	var p pageFlags
	cmd := &cobra.Command{
		Use:   "convert PAGE.md",
		Short: "Make a playbook of a tutorial in Markdown",
		Long: `Prints the playbook that a page in Markdown is run as. It gives the same verdicts as
the page. Files that the page names stay where they are: put the playbook beside them.`,
		Example: "  egressplay convert tutorial.md > tutorial.yaml",
		Args:    atLeastOne("a page", `such as "egressplay convert tutorial.md"`),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("convert one after the other", "convert takes one page, got %d", len(args))
			}
			if filepath.Ext(args[0]) != ".md" {
				return usagef("a page ends in .md", "%s is no page", args[0])
			}
			o := playbooks.Options{Namespace: "default", IstioNamespace: "istio-system", Readers: p.readers()}
			_, err := playbooks.Load(args, o)
			p.writeNotes(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			text, err := playbooks.Text(args[0], o)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), text)
			return nil
		},
	}
	addPages(cmd, &p)
	return cmd
}
