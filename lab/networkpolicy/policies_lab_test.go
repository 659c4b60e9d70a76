//go:build lab

package networkpolicy

import (
	"slices"
	"testing"
)

// service is the address of a Service whose port 80 is shop/web:8080.
const service = "10.96.0.77"

// town is a lab with pods in several namespaces and no policy.
func town(t *testing.T) *lab {
	l := newLab(t)
	l.namespace("shop", "kind: public")
	l.namespace("bank", "kind: private")
	web := l.pod("shop/web", "app: web", `{containers: [{ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}]}`)
	l.pod("shop/client", "app: client", `{containers: [{ports: [{name: http, containerPort: 443}]}]}`)
	l.pod("shop/other", "app: other", `{}`)
	l.pod("bank/teller", "app: client", `{}`)
	l.service(service, web, 8080)
	return l
}

func TestPolicies(t *testing.T) {
	l := town(t)
	l.namespace("kube-system", `kube-system: "true"`)
	l.namespace("istio-system", "istio: system")
	l.namespace("test-egress", "")
	l.pod("kube-system/coredns", "k8s-app: kube-dns", `{}`)
	l.pod("istio-system/istio-egressgateway", "istio: egressgateway", `{}`)
	l.pod("test-egress/sleep", "app: sleep", `{}`)

	// Calls that no policy of shop/web may ever stop.
	always := []string{
		"node -> shop/web:80", "node -> shop/web:8080", "node -> udp shop/web:53", "node -> " + service + ":80",
		"shop/web -> " + service + ":80", "shop/web -> shop/web:80",
		"kube-system/coredns -> shop/other:80", "shop/other -> node:80", "shop/other -> bank/teller:80",
	}
	tests := []struct {
		name     string
		policies map[string]string
		open     []string
		shut     []string
	}{
		{
			name: "none",
			open: []string{
				"shop/client -> shop/web:80", "shop/client -> " + service + ":80", "bank/teller -> shop/web:80",
				"bank/teller -> udp shop/web:53", "shop/web -> bank/teller:80", "shop/web -> node:80",
				"shop/web -> " + standIn + ":80",
			},
		},
		{
			name:     "default deny of ingress",
			policies: map[string]string{"shop/deny": `{podSelector: {matchLabels: {app: web}}}`},
			open:     []string{"shop/web -> shop/client:80", "shop/web -> node:80", "shop/web -> " + standIn + ":80", "bank/teller -> shop/client:80"},
			shut: []string{
				"shop/client -> shop/web:80", "shop/client -> shop/web:8080", "shop/client -> " + service + ":80",
				"shop/client -> udp shop/web:53", "bank/teller -> shop/web:80",
			},
		},
		{
			name:     "default deny of egress",
			policies: map[string]string{"shop/deny": `{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`},
			open:     []string{"shop/client -> shop/web:80", "shop/client -> udp shop/web:53", "bank/teller -> " + service + ":80"},
			shut: []string{
				"shop/web -> shop/client:80", "shop/web -> udp shop/client:53", "shop/web -> bank/teller:80",
				"shop/web -> node:80", "shop/web -> node:8443", "shop/web -> " + standIn + ":80",
			},
		},
		{
			name:     "default deny of all",
			policies: map[string]string{"shop/deny": `{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress, Ingress]}`},
			shut:     []string{"shop/client -> shop/web:80", "shop/web -> shop/client:80", "shop/web -> node:80", "shop/web -> " + standIn + ":80"},
		},
		{
			name:     "a policy of another namespace",
			policies: map[string]string{"bank/deny": `{podSelector: {matchLabels: {app: web}}}`},
			open:     []string{"shop/client -> shop/web:80", "shop/client -> bank/teller:80"},
		},
		{
			name: "from a pod of the namespace to one port",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8080}]}]`},
			open: []string{"shop/client -> shop/web:8080", "shop/client -> " + service + ":80"},
			shut: []string{
				"shop/client -> shop/web:80", "shop/client -> udp shop/web:53", "shop/other -> shop/web:8080",
				"bank/teller -> shop/web:8080", "bank/teller -> " + service + ":80",
			},
		},
		{
			name: "a service's port is none of a pod's",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{ports: [{port: 80}]}]`},
			open: []string{"shop/client -> shop/web:80"},
			shut: []string{"shop/client -> " + service + ":80"},
		},
		{
			name: "from a namespace",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{from: [{namespaceSelector: {matchLabels: {kind: private}}}]}]`},
			open: []string{"bank/teller -> shop/web:80", "bank/teller -> udp shop/web:53"},
			shut: []string{"shop/client -> shop/web:80"},
		},
		{
			name: "from certain pods of certain namespaces",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{from: [{namespaceSelector: {matchLabels: {kind: public}}, podSelector: {matchLabels: {app: client}}}]}]`},
			open: []string{"shop/client -> shop/web:80"},
			shut: []string{"bank/teller -> shop/web:80", "shop/other -> shop/web:80"},
		},
		{
			name: "from certain pods or certain namespaces",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{from: [{namespaceSelector: {matchLabels: {kind: private}}}, {podSelector: {matchLabels: {app: client}}}]}]`},
			open: []string{"shop/client -> shop/web:80", "bank/teller -> shop/web:80"},
			shut: []string{"shop/other -> shop/web:80"},
		},
		{
			name: "several policies add up",
			policies: map[string]string{
				"shop/deny":   `{podSelector: {matchLabels: {app: web}}}`,
				"shop/client": `{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}]}]}`,
				"shop/bank":   `{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kind: private}}}], ports: [{port: 443}]}]}`,
			},
			open: []string{"shop/client -> shop/web:80", "bank/teller -> shop/web:443"},
			shut: []string{"shop/client -> shop/web:443", "bank/teller -> shop/web:80", "shop/other -> shop/web:80"},
		},
		{
			name: "the sender's egress and the receiver's ingress are both asked",
			policies: map[string]string{
				"shop/web":    `{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}`,
				"shop/client": `{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}, {to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]}`,
			},
			open: []string{"shop/client -> shop/web:80", "shop/client -> shop/other:443", "shop/other -> shop/web:80"},
			shut: []string{"shop/client -> shop/web:443", "shop/client -> shop/other:80", "shop/other -> shop/web:443"},
		},
		{
			name: "a protocol without a port",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{ports: [{protocol: UDP}, {protocol: SCTP}]}]`},
			open: []string{"shop/client -> udp shop/web:53"},
			shut: []string{"shop/client -> shop/web:80"},
		},
		{
			name: "a UDP port",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{ports: [{protocol: UDP, port: 53}, {protocol: UDP, port: 80}, {protocol: SCTP, port: 80}]}]`},
			open: []string{"shop/client -> udp shop/web:53"},
			shut: []string{"shop/client -> shop/web:80"},
		},
		{
			name: "a range of ports",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{ports: [{port: 81, endPort: 443}]}, {ports: [{port: 8080, endPort: 8080}]}]`},
			open: []string{"shop/client -> shop/web:443", "shop/client -> shop/web:8080"},
			shut: []string{"shop/client -> shop/web:80", "shop/client -> udp shop/web:53"},
		},
		{
			name: "ingress to named ports",
			policies: map[string]string{"shop/all": `
podSelector: {matchExpressions: [{key: app, operator: In, values: [web, client]}]}
ingress: [{ports: [{port: http}, {port: dns, protocol: UDP}]}]`},
			open: []string{"shop/other -> shop/web:8080", "shop/other -> udp shop/web:53", "shop/other -> shop/client:443", "bank/teller -> " + service + ":80"},
			shut: []string{"shop/other -> shop/web:443", "shop/other -> shop/client:8080", "shop/other -> udp shop/client:53"},
		},
		{
			name: "egress to named ports",
			policies: map[string]string{"bank/teller": `
podSelector: {}
policyTypes: [Egress]
egress: [{to: [{namespaceSelector: {matchLabels: {kind: public}}}], ports: [{port: http}]}]`},
			open: []string{"bank/teller -> shop/web:8080", "bank/teller -> shop/client:443", "bank/teller -> " + service + ":80"},
			shut: []string{"bank/teller -> shop/web:443", "bank/teller -> shop/client:8080", "bank/teller -> shop/client:80"},
		},
		{
			name: "egress to a block of addresses",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.10/32, 203.0.113.0/29]}}], ports: [{port: 80}]}]`},
			open: []string{"shop/web -> " + otherStandIn + ":80", "shop/other -> " + standIn + ":80"},
			shut: []string{"shop/web -> " + standIn + ":80", "shop/web -> " + otherStandIn + ":443", "shop/web -> shop/client:80", "shop/web -> node:80"},
		},
		{
			name: "a block of services is no block of pods",
			policies: map[string]string{"bank/teller": `
