// Package networkpolicy makes a lab's NetworkPolicies (networking.k8s.io/v1)
// hold, by nftables rules on the node, as root and in a user namespace alike.
//
//	NetworkPolicies, pods, namespaces ──watch──► Controller ──nft──► table ip networkpolicy
//	the container runtime ──address of a new pod──►┘ ──"its rules are in"──► its containers start
//
// Every packet that leaves or reaches a pod is routed by the node, so it passes the
// node's netfilter hooks. It does so after kube-proxy has turned the address of a
// Service into that of a pod: a policy is about the pod's own addresses and ports, as
// the API says.
//
//   - forward, what a pod sends to another pod or to the internet: the sender
//     is asked for its egress and then the receiver for its ingress.
//   - input, what a pod sends to the node (the API server, a pod of the node's
//     network): the sender is asked for its egress.
//   - What the node itself sends to a pod, such as a probe, is never asked.
//
// What is not allowed is dropped, so the client sees a timeout. A connection or a
// stream of datagrams that was let through once goes on, whatever happens to the
// policies; the API leaves that to the implementation (Kubernetes' page "Network
// Policies"). A pod always reaches itself, even through a Service. Pods of the node's
// network do not count as pods here: they are not isolated, and no selector means them.
//
// A pod has its rules before anything runs in it: [Controller.AddPod] returns only
// then. An address with which no pod was added is cut off from everything but the node.
//
// It is for IPv4 only, as a lab is; a block of IPv6 addresses allows nothing.
package networkpolicy
