package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
)

// status is what `status -o json` prints. For a lab that is not running it has only
// the name: pid is 0, ready is false, and components is empty.
type status struct {
	Name       string                    `json:"name"`
	Pid        int                       `json:"pid"` // of the first process, as the host counts
	Ready      bool                      `json:"ready"`
	Kubeconfig string                    `json:"kubeconfig"`
	Components []cluster.ComponentStatus `json:"components"`
}

// statusTimeout is how long a lab may take to return its status.
const statusTimeout = 10 * time.Second

func newStatus() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the lab's parts: their state, memory and CPU time",
		Args:  noArgs,
		RunE: after(wantsJSON, func(c *cobra.Command, i *instance, asJSON bool) error {
			s, err := statusOf(c.Context(), i)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, s)
			}
			return s.print(c)
		}),
	}
	addOutput(c)
	return c
}

// statusOf asks the lab for its status. A lab that has just been started or is about to
// end does not answer, so statusOf asks until it answers or is gone.
func statusOf(ctx context.Context, i *instance) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s := status{Name: i.name, Components: []cluster.ComponentStatus{}}
	for {
		in, err := i.running()
		if err != nil || in == nil {
			return s, err
		}
		of, err := cluster.Dial(i.folder).Status(ctx)
		if err == nil {
			s.Pid, s.Ready, s.Kubeconfig, s.Components = in.Pid, of.Ready, i.folder.Kubeconfig(), of.Components
			if _, err := trustedKubeconfig(i.folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // the lab writes it some time after its start
				return s, err
			}
			return s, nil
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return s, err
		}
	}
}

func (s status) print(c *cobra.Command) error {
	out := c.OutOrStdout()
	if s.Pid == 0 {
		fmt.Fprintf(out, "lab %s is not running\n", s.Name)
		return nil
	}
	word := "ready"
	if !s.Ready {
		word = "not ready"
	}
	fmt.Fprintf(out, "lab %s is %s, process %d, kubeconfig %s\n\n", s.Name, word, s.Pid, plain(s.Kubeconfig))
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tSTATE\tMEMORY\tCPU TIME\t")
	var memory uint64
	var cpu float64
	for _, part := range s.Components {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", part.Name, part.State, mebibytes(part.RSSBytes), seconds(part.CPUSeconds), plain(part.Why))
		memory += part.RSSBytes
		cpu += part.CPUSeconds
	}
	fmt.Fprintf(table, "all\t\t%s\t%s\t\n", mebibytes(memory), seconds(cpu))
	return table.Flush()
}

func seconds(n float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", n)
}

func mebibytes(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
