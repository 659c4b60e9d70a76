package cluster

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestPickLogPod(t *testing.T) {
	ended := func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodSucceeded
		state(0, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})(pod)
	}
	crashed := func(pod *corev1.Pod) {
		state(0, waits("CrashLoopBackOff", ""))(pod)
		pod.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
	}
	creating := state(0, waits("ContainerCreating", ""))
	initialised := func(s corev1.ContainerState) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			pod.Spec.InitContainers = []corev1.Container{{Name: "init"}}
			pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", State: s}}
		}
	}
	initEnded := initialised(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})
	for name, test := range map[string]struct {
		container string
		pods      []corev1.Pod
		pod       string // "" for none
		reason    string
		final     bool
	}{
		"a ready one":                       {"", []corev1.Pod{aPod("old", 1, "a"), with(aPod("new", 2, "a"), ended)}, "old", "", false},
		"one that has ended":                {"", []corev1.Pod{with(aPod("old", 1, "a"), ended), with(aPod("new", 2, "a"), ended)}, "new", "", false},
		"one that crashes":                  {"", []corev1.Pod{with(aPod("p", 1, "a"), crashed)}, "p", "", false},
		"one that runs and is not ready":    {"", []corev1.Pod{with(aPod("p", 1, "a"), notReady)}, "p", "", false},
		"rather not one that ends":          {"", []corev1.Pod{with(aPod("old", 1, "a"), ended), with(aPod("new", 2, "a"), terminating)}, "old", "", false},
		"one that ends, for want of others": {"", []corev1.Pod{with(aPod("p", 1, "a"), terminating)}, "p", "", false},
		"an init container":                 {"init", []corev1.Pod{with(aPod("p", 1, "a"), initEnded)}, "p", "", false},
		"an init container of a new pod":    {"init", []corev1.Pod{with(aPod("p", 1, "a"), creating, initialised(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}))}, "p", "", false},
		"one that has not begun":            {"", []corev1.Pod{with(aPod("p", 1, "a"), creating)}, "", "pod p: container a has no log yet: container a is not ready yet", false},
		"an init container that waits":      {"init", []corev1.Pod{with(aPod("p", 1, "a"), creating, initialised(waits("ErrImagePull", "no such image")))}, "", "container init waits: ErrImagePull: no such image", false},
		"no such container":                 {"b", []corev1.Pod{with(aPod("p", 1, "a"), initEnded)}, "", "pod p has no container b; it has: a, init", true},
		"none":                              {"", nil, "", "there is none in namespace default", false},
	} {
		t.Run(name, func(t *testing.T) {
			q := PodQuery{Namespace: "default", Owner: "job/x", Container: test.container}
			pod, err := PickLogPod(q, test.pods)
			if test.pod != "" {
				require.NoError(t, err)
				assert.Equal(t, test.pod, pod.Name)
				assert.NotEmpty(t, pod.Container)
				return
			}
			nr, ok := errors.AsType[*NotReadyError](err)
			require.True(t, ok, "%v", err)
			assert.Contains(t, nr.Reason, test.reason)
			assert.Equal(t, test.final, nr.Final)
		})
	}
}
