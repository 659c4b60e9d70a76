package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// LogPod implements [Interface].
func (c *Client) LogPod(ctx context.Context, q PodQuery) (*Pod, error) {
	pods, err := c.meant(ctx, q)
	if err != nil {
		return nil, err
	}
	return PickLogPod(q, pods)
}

// PickLogPod returns the pod that [Interface].LogPod promises, from those that the
// query may mean.
func PickLogPod(q PodQuery, pods []corev1.Pod) (*Pod, error) {
	pod, err := PickPod(q, pods)
	if err == nil || len(pods) == 0 {
		return pod, err
	}
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int { // newest first, then those that are about to end
		switch going := b.DeletionTimestamp != nil; {
		case going && a.DeletionTimestamp == nil:
			return -1
		case !going && a.DeletionTimestamp != nil:
			return 1
		}
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var reasons []string
	lacking := 0
	for i := range pods {
		pod := &pods[i]
		names := loggingContainers(pod)
		container := cmp.Or(q.Container, pod.Annotations["kubectl.kubernetes.io/default-container"], names[0])
		switch {
		case !slices.Contains(names, container):
			lacking++
			reasons = append(reasons, fmt.Sprintf("pod %s has no container %s; it has: %s", pod.Name, container, strings.Join(names, ", ")))
		case !hasBegun(pod, container):
			reasons = append(reasons, fmt.Sprintf("pod %s: container %s has no log yet: %s", pod.Name, container, whyNotReady(pod, container)))
		default:
			return podOf(pod, container), nil
		}
	}
	return nil, &NotReadyError{Namespace: q.Namespace, Query: q.String(), Reason: strings.Join(reasons[:min(len(reasons), 3)], "; "), Final: lacking == len(pods)}
}

// loggingContainers returns the names of all containers that have a log, the first of
// the pod's regular ones in front.
func loggingContainers(pod *corev1.Pod) []string {
	var names []string
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names = append(names, c.Name)
	}
	return names
}

// hasBegun reports whether a container has run, so that it has a log.
func hasBegun(pod *corev1.Pod, container string) bool {
	status := &pod.Status
	return slices.ContainsFunc(slices.Concat(status.ContainerStatuses, status.InitContainerStatuses, status.EphemeralContainerStatuses),
		func(s corev1.ContainerStatus) bool {
			return s.Name == container && (s.State.Running != nil || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil)
		})
}
