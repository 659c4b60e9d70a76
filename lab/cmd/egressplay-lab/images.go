package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/image"
)

func newImages() *cobra.Command {
	c := &cobra.Command{
		Use:   "images",
		Short: "List the lab's images, those that were loaded first",
		Args:  noArgs,
		RunE: after(wantsJSON, func(c *cobra.Command, i *instance, asJSON bool) error {
			lab, err := i.dial()
			if err != nil {
				return err
			}
			list, err := lab.Images(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, list)
			}
			return printImages(c.OutOrStdout(), list)
		}),
	}
	addOutput(c)
	return c
}

func printImages(out io.Writer, list []cri.ImageInfo) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tFROM\tSIZE")
	for _, im := range list {
		names, from, size := strings.Join(im.Names, ", "), "the lab", image.Size(int64(im.Size))
		if im.Loaded {
			names, from = familiar(im.Names), "egressplay lab load"
		}
		if im.Size == 0 {
			size = "-" // nothing besides the machine's /usr
		}
		if im.Missing != "" {
			size = "not there: " + im.Missing
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", plain(names), from, size)
	}
	return table.Flush()
}
