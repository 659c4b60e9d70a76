//go:build lab

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// A world is every object of the cluster, of every kind that can be listed, as
// "RESOURCE NAMESPACE/NAME".
type world map[string]object

// An object is one of a world, as path and value of each of its fields.
type object struct {
	fields map[string]string
	// derived says that a controller made it because of another object, and
	// takes it away some time after that.
	derived bool
}

// churn are the kinds whose objects a cluster makes and changes by itself:
// what has happened, and who is alive. componentstatuses are no objects but
// answers of the moment.
var churn = []string{"componentstatuses", "events", "events.events.k8s.io", "leases.coordination.k8s.io"}

// collected are the kinds that are derived of others without an owner that
// tells: the addresses of a Service, and its endpoints in the old form.
var collected = []string{"endpoints", "ipaddresses.networking.k8s.io"}

// addressGrace is how long the API server leaves the address of a Service that
// is gone. It gives it back with the Service, but may make it anew when the
// Service went right after it came.
// Source: k8s.io/kubernetes
// pkg/registry/core/service/ipallocator/controller/repairip.go, syncIPAddress.
const addressGrace = time.Minute

// settledWorld lists all objects once no address is left of an earlier Service.
func settledWorld(t *testing.T) world {
	t.Helper()
	deadline := time.Now().Add(addressGrace + 30*time.Second)
	for {
		w := lookAtWorld(t)
		left := w.leftAddresses(t)
		if len(left) == 0 {
			return w
		}
		require.True(t, time.Now().Before(deadline), "addresses of no Service: %v", left)
	}
}

// leftAddresses are the addresses whose Service is gone.
func (w world) leftAddresses(t *testing.T) (left []string) {
	t.Helper()
	for name, o := range w {
		if !strings.HasPrefix(name, "ipaddresses.networking.k8s.io ") {
			continue
		}
		var namespace, service string
		require.NoError(t, json.Unmarshal([]byte(o.fields[".spec.parentRef.namespace"]), &namespace))
		require.NoError(t, json.Unmarshal([]byte(o.fields[".spec.parentRef.name"]), &service))
		if _, there := w["services "+namespace+"/"+service]; !there {
			left = append(left, name)
		}
	}
	return left
}

// lookAtWorld lists all objects.
func lookAtWorld(t *testing.T) world {
	t.Helper()
	groups, err := discovery.ServerPreferredResources(shared.discovery)
	require.NoError(t, err)
	w := world{}
	for _, g := range groups {
		version, err := schema.ParseGroupVersion(g.GroupVersion)
		require.NoError(t, err)
		for _, r := range g.APIResources {
			resource := version.WithResource(r.Name)
			kind := resource.GroupResource().String()
			if !slices.Contains(r.Verbs, "list") || slices.Contains(churn, kind) {
				continue
			}
			list, err := shared.dynamic.Resource(resource).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err, "list %s", kind)
			for _, item := range list.Items {
				o := object{derived: len(item.GetOwnerReferences()) > 0 || slices.Contains(collected, kind)}
				o.fields = fields(t, kind, &item)
				w[kind+" "+item.GetNamespace()+"/"+item.GetName()] = o
			}
		}
	}
	require.NotEmpty(t, w)
	return w
}

// fields returns what somebody wants an object to be, and which object it is.
func fields(t *testing.T, kind string, item *unstructured.Unstructured) map[string]string {
	t.Helper()
	delete(item.Object, "status")
	if kind == "endpoints" || kind == "endpointslices.discovery.k8s.io" {
		// Which pods are ready at the moment: the status of a Service.
		delete(item.Object, "subsets")
		delete(item.Object, "endpoints")
	}
	item.SetManagedFields(nil)
	item.SetResourceVersion("")
	item.SetGeneration(0)
	annotations := item.GetAnnotations()
	delete(annotations, "control-plane.alpha.kubernetes.io/leader")         // who is alive
	delete(annotations, "endpoints.kubernetes.io/last-change-trigger-time") // of the status of a Service
	item.SetAnnotations(annotations)
	flat := map[string]string{}
	flatten(t, flat, "", item.Object)
	return flat
}

func flatten(t *testing.T, flat map[string]string, path string, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		for k, v := range value {
			flatten(t, flat, path+"."+k, v)
		}
	case []any:
		for i, v := range value {
			flatten(t, flat, fmt.Sprintf("%s[%d]", path, i), v)
		}
	default:
		text, err := json.Marshal(value)
		require.NoError(t, err)
		flat[path] = string(text)
	}
}

// diff says in which objects another world differs, and which of their fields;
// of derived objects only if asked to.
func (w world) diff(other world, derived bool, ignore ...string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(join(w, other))) {
		before, had := w[name]
		after, has := other[name]
		switch {
		case !derived && (before.derived || after.derived):
		case !has:
			fmt.Fprintf(&b, "- %s\n", name)
		case !had:
			fmt.Fprintf(&b, "+ %s\n", name)
		default:
			for _, path := range slices.Sorted(maps.Keys(join(before.fields, after.fields))) {
				was, is := before.fields[path], after.fields[path]
				if was != is && !slices.Contains(ignore, name+" "+path) {
					fmt.Fprintf(&b, "~ %s\n    %s: was %s, is %s\n", name, path, was, is)
				}
			}
		}
	}
	return b.String()
}

func join[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// leavesNothing asserts that the world is as it was: at once, but for what
// controllers derive, which has a little longer. ignore are fields that may
// differ, as "RESOURCE NAMESPACE/NAME .PATH".
func (w world) leavesNothing(t *testing.T, ignore ...string) {
	t.Helper()
	require.Empty(t, w.diff(lookAtWorld(t), false, ignore...), "the cluster is not as it was")
	deadline := time.Now().Add(addressGrace + 30*time.Second)
	for {
		diff := w.diff(lookAtWorld(t), true, ignore...)
		if diff == "" {
			return
		}
		require.True(t, time.Now().Before(deadline), "what controllers made because of the run is still there:\n%s", diff)
	}
}
