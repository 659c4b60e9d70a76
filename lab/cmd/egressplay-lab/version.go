package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/egressplay/egressplay/lab"
)

// versions is what `version -o json` prints.
type versions struct {
	Version    string `json:"version"` // of this program
	Kubernetes string `json:"kubernetes"`
	Etcd       string `json:"etcd"`
	CoreDNS    string `json:"coredns"`
	Istio      string `json:"istio"`
	Envoy      string `json:"envoy"`
}

func newVersion() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of every part",
		Args:  noArgs,
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := wantsJSON(c, args)
			if err != nil {
				return err
			}
			v := versions{version, lab.Kubernetes, lab.Etcd, lab.CoreDNS, lab.Istio, lab.Envoy}
			if asJSON {
				return failed(printJSON(c, v))
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(table, "egressplay-lab\t%s\nKubernetes\t%s\netcd\t%s\nCoreDNS\t%s\nIstio\t%s\nEnvoy\t%s\n",
				v.Version, v.Kubernetes, v.Etcd, v.CoreDNS, v.Istio, v.Envoy)
			return failed(table.Flush())
		},
	}
	addOutput(c)
	// It also answers another version, which so learns that the versions differ.
	c.PersistentPreRunE = func(*cobra.Command, []string) error { return nil }
	return c
}
