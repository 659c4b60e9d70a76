package changes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/cluster"
)

// A ForGoodError reports that an object could not be put back if it were deleted.
type ForGoodError struct {
	Ref cluster.Ref
	Why string
	// Advice is what to do next; "" for the usual advice about a deletion.
	Advice string
}

func (e *ForGoodError) Error() string {
	return fmt.Sprintf("%s could not be put back: %s", e.Ref, e.Why)
}

// Hint returns what to do next.
func (e *ForGoodError) Hint() string {
	if e.Advice != "" {
		return e.Advice
	}
	return "if it is to go for good, write forGood: true in the step; else have the playbook make it first"
}

// WhyForGood returns why an object of a kind cannot be put back once it is deleted; ""
// if it can. kind is anything that kubectl accepts.
func WhyForGood(kind string) string {
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".")
	for _, k := range forGood {
		if slices.Contains(k.names, kind) {
			return k.why
		}
	}
	return ""
}

// IsPod reports whether a kind, in any form that kubectl accepts, means pods.
func IsPod(kind string) bool {
	return slices.Contains([]string{"pod", "pods", "po"}, strings.ToLower(kind))
}

// forGood has the kinds whose objects are more than their fields.
var forGood = []struct {
	names []string
	why   string
}{
	{[]string{"namespace", "namespaces", "ns"}, "all that is in it goes with it"},
	{[]string{"customresourcedefinition", "customresourcedefinitions", "crd", "crds"}, "all objects of its kind go with it"},
	{[]string{"job", "jobs"}, "one that is made anew does its work again"},
	{[]string{"cronjob", "cronjobs", "cj"}, "its Jobs go with it, and what they did is not known any more"},
	{[]string{"pod", "pods", "po"}, "what ran in it is gone"},
	{[]string{"persistentvolume", "persistentvolumes", "pv"}, "its data may go with it"},
	{[]string{"persistentvolumeclaim", "persistentvolumeclaims", "pvc"}, "its data may go with it"},
	{[]string{"node", "nodes", "no"}, "what runs on it goes with it"},
	{[]string{"event", "events", "ev", "lease", "leases"}, "the cluster itself keeps it"},
}

// makesAnew has the kinds whose controllers make the objects again that belong to one.
var makesAnew = []schema.GroupKind{
	{Group: "", Kind: "ReplicationController"}, {Group: "", Kind: "Service"},
	{Group: "apps", Kind: "DaemonSet"}, {Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "ReplicaSet"}, {Group: "apps", Kind: "StatefulSet"},
	{Group: "gateway.networking.k8s.io", Kind: "Gateway"},
}

// canPutBack returns a [*ForGoodError] for an object that could not be put back
// if it were deleted.
func (j *Journal) canPutBack(ctx context.Context, ref cluster.Ref, now *unstructured.Unstructured) error {
	if isControlled(now) {
		return nil
	}
	if why := WhyForGood(ref.Kind); why != "" {
		return &ForGoodError{Ref: ref, Why: why}
	}
	anew := slices.Contains(makesAnew, now.GroupVersionKind().GroupKind())
	dependents, err := j.Cluster.Dependents(ctx, now)
	if err != nil {
		return fmt.Errorf("look for what would go with %s: %w", ref, err)
	}
	if anew { // its controllers make these again
		dependents = slices.DeleteFunc(dependents, func(d cluster.Ref) bool {
			return slices.Contains([]string{"ControllerRevision", "Endpoints", "EndpointSlice", "Pod", "ReplicaSet"}, d.Kind) ||
				now.GetKind() == "Gateway" && slices.Contains([]string{"Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service", "ServiceAccount"}, d.Kind)
		})
	}
	if len(dependents) > 0 {
		names := make([]string, len(dependents))
		for i, d := range dependents {
			names[i] = d.String()
		}
		return &ForGoodError{Ref: ref, Why: "what it owns goes with it: " + strings.Join(names, ", ")}
	}
	return nil
}

// isControlled reports whether a controller makes an object again when it is
// deleted, as a Deployment does with its pods.
func isControlled(obj *unstructured.Unstructured) bool {
	return obj.GetKind() == "Pod" && slices.ContainsFunc(obj.GetOwnerReferences(), func(o metav1.OwnerReference) bool {
		return o.Controller != nil && *o.Controller && slices.Contains([]string{"DaemonSet", "ReplicaSet", "ReplicationController", "StatefulSet"}, o.Kind)
	})
}