podSelector: {}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]`},
			shut: []string{"bank/teller -> " + service + ":80", "bank/teller -> shop/web:8080"},
		},
		{
			name: "the node is a block like others",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 10.244.0.1/32}}], ports: [{port: 8443}]}]`},
			open: []string{"shop/web -> node:8443"},
			shut: []string{"shop/web -> node:80", "shop/web -> shop/client:80"},
		},
		{
			name: "only what is outside",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
policyTypes: [Egress]
egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]`},
			open: []string{"shop/web -> " + standIn + ":443"},
			shut: []string{"shop/web -> shop/client:80", "shop/web -> node:80"},
		},
		{
			name: "addresses of IPv6",
			policies: map[string]string{"shop/web": `
podSelector: {matchLabels: {app: web}}
ingress: [{from: [{ipBlock: {cidr: "::/0"}}, {ipBlock: {cidr: "2001:db8::/32", except: ["2001:db8:1::/48"]}}]}]`},
			shut: []string{"shop/client -> shop/web:80"},
		},
		{
			// Istio's task Egress Gateways, "Apply Kubernetes network policies".
			name: "that of the tutorial",
			policies: map[string]string{"test-egress/allow-egress-to-istio-system-and-kube-dns": `
podSelector: {}
policyTypes:
- Egress
egress:
- to:
  - namespaceSelector:
      matchLabels:
        kube-system: "true"
  ports:
  - protocol: UDP
    port: 53
- to:
  - namespaceSelector:
      matchLabels:
        istio: system`},
			open: []string{
				"test-egress/sleep -> udp kube-system/coredns:53", "test-egress/sleep -> istio-system/istio-egressgateway:443",
				"istio-system/istio-egressgateway -> " + standIn + ":443", "shop/client -> test-egress/sleep:80",
			},
			shut: []string{
				"test-egress/sleep -> " + standIn + ":443", "test-egress/sleep -> kube-system/coredns:53",
				"test-egress/sleep -> udp shop/web:53", "test-egress/sleep -> node:443",
			},
		},
	}
	for _, tt := range tests {
		ok := t.Run(tt.name, func(t *testing.T) {
			defer func(outer testing.TB) { l.t = outer }(l.t)
			l.t = t
			for name, spec := range tt.policies {
				l.policy(name, spec)
			}
			l.check(slices.Concat(tt.open, always), tt.shut)
			for name := range tt.policies {
				l.remove(name)
			}
			l.check(slices.Concat(tt.open, always, tt.shut), nil) // nothing is left of it
		})
		if !ok {
			return // the rest of this policy would disturb the next cases
		}
	}
}
