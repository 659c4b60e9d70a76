//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// A lab is a running lab, and clients of its cluster for what tests look at and
// change behind egressplay's back.
type lab struct {
	name       string
	kubeconfig string
	config     *rest.Config
	dynamic    dynamic.Interface
	discovery  discovery.DiscoveryInterface
}

// up starts a lab by the command that a user types.
func up(ctx context.Context, name string) (*lab, error) {
	out, err := command(ctx, "egressplay-lab", "up", "--name", name).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("egressplay-lab up: %w\n%s", err, out)
	}
	l := &lab{name: name}
	s, err := l.status(ctx)
	if err != nil {
		return nil, err
	}
	l.kubeconfig = s.Kubeconfig
	if l.config, err = clientcmd.BuildConfigFromFlags("", l.kubeconfig); err != nil {
		return nil, err
	}
	l.config.QPS = -1
	l.config.WarningHandlerWithContext = rest.NoWarnings{}
	if l.dynamic, err = dynamic.NewForConfig(l.config); err != nil {
		return nil, err
	}
	l.discovery, err = discovery.NewDiscoveryClientForConfig(l.config)
	return l, err
}

// labStatus is what egressplay-lab status -o json prints.
type labStatus struct {
	Name       string `json:"name"`
	Pid        int    `json:"pid"`
	Ready      bool   `json:"ready"`
	Kubeconfig string `json:"kubeconfig"`
	Components []struct {
		Name     string `json:"name"`
		State    string `json:"state"`
		RSSBytes int64  `json:"rssBytes"`
	} `json:"components"`
}

func (l *lab) status(ctx context.Context) (labStatus, error) {
	var s labStatus
	out, err := command(ctx, "egressplay-lab", "status", "--name", l.name, "-o", "json").Output()
	if err != nil {
		return s, fmt.Errorf("egressplay-lab status: %w\n%s", err, out)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("egressplay-lab status: %w\n%s", err, out)
	}
	return s, nil
}

// folder makes a run folder for a lab of a test's own, which must be empty when
// the test ends.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ep")
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() { // what failed said why
			require.NoError(t, os.RemoveAll(dir))
			return
		}
		require.NoError(t, os.Remove(dir), "the run folder")
	})
	return dir
}
