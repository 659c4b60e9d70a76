package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/internet"
)

func newInternet() *cobra.Command {
	c := &cobra.Command{
		Use:   "internet",
		Short: "Add hosts to the internet of a running lab, list and remove them",
		Args:  cobra.ArbitraryArgs,
		RunE:  noCommand,
		// cobra does not take it over from the root.
		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(newInternetAdd(), newInternetCheck(), newInternetHold(), newInternetList(), newInternetRemove())
	return c
}

// newAddHost makes `internet add` under a name that is easier to guess.
func newAddHost() *cobra.Command {
	c := newInternetAdd()
	c.Use, c.Short = "add-host FILE", "Add hosts to the internet of a running lab: internet add by another name"
	return c
}

func newInternetAdd() *cobra.Command {
	type line struct {
		asJSON bool
		name   string // the name of the file
		text   []byte
	}
	c := &cobra.Command{
		Use:   "add FILE",
		Short: "Add the hosts of a file, - for stdin, and print the token that removes them",
		Args:  exactlyOne("a file of hosts, or - for stdin"),
		RunE: after(func(c *cobra.Command, args []string) (l line, err error) {
			if l.asJSON, err = wantsJSON(c, args); err == nil {
				l.name, l.text, err = readHosts(c, args[0])
			}
			return l, err
		}, func(c *cobra.Command, i *instance, l line) error {
			lab, err := i.dial()
			if err != nil {
				return err
			}
			added, err := lab.AddHosts(c.Context(), l.name, l.text)
			if err != nil {
				return err
			}
			if l.asJSON {
				return printJSON(c, added)
			}
			printAdded(c.OutOrStdout(), added)
			fmt.Fprintf(c.OutOrStdout(), "  egressplay lab internet remove%s %s\n", i.flag(), added.Token)
			return nil
		}),
	}
	addOutput(c)
	return c
}

func newInternetRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove TOKEN",
		Short: "Remove what was added by a token",
		Args:  exactlyOne("the token that add printed"),
		RunE: on(func(c *cobra.Command, i *instance, args []string) error {
			lab, err := i.dial()
			if err != nil {
				return err
			}
			return lab.RemoveHosts(c.Context(), args[0])
		}),
	}
}

func newInternetList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the hosts that were added and are still there",
		Args:  noArgs,
		RunE: after(wantsJSON, func(c *cobra.Command, i *instance, asJSON bool) error {
			lab, err := i.dial()
			if err != nil {
				return err
			}
			list, err := lab.Hosts(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, append([]internet.Addition{}, list...))
			}
			for _, added := range list {
				printAdded(c.OutOrStdout(), added)
			}
			return nil
		}),
	}
	addOutput(c)
	return c
}

// dial returns a client of the lab, which must be running.
func (i *instance) dial() (*cluster.Client, error) {
	if _, err := i.mustRun(); err != nil {
		return nil, err
	}
	return cluster.Dial(i.folder), nil
}

// printAdded prints the hosts that were added, with their token.
func printAdded(out io.Writer, added internet.Addition) {
	fmt.Fprintf(out, "%s from %s\n", added.Token, internet.Plain(added.File))
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, host := range added.Hosts {
		at := make([]string, len(host.Addresses))
		for i, addr := range host.Addresses {
			at[i] = addr.String()
		}
		if host.Alias != "" {
			at = []string{"an alias of " + host.Alias}
		}
		fmt.Fprintf(table, "  %s\t%s\n", strings.Join(host.Names, ", "), strings.Join(at, ", "))
	}
	_ = table.Flush() // as with Fprintf
}

func newInternetCheck() *cobra.Command {
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a file of hosts, or a playbook's own, - for stdin",
		Args:  exactlyOne("a file of hosts, or - for stdin"),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := wantsJSON(c, args)
			if err != nil {
				return err
			}
			_, _, err = readHosts(c, args[0])
			mistakes, wrong := errors.AsType[internet.Mistakes](err)
			switch {
			case err != nil && !wrong || !asJSON:
				return err
			case wrong:
				return errors.Join(printJSON(c, mistakes), exitError(exitUsage))
			}
			return printJSON(c, internet.Mistakes{})
		},
	}
	addOutput(c)
	return c
}

// letGoTimeout bounds how long the lab may take to remove hosts.
const letGoTimeout = 10 * time.Second

// heldHosts is the line of JSON that hold reads from its stdin.
type heldHosts struct {
	File string `json:"file"` // its name, for messages
	Text string `json:"text"`
}

func newInternetHold() *cobra.Command {
	return &cobra.Command{
		Use:    "hold",
		Short:  "Add hosts for a program, from a line of JSON on stdin, until stdin ends",
		Hidden: true,
		Args:   noArgs,
		RunE: on(func(c *cobra.Command, i *instance, _ []string) error {
			lab, err := i.dial()
			if err != nil {
				return err
			}
			return holdHosts(c.Context(), lab, c.InOrStdin(), c.OutOrStdout())
		}),
	}
}

// holdHosts adds hosts, prints the addition as a line of JSON, and removes them when
// stdin or ctx ends. When this process is killed, the lab removes them.
func holdHosts(ctx context.Context, lab *cluster.Client, stdin io.Reader, out io.Writer) error {
	in := json.NewDecoder(stdin)
	var hosts heldHosts
	if err := in.Decode(&hosts); err != nil {
		return fmt.Errorf("read hosts from stdin: %w", err)
	}
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	added, letGo, err := lab.HoldHosts(connected, hosts.File, []byte(hosts.Text))
	if err != nil {
		return err
	}
	err = json.NewEncoder(out).Encode(added)
	if err == nil {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(io.Discard, stdin) // only its end matters
		}()
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoTimeout)
	defer cancel()
	return errors.Join(err, letGo(ending))
}

// readHosts reads a file of hosts, - for stdin, and returns its name and its text. Its
// error has type [internet.Mistakes] if the file has mistakes that can be found without
// a lab.
func readHosts(c *cobra.Command, file string) (name string, text []byte, err error) {
	if file == "-" {
		name = "stdin"
		text, err = io.ReadAll(c.InOrStdin())
	} else {
		name = file
		text, err = os.ReadFile(file)
	}
	if err == nil {
		_, err = internet.Parse(name, text)
	}
	return name, text, err
}
