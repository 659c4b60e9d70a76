//go:build lab

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A namespace goes with all that is in it, and sooner than by Kubernetes' own
// controller, which begins after 5 s.
func TestANamespaceGoesSoon(t *testing.T) {
	namespaces := shared.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
	configMaps := shared.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("goes-soon")
	object := func(kind, name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name}}}
	}
	took := time.Duration(0)
	eventually(t, func() bool { // one of several: the machine may be busy
		_, err := namespaces.Create(t.Context(), object("Namespace", "goes-soon"), metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = configMaps.Get(t.Context(), "inside", metav1.GetOptions{})
		require.True(t, apierrors.IsNotFound(err), "what was in a namespace has gone with it: %v", err)
		_, err = configMaps.Create(t.Context(), object("ConfigMap", "inside"), metav1.CreateOptions{})
		require.NoError(t, err)
		started := time.Now()
		require.NoError(t, namespaces.Delete(t.Context(), "goes-soon", metav1.DeleteOptions{}))
		eventually(t, func() bool {
			_, err := namespaces.Get(t.Context(), "goes-soon", metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		}, "the namespace does not go")
		took = time.Since(started)
		return took < 5*time.Second
	}, "a namespace takes 5 s and more to go")
	t.Logf("a namespace went after %v", took)
}
