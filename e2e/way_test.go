//go:build lab

package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// withoutAccessLog has the mesh write none for as long as the test runs.
func withoutAccessLog(t *testing.T) {
	t.Helper()
	withSample(t)
	const on, off = "accessLogFile: /dev/stdout", `accessLogFile: ""`
	change := func(ctx context.Context, old, new string) {
		config, err := resource("v1", "configmaps", "istio-system").Get(ctx, "istio", metav1.GetOptions{})
		require.NoError(t, err)
		mesh, _, err := unstructured.NestedString(config.Object, "data", "mesh")
		require.NoError(t, err)
		require.Contains(t, mesh, old)
		require.NoError(t, unstructured.SetNestedField(config.Object, strings.Replace(mesh, old, new, 1), "data", "mesh"))
		_, err = resource("v1", "configmaps", "istio-system").Update(ctx, config, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	change(t.Context(), on, off)
	t.Cleanup(func() { change(context.Background(), off, on) })
}

// What arrived is looked at in each lab of this machine, however it is named.
func TestWhatArrivedWhereALabIsNamed(t *testing.T) {
	withSample(t)
	const request = "A request\nexec: {in: deploy/sleep, container: sleep, command: curl -s http://httpbin.org/headers}\nwithin: 1ms\nexpect: {arrived: [{host: "
	for host, code := range map[string]int{"httpbin.org": 0, "www.google.com": 1} {
		e := egressplay(t, "run", playbook(t, request+host+"}]}").file(), "--namespace", sample, "--kubeconfig", shared.kubeconfig)
		e.exits(t, code)
		assert.NotContains(t, e.stdout, "not checked")
	}
}

// Where the mesh writes no access log, the way is that which the counters of
// the proxies tell, and where these do not tell there is no pass.
func TestTheWayWithoutAccessLogs(t *testing.T) {
	withoutAccessLog(t)
	const register = `Register
apply: |
  apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata:
    name: httpbin
  spec:
    hosts: [httpbin.org]
    ports:
    - {number: 80, name: http, protocol: HTTP}
    - {number: 443, name: tls, protocol: TLS}
    resolution: DNS
`
	const counting = `Deploy a workload whose sidecar counts what it accepts, and handles no address outside the cluster
apply: |
  apiVersion: apps/v1
  kind: Deployment
  metadata:
    name: counting
  spec:
    selector: {matchLabels: {app: counting}}
    template:
      metadata:
        labels: {app: counting}
        annotations:
          sidecar.istio.io/statsInclusionPrefixes: listener
          traffic.sidecar.istio.io/includeOutboundIPRanges: 10.96.0.0/16
      spec:
        terminationGracePeriodSeconds: 0
        containers:
        - {name: sleep, image: curlimages/curl, command: [/bin/sleep, infinity]}
`
	const rollout = "Wait for it\nwait: {object: deploy/counting, for: rollout}"
	request := func(in, command, path string) string {
		return "A request\nexec: {in: " + in + ", container: sleep, command: " + command + "}\nexpect: {path: " + path + "}\nwithin: 10s"
	}
	const http, https = "curl -s http://httpbin.org/headers", "curl -s https://httpbin.org/headers"
	for _, c := range []struct {
		name  string
		steps []string
		code  int
		shows string
	}{
		{"a host", []string{register, request("deploy/sleep", http, `[sidecar, "httpbin.org:80"]`)}, 0, ""},
		{"a host by TLS", []string{register, request("deploy/sleep", https, `[sidecar, "httpbin.org:443"]`)}, 0, ""},
		{"an unknown host", []string{request("deploy/sleep", https, "[sidecar, passthrough]")}, 0, ""},
		{"a host that was said to be unknown", []string{register, request("deploy/sleep", http, `[sidecar, "httpbin.org:80"]`), request("deploy/sleep", http, "[sidecar, passthrough]")}, 1, "outbound|80||httpbin.org"},
		{"not by the gateway", []string{register, request("deploy/sleep", http, `[sidecar, egressgateway, "httpbin.org:80"]`)}, 1, "outbound|80||httpbin.org"},
		{"blocked", []string{request("deploy/sleep", https, "blocked")}, 3, "set meshConfig.accessLogFile to /dev/stdout"},
		{"not past a sidecar that does not count", []string{request("deploy/sleep", https, "direct")}, 1, "the sidecar's counters grew"},
		{"past a sidecar that counts", []string{counting, rollout, request("deploy/counting", https, "direct")}, 0, ""},
		{"not past a sidecar that counts", []string{counting, rollout, request("deploy/counting", "curl -sk https://kubernetes.default.svc/version", "direct")}, 1, "the sidecar's counters grew"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := egressplay(t, "run", playbook(t, c.steps...).file(), "--namespace", sample)
			e.exits(t, c.code)
			assert.Contains(t, e.stdout, c.shows)
		})
	}
}

// The counters follow a request from proxy to proxy: a built-in playbook passes
// without its access log, and where the request does not pass the gateway the
// same step fails.
func TestTheWayByTheGatewayWithoutAccessLogs(t *testing.T) {
	withoutAccessLog(t)
	const (
		direct  = "Direct HTTPS to edition.cnn.com through the egress gateway, which passes it on by its SNI"
		through = "The HTTPS request takes its way through the egress gateway, still in one TLS session with the site"
		log     = `    log:
    - cluster: outbound|443|cnn|istio-egressgateway.${ISTIO_NAMESPACE}.svc.cluster.local
      sni: edition.cnn.com
`
	)
	withoutLog := func() *script {
		s := builtin(t, "egress-gateway-https").replace(through, log, "")
		s.text = strings.Replace(s.text, "requires: [accessLog, egressGateway]", "requires: [egressGateway]", 1)
		return s
	}
	e := egressplay(t, "run", withoutLog().file(), "--namespace", sample)
	e.exits(t, 0)

	// Nothing but the way and the gateway tell the difference.
	s := withoutLog().withoutDocument(direct, "kind: VirtualService").within(through, "3s")
	e = egressplay(t, "run", s.file(), "--namespace", sample)
	e.exits(t, 1)
	assert.Contains(t, e.stdout, "want  [sidecar, egressgateway, 'edition.cnn.com:443']")
	assert.Contains(t, e.stdout, "got   [sidecar, 'edition.cnn.com:443']")
}
