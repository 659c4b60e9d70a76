package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
)

// A usageError is a mistake in how the program was called.
type usageError struct {
	msg, hint string
}

func (e *usageError) Error() string { return e.msg }

// Hint returns what to do next.
func (e *usageError) Hint() string { return e.hint }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// A hinted error has a hint: what to do about it.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// Hint returns what to do next.
func (e *hinted) Hint() string { return e.hint }

// An exitCodeError ends the program with a code, and says nothing: what there is to
// say has been said.
type exitCodeError int

func (e exitCodeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// named makes a usage error of an error about the cluster that a flag names, if the
// kubeconfig does not have it.
func named(context string, err error) error {
	wrong, ok := errors.AsType[*cluster.KubeconfigError](err)
	if !ok {
		return err
	}
	return &usageError{err.Error(), fill.DidYouMean(context, wrong.Contexts)}
}

// isUsage reports whether an error is the caller's or the playbook author's.
func isUsage(err error) bool {
	_, usage := errors.AsType[*usageError](err)
	return usage || isPlaybook(err)
}

func isPlaybook(err error) bool {
	_, one := errors.AsType[*playbooks.Error](err)
	_, many := errors.AsType[playbooks.Errors](err)
	return one || many
}

// A hinter is an error that says what to do next.
type hinter interface {
	error
	Hint() string
}

// printError tells what went wrong and what to do. Whatever an error quotes, such
// as the name of a file, reaches the terminal as text.
func printError(w io.Writer, err error) {
	if isPlaybook(err) {
		fmt.Fprintln(w, asCalled(plain(err.Error()))) // as compilers do, for editors to find the place
		return
	}
	fmt.Fprintln(w, "egressplay: "+strings.ReplaceAll(asCalled(plain(err.Error())), "\n", "\n  "))
	h, ok := errors.AsType[hinter](err)
	if !ok || h.Hint() == "" {
		return
	}
	for i, line := range strings.Split(asCalled(plain(h.Hint())), "\n") {
		lead := "        "
		if i == 0 {
			lead = "  hint: "
		}
		fmt.Fprintln(w, lead+line)
	}
}

// plain is [runner.Plain] for a text of any length.
func plain(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = runner.Plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

// flagError makes a usage error of an error in parsing flags.
func flagError(cmd *cobra.Command, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		// cobra suggests only commands, so the flags are dressed up as such.
		var flags cobra.Command
		flags.SuggestionsMinimumDistance = 2
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		if near := flags.SuggestionsFor(name); len(near) > 0 {
			return usagef("did you mean --"+strings.Join(near, " or --")+"?", "%v", err)
		}
	}
	switch text := err.Error(); {
	case cmd.Name() == "why" && strings.HasPrefix(text, "unknown"):
		return usagef("write -- in front of curl: "+cmd.CommandPath()+" POD -- curl ARGUMENTS", "%v", err)
	case strings.Contains(text, ": strconv.Atoi: ") || strings.Contains(text, ": strconv.ParseInt: "):
		said, _, _ := strings.Cut(text, ": strconv.")
		return usagef("write a whole number", "%s", said)
	case strings.Contains(text, "in duration") || strings.Contains(text, "invalid duration"):
		return usagef("write a number with its unit, such as 30s or 5m", "%v", err)
	}
	return usagef(helpHint(cmd), "%v", err)
}
