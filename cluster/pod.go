package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// String returns the query in words: "pod sleep-1", "deploy/sleep", "pods with
// app=sleep".
func (q PodQuery) String() string {
	switch {
	case q.Name != "":
		return "pod " + q.Name
	case q.Owner != "":
		return q.Owner
	default:
		return "pods with " + q.Selector
	}
}

// Validate returns an error if a query is not valid. It makes no request.
func (q PodQuery) Validate() error {
	given := 0
	for _, s := range []string{q.Name, q.Owner, q.Selector} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("a pod is named by exactly one of name, owner and selector, not %d", given)
	}
	if kind, name, ok := strings.Cut(q.Owner, "/"); q.Owner != "" && (!ok || kind == "" || name == "") {
		return fmt.Errorf("%q names no workload: it is written as in deploy/sleep", q.Owner)
	}
	return nil
}

// Pod implements [Interface].
func (c *Client) Pod(ctx context.Context, q PodQuery) (*Pod, error) {
	pods, err := c.meant(ctx, q)
	if err != nil {
		return nil, err
	}
	return PickPod(q, pods)
}

// meant returns the pods that a query may mean, with the errors that [Interface]
// promises.
func (c *Client) meant(ctx context.Context, q PodQuery) ([]corev1.Pod, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	pods, err := c.candidates(ctx, q)
	if apierrors.IsNotFound(err) {
		return nil, &NotReadyError{Namespace: q.Namespace, Query: q.String(), Reason: "it does not exist in namespace " + q.Namespace}
	}
	return pods, c.explain(ctx, err)
}

// candidates returns the pods that a query may mean.
func (c *Client) candidates(ctx context.Context, q PodQuery) ([]corev1.Pod, error) {
	kind, name, _ := strings.Cut(q.Owner, "/")
	switch {
	case q.Name != "":
		return c.podByName(ctx, q.Namespace, q.Name)
	case q.Selector != "":
		return c.podsWith(ctx, q.Namespace, q.Selector)
	}
	t, err := c.target(ctx, Ref{Kind: kind, Namespace: q.Namespace, Name: name})
	if err != nil {
		return nil, err
	}
	if t.mapping.GroupVersionKind.Kind == "Pod" {
		return c.podByName(ctx, q.Namespace, name)
	}
	owner, err := t.api.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if owner.GetKind() == "Deployment" {
		return c.podsOfDeployment(ctx, q, owner)
	}
	selector, err := selectorOf(owner)
	if err != nil {
		return nil, err
	}
	pods, err := c.podsWith(ctx, q.Namespace, selector)
	if owner.GetKind() == "Service" {
		return pods, err // a Service selects pods and owns none
	}
	return ownedBy(pods, owner.GetUID()), err
}

// PodReads returns what [Interface].Pod and similar methods read to find the pods that
// a query means.
func PodReads(q PodQuery) []Access {
	pods := Ref{APIVersion: "v1", Kind: "Pod", Namespace: q.Namespace}
	if q.Name != "" {
		pods.Name = q.Name
		return []Access{{Verb: "get", Ref: pods}}
	}
	all := []Access{{Verb: "list", Ref: pods}}
	if q.Selector != "" {
		return all
	}
	kind, name, _ := strings.Cut(q.Owner, "/")
	switch k, _, _ := strings.Cut(strings.ToLower(kind), "."); k {
	case "po", "pod", "pods":
		pods.Name = name
		return []Access{{Verb: "get", Ref: pods}}
	case "deploy", "deployment", "deployments":
		all = append(all, Access{Verb: "list", Ref: Ref{APIVersion: "apps/v1", Kind: "ReplicaSet", Namespace: q.Namespace}})
	}
	return append(all, Access{Verb: "get", Ref: Ref{Kind: kind, Namespace: q.Namespace, Name: name}})
}

func (c *Client) podByName(ctx context.Context, namespace, name string) ([]corev1.Pod, error) {
	pods := make([]corev1.Pod, 1)
	err := c.rest.Get().AbsPath("/api/v1/namespaces", namespace, "pods", name).Do(ctx).Into(&pods[0])
	return pods, err
}

func (c *Client) podsWith(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := c.rest.Get().AbsPath("/api/v1/namespaces", namespace, "pods").Param("labelSelector", selector).Do(ctx).Into(&list)
	return list.Items, err
}

// podsOfDeployment returns the pods of a Deployment's current ReplicaSet: the
// one with its revision (kubernetes/kubernetes pkg/controller/deployment/util,
// RevisionAnnotation).
func (c *Client) podsOfDeployment(ctx context.Context, q PodQuery, obj *unstructured.Unstructured) ([]corev1.Pod, error) {
	const revision = "deployment.kubernetes.io/revision"
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &d); err != nil {
		return nil, err
	}
	notReady := func(reason string) error {
		return &NotReadyError{Namespace: q.Namespace, Query: q.String(), Reason: reason}
	}
	switch {
	case d.Spec.Replicas != nil && *d.Spec.Replicas == 0:
		return nil, notReady("it is scaled to 0 replicas")
	case d.Status.ObservedGeneration < d.Generation || d.Annotations[revision] == "":
		return nil, notReady("its last change has not been taken up yet")
	}
	selector, err := selectorOf(obj)
	if err != nil {
		return nil, err
	}

	var (
		lists            sync.WaitGroup
		sets             appsv1.ReplicaSetList
		pods             []corev1.Pod
		setsErr, podsErr error
	)
	lists.Go(func() {
		setsErr = c.rest.Get().AbsPath("/apis/apps/v1/namespaces", d.Namespace, "replicasets").
			Param("labelSelector", selector).Do(ctx).Into(&sets)
	})
	lists.Go(func() { pods, podsErr = c.podsWith(ctx, d.Namespace, selector) })
	lists.Wait()
	if err := cmp.Or(setsErr, podsErr); err != nil {
		return nil, err
	}
	for _, set := range sets.Items {
		if !metav1.IsControlledBy(&set, &d) || set.Annotations[revision] != d.Annotations[revision] {
			continue
		}
		if pods = ownedBy(pods, set.UID); len(pods) > 0 {
			return pods, nil
		}
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			return nil, notReady(condition.Reason + ": " + condition.Message)
		}
	}
	return nil, notReady("its pods have not been created yet")
}

