package steps

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// columns are what kubectl get prints of a kind beside NAME, as far as a tutorial
// can mean it; AGE aside. Of the kinds that are not here only the names are
// printed.
var columns = map[string][]struct {
	name  string
	value func(obj *unstructured.Unstructured) string
}{
	"Pod":        {{"READY", readyContainers}, {"STATUS", podStatus}},
	"Deployment": {{"READY", readyReplicas}},
	"Namespace":  {{"STATUS", func(obj *unstructured.Unstructured) string { return text(obj, "status", "phase") }}},
	"Service":    {{"TYPE", func(obj *unstructured.Unstructured) string { return text(obj, "spec", "type") }}, {"PORT(S)", ports}},
}

func text(obj *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(obj.Object, path...)
	return s
}

// table prints objects of one kind after the other as kubectl get does.
func table(all []*unstructured.Unstructured) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 3, ' ', 0)
	kind := ""
	for _, obj := range all {
		cols := columns[obj.GetKind()]
		if obj.GetKind() != kind {
			if kind != "" {
				fmt.Fprintln(w)
			}
			kind = obj.GetKind()
			row := []string{"NAME"}
			for _, c := range cols {
				row = append(row, c.name)
			}
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
		row := []string{obj.GetName()}
		for _, c := range cols {
			row = append(row, c.value(obj))
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	return b.String()
}

// sidecars are the init containers that run as long as the pod does, which kubectl
// counts too.
func sidecars(obj *unstructured.Unstructured) map[string]bool {
	all := map[string]bool{}
	list, _, _ := unstructured.NestedSlice(obj.Object, "spec", "initContainers")
	for _, c := range list {
		if m, ok := c.(map[string]any); ok && m["restartPolicy"] == "Always" {
			all[fmt.Sprint(m["name"])] = true
		}
	}
	return all
}

func readyContainers(obj *unstructured.Unstructured) string {
	list, _, _ := unstructured.NestedSlice(obj.Object, "spec", "containers")
	native := sidecars(obj)
	ready, total := 0, len(list)+len(native)
	for _, field := range []string{"containerStatuses", "initContainerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(obj.Object, "status", field)
		for _, s := range statuses {
			m, ok := s.(map[string]any)
			if ok && m["ready"] == true && (field == "containerStatuses" || native[fmt.Sprint(m["name"])]) {
				ready++
			}
		}
	}
	return fmt.Sprintf("%d/%d", ready, total)
}

// podStatus is the phase, or why a container waits.
func podStatus(obj *unstructured.Unstructured) string {
	if obj.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	statuses, _, _ := unstructured.NestedSlice(obj.Object, "status", "containerStatuses")
	for _, s := range statuses {
		m, _ := s.(map[string]any)
		if reason, found, _ := unstructured.NestedString(m, "state", "waiting", "reason"); found {
			return reason
		}
	}
	if phase := text(obj, "status", "phase"); phase == "Succeeded" {
		return "Completed"
	}
	return text(obj, "status", "phase")
}

func readyReplicas(obj *unstructured.Unstructured) string {
	ready, _, _ := unstructured.NestedInt64(obj.Object, "status", "readyReplicas")
	want, _, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	return fmt.Sprintf("%d/%d", ready, want)
}

func ports(obj *unstructured.Unstructured) string {
	var all []string
	list, _, _ := unstructured.NestedSlice(obj.Object, "spec", "ports")
	for _, p := range list {
		m, ok := p.(map[string]any)
		if !ok {
			continue
		}
		port := fmt.Sprint(m["port"])
		if node, ok := m["nodePort"]; ok {
			port += ":" + fmt.Sprint(node)
		}
		all = append(all, port+"/"+fmt.Sprint(m["protocol"]))
	}
	if len(all) == 0 {
		return "<none>"
	}
	return strings.Join(all, ",")
}
