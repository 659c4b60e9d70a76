package main

import (
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/transcript"
)

// completeNames completes the names of built-in playbooks, and of files.
func completeNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	for _, i := range playbooks.List() {
		names = append(names, cobra.CompletionWithDesc(i.Name, i.Title))
	}
	return names, cobra.ShellCompDirectiveDefault
}

// completeContexts completes the contexts of the user's kubeconfig.
func completeContexts(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath, _ = cmd.Flags().GetString("kubeconfig")
	config, err := rules.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	named, _ := cmd.Flags().GetStringArray("context") // only run takes several
	for name := range config.Contexts {
		if !slices.Contains(named, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFormats completes the formats of a report; what follows is a path.
func completeFormats(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, name := range transcript.FormatNames() {
		all = append(all, cobra.CompletionWithDesc(name+"=", transcript.Formats[name].About))
	}
	return all, cobra.ShellCompDirectiveNoSpace
}
