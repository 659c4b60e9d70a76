//go:build lab

package clustertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/cluster"
)

// kubeconfigVariable names a cluster to use instead of a lab of the test's own.
const kubeconfigVariable = "EGRESSPLAY_TEST_KUBECONFIG"

func TestLabCluster(t *testing.T) {
	client, _ := labCluster(t)
	Run(t, func(*testing.T) cluster.Interface { return client })

	// The promises that a fake does not keep.
	whole := newScene(t, client)
	t.Run("a field that a kind does not have", func(t *testing.T) {
		s := whole.of(t)
		_, err := client.Apply(s.ctx, Object("v1", "ConfigMap", s.ns, "a", map[string]any{"dta": map[string]any{}}), cluster.WriteOptions{})
		assert.ErrorContains(t, err, "dta")
		assert.True(t, apierrors.IsBadRequest(err) || apierrors.IsInvalid(err) || strings.Contains(err.Error(), "field not declared"), "%v", err)
	})
	t.Run("a deletion that something holds up", func(t *testing.T) {
		s := whole.of(t)
		obj := s.configMap("held", nil)
		obj.SetFinalizers([]string{"example.com/hold"})
		s.apply(obj)
		ctx, cancel := context.WithTimeout(s.ctx, 200*time.Millisecond)
		defer cancel()
		err := client.Delete(ctx, s.ref("held"), cluster.WriteOptions{})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "delete configmap/held: it is still there (finalizers example.com/hold)")

		_, err = client.MergePatch(s.ctx, s.ref("held"), []byte(`{"metadata":{"finalizers":null}}`), cluster.WriteOptions{})
		require.NoError(t, err)
	})
	t.Run("a kind that is defined while we run", func(t *testing.T) {
		s := whole.of(t)
		group := s.ns + ".example.com"
		thing := cluster.Ref{APIVersion: group + "/v1", Kind: "Thing", Namespace: s.ns, Name: "a"}
		_, err := client.Get(s.ctx, thing)
		require.ErrorAs(t, err, new(*cluster.NoKindError))

		crd := cluster.Ref{Kind: "crd", Name: "things." + group}
		s.apply(Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", crd.Name, map[string]any{"spec": map[string]any{
			"group": group,
			"scope": "Namespaced",
			"names": map[string]any{"kind": "Thing", "plural": "things", "singular": "thing", "shortNames": []any{"tg"}},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
			}},
		}}))
		t.Cleanup(func() {
			if err := client.Delete(context.WithoutCancel(s.ctx), crd, cluster.WriteOptions{}); !apierrors.IsNotFound(err) { // the test deletes it itself
				assert.NoError(t, err)
			}
		})
		// It is served a moment after it is accepted.
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			_, err := client.Apply(s.ctx, Object(thing.APIVersion, "Thing", s.ns, "a", nil), cluster.WriteOptions{})
			assert.NoError(t, err)
		}, deadline, 50*time.Millisecond)
		got, err := client.Get(s.ctx, cluster.Ref{Kind: "tg." + group, Namespace: s.ns, Name: "a"})
		require.NoError(t, err)
		assert.Equal(t, "Thing", got.GetKind())
		require.NoError(t, client.Delete(s.ctx, thing, cluster.WriteOptions{}))

		require.NoError(t, client.Delete(s.ctx, crd, cluster.WriteOptions{}))
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			_, err := client.Get(s.ctx, thing)
			assert.ErrorAs(t, err, new(*cluster.NoKindError))
		}, deadline, 50*time.Millisecond)
	})
}

// labCluster returns a client for the cluster that the environment names, or for a lab
// that ends with the test. A lab that does not start fails the test.
func labCluster(t testing.TB) (client *cluster.Client, kubeconfig string) {
	kubeconfig = os.Getenv(kubeconfigVariable)
	if kubeconfig == "" {
		program, err := filepath.Abs("../../bin/egressplay-lab")
		require.NoError(t, err)
		require.FileExists(t, program, "build it first: make build")
		lab := func(args ...string) string {
			out, err := exec.Command(program, append(args, "--name", "clustertest")...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			return strings.TrimSpace(string(out))
		}
		t.Cleanup(func() { lab("down") })
		lab("up")
		kubeconfig = lab("kubeconfig")
	}
	client, err := cluster.New(cluster.Options{Kubeconfig: kubeconfig})
	require.NoError(t, err)
	_, err = client.Check(t.Context())
	require.NoError(t, err)
	return client, kubeconfig
}
