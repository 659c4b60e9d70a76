//go:build lab

package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// A run in several clusters proves the tutorial in each. Here they are two contexts of
// one lab, each with a namespace of its own.
func TestSeveralClusters(t *testing.T) {
	once(t)
	create(t, "v1", "namespaces", "", `{kind: Namespace, metadata: {name: second}}`)
	config, err := clientcmd.LoadFromFile(shared.kubeconfig)
	require.NoError(t, err)
	at := config.Contexts[config.CurrentContext]
	inSecond := *at
	inSecond.Namespace = "second"
	config.Contexts = map[string]*clientcmdapi.Context{"one": at, "two": &inSecond}
	config.CurrentContext = ""
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))

	before := settledWorld(t)
	flag, read := reportFlag(t)
	e := egressplay(t, "run", "tls-origination", "--kubeconfig", path, "--context", "one", "--context", "two", flag)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, `✓ context "one": 1 playbook passed`)
	assert.Contains(t, e.stdout, `✓ context "two": 1 playbook passed`)
	assert.Contains(t, e.stdout, "✓ in 2 clusters: 2 runs passed in ")
	before.leavesNothing(t)

	r := read()
	require.Len(t, r.Playbooks, 2)
	require.Len(t, r.Targets, 2)
	assert.Equal(t, 2, r.Summary.Passed)
	for i, context := range []string{"one", "two"} {
		assert.Equal(t, context, r.Targets[i].Context)
		assert.Equal(t, context, r.Playbooks[i].Context)
		assert.Equal(t, "passed", r.Playbooks[i].Status)
	}
	assert.NotContains(t, r.Playbooks[0].Steps[0].Command, "second")
	assert.Contains(t, r.Playbooks[1].Steps[0].Command, "second")
}
