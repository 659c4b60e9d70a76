package networkpolicy

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

func parse[T any](t testing.TB, text string) *T {
	t.Helper()
	o := new(T)
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), o))
	return o
}

// shop and bank are namespaces. The first has a web server and two clients of
// it, one of which has another number for the port of the same name.
func testSituation() situation {
	made := func(ip, namespace, app string, ports ...corev1.ContainerPort) pod {
		return newPod(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: map[string]string{"app": app}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
		}, netip.MustParseAddr(ip))
	}
	return situation{
		pods: []pod{ // not in order
			made("10.244.1.10", "shop", "client", corev1.ContainerPort{Name: "http", ContainerPort: 9090}),
			made("10.244.1.1", "shop", "web",
				corev1.ContainerPort{Name: "http", ContainerPort: 8080},
				corev1.ContainerPort{ContainerPort: 8081},
				corev1.ContainerPort{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP}),
			made("10.244.1.2", "shop", "client"),
			made("10.244.1.3", "bank", "client"),
		},
		namespaces: map[string]labels.Set{"shop": {"kind": "public"}, "bank": {"kind": "private"}},
	}
}

func TestRules(t *testing.T) {
	const web, client, other, teller = "10.244.1.1", "10.244.1.2", "10.244.1.10", "10.244.1.3"
	var nothing []string
	tests := []struct {
		name            string
		policies        []string
		ingress, egress map[string][]string
	}{
		{name: "no policy"},
		{
			name:     "default deny of ingress",
			policies: []string{`{podSelector: {}}`},
			ingress:  map[string][]string{web: nothing, client: nothing, other: nothing},
		},
		{
			name:     "an egress section without types isolates in both directions",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, egress: [{}]}`},
			ingress:  map[string][]string{web: nothing},
			egress:   map[string][]string{web: {""}},
		},
		{
			name:     "of a section whose type is not named nothing is taken",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], ingress: [{}]}`},
			egress:   map[string][]string{web: nothing},
		},
		{
			name:     "default deny of both",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}`},
			ingress:  map[string][]string{web: nothing},
			egress:   map[string][]string{web: nothing},
		},
		{
			name:     "empty from and empty ports are everything",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [], ports: []}]}`},
			ingress:  map[string][]string{web: {""}},
		},
		{
			name: "selectors of pods and namespaces",
			policies: []string{`
podSelector: {matchLabels: {app: web}}
ingress:
- from: [{podSelector: {matchLabels: {app: client}}}]
- from: [{namespaceSelector: {matchLabels: {kind: private}}}]
- from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}]
- from: [{namespaceSelector: {matchLabels: {kind: private}}, podSelector: {matchLabels: {app: web}}}]
- from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web, client]}]}}]
- from: [{namespaceSelector: {}}]
`},
			ingress: map[string][]string{web: {
				"ip saddr { 10.244.1.2, 10.244.1.10 }",
				"ip saddr { 10.244.1.3 }",
				"ip saddr { 10.244.1.2, 10.244.1.3, 10.244.1.10 }",
				"ip saddr { 10.244.1.1, 10.244.1.2, 10.244.1.3, 10.244.1.10 }",
			}},
		},
		{
			name: "each peer with each port",
			policies: []string{`
podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress:
- to: [{ipBlock: {cidr: 203.0.113.77/24, except: [203.0.113.10/32, 203.0.113.0/25]}}, {namespaceSelector: {matchLabels: {kind: private}}}]
  ports: [{port: 80}, {port: 8000, endPort: 8999, protocol: UDP}, {protocol: SCTP}]
`},
			egress: map[string][]string{web: {
				"ip daddr 203.0.113.0/24 ip daddr != 203.0.113.10/32 ip daddr != 203.0.113.0/25 tcp dport 80",
				"ip daddr 203.0.113.0/24 ip daddr != 203.0.113.10/32 ip daddr != 203.0.113.0/25 udp dport 8000-8999",
				"ip daddr 203.0.113.0/24 ip daddr != 203.0.113.10/32 ip daddr != 203.0.113.0/25 meta l4proto sctp",
				"ip daddr { 10.244.1.3 } tcp dport 80",
				"ip daddr { 10.244.1.3 } udp dport 8000-8999",
				"ip daddr { 10.244.1.3 } meta l4proto sctp",
			}},
		},
		{
			name:     "ports without peers",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 8080}]}]}`},
			ingress:  map[string][]string{web: {"tcp dport 8080"}},
		},
		{
			name: "ingress to a named port is to that of the pod",
			policies: []string{
				`{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]}`,
				`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: dns}, {port: dns, protocol: UDP}, {port: none}]}]}`,
			},
			ingress: map[string][]string{
				web: {
					"ip saddr { 10.244.1.1, 10.244.1.2, 10.244.1.10 } tcp dport 8080",
					"udp dport 53",
				},
				client: nothing,
				other:  {"ip saddr { 10.244.1.1, 10.244.1.2, 10.244.1.10 } tcp dport 9090"},
			},
		},
		{
			name: "egress to a named port is to that of the peer",
			policies: []string{`
podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress:
- {to: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: http}]}
- {ports: [{port: http}]}
- {to: [{ipBlock: {cidr: 10.244.1.0/24, except: [10.244.1.1/32]}}], ports: [{port: http}]}
- {to: [{namespaceSelector: {matchLabels: {kind: private}}}], ports: [{port: http}]}
`},
			egress: map[string][]string{web: {
				"ip daddr { 10.244.1.10 } tcp dport 9090",
				"ip daddr { 10.244.1.1 } tcp dport 8080",
				"ip daddr { 10.244.1.10 } tcp dport 9090",
				"ip daddr { 10.244.1.10 } tcp dport 9090",
			}},
		},
		{
			name: "policies add up",
			policies: []string{
				`{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 1}]}]}`,
				`{podSelector: {}, ingress: [{ports: [{port: 2}]}]}`,
				`{podSelector: {matchLabels: {app: web}}}`,
			},
			ingress: map[string][]string{
				web:    {"tcp dport 1", "tcp dport 2"},
				client: {"tcp dport 2"},
				other:  {"tcp dport 2"},
			},
		},
		{
			name: "addresses that are none of IPv4 allow nothing",
			policies: []string{`
podSelector: {matchLabels: {app: web}}
ingress:
- from: [{ipBlock: {cidr: "::/0"}}, {ipBlock: {cidr: 10.0.0.0/8, except: [x]}}, {ipBlock: {cidr: 010.0.0.0/8}}]
`},
			ingress: map[string][]string{web: {"ip saddr 10.0.0.0/8"}},
		},
		{
			name:     "an invalid selector selects nothing",
			policies: []string{`{podSelector: {matchExpressions: [{key: app, operator: Is}]}}`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testSituation()
			for i, text := range tt.policies {
				s.policies = append(s.policies, &networkingv1.NetworkPolicy{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: string(rune('a' + i))},
					Spec:       *parse[networkingv1.NetworkPolicySpec](t, text),
				})
			}
			got := s.rules()
			assert.Equal(t, addresses(tt.ingress), got.ingress, "ingress")
			assert.Equal(t, addresses(tt.egress), got.egress, "egress")
			assert.Len(t, got.pods, 4)
		})
	}
}

func addresses(m map[string][]string) map[netip.Addr][]string {
	byAddress := map[netip.Addr][]string{}
	for ip, rules := range m {
		byAddress[netip.MustParseAddr(ip)] = rules
	}
	return byAddress
}

// The pods of a namespace may outlive it by a moment.
func TestSelectedInANamespaceThatIsGone(t *testing.T) {
	s := testSituation()
	delete(s.namespaces, "bank")
	assert.Len(t, s.selected("shop", nil, &metav1.LabelSelector{}), 3)
	assert.Len(t, s.selected("bank", &metav1.LabelSelector{}, nil), 1)
}

// Probes and sidecars that are init containers have ports too.
func TestPortsOfAPod(t *testing.T) {
	p := newPod(parse[corev1.Pod](t, `
spec:
  initContainers: [{name: a, ports: [{name: one, containerPort: 1}, {containerPort: 2}]}]
  containers: [{name: b, ports: [{name: three, containerPort: 3}]}]
`), netip.MustParseAddr("10.244.1.1"))
	var names []string
	for _, port := range p.ports {
		names = append(names, port.Name)
	}
	assert.Equal(t, []string{"one", "three"}, names)
}
