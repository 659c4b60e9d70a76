package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab/cluster"
	"github.com/egressplay/egressplay/lab/sandbox"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Say what this machine lacks for a lab, and what to do",
		Args:  noArgs,
		RunE: on(func(c *cobra.Command, i *instance, _ []string) error {
			out := c.OutOrStdout()
			if _, err := cluster.FindPrograms(); err != nil {
				return err
			}
			problems, err := problems(c.Context(), i, true)
			if err != nil {
				return err
			}
			if len(problems) == 0 {
				fmt.Fprintln(out, "this machine has what a lab needs")
				return nil
			}
			fatal := false
			for _, p := range problems {
				fmt.Fprint(out, plain(describe(p)))
				fatal = fatal || p.Fatal
			}
			if fatal {
				return exitError(exitFailed)
			}
			return nil
		}),
	}
}

// checkMachine checks before a start what can be known without a trial, in a few
// milliseconds. If the start fails, its error says the rest.
func checkMachine(ctx context.Context, i *instance, out io.Writer) error {
	problems, err := problems(ctx, i, false)
	if err != nil {
		return err
	}
	var fatal strings.Builder
	for _, p := range problems {
		if p.Fatal {
			fatal.WriteString(describe(p))
		} else {
			fmt.Fprint(out, plain(describe(p)))
		}
	}
	if fatal.Len() > 0 {
		return errors.New("this machine lacks something that a lab needs\n" + strings.TrimSuffix(fatal.String(), "\n"))
	}
	return nil
}

func problems(ctx context.Context, i *instance, try bool) ([]sandbox.Problem, error) {
	if _, err := trusted(i.folder); err != nil {
		return nil, err
	}
	config := sandbox.CheckConfig{RunDir: string(i.folder), Sockets: cluster.Sockets}
	if try {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		config.Probe = []string{self, argProbe}
	}
	return sandbox.Check(ctx, config), nil
}

func describe(p sandbox.Problem) string {
	word := "warning"
	if p.Fatal {
		word = "problem"
	}
	text := fmt.Sprintf("%s: %s\n", word, p.Title)
	for _, part := range []string{p.Detail, p.Fix} {
		if part != "" {
			text += "  " + strings.ReplaceAll(part, "\n", "\n  ") + "\n"
		}
	}
	return text
}
