package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	cadvisor "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/kubeletconfig/configfiles"
	"k8s.io/kubernetes/pkg/util/filesystem"
	"k8s.io/kubernetes/pkg/util/oom"
)

// newKubeletCommand returns the kubelet without three parts that a lab's node does not
// have: cAdvisor, cgroups and OOM scores. An ordinary user cannot give them what they
// need: write access to the machine's cgroup tree and to /proc/*/oom_score_adj.
// Kubernetes' own kubemark does the same (pkg/kubemark/hollow_kubelet.go).
//
// Its flags are the kubelet's; its configuration is read from --config, which is
// required here.
func newKubeletCommand(ctx context.Context) *cobra.Command {
	flags := options.NewKubeletFlags()
	c := &cobra.Command{
		Use:          "kubelet --config FILE [FLAGS]",
		Short:        "The kubelet, without cAdvisor, cgroups and OOM scores",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			return runKubelet(ctx, flags)
		},
	}
	flags.AddFlags(c.Flags())
	return c
}

func runKubelet(ctx context.Context, flags *options.KubeletFlags) error {
	if err := options.ValidateKubeletFlags(flags); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	config, err := readKubeletConfig(ctx, flags.KubeletConfigFile)
	if err != nil {
		return fmt.Errorf("read %s: %w", flags.KubeletConfigFile, err)
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(config.FeatureGates); err != nil {
		return fmt.Errorf("feature gates of %s: %w", flags.KubeletConfigFile, err)
	}
	logs.InitLogs()
	if err := logsapi.ValidateAndApply(&config.Logging, utilfeature.DefaultFeatureGate); err != nil {
		return fmt.Errorf("logging of %s: %w", flags.KubeletConfigFile, err)
	}
	if err := validation.ValidateKubeletConfiguration(config, utilfeature.DefaultFeatureGate); err != nil {
		return fmt.Errorf("check %s: %w", flags.KubeletConfigFile, err)
	}
	server := &options.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *config}
	deps, err := app.UnsecuredDependencies(ctx, server, utilfeature.DefaultFeatureGate)
	if err != nil {
		return fmt.Errorf("set up the kubelet: %w", err)
	}
	deps.CAdvisorInterface = machine{Fake: &cadvisor.Fake{}, node: flags.HostnameOverride}
	deps.ContainerManager = cm.NewStubContainerManager()
	deps.OOMAdjuster = oom.NewFakeOOMAdjuster()
	return app.Run(genericapiserver.SetupSignalContext(), server, deps, utilfeature.DefaultFeatureGate)
}

func readKubeletConfig(ctx context.Context, path string) (*kubeletconfig.KubeletConfiguration, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	loader, err := configfiles.NewFsLoader(&filesystem.DefaultFs{}, abs)
	if err != nil {
		return nil, err
	}
	return loader.Load(ctx)
}
