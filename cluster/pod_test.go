package cluster

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// aPod returns a ready pod that was created at a time, in seconds.
func aPod(name string, created int64, containers ...string) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(created, 0))},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.244.1.5",
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, c := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	return pod
}

func with(pod corev1.Pod, changes ...func(*corev1.Pod)) corev1.Pod {
	for _, change := range changes {
		change(&pod)
	}
	return pod
}

func terminating(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(9, 0)} }

func notReady(pod *corev1.Pod) {
	pod.Status.Conditions[1] = corev1.PodCondition{
		Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ReadinessGatesNotReady", Message: "the gate is shut",
	}
}

func state(index int, s corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		notReady(pod)
		pod.Status.ContainerStatuses[index].Ready = false
		pod.Status.ContainerStatuses[index].State = s
	}
}

func waits(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func ended(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}
}

func TestPickPodTakesTheNewestReadyOne(t *testing.T) {
	q := PodQuery{Namespace: "default", Selector: "app=sleep"}
	always := corev1.ContainerRestartPolicyAlways
	native := func(pod *corev1.Pod) {
		pod.Spec.InitContainers = []corev1.Container{{Name: "istio-init"}, {Name: "istio-proxy", RestartPolicy: &always}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{
			{Name: "istio-init", Ready: true, State: ended(0, "Completed")},
			{Name: "istio-proxy", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
		}
	}
	annotated := func(pod *corev1.Pod) {
		pod.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": "main"}
	}
	for _, test := range []struct {
		name             string
		container        string
		pods             []corev1.Pod
		want, container2 string
	}{
		{"the newest", "", []corev1.Pod{aPod("a", 1, "c"), aPod("b", 3, "c"), aPod("d", 2, "c")}, "b", "c"},
		{"equally new: by name", "", []corev1.Pod{aPod("b", 1, "c"), aPod("a", 1, "c")}, "a", "c"},
		{"not one that ends", "", []corev1.Pod{aPod("a", 1, "c"), with(aPod("b", 3, "c"), terminating)}, "a", "c"},
		{"not one that is not ready", "", []corev1.Pod{aPod("a", 1, "c"), with(aPod("b", 3, "c"), notReady)}, "a", "c"},
		{"one that has the container", "istio-proxy", []corev1.Pod{aPod("a", 1, "c", "istio-proxy"), aPod("b", 3, "c")}, "a", "istio-proxy"},
		{"a native sidecar is a container", "istio-proxy", []corev1.Pod{with(aPod("a", 1, "c"), native)}, "a", "istio-proxy"},
		{"the first container", "", []corev1.Pod{aPod("a", 1, "c", "main")}, "a", "c"},
		{"the annotated container", "", []corev1.Pod{with(aPod("a", 1, "c", "main"), annotated)}, "a", "main"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q.Container = test.container
			got, err := PickPod(q, test.pods)
			require.NoError(t, err)
			assert.Equal(t, test.want, got.Name)
			assert.Equal(t, test.container2, got.Container)
			assert.Equal(t, "10.244.1.5", got.IP)
			assert.Contains(t, got.Containers, got.Container)
		})
	}
	_, err := PickPod(PodQuery{Selector: "app=sleep", Container: "istio-init"}, []corev1.Pod{with(aPod("a", 1, "c"), native)})
	assert.Error(t, err, "an init container that has ended is none to run a command in")
}

func TestPickPodSaysWhyNoneIsReady(t *testing.T) {
	crashed := func(pod *corev1.Pod) {
		state(0, waits("CrashLoopBackOff", "back-off 10s restarting failed container"))(pod)
		pod.Status.ContainerStatuses[0].LastTerminationState = ended(3, "Error")
	}
	unscheduled := func(pod *corev1.Pod) {
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
		}}}
	}
	initFails := func(pod *corev1.Pod) {
		state(0, waits("PodInitializing", ""))(pod)
		pod.Spec.InitContainers = []corev1.Container{{Name: "istio-init"}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "istio-init", State: ended(1, "Error")}}
	}
	for _, test := range []struct {
		name      string
		container string
		pods      []corev1.Pod
		reason    string
		final     bool
	}{
		{"none", "", nil, "there is none in namespace default", false},
		{"terminating", "", []corev1.Pod{with(aPod("a", 1, "c"), terminating)}, "pod a: it is terminating", false},
		{"no image", "", []corev1.Pod{with(aPod("a", 1, "c"), state(0, waits("ImagePullBackOff", "the lab has: curl")))},
			"pod a: container c waits: ImagePullBackOff: the lab has: curl", false},
		{"crashes", "", []corev1.Pod{with(aPod("a", 1, "c"), crashed)},
			"pod a: container c waits: CrashLoopBackOff: back-off 10s restarting failed container; before, it ended with exit code 3", false},
		{"has ended", "", []corev1.Pod{with(aPod("a", 1, "c"), state(0, ended(137, "OOMKilled")))},
			"pod a: container c has ended with exit code 137 (OOMKilled)", false},
		{"init fails", "", []corev1.Pod{with(aPod("a", 1, "c"), initFails)}, "pod a: container istio-init has ended with exit code 1", false},
		{"starts", "", []corev1.Pod{with(aPod("a", 1, "c"), state(0, waits("ContainerCreating", "")))}, "pod a: container c is not ready yet", false},
		{"the sidecar is not ready", "c", []corev1.Pod{with(aPod("a", 1, "c", "istio-proxy"), state(1, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}))},
			"pod a: container istio-proxy runs but is not ready yet", false},
		{"a gate", "", []corev1.Pod{with(aPod("a", 1, "c"), notReady)}, "pod a: it is not ready: ReadinessGatesNotReady: the gate is shut", false},
		{"no node", "", []corev1.Pod{with(aPod("a", 1, "c"), unscheduled)}, "pod a: it is not scheduled: Unschedulable: 0/1 nodes are available", false},
		{"done", "", []corev1.Pod{with(aPod("a", 1, "c"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}, "pod a: it has ended (Succeeded)", false},
		{"new", "", []corev1.Pod{with(aPod("a", 1, "c"), func(p *corev1.Pod) { p.Status = corev1.PodStatus{Phase: corev1.PodPending} })},
			"pod a: it is Pending, no container has started", false},
		{"no such container", "x", []corev1.Pod{aPod("a", 1, "c", "d")}, "pod a has no container x; it has: c, d", true},
		{"no such container in one of two", "x", []corev1.Pod{aPod("a", 1, "c"), with(aPod("b", 2, "x"), notReady)},
			"pod b: it is not ready: ReadinessGatesNotReady: the gate is shut; pod a has no container x; it has: c", false},
		{"many", "x", []corev1.Pod{aPod("a", 1, "c"), aPod("b", 1, "c"), aPod("d", 1, "c"), aPod("e", 1, "c"), aPod("f", 1, "c")},
			"pod a has no container x; it has: c; pod b has no container x; it has: c; pod d has no container x; it has: c; and 2 more", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := PickPod(PodQuery{Namespace: "default", Selector: "app=sleep", Container: test.container}, test.pods)
			got, ok := errors.AsType[*NotReadyError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, &NotReadyError{Namespace: "default", Query: "pods with app=sleep", Reason: test.reason, Final: test.final}, got)
		})
	}
}

