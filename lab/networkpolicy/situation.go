package networkpolicy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	netutils "k8s.io/utils/net"
)

// situation is everything on which the rules depend.
type situation struct {
	pods       []pod
	namespaces map[string]labels.Set
	policies   []*networkingv1.NetworkPolicy
}

// pod is a pod with an address of its own.
type pod struct {
	ip        netip.Addr
	namespace string
	labels    labels.Set
	ports     []corev1.ContainerPort // those with a name
}

func newPod(p *corev1.Pod, ip netip.Addr) pod {
	var ports []corev1.ContainerPort
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, port := range c.Ports {
			if port.Name != "" {
				ports = append(ports, port)
			}
		}
	}
	return pod{ip: ip, namespace: p.Namespace, labels: p.Labels, ports: ports}
}

// direction is ingress or egress, in which a policy isolates a pod.
type direction struct {
	peer string // the header field with the other side's address
	in   bool
}

var (
	ingress = direction{peer: "ip saddr", in: true}
	egress  = direction{peer: "ip daddr"}
)

// rules returns the rules of the situation. Their order depends on nothing else.
func (s situation) rules() ruleset {
	slices.SortFunc(s.pods, func(a, b pod) int { return a.ip.Compare(b.ip) })
	slices.SortFunc(s.policies, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	r := ruleset{ingress: map[netip.Addr][]string{}, egress: map[netip.Addr][]string{}}
	for _, p := range s.pods {
		r.pods = append(r.pods, p.ip)
	}
	for _, policy := range s.policies {
		in, out := policyTypes(policy)
		for _, p := range s.selected(policy.Namespace, &policy.Spec.PodSelector, nil) {
			if in {
				allowed := r.ingress[p.ip]
				for _, rule := range policy.Spec.Ingress {
					allowed = append(allowed, s.allowed(ingress, p, policy.Namespace, rule.From, rule.Ports)...)
				}
				r.ingress[p.ip] = allowed // even if nothing is allowed
			}
			if out {
				allowed := r.egress[p.ip]
				for _, rule := range policy.Spec.Egress {
					allowed = append(allowed, s.allowed(egress, p, policy.Namespace, rule.To, rule.Ports)...)
				}
				r.egress[p.ip] = allowed
			}
		}
	}
	return r
}

// policyTypes returns the directions in which a policy isolates the pods that it
// selects.
func policyTypes(p *networkingv1.NetworkPolicy) (in, out bool) {
	if len(p.Spec.PolicyTypes) == 0 {
		return true, len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// allowed returns what one rule of a policy in namespace allows the pod, as nftables
// matches: each peer with each port.
func (s situation) allowed(d direction, p pod, namespace string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) []string {
	if len(peers) == 0 {
		peers = []networkingv1.NetworkPolicyPeer{{}} // anyone
	}
	var allowed []string
	for _, peer := range peers {
		from, ok := s.from(d, namespace, peer)
		if !ok {
			continue
		}
		if len(ports) == 0 {
			allowed = append(allowed, from)
			continue
		}
		for _, port := range ports {
			switch {
			case port.Port == nil || port.Port.Type == intstr.Int:
				allowed = append(allowed, join(from, number(port)))
			case d.in:
				for _, n := range p.named(port) {
					allowed = append(allowed, join(from, protocol(port)+" dport "+fmt.Sprint(n)))
				}
			default:
				allowed = append(allowed, s.named(namespace, peer, port)...)
			}
		}
	}
	return allowed
}

// from returns the match of traffic from, or to, a peer. It is empty if the peer is
// anyone, and not ok if it is no one.
func (s situation) from(d direction, namespace string, peer networkingv1.NetworkPolicyPeer) (match string, ok bool) {
	if block := peer.IPBlock; block != nil {
		cidr, ok := ipv4(block.CIDR)
		match := d.peer + " " + cidr
		for _, except := range block.Except {
			cidr, valid := ipv4(except)
			match += " " + d.peer + " != " + cidr
			ok = ok && valid
		}
		return match, ok
	}
	if peer.PodSelector == nil && peer.NamespaceSelector == nil {
		return "", true
	}
	return oneOf(d.peer, s.selected(namespace, peer.PodSelector, peer.NamespaceSelector))
}

// named returns the matches of traffic to a port by its name, which has another number,
// or none, in each pod.
func (s situation) named(namespace string, peer networkingv1.NetworkPolicyPeer, port networkingv1.NetworkPolicyPort) []string {
	byNumber := map[int32][]pod{}
	for _, p := range s.reached(namespace, peer) {
		for _, n := range p.named(port) {
			byNumber[n] = append(byNumber[n], p)
		}
	}
	var matches []string
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		match, _ := oneOf(egress.peer, byNumber[n])
		matches = append(matches, join(match, protocol(port)+" dport "+fmt.Sprint(n)))
	}
	return matches
}

// reached returns the pods that a peer means, by selectors or by their addresses.
func (s situation) reached(namespace string, peer networkingv1.NetworkPolicyPeer) []pod {
	if peer.IPBlock == nil {
		if peer.PodSelector == nil && peer.NamespaceSelector == nil {
			return s.pods
		}
		return s.selected(namespace, peer.PodSelector, peer.NamespaceSelector)
	}
	return slices.DeleteFunc(slices.Clone(s.pods), func(p pod) bool {
		return !contains(peer.IPBlock.CIDR, p.ip) ||
			slices.ContainsFunc(peer.IPBlock.Except, func(cidr string) bool { return contains(cidr, p.ip) })
	})
}

// selected returns the pods that both selectors select. Without a selector of
// namespaces these are in the given namespace; without a selector of pods they are all
// pods of a namespace.
func (s situation) selected(namespace string, pods, namespaces *metav1.LabelSelector) []pod {
	ofPods, ofNamespaces := labels.Everything(), labels.Everything()
	if pods != nil {
		ofPods = selector(pods)
	}
	if namespaces != nil {
		ofNamespaces = selector(namespaces)
	}
	var selected []pod
	for _, p := range s.pods {
		if namespaces == nil && p.namespace != namespace {
			continue
		}
		if of, exists := s.namespaces[p.namespace]; namespaces != nil && (!exists || !ofNamespaces.Matches(of)) {
			continue
		}
		if ofPods.Matches(p.labels) {
			selected = append(selected, p)
		}
	}
	return selected
}

// selector returns a selector that selects nothing if s is invalid. The API server
// admits no invalid one.
func selector(s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return selector
}

// named returns the numbers of a pod's ports with the name and the protocol.
func (p pod) named(port networkingv1.NetworkPolicyPort) []int32 {
	var numbers []int32
	for _, own := range p.ports {
		if own.Name == port.Port.StrVal && cmp.Or(own.Protocol, corev1.ProtocolTCP) == protocolOf(port) {
			numbers = append(numbers, own.ContainerPort)
		}
	}
	return numbers
}

// number returns the match of the port, of its range of ports, or of its whole
// protocol.
func number(port networkingv1.NetworkPolicyPort) string {
	switch {
	case port.Port == nil:
		return "meta l4proto " + protocol(port)
	case port.EndPort == nil:
		return fmt.Sprintf("%s dport %d", protocol(port), port.Port.IntVal)
	default:
		return fmt.Sprintf("%s dport %d-%d", protocol(port), port.Port.IntVal, *port.EndPort)
	}
}

func protocol(port networkingv1.NetworkPolicyPort) string {
	return strings.ToLower(string(protocolOf(port)))
}

func protocolOf(port networkingv1.NetworkPolicyPort) corev1.Protocol {
	if port.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return *port.Protocol
}

// oneOf returns a match of a field that is the address of one of the pods. It is not ok
// if there are no pods.
func oneOf(field string, pods []pod) (match string, ok bool) {
	addresses := make([]string, len(pods))
	for i, p := range pods {
		addresses[i] = p.ip.String()
	}
	return field + " { " + strings.Join(addresses, ", ") + " }", len(pods) > 0
}

// ipv4 returns the range as nftables wants it, without bits beyond its length. It is
// not ok for an IPv6 range.
func ipv4(cidr string) (block string, ok bool) {
	_, network, err := netutils.ParseCIDRSloppy(cidr) // older objects have leading zeros
	if err != nil || !netutils.IsIPv4CIDR(network) {
		return "", false
	}
	return network.String(), true
}

func contains(cidr string, ip netip.Addr) bool {
	_, network, err := netutils.ParseCIDRSloppy(cidr)
	return err == nil && network.Contains(ip.AsSlice())
}

func join(matches ...string) string {
	return strings.TrimSpace(strings.Join(matches, " "))
}
