package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/playbooks"
)

func newList() *cobra.Command {
	var output string
	var topics []int
	var tags []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the built-in playbooks",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			infos := slices.DeleteFunc(playbooks.List(), func(i playbooks.Info) bool { return !chosen(topics, tags, i.Topic, i.Tags) })
			if len(infos) == 0 {
				p := parts{topics: topics, tags: tags}
				return usagef(p.hint(), "no built-in playbook has %s", p.words())
			}
			return list(cmd.OutOrStdout(), output, infos)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "how: json, or name for names only")
	addChoice(cmd, &topics, &tags)
	register(cmd, "output", fixed("json", "name"))
	return cmd
}

func list(w io.Writer, output string, infos []playbooks.Info) error {
	switch output {
	case "":
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "NAME\tTOPIC\tSTEPS\tTITLE")
		for _, i := range infos {
			topic := "-"
			if i.Topic > 0 {
				topic = fmt.Sprint(i.Topic)
			}
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", i.Name, topic, i.Steps, i.Title)
		}
		return table.Flush()
	case "name":
		for _, i := range infos {
			if _, err := fmt.Fprintln(w, i.Name); err != nil {
				return err
			}
		}
		return nil
	case "json":
		type item struct {
			Name  string `json:"name"`
			Title string `json:"title"`
			Topic int    `json:"topic"`
			Steps int    `json:"steps"`

			Tags []string `json:"tags,omitempty"`
		}
		items := make([]item, len(infos))
		for i, info := range infos {
			items[i] = item{info.Name, info.Title, info.Topic, info.Steps, info.Tags}
		}
		return writeJSON(w, items)
	}
	return usagef("there are json and name", "unknown output format %q", output)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
