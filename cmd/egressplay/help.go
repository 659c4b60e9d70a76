package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// topics are what help tells beside the commands: a row each.
var topics = []struct{ name, short, long string }{
	{"exit-codes", "What the exit codes mean", `  0     every playbook passed
  1     an expectation did not hold
  2     bad usage, a bad playbook, or nothing to run
  3     it could not be run or judged, or everything was skipped
  4     everything passed, but something could not be put back
  130   interrupted by Ctrl-C; 143 by SIGTERM: 128 and the number of the signal

Of several that apply, the first in the order 130 and 143, 2, 1, 3, 4. A run in several
clusters has the code of the cluster in which it ended worst, in the same order.`},
	{"environment", "The environment variables that are read", `  EGRESSPLAY_CONTEXT      the context of your kubeconfig that run, cleanup and why use,
                          as --context
  EGRESSPLAY_KUBECONFIG   the kubeconfig that they use, as --kubeconfig; KUBECONFIG is
                          read only together with a context
  EGRESSPLAY_LAB_DIR      the folder of your labs, by default $XDG_RUNTIME_DIR/egressplay,
                          for root /run/egressplay, else /tmp/egressplay-UID
  XDG_STATE_HOME          where records of changes are kept if the cluster lets no
                          Secret be made, by default ~/.local/state
  NO_COLOR                no colours, whatever its value
  TERM                    no colours where it is dumb
  COLUMNS                 the width of the transcript where it is no terminal
  EGRESSPLAY_LAB          the lab that run, cleanup and why use, as --lab; "lab shell" sets it
  PATH                    where egressplay-lab is looked for last
  SHELL                   the shell that "lab shell" opens`},
}

// newHelp is cobra's help with topics, and with an error where it knows of nothing.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Say more about a command, about exit-codes or about environment",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if found, _, err := cmd.Root().Find(args); err == nil {
				for _, c := range found.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name()+"\t"+c.Short)
					}
				}
			}
			if len(args) == 0 {
				for _, t := range topics {
					names = append(names, t.name+"\t"+t.short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				for _, t := range topics {
					if t.name == args[0] {
						_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s.\n\n%s\n", t.short, t.long)
						return err
					}
				}
			}
			found, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil || found == cmd.Root() && len(rest) > 0:
				return unknownCommand(cmd.Root(), args[0])
			case len(rest) > 0:
				return usagef(helpHint(found), "%s has no command %q", found.CommandPath(), rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}
