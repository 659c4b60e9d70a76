//go:build lab

package clustertest

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/egressplay/egressplay/cluster"
)

// BenchmarkExec compares a command in a pod with the same command through client-go,
// used as its documentation shows.
func BenchmarkExec(b *testing.B) {
	client, kubeconfig := labCluster(b)
	s := newScene(b, client)
	s.apply(s.deployment("bench"))
	pod := s.waitForPod(cluster.PodQuery{Namespace: s.ns, Owner: "deploy/sample"})

	b.Run("egressplay", func(b *testing.B) {
		for b.Loop() {
			_, err := client.Exec(b.Context(), cluster.ExecRequest{
				Namespace: s.ns, Pod: pod.Name, Container: "sample", Command: []string{"true"},
			})
			require.NoError(b, err)
		}
	})
	b.Run("client-go", func(b *testing.B) {
		config, core := plainClient(b, kubeconfig)
		for b.Loop() {
			url := core.Post().Resource("pods").Namespace(s.ns).Name(pod.Name).SubResource("exec").
				VersionedParams(&corev1.PodExecOptions{Container: "sample", Command: []string{"true"}, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
			executor, err := remotecommand.NewSPDYExecutor(config, "POST", url)
			require.NoError(b, err)
			require.NoError(b, executor.StreamWithContext(b.Context(), remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard}))
		}
	})
}

// BenchmarkObject compares apply, get and delete of an object with the same
// through client-go.
func BenchmarkObject(b *testing.B) {
	client, kubeconfig := labCluster(b)
	s := newScene(b, client)
	obj := s.configMap("bench", map[string]any{"a": "1"})

	b.Run("egressplay", func(b *testing.B) {
		for b.Loop() {
			_, err := client.Apply(b.Context(), obj, cluster.WriteOptions{})
			require.NoError(b, err)
			_, err = client.Get(b.Context(), s.ref("bench"))
			require.NoError(b, err)
			require.NoError(b, client.Delete(b.Context(), s.ref("bench"), cluster.WriteOptions{}))
		}
	})
	b.Run("client-go", func(b *testing.B) {
		config, _ := plainClient(b, kubeconfig)
		dyn, err := dynamic.NewForConfig(config)
		require.NoError(b, err)
		maps := dyn.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.ns)
		body, err := obj.MarshalJSON()
		require.NoError(b, err)
		force := true
		for b.Loop() {
			_, err := maps.Patch(b.Context(), "bench", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "plain", Force: &force})
			require.NoError(b, err)
			_, err = maps.Get(b.Context(), "bench", metav1.GetOptions{})
			require.NoError(b, err)
			require.NoError(b, maps.Delete(b.Context(), "bench", metav1.DeleteOptions{}))
		}
	})
}

func plainClient(b *testing.B, kubeconfig string) (*rest.Config, rest.Interface) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(b, err)
	config.QPS = -1
	core := rest.CopyConfig(config)
	core.APIPath, core.GroupVersion, core.NegotiatedSerializer = "/api", &corev1.SchemeGroupVersion, scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(core)
	require.NoError(b, err)
	return config, client
}
