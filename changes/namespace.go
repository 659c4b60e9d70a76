package changes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// An OthersError reports that a namespace that the run made has objects of others,
// which would be deleted with it.
type OthersError struct {
	Namespace string
	Objects   []cluster.Ref
}

// maxNamed is how many of the objects are named.
const maxNamed = 5

func (e *OthersError) Error() string {
	var names []string
	for _, ref := range e.Objects[:min(len(e.Objects), maxNamed)] {
		names = append(names, ref.String())
	}
	if more := len(e.Objects) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("namespace/%s has others' objects: %s", e.Namespace, strings.Join(names, ", "))
}

// Hint returns what to do next.
func (e *OthersError) Hint() string {
	return "have them moved or deleted, then delete the namespace"
}

// checkOthers returns an [*OthersError] if a namespace has objects that neither the run
// nor the cluster itself made. note names the kinds for which that could not be seen,
// "" for none.
func (j *Journal) checkOthers(ctx context.Context, namespace string) (note string, err error) {
	all, unseen, err := j.Cluster.Contents(ctx, namespace)
	if err != nil {
		return "", fmt.Errorf("look for what others have in namespace/%s: %w", namespace, err)
	}
	var others []cluster.Ref
	for i := range all {
		if obj := &all[i]; !j.isRuns(obj) && !isClusters(obj) {
			others = append(others, cluster.RefOf(obj))
		}
	}
	if len(others) > 0 {
		return "", &OthersError{namespace, others}
	}
	return noteUnseen(unseen), nil
}

// noteUnseen returns a note about kinds of which others may have had objects in a
// namespace, unseen.
func noteUnseen(unseen []cluster.Ref) string {
	var kinds []string
	for _, kind := range unseen {
		if !isDerived(kind) {
			kinds = append(kinds, kind.Kind)
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	if more := len(kinds) - maxNamed; more > 0 {
		kinds = append(kinds[:maxNamed], fmt.Sprintf("%d more", more))
	}
	return "whether others had something in it was not seen for kinds that may not be listed: " + strings.Join(kinds, ", ")
}

// isRuns reports whether an object is the run's, or goes by itself.
func (j *Journal) isRuns(obj *unstructured.Unstructured) bool {
	return obj.GetLabels()[RunLabel] == j.Run || obj.GetDeletionTimestamp() != nil
}

// isClusters reports whether the cluster makes an object in each namespace, or because
// of another object. An object with an owner goes with the owner, and counts with it.
func isClusters(obj *unstructured.Unstructured) bool {
	if len(obj.GetOwnerReferences()) > 0 {
		return true
	}
	return isDerived(cluster.RefOf(obj)) || slices.Contains(inEachNamespace, obj.GetKind()+"/"+obj.GetName())
}

// isDerived reports whether all objects of a kind are the cluster's own.
func isDerived(kind cluster.Ref) bool {
	return kind.Resource().Group == "metrics.k8s.io" || slices.Contains(derived, kind.Kind)
}

var (
	// derived has the kinds that controllers make from Services, or as a record of
	// events and leases.
	derived = []string{"Endpoints", "EndpointSlice", "Event", "Lease"}

	// inEachNamespace has what controllers of Kubernetes, Istio and OpenShift make
	// in each namespace.
	inEachNamespace = []string{
		"ConfigMap/istio-ca-crl", "ConfigMap/istio-ca-root-cert", "ConfigMap/kube-root-ca.crt", "ConfigMap/openshift-service-ca.crt",
		"RoleBinding/system:deployers", "RoleBinding/system:image-builders", "RoleBinding/system:image-pullers",
		"ServiceAccount/builder", "ServiceAccount/default", "ServiceAccount/deployer",
	}
)
