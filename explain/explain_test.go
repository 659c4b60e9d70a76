package explain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/explain"
)

// objects reads objects; one without a namespace is in default.
func objects(t *testing.T, text string) (all []*unstructured.Unstructured) {
	t.Helper()
	for doc := range strings.SplitSeq(text, "---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		obj := new(unstructured.Unstructured)
		data, err := yaml.YAMLToJSON([]byte(doc))
		require.NoError(t, err, doc)
		if string(data) == "null" {
			continue
		}
		require.NoError(t, obj.UnmarshalJSON(data), doc)
		if obj.GetNamespace() == "" {
			obj.SetNamespace("default")
		}
		all = append(all, obj)
	}
	return all
}

// A try is a request of a curl, and what the proxies wrote of it.
type try struct {
	url          string
	exit, status int
	sidecar      evidence.Line
	gateway      *evidence.Line
	changed      []evidence.Change
	kind         string // exec by default
	command      string
	err          error
	claims       evidence.Verdicts
}

func (y try) failure() explain.Failure {
	f := explain.Failure{
		Kind: "exec", Namespace: "default", IstioNamespace: "istio-system", Changes: y.changed, Error: y.err, Command: y.command, Verdicts: y.claims,
		Attempt: &evidence.Attempt{
			Command:   &evidence.Command{Pod: evidence.Pod{Namespace: "default", Name: "curl-1", Sidecar: true}},
			Transfers: []evidence.Transfer{{URL: y.url, ExitCode: y.exit, Status: y.status}},
			Proxies:   []evidence.Proxy{{Name: evidence.Sidecar, Log: evidence.Log{Read: true}}},
		},
	}
	if y.kind != "" {
		f.Kind, f.Attempt = y.kind, nil
		return f
	}
	y.sidecar.Proxy, y.sidecar.By = evidence.Sidecar, evidence.ByConnection
	f.Attempt.Lines = []evidence.Line{y.sidecar}
	if y.gateway != nil {
		y.gateway.Proxy, y.gateway.By = "egressgateway", evidence.ByHop
		f.Attempt.Lines = append(f.Attempt.Lines, *y.gateway)
	}
	return f
}

const (
	httpbin = `
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: httpbin-ext}, spec: {hosts: [httpbin.org], ports: [{number: 80, name: http, protocol: HTTP}]}}
---
`
	google = `
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: google}, spec: {hosts: [www.google.com], ports: [{number: 443, name: https, protocol: HTTPS}]}}
---
`
	cnn = `
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: cnn}, spec: {hosts: [edition.cnn.com], ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: https, protocol: HTTPS}]}}
---
`
	byTLS = `
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: cnn-by-tls}, spec: {hosts: [edition.cnn.com], http: [{route: [{destination: {host: edition.cnn.com, subset: tls-origination, port: {number: 443}}}]}]}}
---
`
	plainRoute = `
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: cnn-by-tls}, spec: {hosts: [edition.cnn.com], http: [{route: [{destination: {host: edition.cnn.com, port: {number: 443}}}]}]}}
---
`
	gatewayService = `
{apiVersion: v1, kind: Service, metadata: {name: istio-egressgateway, namespace: istio-system}, spec: {selector: {istio: egressgateway}, ports: [{port: 80, targetPort: 8080}, {port: 443, targetPort: 8443}]}}
---
`
	through = `
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: direct-cnn}, spec: {hosts: [edition.cnn.com], gateways: [cnn-egress, mesh], http: [{match: [{gateways: [mesh]}], route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local, subset: cnn, port: {number: 80}}}]}, {match: [{gateways: [cnn-egress]}], route: [{destination: {host: edition.cnn.com}}]}]}}
---
`
	// noise has objects that explain nothing.
	noise = `
{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: noise-se, namespace: team}, spec: {hosts: [noise.example.com], ports: [{number: 80, name: tcp, protocol: TCP}]}}
---
{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: noise-dr, namespace: team}, spec: {host: noise.example.com, trafficPolicy: {tls: {mode: SIMPLE, credentialName: noise}}}}
---
{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: noise-gw, namespace: team}, spec: {selector: {istio: nobody}, servers: [{hosts: [noise.example.com]}]}}
---
`
)

