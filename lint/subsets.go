package lint

import (
	"slices"
	"strings"
)

// undefinedSubsets tells of subsets to which a VirtualService sends requests and that
// no DestinationRule defines. Such a request ends with cluster_not_found.
func undefinedSubsets(w *world) (problems []Problem) {
	for _, o := range w.of("VirtualService") {
		for _, protocol := range []string{"http", "tls", "tcp"} {
			for _, d := range at(o.node, "spec", protocol, "route", "destination") {
				subset := at(d, "subset")
				host := text(d, "host")
				if len(subset) != 1 || strings.Contains(subset[0].Value+host, "${") {
					continue
				}
				if names, ruled := w.subsets(host, o.namespace); !slices.Contains(names, subset[0].Value) {
					hint := "apply a DestinationRule for it"
					if ruled && len(names) > 0 {
						hint = "it has " + strings.Join(names, ", ")
					}
					problems = append(problems, o.problem("undefined-subset", subset[0], hint,
						"no DestinationRule of this playbook defines the subset %s of %s", subset[0].Value, host))
				}
			}
		}
	}
	return problems
}

// subsets returns the subsets of a host, and whether a DestinationRule is about it.
func (w *world) subsets(host, namespace string) (names []string, ruled bool) {
	for _, o := range w.of("DestinationRule") {
		if about := text(o.node, "spec", "host"); qualified(about, o.namespace) == qualified(host, namespace) || strings.Contains(about, "${") {
			ruled = true
			for _, n := range at(o.node, "spec", "subsets", "name") {
				names = append(names, n.Value)
			}
		}
	}
	return names, ruled
}

// qualified returns the whole name of a Service that a rule of a namespace names.
// Source: istio.io, "Destination Rule", field host.
func qualified(host, namespace string) string {
	if host != "" && !strings.Contains(host, ".") && host != "*" {
		return host + "." + namespace + ".svc.cluster.local"
	}
	return host
}
