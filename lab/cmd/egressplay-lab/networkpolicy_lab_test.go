//go:build lab

package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/lab/internet"
)

// Istio's task "Egress Gateways", "Apply Kubernetes network policies": a pod
// without a sidecar cannot leave, one with a sidecar leaves by the gateway.
func TestNetworkPolicyOfTheTutorial(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	label(n, "kube-system", "kube-system=true")
	label(n, "istio-system", "istio=system")
	n.apply(sleepDeployment)
	n.ready("deployment/sleep", "Available")
	inPod := func(args ...string) result {
		return n.kubectl(append([]string{"exec", "deploy/sleep", "-c", "sleep", "--"}, args...)...)
	}
	const site = "https://edition.cnn.com/politics"
	require.Equal(t, result{stdout: "200"}, inPod("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", site))
	alone := n.field("pods", ".items[0].status.podIP")
	require.Len(t, arrivals(t, alone), 1)

	n.apply(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-egress-to-istio-system-and-kube-dns}
spec:
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
          istio: system
`)
	var blocked result
	n.eventually(func() bool {
		blocked = inPod("curl", "-sS", "-m", "3", "-o", "/dev/null", site)
		return blocked.code != 0
	}, func() string { return "the request still gets out" })
	assert.Equal(t, 28, blocked.code, blocked.stderr)
	assert.NotContains(t, blocked.stderr, "Resolving timed out")
	address := inPod("getent", "hosts", "edition.cnn.com")
	require.Equal(t, 0, address.code, "DNS is allowed")
	before := len(arrivals(t, alone))
	assert.Equal(t, 28, inPod("curl", "-sS", "-m", "3", "-o", "/dev/null", site).code)
	assert.Equal(t, 28, inPod("curl", "-sSk", "-m", "3", "-o", "/dev/null", "https://10.244.0.1:6443/version").code, "the node is no exception")
	assert.Len(t, arrivals(t, alone), before)

	// Even a pod that calls before it does anything else is isolated by then. It prints
	// nothing to stderr, because the order of stderr and stdout in a log is not
	// certain.
	ip, _, _ := strings.Cut(address.stdout, " ")
	n.apply(pod("first", "curl -s -m 3 http://"+ip+"; echo $?", "restartPolicy: Never", ""))
	n.eventuallyField("pod/first", ".status.phase", "Succeeded")
	assert.Equal(t, "28\n", n.must("logs", "first"))

	n.apply(throughGateway)
	n.must("label", "namespace", n.name, "istio-injection=enabled")
	n.must("rollout", "restart", "deployment/sleep")
	n.must("rollout", "status", "deployment/sleep", "--timeout="+aWhile.String())
	n.eventually(func() bool {
		return n.must("get", "pods", "-l", "app=sleep", "-o", "jsonpath={.items[*].spec.containers[*].name}") == "sleep istio-proxy"
	}, func() string { return "the pod without a sidecar is still there" })
	var got result
	n.eventually(func() bool {
		got = inPod("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", site)
		return got == result{stdout: "200"}
	}, func() string { return got.stdout + got.stderr })
	assert.Equal(t, 28, inPod("curl", "-sS", "-m", "3", "-o", "/dev/null", "https://www.baidu.com").code, "another host")
	sidecar := n.must("get", "pods", "-l", "app=sleep", "-o", "jsonpath={.items[0].status.podIP}")
	gateway := n.must("get", "pods", "-n", "istio-system", "-l", "istio=egressgateway", "-o", "jsonpath={.items[0].status.podIP}")
	assert.Empty(t, arrivals(t, sidecar))
	assert.NotEmpty(t, arrivals(t, gateway))

	n.must("delete", "networkpolicy", "allow-egress-to-istio-system-and-kube-dns")
	n.eventually(func() bool {
		got = inPod("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "https://www.baidu.com")
		return got == result{stdout: "200"}
	}, func() string { return got.stdout + got.stderr })
	assert.Contains(t, verb(t, "logs", "network-policy"), "rules are set")
}

// label sets a label of a namespace of the lab until the test ends.
func label(n namespace, name, label string) {
	n.t.Helper()
	n.must("label", "namespace", name, label)
	key, _, _ := strings.Cut(label, "=")
	n.t.Cleanup(func() { n.kubectl("label", "namespace", name, key+"-") })
}

// arrivals returns the requests that came to the internet from a pod.
func arrivals(t testing.TB, ip string) []internet.Record {
	t.Helper()
	return slices.DeleteFunc(recorded(t, defaultName), func(r internet.Record) bool {
		remote, err := netip.ParseAddrPort(r.Remote)
		return err != nil || remote.Addr().String() != ip
	})
}

// throughGateway sends the requests of one namespace to edition.cnn.com through the
// egress gateway, which does not decrypt them.
const throughGateway = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cnn}
spec:
  hosts: [edition.cnn.com]
  exportTo: [., istio-system]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: istio-egressgateway}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 443, name: tls, protocol: TLS}
    hosts: [edition.cnn.com]
    tls: {mode: PASSTHROUGH}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egressgateway-for-cnn}
spec:
  host: istio-egressgateway.istio-system.svc.cluster.local
  exportTo: [.]
  subsets: [{name: cnn}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: direct-cnn-through-egress-gateway}
spec:
  hosts: [edition.cnn.com]
  exportTo: [., istio-system]
  gateways: [mesh, istio-egressgateway]
  tls:
  - match: [{gateways: [mesh], port: 443, sniHosts: [edition.cnn.com]}]
    route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, subset: cnn, port: {number: 443}}}]
  - match: [{gateways: [istio-egressgateway], port: 443, sniHosts: [edition.cnn.com]}]
    route: [{destination: {host: edition.cnn.com, port: {number: 443}}, weight: 100}]
`
