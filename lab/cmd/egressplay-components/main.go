// Command egressplay-components holds the programs of Kubernetes that a lab
// runs, and kubectl, in one binary: linked apart they would take three times the
// disk and the build time. They are unchanged except for the kubelet and
// kube-controller-manager's namespace controller.
//
// It picks its part by the name it is called by, so a link named kubectl is
// kubectl; called by its own name, by its first argument:
//
//	egressplay-components kube-apiserver --help
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// parts maps the name of a part to its main function, which exits by itself if it
// fails. Keep it sorted.
var parts = map[string]func(){
	"kube-apiserver":          kubeAPIServer,
	"kube-controller-manager": kubeControllerManager,
	"kube-proxy":              kubeProxy,
	"kube-scheduler":          kubeScheduler,
	"kubectl":                 kubectl,
	"kubelet":                 kubelet,
}

func main() {
	part, ok := parts[filepath.Base(os.Args[0])]
	if !ok && len(os.Args) > 1 {
		part, ok = parts[os.Args[1]]
		os.Args = os.Args[1:]
	}
	if !ok {
		names := slices.Sorted(maps.Keys(parts))
		fmt.Fprintf(os.Stderr, "usage: egressplay-components PART [ARGS], where PART is one of %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	part()
}