func rule(name, spec string) string {
	return "\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: " + name + "}, spec: " + spec + "}\n---\n"
}

func gateway(spec string) string {
	return "\n{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: cnn-egress}, spec: " + spec + "}\n---\n"
}

// Each row is a broken world, its request, and the cause: want has parts of its text,
// and is empty if none is known.
func TestExplain(t *testing.T) {
	blocked := evidence.Line{Cluster: evidence.BlackHole, Flags: []string{"UH"}}
	toGateway := "outbound|80|cnn|istio-egressgateway.istio-system.svc.cluster.local"
	const pod = "{apiVersion: v1, kind: Pod, metadata: {name: curl-1, labels: {app: curl}}}\n---\n"
	selecting := `{host: edition.cnn.com, workloadSelector: {matchLabels: {app: curl}}, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: MUTUAL, credentialName: client-credential}}]}}`
	mutual := `{host: edition.cnn.com, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: MUTUAL, credentialName: client-credential}}]}}`
	for name, c := range map[string]struct {
		world string
		try   try
		want  []string
		next  string
	}{
		"a host that nobody registered": {httpbin, try{url: "https://www.google.com", exit: 35, sidecar: blocked},
			[]string{"No ServiceEntry has the host www.google.com", "REGISTRY_ONLY"}, "kubectl get serviceentries"},
		"a host that is let pass": {httpbin, try{url: "http://www.google.com", status: 200, claims: evidence.Verdicts{{Key: "expect.path", Want: "sidecar, www.google.com:80", Got: "sidecar, passthrough"}}, sidecar: evidence.Line{Cluster: evidence.Passthrough}},
			[]string{"No ServiceEntry has the host www.google.com", "ALLOW_ANY"}, "kubectl get serviceentries"},
		"a slip of a host": {strings.Replace(httpbin, "[httpbin.org]", "[htpbin.org]", 1), try{url: "http://httpbin.org/get", status: 502, sidecar: blocked},
			[]string{"httpbin.org;", "ServiceEntry httpbin-ext has htpbin.org (spec.hosts[0])"}, "edit serviceentry httpbin-ext"},
		"a host for another namespace": {strings.Replace(httpbin, "hosts:", "exportTo: [team], hosts:", 1) + "", try{url: "http://httpbin.org/get", status: 502, sidecar: blocked}, nil, ""},
		"a port that is not declared": {google, try{url: "http://www.google.com", status: 502, sidecar: blocked},
			[]string{"ServiceEntry google does not declare port 80"}, "edit serviceentry google"},
		"a Sidecar that leaves it out": {httpbin + "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default}, spec: {egress: [{hosts: ['istio-system/*']}]}}",
			try{url: "http://httpbin.org/get", status: 502, sidecar: blocked}, []string{"Sidecar default", "ServiceEntry httpbin-ext", "istio-system/*"}, "edit sidecar default"},
		"HTTP where TLS is spoken": {strings.Replace(google, "HTTPS", "HTTP", 1), try{url: "https://www.google.com", exit: 35, sidecar: evidence.Line{}},
			[]string{"ServiceEntry google declares port 443 as HTTP (spec.ports[0].protocol)", "TLS"}, "edit serviceentry google"},
		"TCP where HTTP is spoken": {strings.Replace(httpbin, "protocol: HTTP", "protocol: TCP", 1), try{url: "http://httpbin.org/get", status: 200, sidecar: evidence.Line{Cluster: "outbound|80||httpbin.org"}},
			[]string{"ServiceEntry httpbin-ext declares port 80 as TCP (spec.ports[0].protocol)"}, "edit serviceentry httpbin-ext"},
		"HTTP in the name of a Service's port": {"{apiVersion: v1, kind: Service, metadata: {name: my-wikipedia}, spec: {type: ExternalName, ports: [{port: 443, name: http}]}}",
			try{url: "https://my-wikipedia.default.svc.cluster.local", exit: 35, sidecar: evidence.Line{}}, []string{"Service my-wikipedia declares port 443 as http (spec.ports[0].name)"}, "edit service my-wikipedia"},
		"a timeout": {"{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: slow-limit}, spec: {hosts: [slow.example.com], http: [{timeout: 1s}]}}",
			try{url: "http://slow.example.com/2", status: 504, sidecar: evidence.Line{Method: "GET", Authority: "slow.example.com", Flags: []string{"UT"}}},
			[]string{"VirtualService slow-limit", "1s (spec.http[0].timeout)"}, "edit virtualservice slow-limit"},
		"two timeouts": {"{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: slow-limit}, spec: {hosts: [slow.example.com], http: [{timeout: 1s}, {timeout: 2s}]}}",
			try{url: "http://slow.example.com/2", status: 504, sidecar: evidence.Line{Method: "GET", Authority: "slow.example.com", Flags: []string{"UT"}}}, []string{"1s (spec.http[0].timeout)"}, "edit virtualservice slow-limit"},
		"no rule that originates TLS": {cnn + plainRoute, try{url: "http://edition.cnn.com", status: 400, sidecar: evidence.Line{Method: "GET", Status: 400, Cluster: "outbound|443||edition.cnn.com"}},
			[]string{"No DestinationRule has the proxy originate TLS for edition.cnn.com:443", "VirtualService cnn-by-tls"}, "kubectl get destinationrules"},
		"a subset that is not defined": {cnn + byTLS + rule("originate-tls", "{host: edition.cnn.com, subsets: [{name: tls}]}"),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"NC"}, Cluster: "outbound|443|tls-origination|edition.cnn.com"}},
			[]string{"VirtualService cnn-by-tls sends to subset tls-origination", "DestinationRule originate-tls does not define", "tls."}, "edit destinationrule originate-tls"},
		"a Secret that is not there": {pod + cnn + plainRoute + rule("originate-mtls", selecting) + "{apiVersion: v1, kind: Secret, metadata: {name: client-credentials}}",
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"NC"}, Cluster: "outbound|443||edition.cnn.com"}},
			[]string{"There is no Secret client-credential in namespace default, which DestinationRule originate-mtls names"}, "kubectl -n default get secrets"},
		"no workloadSelector": {cnn + plainRoute + rule("originate-mtls", mutual) + "{apiVersion: v1, kind: Secret, metadata: {name: client-credential}}",
			try{url: "http://edition.cnn.com", status: 400, sidecar: evidence.Line{Method: "GET", Status: 400, Cluster: "outbound|443||edition.cnn.com"}},
			[]string{"DestinationRule originate-mtls has a credentialName without workloadSelector", "plain HTTP"}, "edit destinationrule originate-mtls"},
		"TLS in TLS": {cnn + rule("originate-tls", "{host: edition.cnn.com, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]}}"),
			try{url: "https://edition.cnn.com", exit: 35, sidecar: evidence.Line{Cluster: "outbound|443||edition.cnn.com"}},
			[]string{"DestinationRule originate-tls originates TLS for port 443", "SIMPLE", "TLS in TLS"}, "edit destinationrule originate-tls"},
		"a gateway that selects no pod": {cnn + through + gatewayService + gateway("{selector: {istio: egress-gateway}, servers: [{port: {number: 80}, hosts: [edition.cnn.com]}]}"),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"UF"}, Cluster: toGateway}},
			[]string{"Gateway cnn-egress selects no pod", "istio=egress-gateway", "istio=egressgateway"}, "edit gateway.networking.istio.io cnn-egress"},
		"a gateway for another host": {cnn + through + gatewayService + gateway("{selector: {istio: egressgateway}, servers: [{port: {number: 80}, hosts: [www.cnn.com]}]}"),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"UF"}, Cluster: toGateway}},
			[]string{"Gateway cnn-egress takes the host www.cnn.com (spec.servers[0].hosts), not edition.cnn.com"}, "edit gateway.networking.istio.io cnn-egress"},
		"mutual TLS on one side": {cnn + through + gatewayService + gateway("{selector: {istio: egressgateway}, servers: [{port: {number: 80}, hosts: [edition.cnn.com], tls: {mode: ISTIO_MUTUAL}}]}") +
			rule("egressgateway-for-cnn", "{host: istio-egressgateway.istio-system.svc.cluster.local, subsets: [{name: cnn}]}"),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"UC"}, Cluster: toGateway}},
			[]string{"Gateway cnn-egress wants ISTIO_MUTUAL", "DestinationRule egressgateway-for-cnn", "plain HTTP"}, "edit destinationrule egressgateway-for-cnn"},
		"no second leg": {cnn + strings.Replace(through, ", {match: [{gateways: [cnn-egress]}], route: [{destination: {host: edition.cnn.com}}]}", "", 1) + gatewayService + gateway("{selector: {istio: egressgateway}, servers: [{port: {number: 80}, hosts: [edition.cnn.com]}]}"),
			try{url: "http://edition.cnn.com", status: 404, sidecar: evidence.Line{Method: "GET", Status: 404, Cluster: toGateway}, gateway: &evidence.Line{Method: "GET", Authority: "edition.cnn.com", Status: 404, Flags: []string{"NR"}}},
			[]string{"VirtualService direct-cnn has no route for gateway cnn-egress"}, "edit virtualservice direct-cnn"},
		"a subset in another namespace": {cnn + through + gatewayService + strings.Replace(rule("egressgateway-for-cnn", "{host: istio-egressgateway.istio-system.svc.cluster.local, subsets: [{name: cnn}]}"), "name: egress", "namespace: team-a, name: egress", 1),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"NC"}, Cluster: toGateway}},
			[]string{"Subset cnn of istio-egressgateway is defined by DestinationRule egressgateway-for-cnn in namespace team-a", "namespace default"}, "kubectl -n team-a get destinationrule egressgateway-for-cnn"},
		"istiod is down": {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}, spec: {replicas: 0}}",
			try{url: "https://www.google.com", sidecar: evidence.Line{Cluster: evidence.Passthrough}, changed: []evidence.Change{{Kind: "ConfigMap"}}},
			[]string{"istiod is not ready (deployment istiod in namespace istio-system has 0 ready replicas)", "no change reaches a proxy"}, "kubectl -n istio-system get deploy"},
		"the configuration of another revision": {"{apiVersion: v1, kind: Pod, metadata: {name: curl-1, annotations: {istio.io/rev: default}}}",
			try{url: "https://www.google.com", sidecar: evidence.Line{Cluster: evidence.Passthrough}, changed: []evidence.Change{{Kind: "ConfigMap", Namespace: "istio-system", Name: "istio-canary"}}},
			[]string{"ConfigMap istio-canary", "revision default", "ConfigMap istio: ALLOW_ANY"}, "kubectl -n default get pod curl-1"},
		"a native sidecar": {"{apiVersion: v1, kind: Pod, metadata: {name: curl-1}, spec: {initContainers: [{name: istio-proxy, restartPolicy: Always}]}}",
			try{kind: "wait", command: "kubectl wait --for=jsonpath='{.spec.containers[*].name}'='curl istio-proxy' pod/curl-1"},
			[]string{"Pod curl-1 has its sidecar istio-proxy in spec.initContainers", "spec.containers"}, "initContainers"},
		"a Secret that is waited for": {pod + cnn + plainRoute + rule("originate-mtls", selecting),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"UF"}, TransportFailure: "TLS_error:_Secret_is_not_supplied_by_SDS", Cluster: "outbound|443||edition.cnn.com"}},
			[]string{"There is no Secret client-credential in namespace default"}, "kubectl -n default get secrets"},
		"a policy that denies": {cnn + "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: no-cnn, namespace: istio-system}, spec: {action: DENY}}", try{url: "http://edition.cnn.com", status: 403, sidecar: evidence.Line{Method: "GET", Cluster: toGateway},
			gateway: &evidence.Line{Method: "GET", Status: 403, Details: "rbac_access_denied_matched_policy[ns[istio-system]-policy[no-cnn]-rule[0]]"}},
			[]string{"AuthorizationPolicy no-cnn in namespace istio-system denies the request"}, "kubectl -n istio-system get authorizationpolicy no-cnn"},
		"a subset that is not defined, and a line that names no cluster": {cnn + byTLS + rule("originate-tls", "{host: edition.cnn.com, subsets: [{name: tls}]}"),
			try{url: "http://edition.cnn.com", status: 503, sidecar: evidence.Line{Method: "GET", Flags: []string{"NC"}, Details: "cluster_not_found"}},
			[]string{"VirtualService cnn-by-tls sends to subset tls-origination"}, "edit destinationrule originate-tls"},
		"HTTP in the name of the port of a Service's address": {"{apiVersion: v1, kind: Service, metadata: {name: my-wikipedia}, spec: {clusterIP: 10.96.0.9, ports: [{port: 443, name: http}]}}",
			try{url: "https://en.wikipedia.org", exit: 35, sidecar: evidence.Line{Cluster: evidence.BlackHole, DownstreamLocal: "10.96.0.9:443"}},
			[]string{"Service my-wikipedia declares port 443 as http (spec.ports[0].name)"}, "edit service my-wikipedia"},
		"a far end that refuses": {httpbin, try{url: "http://httpbin.org/status/500", status: 500, sidecar: evidence.Line{Method: "GET", Status: 500, Cluster: "outbound|80||httpbin.org"}}, nil, ""},
		"a rule that has TLS originated": {cnn + plainRoute + rule("originate-tls", "{host: edition.cnn.com, trafficPolicy: {tls: {mode: SIMPLE}}}"),
			try{url: "http://edition.cnn.com", status: 400, sidecar: evidence.Line{Method: "GET", Status: 400, Cluster: "outbound|443||edition.cnn.com"}}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, more := range []string{"", noise} {
				fake := clustertest.NewFake(objects(t, c.world+"\n---\n"+more)...)
				e := &explain.Explainer{Cluster: fake}
				found := e.Explain(t.Context(), c.try.failure())
				if c.want == nil {
					for _, f := range found {
						if !f.Unknown && name != "a host for another namespace" {
							assert.Fail(t, "a false explanation", "%+v", f)
						}
					}
					continue
				}
				require.Len(t, found, 1)
				require.False(t, found[0].Unknown, "%+v", found)
				for _, text := range c.want {
					assert.Contains(t, found[0].Cause, text)
				}
				assert.LessOrEqual(t, len(found[0].Cause), 240, "two lines")
				assert.Contains(t, found[0].Next, c.next)
			}
		})
	}
}

// What may not be read is reported, and never guessed.
func TestWhatMayNotBeReadIsSaid(t *testing.T) {
	fake := clustertest.NewFake()
	fake.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "list" && strings.HasPrefix(call.Ref.Kind, "serviceentries") {
			return errors.New("forbidden")
		}
		return nil
	}
	y := try{url: "https://www.google.com", exit: 35, sidecar: evidence.Line{Cluster: evidence.BlackHole, Flags: []string{"UH"}}}
	found := (&explain.Explainer{Cluster: fake}).Explain(t.Context(), y.failure())
	require.Len(t, found, 1)
	assert.True(t, found[0].Unknown)
	assert.Contains(t, strings.Join(found[0].Facts, "\n"), "not looked at in all namespaces, for it may not be listed: serviceentries")
	assert.Contains(t, strings.Join(found[0].Facts, "\n"), "UH (its upstream cluster has no healthy host)")
}
