package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// newCommand makes the command line. A verb's own error is a failure; cobra reports
// what is wrong with the command line itself.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "egressplay-lab",
		Short:         "Run labs: Kubernetes with Istio on this machine, without containers or the internet",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          noCommand,
		// A user types egressplay lab, which runs this program.
		Annotations:                map[string]string{cobra.CommandDisplayNameAnnotation: "egressplay lab"},
		SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return sameVersion(os.Getenv("EGRESSPLAY_VERSION"))
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().String("name", defaultName, "the lab's name, when there are several")
	if err := root.RegisterFlagCompletionFunc("name", completeNames); err != nil {
		panic(err) // there is no such flag
	}
	root.AddCommand(
		newAddHost(),
		newCheck(),
		newDown(),
		newImages(),
		newInternet(),
		newIstioctl(),
		newKubeconfig(),
		newKubectl(),
		newList(),
		newLoad(),
		newLogs(),
		newMan(),
		newServe(),
		newShell(),
		newStatus(),
		newUp(),
		newVersion(),
	)
	return root
}

// noCommand runs if the command line has no verb that is known below a command.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	return usagef(nearHint(c, args[0]), "unknown command %q of %s", args[0], c.CommandPath())
}

// on returns the RunE of a verb that is about one lab.
func on(do func(c *cobra.Command, i *instance, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		name, err := c.Flags().GetString("name")
		if err != nil {
			return err
		}
		i, err := newInstance(name)
		if err != nil {
			return err // of the command line
		}
		return failed(do(c, i, args))
	}
}

// after returns the RunE of a verb that is about one lab. read reads the command line
// first; its error counts as an error of the command line.
func after[T any](read func(c *cobra.Command, args []string) (T, error), do func(c *cobra.Command, i *instance, line T) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		line, err := read(c, args)
		if err != nil {
			return err
		}
		return on(func(c *cobra.Command, i *instance, _ []string) error { return do(c, i, line) })(c, args)
	}
}

func failed(err error) error {
	var exit exitError
	if err == nil || errors.As(err, &exit) {
		return err
	}
	return failure{err}
}

// sameVersion returns an error if the caller is an egressplay of another version.
func sameVersion(caller string) error {
	if caller == "" || caller == version {
		return nil
	}
	return failure{fmt.Errorf("egressplay is version %s and egressplay-lab is version %s: install both from the same release, or run `make build` in the checkout of egressplay", caller, version)}
}

// addOutput adds the flag -o to a verb that also prints for programs.
func addOutput(c *cobra.Command) {
	c.Flags().StringP("output", "o", "", "json, for programs")
}

// printJSON prints what a program reads.
func printJSON(c *cobra.Command, v any) error {
	return json.NewEncoder(c.OutOrStdout()).Encode(v)
}

// wantsJSON reads the flag -o.
func wantsJSON(c *cobra.Command, _ []string) (bool, error) {
	switch output, err := c.Flags().GetString("output"); {
	case err != nil:
		return false, err
	case output == "":
		return false, nil
	case output == "json":
		return true, nil
	default:
		return false, fmt.Errorf("-o %s: want json", output)
	}
}
