package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/lab/supervise"
)

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// awaitAvailable waits until a Deployment has the condition Available.
func (a *api) awaitAvailable(ctx context.Context, namespace, name string) error {
	return a.await(ctx, deployments, namespace, name, available)
}

// available says nil of a Deployment that is available.
func available(o *unstructured.Unstructured) error { return condition(o, "Available") }

// condition says nil of an object that has a condition of this type.
func condition(o *unstructured.Unstructured, name string) error {
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, c := range conditions {
		c, ok := c.(map[string]any)
		if !ok || c["type"] != name {
			continue
		}
		if c["status"] == "True" {
			return nil
		}
		return fmt.Errorf("not %s: %v", name, c["message"])
	}
	return fmt.Errorf("not %s yet", name)
}

// workloadState asks for the state of a component that is a Deployment.
func (l *lab) workloadState(ctx context.Context, w workload) supervise.State {
	api := l.api.Load()
	if api == nil {
		return supervise.Starting
	}
	o, err := api.client.Resource(deployments).Namespace(w.namespace).Get(ctx, w.component, metav1.GetOptions{})
	if err != nil || available(o) != nil {
		return supervise.Starting
	}
	return supervise.Ready
}

// gatewayAPIState asks whether istiod takes care of Gateways.
func (l *lab) gatewayAPIState(ctx context.Context) supervise.State {
	api := l.api.Load()
	if api == nil {
		return supervise.Starting
	}
	o, err := api.client.Resource(gatewayClasses).Get(ctx, gatewayClass, metav1.GetOptions{})
	if err != nil || accepted(o) != nil {
		return supervise.Starting
	}
	return supervise.Ready
}

// isPodOf tells whether a pod has a name that a Deployment gives.
func isPodOf(deployment, pod string) bool { return strings.HasPrefix(pod, deployment+"-") }

// The time for one try to have a pod injected doubles from the shortest to the
// longest. It is short at first because a connection to a Service is lost, and
// tried again by the kernel after a second, when it begins at the very moment at
// which kube-proxy changes its rules.
const (
	shortestInjection = 100 * time.Millisecond
	longestInjection  = 3 * time.Second
)

// awaitInjection waits until the API server would have istiod put a sidecar into
// a pod: the webhook has istiod's certificate, its Service leads to istiod, and
// the namespace has its ServiceAccount. It asks with a dry run, so that no pod
// comes of it.
func (a *api) awaitInjection(ctx context.Context) error {
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata": map[string]any{
			"name":   "egressplay-lab-probe",
			"labels": map[string]any{"sidecar.istio.io/inject": "true"},
		},
		"spec": map[string]any{
			"containers": []any{map[string]any{"name": "probe", "image": "sleep"}},
		},
	}}
	limit := shortestInjection
	return retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		limit = min(2*limit, longestInjection)
		got, err := a.client.Resource(pods).Namespace("default").Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return fmt.Errorf("try to have a pod injected: %w", err)
		}
		containers, _, err := unstructured.NestedSlice(got.Object, "spec", "containers")
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(containers, isSidecar) {
			return errors.New("try to have a pod injected: it got no sidecar")
		}
		return nil
	})
}

func isSidecar(container any) bool {
	c, ok := container.(map[string]any)
	return ok && c["name"] == "istio-proxy"
}
