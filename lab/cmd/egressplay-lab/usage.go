package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usagef returns an error of the command line, with a hint at what to do about it.
func usagef(hint, format string, args ...any) error {
	return fmt.Errorf("%s\n  hint: %s", fmt.Sprintf(format, args...), hint)
}

func helpHint(c *cobra.Command) string { return `"` + c.CommandPath() + ` --help" says more` }

// nearHint suggests what an unknown command below a command may have meant.
func nearHint(c *cobra.Command, name string) string {
	if near := c.SuggestionsFor(name); len(near) > 0 {
		return "did you mean " + strings.Join(near, " or ") + "?"
	}
	return `"` + c.CommandPath() + ` --help" lists the commands`
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(helpHint(c), "%s takes no arguments, got %q", c.CommandPath(), args[0])
	}
	return nil
}

// exactlyOne wants one argument; what names it, such as "a file".
func exactlyOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return usagef(helpHint(c), "%s needs %s", c.CommandPath(), what)
		case 1:
			return nil
		}
		return usagef(helpHint(c), "%s takes one argument, got %s", c.CommandPath(), strings.Join(args, " "))
	}
}

// flagError adds to an error about a flag what may have been meant.
func flagError(c *cobra.Command, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var flags []string
		c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		if near := nearTo(name, flags); len(near) > 0 {
			return usagef("did you mean --"+strings.Join(near, " or --")+"?", "%v", err)
		}
	}
	return usagef(helpHint(c), "%v", err)
}

// nearTo returns the known names that a name is probably a slip of.
func nearTo(name string, known []string) []string {
	// cobra suggests only commands, so the names are dressed up as such.
	names := cobra.Command{SuggestionsMinimumDistance: 2}
	for _, k := range known {
		names.AddCommand(&cobra.Command{Use: k, Run: func(*cobra.Command, []string) {}})
	}
	return names.SuggestionsFor(name)
}
