// Package network connects the node, the pods and the stand-in internet of a
// lab, by netlink and without a bridge.
//
//	 pod (a namespace each)        node (the lab's namespace)      internet (a namespace)
//	┌───────────────────┐    ┌──────────────────────────────┐    ┌──────────────────────┐
//	│ eth0 10.244.1.5/32├────┤pod1-5 169.254.1.1/32         │    │ lo 203.0.113.10/32   │
//	│ default via       │    │        lo 10.244.0.1/32      │    │    203.0.113.11/32 … │
//	│   169.254.1.1     │    │           10.96.0.0/16       │    │                      │
//	└───────────────────┘    │internet 203.0.113.1/30       ├────┤ eth0 203.0.113.2/30  │
//	                         │ default via 203.0.113.2      │    │ unreachable default  │
//	                         └──────────────────────────────┘    └──────────────────────┘
//
// Each pod's traffic is routed, so it always passes the node's netfilter
// hooks: addresses of services work where br_netfilter is absent, and a rule
// in the forward hook sees the traffic between pods. Nothing is masqueraded
// on the way to the internet: a stand-in host sees the pod's own address.
//
// A network namespace belongs to a thread, so this package works in another namespace
// on a thread of its own that ends afterwards.
package network

import "net/netip"

// The addresses of a lab. All labs have the same, because each has namespaces of its
// own. They are the defaults of kubeadm and of Istio's tutorials, where these have any.
const (
	NodeIP      = "10.244.0.1"    // the API server, the kubelet
	PodCIDR     = "10.244.0.0/16" // it includes the node's address; pods have 10.244.1.1 and up
	ServiceCIDR = "10.96.0.0/16"
	APIServerIP = "10.96.0.1" // the Service kubernetes in default: the first of ServiceCIDR
	DNSIP       = "10.96.0.10"

	// InternetCIDR is a range reserved for documentation (RFC 5737,
	// TEST-NET-3). Its first four addresses are the way to the stand-in
	// hosts, which have those above.
	InternetCIDR = "203.0.113.0/24"

	// NameServerIP is the address of the internet's name server: its end of the link.
	NameServerIP = internetEnd
)

const (
	firstPod = "10.244.1.1"
	lastPod  = "10.244.255.254"

	// gateway is every pod's default gateway: an address that each pod's link has at
	// the node.
	gateway = "169.254.1.1"

	// The two ends of the link to the internet.
	nodeEnd     = "203.0.113.1"
	internetEnd = "203.0.113.2"
)

var nodeIP = netip.MustParseAddr(NodeIP)