// A Deployment in the middle of a roll-out has ready pods of its old template. A query
// does not mean these.
func TestPodOfADeploymentIsOfItsCurrentTemplate(t *testing.T) {
	const revision = "deployment.kubernetes.io/revision"
	labels := map[string]string{"app": "sleep"}
	yes := true
	owner := func(kind, name, uid string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{Kind: kind, Name: name, UID: types.UID(uid), Controller: &yes}}
	}
	deployment := appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "sleep", UID: "d", Generation: 2, Annotations: map[string]string{revision: "2"}},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2},
	}
	set := func(name, uid, rev string, owners []metav1.OwnerReference) appsv1.ReplicaSet {
		return appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(uid), OwnerReferences: owners, Annotations: map[string]string{revision: rev},
		}}
	}
	sets := []appsv1.ReplicaSet{
		set("sleep-old", "old", "1", owner("Deployment", "sleep", "d")),
		set("sleep-new", "new", "2", owner("Deployment", "sleep", "d")),
		set("other", "other", "2", owner("Deployment", "other", "o")),
	}
	of := func(uid string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.OwnerReferences = owner("ReplicaSet", "x", uid) }
	}
	find := func(t *testing.T, d appsv1.Deployment, pods ...corev1.Pod) (*Pod, error) {
		serve := map[string]any{
			"/apis/apps/v1/namespaces/default/deployments/sleep": d,
			"/apis/apps/v1/namespaces/default/replicasets":       appsv1.ReplicaSetList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSetList"}, Items: sets},
			"/api/v1/namespaces/default/pods":                    corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: pods},
		}
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if body, ok := serve[r.URL.Path]; ok {
				if r.URL.Path != "/apis/apps/v1/namespaces/default/deployments/sleep" {
					assert.Equal(t, "app=sleep", r.URL.Query().Get("labelSelector"))
				}
				json.NewEncoder(w).Encode(body)
				return
			}
			serveDiscovery(w, r)
		}))
		return c.Pod(t.Context(), PodQuery{Namespace: "default", Owner: "deploy/sleep"})
	}

	got, err := find(t, deployment, with(aPod("old", 9, "c"), of("old")), with(aPod("new", 1, "c"), of("new")), with(aPod("other", 9, "c"), of("other")))
	require.NoError(t, err)
	assert.Equal(t, "new", got.Name)

	_, err = find(t, deployment, with(aPod("old", 9, "c"), of("old")), with(aPod("new", 1, "c"), of("new"), notReady))
	assert.ErrorContains(t, err, "no ready pod for deploy/sleep: pod new: it is not ready")

	_, err = find(t, deployment, with(aPod("old", 9, "c"), of("old")))
	assert.ErrorContains(t, err, "its pods have not been created yet")

	changed := *deployment.DeepCopy()
	changed.Generation = 3
	_, err = find(t, changed, with(aPod("new", 9, "c"), of("new")))
	assert.ErrorContains(t, err, "its last change has not been taken up yet")

	scaled := *deployment.DeepCopy()
	scaled.Spec.Replicas = new(int32)
	_, err = find(t, scaled)
	assert.ErrorContains(t, err, "it is scaled to 0 replicas")

	refused := *deployment.DeepCopy()
	refused.Status.Conditions = []appsv1.DeploymentCondition{{
		Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: `failed calling webhook "rev.namespace.sidecar-injector.istio.io"`,
	}}
	_, err = find(t, refused)
	assert.ErrorContains(t, err, `FailedCreate: failed calling webhook`)
}

// serveDiscovery answers discovery as an API server with Deployments does.
func serveDiscovery(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api":
		io.WriteString(w, `{"kind":"APIVersions","versions":["v1"]}`)
	case "/apis":
		io.WriteString(w, `{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}]}`)
	case "/api/v1":
		io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","shortNames":["po"]}]}`)
	case "/apis/apps/v1":
		io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"apps/v1","resources":[{"name":"deployments","singularName":"deployment","namespaced":true,"kind":"Deployment","shortNames":["deploy"]}]}`)
	default:
		http.NotFound(w, r)
	}
}
