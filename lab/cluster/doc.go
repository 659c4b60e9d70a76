// Package cluster brings a lab up and keeps it: it is what the lab's first
// process does, from inside the lab's namespaces.
//
//	t ──►
//	network, keys │ etcd ─────────┐
//	              │ kube-apiserver ──► serves ┬ kube-controller-manager, kube-scheduler, kube-proxy
//	              │ CRI server                ├ kubelet ──► node Ready
//	              │ internet                  └ objects of Istio and CoreDNS ─┬► pods ──► a dry run is injected
//	              │ Istio's charts rendered ────────────────────────────────┘
//
// Ready means that a pod that asks for a sidecar would get one and be served, and that
// istiod validates each Istio object: [Run] asks the API server for a dry run of one of
// each.
package cluster
