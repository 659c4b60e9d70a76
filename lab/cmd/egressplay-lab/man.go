package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan makes the verb that writes the man pages. It is for the installation only, so
// it is hidden.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write a man page for each command into a folder",
		Hidden: true,
		Args:   exactlyOne("a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: "egressplay " + version, Manual: "User Commands"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return failure{fmt.Errorf("write the man pages: %w", err)}
			}
			return nil
		},
	}
}
