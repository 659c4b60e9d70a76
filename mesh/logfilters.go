package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/egressplay/egressplay/cluster"
)

// logFilter says which EnvoyFilter may have a pod's proxy leave requests out of its access
// log; "" where none does, or where they may not be read. The access log is a part of the
// listener, and of the filters that end its chains.
// Source: istio.io "Envoy Filter"; those of the root namespace hold for all pods.
func (m *Mesh) logFilter(ctx context.Context, pod cluster.Pod) (string, error) {
	if pod.Name == "" { // the mesh as a whole
		return "", nil
	}
	for _, namespace := range slices.Compact([]string{m.Namespace, pod.Namespace}) {
		all, err := m.Cluster.List(ctx, "envoyfilters.networking.istio.io", namespace, "")
		if _, ok := errors.AsType[*cluster.NoKindError](err); ok || apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		for i := range all {
			selector, _, _ := unstructured.NestedStringMap(all[i].Object, "spec", "workloadSelector", "labels")
			if !labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
				continue
			}
			patches, _, _ := unstructured.NestedSlice(all[i].Object, "spec", "configPatches")
			if slices.ContainsFunc(patches, changesLog) {
				return fmt.Sprintf("envoyfilter/%s in %s changes what the access log has", all[i].GetName(), namespace), nil
			}
		}
	}
	return "", nil
}

// changesLog reports whether a patch of an EnvoyFilter may change what is logged of the
// requests that a proxy sends on.
func changesLog(patch any) bool {
	p, _ := patch.(map[string]any)
	if context, _, _ := unstructured.NestedString(p, "match", "context"); context == "SIDECAR_INBOUND" {
		return false
	}
	value, _, _ := unstructured.NestedMap(p, "patch", "value")
	text, err := json.Marshal(value)
	if err != nil || strings.Contains(string(text), `"access_log"`) || strings.Contains(string(text), `"accessLog"`) {
		return true
	}
	operation, _, _ := unstructured.NestedString(p, "patch", "operation")
	if operation != "REPLACE" && operation != "REMOVE" {
		return false
	}
	switch applyTo, _, _ := unstructured.NestedString(p, "applyTo"); applyTo {
	case "LISTENER", "FILTER_CHAIN":
		return true
	case "NETWORK_FILTER":
		filter, _, _ := unstructured.NestedString(p, "match", "listener", "filterChain", "filter", "name")
		return filter == "" || strings.HasSuffix(filter, "http_connection_manager") || strings.HasSuffix(filter, "tcp_proxy")
	}
	return false
}
