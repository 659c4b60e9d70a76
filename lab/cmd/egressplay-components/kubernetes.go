package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's credential plugins
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func kubeAPIServer() { run(apiserver.NewAPIServerCommand()) }

func kubeControllerManager() { run(newControllerManagerCommand()) }

func kubeProxy() { run(proxy.NewProxyCommand()) }

func kubeScheduler() { run(scheduler.NewSchedulerCommand()) }

func kubelet() { run(newKubeletCommand(context.Background())) }

// kubectl does what Kubernetes' own cmd/kubectl/kubectl.go does.
func kubectl() {
	// Only an unreadable -v makes this fail, and kubectl's own parser reports that
	// better.
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		cmdutil.CheckErr(err)
	}
}

func run(c *cobra.Command) { os.Exit(cli.Run(c)) }
