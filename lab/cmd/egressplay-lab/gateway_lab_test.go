//go:build lab

package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The Gateway API variant of Istio's task "Egress Gateways".
const gatewayAPIManifest = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cnn}
spec:
  hosts: [edition.cnn.com]
  ports:
  - {number: 80, name: http-port, protocol: HTTP}
  - {number: 443, name: https, protocol: HTTPS}
  resolution: DNS
  exportTo: [.]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: cnn-egress-gateway
  annotations: {networking.istio.io/service-type: ClusterIP}
spec:
  gatewayClassName: istio
  listeners:
  - name: http
    hostname: edition.cnn.com
    port: 80
    protocol: HTTP
    allowedRoutes: {namespaces: {from: Same}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: direct-cnn-to-egress-gateway}
spec:
  parentRefs: [{kind: ServiceEntry, group: networking.istio.io, name: cnn}]
  rules:
  - backendRefs: [{name: cnn-egress-gateway-istio, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: forward-cnn-from-egress-gateway}
spec:
  parentRefs: [{name: cnn-egress-gateway}]
  hostnames: [edition.cnn.com]
  rules:
  - backendRefs: [{kind: Hostname, group: networking.istio.io, name: edition.cnn.com, port: 80}]
`

// istiod deploys the gateway that a Gateway asks for. It listens on port 80 as an
// ordinary user, and the traffic goes through it.
func TestGatewayOfTheGatewayAPI(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, true)
	n.apply(sleepDeployment)
	n.apply(gatewayAPIManifest)
	n.ready("gateway/cnn-egress-gateway", "Programmed")
	n.ready("deployment/cnn-egress-gateway-istio", "Available")
	n.ready("deployment/sleep", "Available")

	gateway := n.must("get", "pods", "-l", "gateway.networking.k8s.io/gateway-name=cnn-egress-gateway", "-o", "jsonpath={.items[0].status.podIP}")
	assert.Equal(t, "net.ipv4.ip_unprivileged_port_start=0", n.must("get", "deployment", "cnn-egress-gateway-istio", "-o",
		"jsonpath={range .spec.template.spec.securityContext.sysctls[*]}{.name}={.value}{end}"))

	marker := "/" + n.name
	came := func() (from string) {
		for _, r := range recorded(t, defaultName) {
			if r.Path == marker {
				assert.Equal(t, 301, r.Status)
				from, _, _ = net.SplitHostPort(r.Remote)
			}
		}
		return from
	}
	n.eventually(func() bool {
		n.kubectl("exec", "deploy/sleep", "-c", "sleep", "--", "curl", "-sS", "-m", "20", "-o", "/dev/null", "http://edition.cnn.com"+marker)
		return came() == gateway
	}, func() string { return "the last came from " + came() + ", want " + gateway })
	n.eventuallyLogged(`"GET `+marker+` HTTP/1.1" 301`, "logs", "deploy/cnn-egress-gateway-istio")

	n.must("delete", "gateway", "cnn-egress-gateway")
	n.must("wait", "deployment/cnn-egress-gateway-istio", "--for=delete", "--timeout="+aWhile.String())
}

// The kinds are those of the standard channel, in the versions that it serves.
func TestKindsOfTheGatewayAPI(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	kinds := n.must("api-resources", "--api-group=gateway.networking.k8s.io", "--no-headers")
	for _, kind := range []string{"BackendTLSPolicy", "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "ReferenceGrant"} {
		assert.Regexp(t, `gateway\.networking\.k8s\.io/v1 .*\b`+kind+`\n`, kinds+"\n")
	}
	assert.Equal(t, "True", n.must("get", "gatewayclass", "istio", "-o", `jsonpath={.status.conditions[?(@.type=="Accepted")].status}`))
	assert.Contains(t, verb(t, "status"), "gateway-api")
}
