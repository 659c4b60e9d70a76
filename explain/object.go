package explain

import (
	"net"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An object is an object of the cluster, with methods to read it. The zero object
// stands for none.
type object struct {
	*unstructured.Unstructured
}

func (o object) none() bool { return o.Unstructured == nil }

// data returns the object's content, nil for the zero object.
func (o object) data() map[string]any {
	if o.none() {
		return nil
	}
	return o.Object
}

func (o object) text(path ...string) string { return textAt(o.data(), path...) }

func (o object) texts(path ...string) []string { return textsAt(o.data(), path...) }

// maps returns the mappings of the list at path.
func (o object) maps(path ...string) []map[string]any { return mapsAt(o.data(), path...) }

// labels returns the texts of the mapping at path.
func (o object) labels(path ...string) map[string]string { return labelsAt(o.data(), path...) }

// at returns the value at a path of a mapping, nil if there is none.
func at(m map[string]any, path ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	return value
}

func textAt(m map[string]any, path ...string) string {
	text, _ := at(m, path...).(string)
	return text
}

func textsAt(m map[string]any, path ...string) (all []string) {
	list, _ := at(m, path...).([]any)
	for _, v := range list {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

func mapsAt(m map[string]any, path ...string) (all []map[string]any) {
	list, _ := at(m, path...).([]any)
	for _, v := range list {
		if one, ok := v.(map[string]any); ok {
			all = append(all, one)
		}
	}
	return all
}

func labelsAt(m map[string]any, path ...string) map[string]string {
	of, _ := at(m, path...).(map[string]any)
	all := map[string]string{}
	for name, v := range of {
		if text, ok := v.(string); ok {
			all[name] = text
		}
	}
	return all
}

func numberAt(m map[string]any, path ...string) int {
	switch n := at(m, path...).(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	case int:
		return n
	}
	return 0
}

// name returns the words for an object: its kind, its name, and its namespace if that
// is not the run's.
func (c *facts) name(o object) string {
	name := o.GetKind() + " " + o.GetName()
	if o.GetNamespace() != "" && o.GetNamespace() != c.Namespace {
		name += " in namespace " + o.GetNamespace()
	}
	return name
}

// kubectl returns a command about an object. A kind that two groups have is named
// with its group.
func (c *facts) kubectl(verb string, o object) string {
	args := "kubectl "
	if o.GetNamespace() != "" {
		args += "-n " + o.GetNamespace() + " "
	}
	kind := strings.ToLower(o.GetKind())
	if kind == "gateway" {
		group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
		kind += "." + group
	}
	return args + verb + " " + kind + " " + o.GetName()
}

// selects reports whether a selector's labels are among those of a pod; no labels
// select every pod.
func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if have, ok := labels[name]; !ok || have != value {
			return false
		}
	}
	return true
}

// serves reports whether a name falls under an object's host, which may have a
// wildcard.
func serves(host, name string) bool {
	host, name = strings.ToLower(host), strings.ToLower(name)
	if host == "*" || host == name {
		return true
	}
	suffix, wild := strings.CutPrefix(host, "*")
	return wild && strings.HasSuffix(name, suffix) && len(name) > len(suffix)
}

// fqdn completes the short host of an object in a namespace.
func fqdn(host, namespace string) string {
	if host == "" || strings.HasPrefix(host, "*") || strings.Contains(host, ".") {
		return strings.ToLower(host)
	}
	return strings.ToLower(host) + "." + namespace + ".svc.cluster.local"
}

// portOf returns the port in "HOST:PORT".
func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// exported reports whether an object is seen from a namespace.
func exported(o object, from string) bool {
	to := o.texts("spec", "exportTo")
	if o.GetKind() == "Service" {
		if text := o.GetAnnotations()["networking.istio.io/exportTo"]; text != "" {
			for _, one := range strings.Split(text, ",") {
				to = append(to, strings.TrimSpace(one))
			}
		}
	}
	return len(to) == 0 || slices.ContainsFunc(to, func(t string) bool {
		return t == "*" || t == from || t == "." && o.GetNamespace() == from
	})
}
