package main

import (
	"context"
	"errors"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/yaml"
)

// execOnce runs curl in the pod as client-go's own documentation has it.
func execOnce(ctx context.Context, l *lab) error {
	url := l.client.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(l.pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: "sleep", Stdout: true, Stderr: true,
			Command: []string{"curl", "-sI", "http://edition.cnn.com/politics"},
		}, scheme.ParameterCodec).URL()
	exec, err := remotecommand.NewSPDYExecutor(l.config, "POST", url)
	if err != nil {
		return err
	}
	return exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
}

const configMap = `apiVersion: v1
kind: ConfigMap
metadata:
  name: bench
data:
  a: b
`

// objectOnce applies an object, gets it, deletes it, and waits until it is
// gone.
func objectOnce(ctx context.Context, l *lab) error {
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(configMap), &obj.Object); err != nil {
		return err
	}
	r := l.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace)
	if _, err := r.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "bench", Force: true}); err != nil {
		return err
	}
	if _, err := r.Get(ctx, obj.GetName(), metav1.GetOptions{}); err != nil {
		return err
	}
	if err := r.Delete(ctx, obj.GetName(), metav1.DeleteOptions{}); err != nil {
		return err
	}
	// It has no finalizer, so the first look sees that it is gone.
	_, err := r.Get(ctx, obj.GetName(), metav1.GetOptions{})
	if err == nil {
		return errors.New("the object is still there after its deletion")
	}
	if !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}