// selectorOf returns the label selector of a workload or Service.
func selectorOf(owner *unstructured.Unstructured) (string, error) {
	spec, found, err := unstructured.NestedMap(owner.Object, "spec", "selector")
	if err != nil || !found {
		return "", fmt.Errorf("%s has no selector: it owns no pods", RefOf(owner))
	}
	if kind := owner.GetKind(); kind == "Service" || kind == "ReplicationController" {
		set := labels.Set{}
		for k, v := range spec {
			set[k], _ = v.(string)
		}
		return set.String(), nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &selector); err != nil {
		return "", fmt.Errorf("selector of %s: %w", RefOf(owner), err)
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return "", fmt.Errorf("selector of %s: %w", RefOf(owner), err)
	}
	return s.String(), nil
}

func ownedBy(pods []corev1.Pod, owner types.UID) []corev1.Pod {
	return slices.DeleteFunc(pods, func(pod corev1.Pod) bool {
		return !slices.ContainsFunc(pod.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == owner })
	})
}

// PodsOf implements [Interface].
func (c *Client) PodsOf(ctx context.Context, q PodQuery) ([]Pod, error) {
	pods, err := c.meant(ctx, q)
	if err != nil {
		return nil, err
	}
	return PickPods(q, pods)
}

// PodAt implements [Interface].
func (c *Client) PodAt(ctx context.Context, ip string) (*Pod, error) {
	var list corev1.PodList
	err := c.rest.Get().AbsPath("/api/v1/pods").Param("fieldSelector", "status.podIP="+ip).Do(ctx).Into(&list)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return PickAt(ip, list.Items), nil
}

// PickAt returns the pod that [Interface].PodAt promises. It ignores pods that have
// ended, whose address another pod may have by now, and pods in the node's network.
func PickAt(ip string, pods []corev1.Pod) *Pod {
	for i := range pods {
		p := &pods[i]
		if p.Status.PodIP == ip && !p.Spec.HostNetwork && p.Status.Phase == corev1.PodRunning {
			return podOf(p, containers(p)[0])
		}
	}
	return nil
}

// PickPod returns the pod that [Interface].Pod promises, from those that the query may
// mean.
func PickPod(q PodQuery, pods []corev1.Pod) (*Pod, error) {
	ready, err := pick(q, pods)
	if err != nil {
		return nil, err
	}
	return &ready[0], nil
}

// PickPods returns the pods that [Interface].PodsOf promises.
func PickPods(q PodQuery, pods []corev1.Pod) ([]Pod, error) {
	ready, err := pick(q, pods)
	slices.SortFunc(ready, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
	return ready, err
}

// pick returns the ready pods, the newest first.
func pick(q PodQuery, pods []corev1.Pod) (ready []Pod, err error) {
	if len(pods) == 0 {
		return nil, &NotReadyError{Namespace: q.Namespace, Query: q.String(), Reason: "there is none in namespace " + q.Namespace}
	}
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int { // newest first
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var reasons []string
	lacking := 0
	for i := range pods {
		pod := &pods[i]
		names := containers(pod)
		container := cmp.Or(q.Container, pod.Annotations["kubectl.kubernetes.io/default-container"], names[0])
		if !slices.Contains(names, container) {
			lacking++
			reasons = append(reasons, fmt.Sprintf("pod %s has no container %s; it has: %s", pod.Name, container, strings.Join(names, ", ")))
			continue
		}
		if why := whyNotReady(pod, container); why != "" {
			reasons = append(reasons, fmt.Sprintf("pod %s: %s", pod.Name, why))
			continue
		}
		ready = append(ready, *podOf(pod, container))
	}
	if len(ready) > 0 {
		return ready, nil
	}
	const most = 3 // more would not help a reader
	if more := len(reasons) - most; more > 0 {
		reasons = append(reasons[:most], fmt.Sprintf("and %d more", more))
	}
	return nil, &NotReadyError{Namespace: q.Namespace, Query: q.String(), Reason: strings.Join(reasons, "; "), Final: lacking == len(pods)}
}

func podOf(pod *corev1.Pod, container string) *Pod {
	return &Pod{
		Namespace:  pod.Namespace,
		Name:       pod.Name,
		IP:         pod.Status.PodIP,
		Container:  container,
		Containers: containers(pod),
		Labels:     pod.Labels,
		Node:       pod.Spec.NodeName,
	}
}

// containers returns the names of a pod's containers, and of its init containers that
// run beside them.
func containers(pod *corev1.Pod) []string {
	var names []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			names = append(names, c.Name)
		}
	}
	return names
}
