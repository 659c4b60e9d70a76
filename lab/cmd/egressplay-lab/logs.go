package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/internet"
)

func newLogs() *cobra.Command {
	c := &cobra.Command{
		Use:   "logs [COMPONENT]",
		Short: "Print a component's log, or the lab's own",
		Long: "Print a component's log, or the lab's own.\n\nOf internet, print the requests that arrived there, and the connections without one; with -o json one JSON object a line.\nThe components are " +
			strings.Join(cluster.Components, ", ") + ".",
		Args:      oneComponent,
		ValidArgs: append([]string{labLog}, cluster.Components...),
	}
	c.RunE = after(readLogs, func(c *cobra.Command, i *instance, l logsLine) error {
		return logs(c.Context(), i, l, c.OutOrStdout())
	})
	addOutput(c)
	c.Flags().BoolP("follow", "f", false, "go on with what is written, until the lab ends or you interrupt it")
	return c
}

// oneComponent accepts at most one argument, the name of a component.
func oneComponent(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("logs takes one component, got %s", strings.Join(args, " "))
	}
	if len(args) == 1 && !slices.Contains(c.ValidArgs, args[0]) {
		hint := "the components are " + strings.Join(c.ValidArgs, ", ")
		if near := nearTo(args[0], c.ValidArgs); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
		}
		return usagef(hint, "there is no component %q", args[0])
	}
	return nil
}

// A logsLine is what the command line of logs asks for.
type logsLine struct {
	component   string
	raw, follow bool
}

func readLogs(c *cobra.Command, args []string) (l logsLine, err error) {
	l.component = append(args, labLog)[0]
	if l.raw, err = wantsJSON(c, args); err != nil {
		return l, err
	}
	if l.raw && l.component != cluster.Internet {
		return l, errors.New("-o json is for the log of internet only")
	}
	l.follow, err = c.Flags().GetBool("follow")
	return l, err
}

func logs(ctx context.Context, i *instance, l logsLine, out io.Writer) error {
	if namespace, ok := cluster.NamespaceOf(l.component); ok {
		args := []string{"logs", "--namespace", namespace, "deployment/" + l.component}
		if l.follow {
			args = append(args, "--follow")
		}
		return kubectl(i, args)
	}
	f, err := i.openLog(l.component)
	if errors.Is(err, fs.ErrNotExist) {
		_, err := i.mustRun()
		return errors.Join(err, fmt.Errorf("there is no log of %s", l.component))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var source io.Reader = f
	if l.follow {
		life, err := i.life()
		if err != nil {
			return err
		}
		defer life.Close()
		source = followed(ctx, f, life.ended)
	}
	if l.component == cluster.Internet {
		return printRecords(source, out, l.raw, l.follow)
	}
	_, err = io.Copy(out, source)
	return err
}

// followPause is the time between two looks at whether a file has grown.
const followPause = 50 * time.Millisecond

// reader is a function that reads.
type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// followed returns a reader of a file that grows. It reads until ctx ends or, once the
// writer has ended, to the end of the file.
func followed(ctx context.Context, f io.Reader, ended func() (bool, error)) io.Reader {
	last := false
	return reader(func(p []byte) (int, error) {
		for {
			n, err := f.Read(p)
			if n > 0 || !errors.Is(err, io.EOF) || last {
				return n, err
			}
			if last, err = ended(); err != nil {
				return 0, err
			}
			if last {
				continue // read what it has written since
			}
			select {
			case <-time.After(followPause):
			case <-ctx.Done():
				return 0, io.EOF
			}
		}
	})
}

// printRecords prints what arrived in the internet: each record as a line for people,
// or raw as JSON. With follow, it waits until each record is final.
func printRecords(lines io.Reader, out io.Writer, raw, follow bool) error {
	show := func(r internet.Record) error {
		line := []byte(sentence(r) + "\n")
		if raw {
			var err error
			if line, err = r.Line(); err != nil {
				return err
			}
		}
		_, err := out.Write(line)
		return err
	}
	if follow {
		return internet.FollowRecords(lines, show)
	}
	records, err := internet.ReadRecords(lines)
	for _, r := range records {
		err = errors.Join(err, show(r))
	}
	return err
}

func sentence(r internet.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s from %s", r.Time.Format("15:04:05.000"), r.Site, r.Remote)
	scheme := "http"
	if r.TLS {
		scheme = "https"
		fmt.Fprintf(&b, " sni=%s", r.SNI)
	}
	if r.Method != "" {
		fmt.Fprintf(&b, " %s %s://%s%s %s", r.Method, scheme, r.Host, r.Path, r.Protocol)
		if r.Status != 0 {
			fmt.Fprintf(&b, " %d", r.Status)
		}
		if r.GRPCStatus != nil {
			fmt.Fprintf(&b, " grpc-status=%d", *r.GRPCStatus)
		}
	} else if r.Received > 0 {
		fmt.Fprintf(&b, " %s, %d bytes", r.Protocol, r.Received)
	}
	switch {
	case r.Error != "":
		fmt.Fprintf(&b, ": %s", r.Error)
	case r.Open && r.Method != "":
		b.WriteString(": not answered yet")
	case r.Open:
		b.WriteString(": connected")
	}
	if r.Truncated {
		b.WriteString(" (cut short)")
	}
	return internet.Plain(b.String())
}
