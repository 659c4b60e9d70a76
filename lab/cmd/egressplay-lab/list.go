package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// listed is what `list -o json` prints for each lab that runs.
type listed struct {
	Name       string `json:"name"`
	Pid        int    `json:"pid"` // of the first process, as the host counts
	Version    string `json:"version"`
	Kubeconfig string `json:"kubeconfig"`
}

func newList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List this user's running labs",
		Args:    noArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := wantsJSON(c, args)
			if err != nil {
				return err
			}
			labs, err := list()
			if err != nil {
				return failed(err)
			}
			if asJSON {
				return printJSON(c, labs)
			}
			return failed(printLabs(c.OutOrStdout(), labs))
		},
	}
	addOutput(c)
	return c
}

// list returns the labs that run, including those of runs, sorted by name.
func list() ([]listed, error) {
	labs := []listed{}
	entries, err := os.ReadDir(runDir())
	if errors.Is(err, fs.ErrNotExist) {
		return labs, nil
	}
	if err != nil {
		return nil, err
	}
	var all error
	for _, e := range entries {
		if !names.MatchString(e.Name()) {
			continue // not a lab's
		}
		i, err := newInstance(e.Name())
		if err != nil {
			all = errors.Join(all, err)
			continue
		}
		in, err := i.running()
		if err != nil {
			all = errors.Join(all, fmt.Errorf("lab %s: %w", i.name, err))
		} else if in != nil {
			labs = append(labs, listed{i.name, in.Pid, in.Version, i.folder.Kubeconfig()})
		}
	}
	slices.SortFunc(labs, func(a, b listed) int { return cmp.Compare(a.Name, b.Name) })
	return labs, all
}

func printLabs(out io.Writer, labs []listed) error {
	if len(labs) == 0 {
		_, err := fmt.Fprintln(out, "no lab is running: start one with `egressplay lab up`")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tPROCESS\tVERSION\tKUBECONFIG")
	for _, l := range labs {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", l.Name, l.Pid, l.Version, plain(l.Kubeconfig))
	}
	return table.Flush()
}

// completeNames completes the names of labs that run.
func completeNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	labs, _ := list() // an error completes nothing
	var names []string
	for _, l := range labs {
		names = append(names, l.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
