package steps

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hasRollout reports whether kubectl rollout status takes the object.
func hasRollout(obj *unstructured.Unstructured) bool {
	switch obj.GroupVersionKind().GroupKind().String() {
	case "DaemonSet.apps", "Deployment.apps", "StatefulSet.apps":
		return true
	}
	return false
}

// rolledOut returns what keeps a workload from being all that it is to be, as
// kubectl rollout status does. Other than that, it also waits until a workload that
// was scaled down has no pod more than it wants.
// Source: k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go.
func rolledOut(obj *unstructured.Unstructured) (got string, never bool) {
	if !hasRollout(obj) {
		return "a " + obj.GetKind() + ": rollout is for a Deployment, a StatefulSet or a DaemonSet", true
	}
	w := workload{obj}
	strategy, _, _ := unstructured.NestedString(obj.Object, "spec", "updateStrategy", "type")
	if strategy == "OnDelete" {
		return "its pods are replaced only when they are deleted (update strategy OnDelete)", true
	}
	if w.status("observedGeneration") < obj.GetGeneration() {
		return "not yet seen by its controller", false
	}
	switch obj.GetKind() {
	case "DaemonSet":
		wanted := w.status("desiredNumberScheduled")
		return w.progress(wanted, w.status("updatedNumberScheduled"), w.status("numberAvailable")), false
	case "StatefulSet":
		return w.statefulSet(), false
	}
	if c := conditionOf(obj, "Progressing"); c != nil && c["reason"] == "ProgressDeadlineExceeded" {
		return explained("it exceeded its progress deadline", c["reason"], c["message"]), true
	}
	updated := w.status("updatedReplicas")
	if replicas := w.replicas(); updated < replicas {
		return w.progress(replicas, updated, updated), false
	}
	if old := w.status("replicas") - min(updated, w.replicas()); old > 0 {
		return fmt.Sprintf("%d of %d pods still to go", old, w.status("replicas")), false
	}
	return w.progress(updated, updated, w.status("availableReplicas")), false
}

// A workload is a Deployment, StatefulSet or DaemonSet.
type workload struct{ obj *unstructured.Unstructured }

// status returns a number of the workload's status, 0 where it has none.
func (w workload) status(field string) int64 {
	n, _, _ := unstructured.NestedInt64(w.obj.Object, "status", field)
	return n
}

// replicas returns how many pods there are to be.
func (w workload) replicas() int64 {
	n, found, _ := unstructured.NestedInt64(w.obj.Object, "spec", "replicas")
	if !found {
		return 1
	}
	return n
}

// progress returns how far a rollout is, "" when it is done.
func (w workload) progress(wanted, updated, available int64) string {
	switch {
	case updated < wanted:
		return fmt.Sprintf("%d of %d pods updated", updated, wanted)
	case available < wanted:
		return fmt.Sprintf("%d of %d pods available", available, wanted)
	}
	return ""
}

// statefulSet returns how far the rollout of a StatefulSet is. With a partition,
// only the pods from that number on are to be updated.
func (w workload) statefulSet() string {
	if ready, wanted := w.status("readyReplicas"), w.replicas(); ready < wanted {
		return fmt.Sprintf("%d of %d pods ready", ready, wanted)
	}
	if old := w.status("replicas") - w.replicas(); old > 0 {
		return fmt.Sprintf("%d of %d pods still to go", old, w.status("replicas"))
	}
	updated := w.status("updatedReplicas")
	if rolling, found, _ := unstructured.NestedMap(w.obj.Object, "spec", "updateStrategy", "rollingUpdate"); found {
		partition, _ := rolling["partition"].(int64)
		return w.progress(w.replicas()-partition, updated, w.replicas())
	}
	current, _, _ := unstructured.NestedString(w.obj.Object, "status", "currentRevision")
	update, _, _ := unstructured.NestedString(w.obj.Object, "status", "updateRevision")
	if current != update {
		return fmt.Sprintf("%d of %d pods updated", updated, w.replicas())
	}
	return ""
}
