package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
)

// addPlace adds the flags that say in which cluster, and where in it, but --context: see
// [addContext].
func addPlace(cmd *cobra.Command, o *runOptions) {
	f := cmd.Flags()
	f.StringVar(&o.labName, "lab", "", "the running lab with this `NAME`")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the cluster of this kubeconfig `FILE`, at its current context if --context names none")
	f.StringVarP(&o.namespace, "namespace", "n", "", "where the playbooks' objects are (default that of the context)")
	f.StringVar(&o.istioNamespace, "istio-namespace", "istio-system", "where istiod is")
}

// addContext adds the flag that names the one context of a cluster.
func addContext(cmd *cobra.Command, o *runOptions) {
	cmd.Flags().Var(&oneContext{value: &o.context}, "context", "the cluster of this `CONTEXT` of your kubeconfig")
	register(cmd, "context", completeContexts)
}

// A oneContext is the value of a flag that is given once at most.
type oneContext struct {
	value *string
	given bool
}

// Set implements [pflag.Value].
func (c *oneContext) Set(name string) error {
	if c.given {
		return errors.New("only run takes several contexts")
	}
	*c.value, c.given = name, true
	return nil
}

func (c *oneContext) String() string { return *c.value }

// Type implements [pflag.Value].
func (c *oneContext) Type() string { return "string" }

// placeFromEnv takes from the environment what the flags do not say.
func placeFromEnv(cmd *cobra.Command, o *runOptions) error {
	cluster := cmd.Flags().Changed("context") || cmd.Flags().Changed("kubeconfig")
	if o.labName != "" && cluster {
		return usagef("leave out --lab, or the others", "--lab names a lab, and --context or --kubeconfig another cluster")
	}
	for flag, name := range map[string]string{"namespace": o.namespace, "istio-namespace": o.istioNamespace} {
		if wrong := validation.IsDNS1123Label(name); name != "" && len(wrong) > 0 {
			return usagef("a namespace's name has small letters, digits and -", "--%s %q names no namespace", flag, name)
		}
	}
	if o.labName == "" && !cluster {
		o.labName = os.Getenv("EGRESSPLAY_LAB")
	}
	if o.labName != "" {
		return nil
	}
	if !cmd.Flags().Changed("context") {
		o.context = os.Getenv("EGRESSPLAY_CONTEXT")
	}
	if !cmd.Flags().Changed("kubeconfig") {
		o.kubeconfig = os.Getenv("EGRESSPLAY_KUBECONFIG")
	}
	return o.chooseContext()
}
