package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/playbooks"
)

func newExplain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KEY]",
		Short: "Say what a key of a playbook means",
		Long: `Says what a key of a playbook means, as the reference has it, and which keys are below
it. A key is named by its path: of the playbook, of a step, of a verb, or of what is
expected. Without one it says which keys a playbook has.`,
		Example: `  egressplay explain
  egressplay explain step
  egressplay explain exec
  egressplay explain exec.expect.log
  egressplay explain defaults.in`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactlyOne("the path of a key")(cmd, args)
		},
		ValidArgsFunction: completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := playbooks.Explain(strings.Join(args, ""))
			if err != nil {
				return err
			}
			look, err := terminalOptions("never", os.Stdout)
			if err != nil {
				return err
			}
			return printExplanation(cmd.OutOrStdout(), e, look.Width())
		},
	}
}

// printExplanation prints an explanation. What the reference says in one line of a table is
// folded; tables and lists stay as they are.
func printExplanation(w io.Writer, e *playbooks.Explanation, width int) error {
	name := e.Path
	if name == "" {
		name = "playbook"
	}
	fmt.Fprintf(w, "%s: %s\n", name, e.Wants)
	for paragraph := range strings.SplitSeq(e.Text, "\n\n") {
		if paragraph == "" {
			continue
		}
		fmt.Fprintln(w)
		if !strings.Contains(paragraph, "\n| ") && !strings.Contains(paragraph, "\n- ") {
			if paragraph = strings.Join(strings.Fields(paragraph), " "); width > 2 {
				paragraph = ansi.Wrap(paragraph, width-2, "")
			}
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			fmt.Fprintln(w, "  "+line)
		}
	}
	if e.Example != "" {
		fmt.Fprintln(w)
		for line := range strings.SplitSeq(strings.TrimRight(e.Example, "\n"), "\n") {
			fmt.Fprintln(w, "  "+line)
		}
	}
	if len(e.Keys) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nKeys:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range e.Keys {
		wants := k.Wants
		if k.Required {
			wants += ", required"
		}
		line := fmt.Sprintf("  %s\t%s\t%s", k.Name, wants, k.Text)
		fmt.Fprintln(table, strings.TrimRight(line, "\t"))
	}
	return table.Flush()
}

// completeKeys completes the path of a key, one key at a time.
func completeKeys(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	above, _, below := cutLast(begun, ".")
	if !below {
		return playbooks.ExplainedPaths(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	e, err := playbooks.Explain(above)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, k := range e.Keys {
		all = append(all, above+"."+k.Name)
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// cutLast cuts a text at the last sep.
func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return "", text, false
}
