package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// whyNotReady returns "" if a command can be run in the pod's container and the whole
// pod is ready, else the reason in words.
func whyNotReady(pod *corev1.Pod, container string) string {
	status := &pod.Status
	if pod.DeletionTimestamp != nil {
		return "it is terminating"
	}
	if status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed {
		return strings.TrimSpace(fmt.Sprintf("it has ended (%s) %s", status.Phase, status.Message))
	}
	for _, c := range status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return fmt.Sprintf("it is not scheduled: %s: %s", c.Reason, c.Message)
		}
	}
	for _, s := range slices.Concat(status.InitContainerStatuses, status.ContainerStatuses) {
		if why := whyNotRunning(pod, &s); why != "" {
			return why
		}
	}
	if len(status.ContainerStatuses) == 0 {
		return "it is " + cmp.Or(string(status.Phase), "new") + ", no container has started"
	}
	running := func(s corev1.ContainerStatus) bool { return s.Name == container && s.State.Running != nil && s.Ready }
	if !slices.ContainsFunc(slices.Concat(status.ContainerStatuses, status.InitContainerStatuses), running) {
		return fmt.Sprintf("container %s is not ready yet", container)
	}
	for _, c := range status.Conditions {
		if c.Type != corev1.PodReady {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			return ""
		}
		return strings.TrimSuffix(fmt.Sprintf("it is not ready: %s: %s", c.Reason, c.Message), ": ")
	}
	return fmt.Sprintf("it is %s", status.Phase)
}

// whyNotRunning returns what is wrong with a container, "" if it runs, has completed,
// or has just not started yet.
func whyNotRunning(pod *corev1.Pod, s *corev1.ContainerStatus) string {
	waiting, ended := s.State.Waiting, s.State.Terminated
	switch {
	case waiting != nil && waiting.Reason != "PodInitializing" && waiting.Reason != "ContainerCreating" && waiting.Reason != "":
		why := fmt.Sprintf("container %s waits: %s", s.Name, waiting.Reason)
		if waiting.Message != "" {
			why += ": " + waiting.Message
		}
		if last := s.LastTerminationState.Terminated; last != nil {
			why += "; before, it ended " + howEnded(last)
		}
		return why
	case ended != nil && (ended.ExitCode != 0 || !isInit(pod, s.Name)):
		return fmt.Sprintf("container %s has ended %s", s.Name, howEnded(ended))
	case s.State.Running != nil && !s.Ready && !isInit(pod, s.Name):
		return fmt.Sprintf("container %s runs but is not ready yet", s.Name)
	}
	return ""
}

func howEnded(t *corev1.ContainerStateTerminated) string {
	how := fmt.Sprintf("with exit code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
		how += " (" + t.Reason + ")"
	}
	if t.Message != "" {
		how += ": " + strings.TrimSpace(t.Message)
	}
	return how
}

func isInit(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}
