package explain

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// notServed says that istiod does not run, so that no proxy knows of what was
// changed.
func notServed(c *facts) []evidence.Finding {
	if len(c.Changes) == 0 && !strings.Contains(errorText(c.Error), "in force") {
		return nil
	}
	deployments, err := c.e.Cluster.List(c.ctx, "deployments", c.IstioNamespace, "app=istiod")
	if err != nil || len(deployments) == 0 {
		return nil
	}
	for i := range deployments {
		ready, _, _ := unstructured.NestedInt64(deployments[i].Object, "status", "readyReplicas")
		if ready > 0 {
			return nil
		}
	}
	o := object{&deployments[0]}
	f := c.finding(o, "status.readyReplicas", fmt.Sprintf("istiod is not ready (deployment %s in namespace %s has 0 ready replicas): what was changed has reached no proxy.", o.GetName(), o.GetNamespace()),
		fmt.Sprintf("kubectl -n %s get deploy,pods -l app=istiod", o.GetNamespace()))
	return []evidence.Finding{f}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// otherRevision says that the mesh's configuration was changed for another
// revision of istiod than the one that serves the pod.
func otherRevision(c *facts) []evidence.Finding {
	pod := c.source()
	if pod == nil {
		return nil
	}
	rev := pod.GetAnnotations()["istio.io/rev"]
	if rev == "" {
		return nil
	}
	theirs := "istio"
	if rev != "default" {
		theirs = "istio-" + rev
	}
	i := slices.IndexFunc(c.Changes, func(ch evidence.Change) bool {
		return ch.Kind == "ConfigMap" && ch.Namespace == c.IstioNamespace && (ch.Name == "istio" || strings.HasPrefix(ch.Name, "istio-"))
	})
	if i < 0 || c.Changes[i].Name == theirs {
		return nil
	}
	changed := c.Changes[i].Name
	text := ""
	cm, err := c.e.Cluster.Get(c.ctx, cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: c.IstioNamespace, Name: theirs})
	if err == nil {
		text, _, _ = unstructured.NestedString(cm.Object, "data", "mesh")
	}
	mode := "ALLOW_ANY" // istiod's default
	if strings.Contains(text, "REGISTRY_ONLY") {
		mode = "REGISTRY_ONLY"
	}
	o := object{&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}}}
	o.SetNamespace(c.IstioNamespace)
	o.SetName(changed)
	return []evidence.Finding{c.finding(o, "data.mesh",
		fmt.Sprintf("The run changed ConfigMap %s, but the pod's sidecar is of revision %s, which reads ConfigMap %s: %s there.", changed, rev, theirs, mode),
		fmt.Sprintf("kubectl -n %s get pod %s -o jsonpath='{.metadata.annotations.istio\\.io/rev}'", pod.GetNamespace(), pod.GetName()))}
}

// sidecarElsewhere says that a pod has its sidecar among the init containers, where
// a JSON path of a step does not look.
func sidecarElsewhere(c *facts) []evidence.Finding {
	if c.Kind != "wait" && c.Kind != "set" || !strings.Contains(c.Command, "spec.containers") {
		return nil
	}
	name := podNamed(c.Command)
	if name == "" {
		return nil
	}
	obj, err := c.e.Cluster.Get(c.ctx, cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: c.Namespace, Name: name})
	if err != nil {
		return nil
	}
	pod := object{obj}
	for _, init := range pod.maps("spec", "initContainers") {
		if textAt(init, "name") == "istio-proxy" && textAt(init, "restartPolicy") == "Always" {
			return []evidence.Finding{c.finding(pod, "spec.initContainers",
				fmt.Sprintf("Pod %s has its sidecar istio-proxy in spec.initContainers (a native sidecar), not in spec.containers.", name),
				fmt.Sprintf("kubectl -n %s get pod %s -o jsonpath='{.spec.initContainers[*].name}'", pod.GetNamespace(), name))}
		}
	}
	return nil
}

// podNamed returns the name behind "pod/" in a command.
func podNamed(command string) string {
	_, rest, found := strings.Cut(command, "pod/")
	if !found {
		return ""
	}
	name, _, _ := strings.Cut(rest, " ")
	return strings.Trim(name, `'"`)
}
