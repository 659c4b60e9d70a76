package cluster

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/egressplay/egressplay/lab/istio"
	"github.com/egressplay/egressplay/lab/supervise"
)

// workload is a component that is a Deployment.
type workload struct{ component, namespace string }

var (
	coredns       = workload{CoreDNS, "kube-system"}
	istiod        = workload{Istiod, istio.Namespace}
	egressGateway = workload{EgressGateway, istio.Namespace}

	workloads = []workload{coredns, istiod, egressGateway}
)

// NamespaceOf returns the namespace of a component that is a Deployment of the
// same name, and false for any other.
func NamespaceOf(component string) (string, bool) {
	for _, w := range workloads {
		if w.component == component {
			return w.namespace, true
		}
	}
	return "", false
}

// isPodOf reports whether a pod's name is one that a Deployment gives.
func isPodOf(deployment, pod string) bool { return strings.HasPrefix(pod, deployment+"-") }

// NotReady is the state of a part of a lab that came up and does not work now.
const NotReady supervise.State = "not ready"

// state returns the state of a part of the cluster, and the reason, from the problem
// that keeps it from working; nil is no problem. During the bring-up there is no
// reason.
func (l *lab) state(problem error) (supervise.State, string) {
	switch {
	case problem == nil:
		return supervise.Ready, ""
	case !l.up.Load():
		return supervise.Starting, ""
	default:
		return NotReady, brief(problem)
	}
}

// serves returns nil if a workload has its pods and each is ready now. The Deployment's
// condition Available does not prove that: it is True for a Deployment that was scaled
// to 0.
func (a *api) serves(ctx context.Context, w workload) error {
	d, err := a.client.Resource(deployments).Namespace(w.namespace).Get(ctx, w.component, metav1.GetOptions{})
	if err != nil {
		return err
	}
	labels, _, err := unstructured.NestedStringMap(d.Object, "spec", "selector", "matchLabels")
	if err != nil {
		return err
	}
	want, _, err := unstructured.NestedInt64(d.Object, "spec", "replicas")
	if err != nil {
		return err
	}
	list, err := a.client.Resource(pods).Namespace(w.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: labels}),
	})
	if err != nil {
		return err
	}
	var count int64
	for _, item := range list.Items {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &pod); err != nil {
			return err
		}
		if isLeaving(&pod) {
			continue
		}
		count++
		if err := podReady(&pod); err != nil {
			return err
		}
	}
	if want = max(want, 1); count < want {
		return fmt.Errorf("it has %d of %d pods", count, want)
	}
	return nil
}

// isLeaving reports whether a pod has ended or is about to end, so that another one
// must take its place.
func isLeaving(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// podReady returns nil if a pod's condition Ready is True, else an error with the
// condition's message and why its containers do not run.
func podReady(pod *corev1.Pod) error {
	why := "it has not started"
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodReady {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			return nil
		}
		why = c.Message
	}
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if w := c.State.Waiting; w != nil {
			why += fmt.Sprintf(", %s: %s", c.Name, w.Reason)
		}
	}
	return fmt.Errorf("pod %s: %s", pod.Name, why)
}

// gatewaysServed returns nil if istiod has accepted its GatewayClass.
func (a *api) gatewaysServed(ctx context.Context) error {
	o, err := a.client.Resource(gatewayClasses).Get(ctx, gatewayClass, metav1.GetOptions{})
	if err != nil {
		return err
	}
	return accepted(o)
}
