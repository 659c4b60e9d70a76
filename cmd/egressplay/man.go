package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan is for those who install the program, and so it is hidden.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write a man page for each command into a folder",
		Hidden: true,
		Args:   exactlyOne("a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeManPages(cmd.Root(), args[0])
		},
	}
}

// writeManPages writes a man page for each command of a command line. What help tells
// beside the commands is in the page of the program itself. SOURCE_DATE_EPOCH is the
// date of the pages, by default it is today.
func writeManPages(root *cobra.Command, folder string) error {
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: ownName + " " + version, Manual: "User Commands"}
	if err := doc.GenManTree(root, header, folder); err != nil {
		return fmt.Errorf("write the man pages: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder, root.Name()+".1"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write the man pages: %w", err)
	}
	defer file.Close()
	for _, t := range topics {
		if _, err := fmt.Fprintf(file, ".SH %s\n.nf\n%s\n.fi\n", strings.ToUpper(strings.ReplaceAll(t.name, "-", " ")), roff(t.long)); err != nil {
			return fmt.Errorf("write the man pages: %w", err)
		}
	}
	return file.Close()
}

// roff escapes a text for a man page. Each of its lines begins with a blank, so none
// is taken for a request.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n\n", "\n.PP\n").Replace(text)
}
