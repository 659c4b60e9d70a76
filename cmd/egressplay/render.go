package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/pages"
	"github.com/egressplay/egressplay/playbooks"
)

func newRender() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "render PLAYBOOK",
		Short: "Make a tutorial in Markdown of a playbook",
		Long: `Writes the page in Markdown that a playbook is: its text, its commands to type, and
what they show. run and lint read the page as the same playbook; what its own words
cannot say stands in comments that no reader sees. Files that the playbook names stay
where they are: put the page beside them.`,
		Example:           "  egressplay render tls-origination -o tls-origination.md",
		Args:              exactlyOne("a playbook"),
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if filepath.Ext(args[0]) == ".md" {
				return usagef("egressplay convert makes a playbook of it", "%s is a page already", args[0])
			}
			o := playbooks.Options{Namespace: "default", IstioNamespace: "istio-system"}
			source, err := playbooks.FindSource(args[0], o)
			if err != nil {
				return err
			}
			page, err := pages.Render(source, o)
			if err != nil {
				return err
			}
			if file == "" {
				_, err = fmt.Fprint(cmd.OutOrStdout(), page)
				return err
			}
			return os.WriteFile(file, []byte(page), 0o644)
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "write the page to `FILE`")
	return cmd
}
