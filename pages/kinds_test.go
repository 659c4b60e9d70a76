package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A kind is a statement of a page, what it becomes, and what of it is noted or keeps it
// from becoming a step.
type kind struct {
	name, text string
	want       string // the steps behind those of deploySleep, on one line
	note       string // a part of a note
	err        string // a part of the only error
}

// holds reads each page, and holds it to what it is to become.
func holds(t *testing.T, o Options, kinds []kind, files ...string) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			steps, errs, notes := lint(t, deploySleep+"\nText here:\n\n~~~bash\n"+k.text+"\n~~~\n", o, files...)
			if k.err != "" {
				require.Len(t, errs, 1, "%v", errs)
				assert.Contains(t, errs[0], k.err)
				return
			}
			require.Empty(t, errs)
			assert.Equal(t, plainest(k.want), plainest(strings.Join(steps[3:], " ")))
			assert.Contains(t, strings.Join(notes, "\n"), k.note)
		})
	}
}

// plainest returns YAML without its quotes.
func plainest(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(bare(text), `\`, ""))
}

// TestSamples has Istio's samples, wherever a page has them from, and what only looks like
// one.
func TestSamples(t *testing.T) {
	const httpbin = "{apply: {files: [samples/httpbin/httpbin.yaml]}}"
	holds(t, Options{}, []kind{
		{name: "of the release", text: "kubectl apply -f samples/httpbin/httpbin.yaml", want: httpbin},
		{name: "of a release beside the page", text: "kubectl apply -f istio-1.20.0/samples/httpbin/httpbin.yaml", want: httpbin},
		{name: "of the site", text: "kubectl apply -f https://raw.githubusercontent.com/istio/istio/release-1.20/samples/httpbin/httpbin.yaml", want: httpbin},
		{name: "where it was once", text: "kubectl apply -f samples/bookinfo/kube/bookinfo.yaml", want: "{apply: {files: [samples/bookinfo/platform/kube/bookinfo.yaml]}}"},
		{name: "deleted", text: "kubectl delete -f samples/bookinfo/networking/virtual-service-reviews-v3.yaml", want: "{delete: {objects: [virtualservice/reviews]}}"},
		{name: "dashboards", text: "kubectl apply -f samples/addons", note: "page.md:11:1: not run: the dashboards of Istio's samples"},
		{name: "one dashboard", text: "kubectl apply -f https://raw.githubusercontent.com/istio/istio/master/samples/addons/kiali.yaml", note: "not run: the dashboards"},
		{name: "of somebody else's site", text: "kubectl apply -f https://raw.githubusercontent.com/me/mine/main/samples/httpbin/httpbin.yaml", err: "nothing is fetched here"},
		{name: "none", text: "kubectl apply -f samples/none/none.yaml", err: "the sample samples/none/none.yaml is not built in"},
		{name: "pods that are not deployed", text: "kubectl get pod -l app=httpbin", err: "nothing on this page deploys a pod with the label app=httpbin"},
	})
}

// TestReadersMachine has commands that prepare the reader's machine, and those that look
// like them and matter.
func TestReadersMachine(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "a repository", text: "git clone https://a.example/me/mine.git && cd mine", note: "the files of a repository are looked for beside the page"},
		{name: "a folder of it", text: "git clone https://a.example/me/mine.git\ncd mine/sub\nkubectl apply -f cm.yaml", want: "{apply: {files: [cm.yaml]}}"},
		{name: "an archive", text: "wget https://a.example/x.tar.gz\ntar xf x.tar.gz\nchmod +x x/y\nsudo mv x/y /usr/local/bin/", note: "a file that is fetched must lie beside the page"},
		{name: "a file by curl", text: "curl -LO https://a.example/x.yaml", note: "a file that is fetched must lie beside the page"},
		{name: "a program", text: "curl -sL https://a.example/install.sh | sh -", note: "it installs a program on this machine"},
		{name: "images", text: "docker build -t a .\ndocker push a", note: "the images that pods name must be where the cluster finds them"},
		{name: "a shell's ways", text: "set -e\nalias k=kubectl\nsource <(kubectl completion bash)", note: "it is for those who type"},
		{name: "a request", text: "curl -s https://a.example/x", err: "curl would run on this machine"},
		{name: "a request whose answer is kept", text: "curl -s -o /tmp/x -w '%{http_code}' https://a.example/x", err: "curl would run on this machine"},
		{name: "a request whose answer is shown", text: "$ curl -o x.html https://a.example/x\n200", err: "curl would run on this machine"},
		{name: "a container", text: "docker run -d a", err: "docker is no program"},
		{name: "anything as root", text: "sudo systemctl restart x", err: "sudo is no program"},
		{name: "a script that is sourced", text: "source vars.sh", err: "source is no program"},
		{name: "a file that was fetched and is not there", text: "curl -LO https://a.example/x.yaml\nkubectl apply -f x.yaml", err: "page.md:12:1: the page has not written the file x.yaml"},
		{name: "a repository's file that is not there", text: "git clone https://a.example/me/mine.git\nkubectl apply -f mine/x.yaml", err: "the page has not written the file mine/x.yaml"},
	}, "cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
}

// TestInstallations has installations of Istio by its charts and by files of settings.
func TestInstallations(t *testing.T) {
	const block = "{policy: {set: REGISTRY_ONLY}}"
	operator := func(spec string) string {
		return "istioctl install -y -f - <<EOF\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n" + spec + "\nEOF"
	}
	const there = "{wait: {object: deployment/istio-egress, namespace: istio-egress, for: rollout}}"
	holds(t, Options{}, []kind{
		{name: "charts", text: "helm repo add istio https://a.example/charts\nhelm repo update\nhelm install istio-base istio/base -n istio-system --set defaultRevision=default --create-namespace\nhelm install istiod istio/istiod -n istio-system --wait", note: "page.md:14:1: not run: Istio must be there already"},
		{name: "the policy by a chart", text: "helm upgrade --install istiod istio/istiod -n istio-system --set meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY --set global.proxy.accessLogFile=/dev/stdout", want: block},
		{name: "the policy by values", text: "helm upgrade istiod oci://gcr.io/istio-release/charts/istiod -f - <<EOF\nmeshConfig:\n  outboundTrafficPolicy:\n    mode: REGISTRY_ONLY\nEOF", want: block},
		{name: "a gateway", text: "helm install istio-egress istio/gateway -n istio-egress --set service.type=ClusterIP --wait", want: there},
		{name: "Istio's own gateway", text: "helm install istio-egressgateway istio/gateway -n istio-system", note: "Istio's egress gateway must be there already"},
		{name: "ambient mode", text: "helm install ztunnel istio/ztunnel -n istio-system", want: "{wait: {object: daemonset/ztunnel, namespace: istio-system, for: rollout}}"},
		{name: "ambient mode by its profile", text: "istioctl install --set profile=ambient", want: "{wait: {object: daemonset/ztunnel, namespace: istio-system, for: rollout}}"},
		{name: "a file of settings", text: operator("  profile: default\n  meshConfig:\n    accessLogFile: /dev/stdout\n    outboundTrafficPolicy:\n      mode: REGISTRY_ONLY"), want: block},
		{name: "a gateway in a file", text: operator("  components:\n    egressGateways:\n    - {name: istio-egress, namespace: istio-egress, enabled: true}"), want: there},
		{name: "an operator that is applied", text: "kubectl apply -f - <<EOF\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {meshConfig: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}}\nEOF", want: block},
		{name: "a setting that means something", text: "helm install istiod istio/istiod --set pilot.env.PILOT_X=1", err: "the setting values.pilot.env.PILOT_X=1 of the mesh is not known here"},
		{name: "such a setting in a file", text: operator("  meshConfig: {defaultConfig: {holdApplicationUntilProxyStarts: true}}"), err: "the setting meshConfig.defaultConfig.holdApplicationUntilProxyStarts=true"},
		{name: "a setting of a gateway", text: "helm install istio-egress istio/gateway --set networkGateway=x", err: "the setting networkGateway=x of a gateway"},
		{name: "a setting as an IstioOperator has it", text: "istioctl install --set spec.components.egressGateways[0].name=istio-egressgateway --set spec.meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY", want: block},
		{name: "dashboards", text: "helm install istiod istio/istiod --set kiali.enabled=true --set grafana.enabled=true", note: "Istio must be there already"},
		{name: "the operator of old", text: "istioctl operator init\nistioctl operator remove", note: "the mesh stays as it is"},
		{name: "the kinds of old", text: "helm template install/kubernetes/helm/istio-init --name istio-init --namespace istio-system | kubectl apply -f -", note: "Istio must be there already"},
		{name: "what OpenShift needs", text: "oc adm policy add-scc-to-group anyuid system:serviceaccounts:default", note: "it prepares the cluster"},
		{name: "a line that is only a prompt", text: "[me@host dir]# istioctl install -y \\\n>  --set meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY \\\n>\n- Processing", want: block},
		{name: "a chart of somebody else's", text: "helm install mine ./mine", err: "helm is no program"},
		{name: "another one of that name", text: "helm install istiod mine/istiod-extra", err: "helm is no program"},
		{name: "another revision", text: "istioctl install --revision canary", err: "a revision of the mesh beside another one"},
		{name: "a release that is none of these", text: "helm uninstall mine", err: "helm is no program"},
	})
}

// TestNamespaces has commands that choose the namespace of what follows, and the cluster.
func TestNamespaces(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "by kubectl", text: "kubectl config set-context --current --namespace=x\nkubectl exec deploy/sleep -- curl -s u\nkubectl get pod -n y | wc -l", want: "{exec: {in: deploy/sleep, namespace: x, command: [curl, -s, u]}} {shell: kubectl get pod -n y | wc -l}", note: "commands that follow and name no namespace are given -n x"},
		{name: "by kubens, and back", text: "kubens x\nkubectl delete svc a\nkubens default\nkubectl delete svc a", want: "{delete: {objects: [svc/a], namespace: x}} {delete: {objects: [svc/a]}}"},
		{name: "by a project", text: "oc new-project x\noc delete svc a", want: "{apply: apiVersion: v1 kind: Namespace metadata: name: x } {delete: {objects: [svc/a], namespace: x}}"},
		{name: "in a script", text: "$ oc project x\n$ kubectl get pod | grep a\na", want: "{shell: kubectl -n x get pod | grep a} {expect: {shown: a }}"},
		{name: "projects are namespaces", text: "oc new-project a\noc delete project a", want: "{apply: apiVersion: v1 kind: Namespace metadata: name: a } {delete: {objects: [namespace/a], namespace: a}}"},
		{name: "a remote shell", text: "oc rsh -n x -c c deploy/sleep curl -s u", want: "{exec: {in: deploy/sleep, container: c, namespace: x, command: [curl, -s, u]}}"},
		{name: "a remote shell alone", text: "$ oc rsh deploy/sleep\n$ curl -s u", want: "{exec: {in: deploy/sleep, command: [curl, -s, u]}}"},
		{name: "one cluster", text: "kubectl config use-context a\nkubectl version\nkubectl cluster-info", note: "which cluster it is, the command line says"},
		{name: "two clusters", text: "kubectl config use-context a\nkubectl config use-context b", err: "page.md:12:1: the page goes on in another cluster, b"},
		{name: "two clusters by their files", text: "export KUBECONFIG=~/a\nexport KUBECONFIG=~/b", err: "page.md:12:1: the page goes on in another cluster"},
		{name: "what only oc has", text: "oc expose svc a", err: "oc is no program"},
	})
}

// TestMade has what kubectl makes without a manifest.
func TestMade(t *testing.T) {
	const made = "{apply: apiVersion: apps/v1 kind: Deployment metadata: labels: app: web name: web spec: replicas: 2 selector: matchLabels: app: web template: metadata: labels: app: web spec: containers: - image: a.example/nginx:1 name: nginx ports: - containerPort: 80 } "
	const service = "{apply: apiVersion: v1 kind: Service metadata: labels: app: web name: web spec: ports: - port: 8080 protocol: TCP targetPort: 80 selector: app: web }"
	holds(t, Options{}, []kind{
		{name: "a Deployment and its Service", text: "kubectl create deployment web --image=a.example/nginx:1 --replicas=2 --port=80\nkubectl expose deployment web --port=8080 --target-port=80", want: made + service},
		{name: "a Service of a name", text: "kubectl create svc externalname a --external-name b.example", want: "{apply: apiVersion: v1 kind: Service metadata: labels: app: a name: a spec: externalName: b.example type: ExternalName }"},
		{name: "a binding in the cluster", text: "kubectl create clusterrolebinding a --clusterrole=view --user=me", want: "{apply: apiVersion: rbac.authorization.k8s.io/v1 kind: ClusterRoleBinding metadata: name: a roleRef: apiGroup: rbac.authorization.k8s.io kind: ClusterRole name: view subjects: - apiGroup: rbac.authorization.k8s.io kind: User name: me }"},
		{name: "a Service of what is not known", text: "kubectl expose deployment other --port=80", err: "kubectl expose is known here for a Deployment or a pod that the page makes"},
		{name: "a Service without a port", text: "kubectl expose deployment sleep", err: "kubectl expose is known here with --port"},
		{name: "a quota", text: "kubectl create quota a", err: "kubectl create"},
	})
}

// TestOneOff has pods that are there for one command.
func TestOneOff(t *testing.T) {
	pod := func(rest string) string {
		return "{apply: {manifest: apiVersion: v1 kind: Pod metadata: labels: run: c name: c spec: containers: - command: - sleep - infinity" + rest + " image: curlimages/curl name: c terminationGracePeriodSeconds: 0 , namespace: x}} "
	}
	const gone = " {delete: {objects: [pod/c], namespace: x}}"
	holds(t, Options{}, []kind{
		{name: "a request", text: "$ kubectl run c -n x --rm -it --restart=Never --image=curlimages/curl -- curl -s -o /dev/null -w '%{http_code}' u\n200\npod \"c\" deleted", want: pod("") + "{exec: {in: c, namespace: x, command: [curl, -s, -o, /dev/null, -w, %{http_code}, u]}} {expect: {status: 200}}" + gone, note: "the pod c is deployed, and the command is run in it"},
		{name: "a request without --", text: "kubectl run c -n x --rm -i --image curlimages/curl curl u", want: pod("") + "{exec: {in: c, namespace: x, command: [curl, u]}}" + gone},
		{name: "a shell", text: "$ kubectl run c -n x --rm -it --image=curlimages/curl --env=A=b -- sh\n$ curl -s u\n$ exit", want: pod(" env: - name: A value: b") + "{exec: {in: c, namespace: x, command: [curl, -s, u]}}"},
		{name: "a pod that stays", text: "kubectl run c -n x --image=curlimages/curl -- sleep 1d", want: "{apply: {manifest: apiVersion: v1 kind: Pod metadata: labels: run: c name: c spec: containers: - args: - sleep - 1d image: curlimages/curl name: c , namespace: x}}"},
		{name: "the image's own program", text: "kubectl run c --rm -it --image=curlimages/curl -- -s u", err: "which program of the image"},
		{name: "no command", text: "kubectl run c --rm -it --image=busybox", err: "with a command behind --"},
		{name: "overrides", text: "kubectl run c --rm -it --image=busybox --overrides='{}' -- sh", err: "--overrides"},
	})
}

// TestLooks has commands that look, without an end or at more than is shown.
func TestLooks(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "describe", text: "kubectl describe svc a -n x", want: "{shell: kubectl get svc a -n x}", note: "claims only that there is such an object"},
		{name: "get -w", text: "kubectl get pods -n x -w", want: "{shell: kubectl get pods -n x}", note: "kubectl get -w does not end"},
		{name: "watch", text: "watch -n 1 kubectl get pods", want: "{shell: kubectl get pods}", note: "watch does not end"},
		{name: "all pods", text: "kubectl wait --for=condition=Ready pods --all --timeout=60s", want: "{wait: {object: deployment/sleep, for: rollout}} {within: 60s}"},
		{name: "a browser's port", text: "kubectl port-forward svc/grafana -n x 3000:3000 &", note: "no command uses it"},
		{name: "a browser", text: "istioctl dashboard kiali &", note: "it is for a look in a browser"},
		{name: "columns of one's own", text: "$ kubectl get pod -o custom-columns=N:.metadata.name --no-headers\nsleep-5f7cbdff8f-x2abc", want: "{shell: kubectl get pod -o custom-columns=N:.metadata.name --no-headers} {expect: {shown: sleep-5f7cbdff8f-x2abc }}"},
		{name: "what describe prints", text: "$ kubectl describe svc a\nName: a", err: "kubectl describe is not known here"},
		{name: "a part of what describe prints", text: "kubectl describe svc a | grep Name", err: "kubectl describe is not known here"},
	})
	_, errs, _ := lint(t, deploySleep+"~~~bash\nkubectl port-forward svc/a 8080:80 &\ncurl -s http://localhost:8080/ | grep x\n~~~\n", Options{})
	require.Len(t, errs, 2)
	assert.Contains(t, errs[0], "a port of this machine is forwarded, which line 9 uses")
	for text, want := range map[string]string{
		"kubectl wait --for=condition=Ready pods --all -n y":     "the page has deployed nothing there",
		"kubectl wait --for=condition=Established crd --all":     "kubectl wait --all is known here for pods",
		"$ watch kubectl get pods -o jsonpath='{.items}'\nsleep": "watch is known here in front of a kubectl command",
	} {
		_, errs, _ := lint(t, deploySleep+"~~~bash\n"+text+"\n~~~\n", Options{})
		require.Len(t, errs, 1, text)
		assert.Contains(t, errs[0], want)
	}
}

// TestOutside has requests from the reader's machine: those to a gateway come from a pod
// outside of the mesh, and of others nothing tells from where.
func TestOutside(t *testing.T) {
	const address = "export H=$(kubectl get svc istio-ingressgateway -n istio-system -o jsonpath='{.status.loadBalancer.ingress[0].ip}')\n"
	const set = `{set: {H: {get: svc, name: istio-ingressgateway, namespace: istio-system, jsonpath: {.status.loadBalancer.ingress[0].ip}}}} `
	const pod = "{apply: apiVersion: v1 kind: Pod metadata: name: outside-the-mesh labels: {app: outside-the-mesh, sidecar.istio.io/inject: false, istio.io/dataplane-mode: none} spec: terminationGracePeriodSeconds: 0 containers: - name: curl image: curlimages/curl command: [sleep, infinity] } "
	holds(t, Options{}, []kind{
		{name: "to a gateway", text: address + "export U=$H:80\n$ curl -s -HHost:a http://$U/x | grep -o t\nt", want: set + "{set: {U: {value: ${H}:80}}} " + pod + "{shell: kubectl exec outside-the-mesh -- curl -s -HHost:a http://$U/x | grep -o t} {expect: {shown: t }}", note: "a request to a gateway from outside of the mesh"},
		{name: "by its name", text: address + "curl --resolve a.example:80:$H http://a.example/", want: set + pod + "{exec: {in: outside-the-mesh, command: [curl, --resolve, a.example:80:${H}, http://a.example/]}}"},
		{name: "with a file of the page", text: address + "echo x > ca.crt\ncurl --cacert ca.crt https://$H/", want: set + pod + "{exec: {in: outside-the-mesh, command: [sh, -c, mkdir -p /tmp/page && cat > /tmp/page/ca.crt], stdin: x }} {exec: {in: outside-the-mesh, command: [curl, --cacert, /tmp/page/ca.crt, https://${H}/]}}"},
		{name: "that fails", text: address + "$ curl -s http://$H/\ncurl: (7) Failed to connect", want: set + pod + "{shell: kubectl exec outside-the-mesh -- curl -s http://$H/} {expect: {shown: curl: (7) Failed to connect command terminated with exit code 7 }}"},
		{name: "to the cluster's node", text: "export H=$(minikube ip)\ncurl -s http://$H:30000/", want: `{set: {H: {get: node, jsonpath: {.items[0].status.addresses[?(@.type==\InternalIP\)].address}}}} ` + pod + "{exec: {in: outside-the-mesh, command: [curl, -s, http://${H}:30000/]}}", note: "minikube ip is the address of the cluster's node"},
		{name: "to anybody", text: address + "curl -s http://a.example/", err: "page.md:12:1: curl would run on this machine"},
		{name: "to what the page writes", text: "export H=192.0.2.1\ncurl -s http://$H/", err: "page.md:12:1: curl would run on this machine"},
		{name: "with a file that is not there", text: address + "curl --cacert none.crt https://$H/", err: "the page has not written the file none.crt"},
		{name: "into a file", text: address + "curl -o x.html http://$H/", err: "curl would use a file of this machine, which is in no pod: -o x.html"},
	})
}

// TestEnvsubst has files of the page whose variables it sets.
func TestEnvsubst(t *testing.T) {
	file := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"$A\", b: \"${B}\", c: \"$1\"}\n"
	want := `{set: {A: {value: x}}} {set: {B: {value: z}}} {apply: {manifest: apiVersion: v1 kind: ConfigMap metadata: {name: a} data: {a: ${A}, b: ${B}, c: $1} , namespace: n}}`
	holds(t, Options{}, []kind{
		{name: "from a file", text: "A=x\nB=z\nenvsubst < cm.yaml | kubectl apply -n n -f -", want: want},
		{name: "by cat", text: "A=x\nB=z\ncat cm.yaml | envsubst | kubectl apply -n n -f -", want: want},
		{name: "into a file", text: "A=x\nB=z\nenvsubst < cm.yaml > out.yaml\nkubectl apply -n n -f out.yaml", want: want},
		{name: "some of them", text: "A=x\nenvsubst '$A' < cm.yaml | kubectl apply -f -", want: `{set: {A: {value: x}}} {apply: apiVersion: v1 kind: ConfigMap metadata: {name: a} data: {a: ${A}, b: $${B}, c: $1} }`},
		{name: "one that is not set", text: "A=x\nenvsubst < cm.yaml | kubectl apply -f -", err: "page.md:12:1: nothing on this page sets the variable B, which the file cm.yaml names"},
		{name: "a file that is not there", text: "envsubst < none.yaml | kubectl apply -f -", err: "the page has not written the file none.yaml"},
		{name: "a file of the machine", text: "envsubst < /etc/hosts | kubectl apply -f -", err: "the page has not written the file /etc/hosts"},
		{name: "into something else", text: "A=x\nB=z\nenvsubst < cm.yaml | kubectl delete -f -", err: "envsubst is known here into kubectl apply -f -"},
	}, "cm.yaml", file)
}

// TestSetByTheCommandLine has values that are left to the reader.
func TestSetByTheCommandLine(t *testing.T) {
	const use = "\nkubectl exec $POD -- curl -s http://$D/"
	const want = `{exec: {in: ${POD}, command: [curl, -s, http://${D}/]}}`
	given := Options{Set: map[string]bool{"D": true, "NONE": true}}
	holds(t, given, []kind{
		{name: "in braces", text: "export D={your-domain}{e.g. a.example}" + use, want: want},
		{name: "in angle brackets", text: "export D=<your domain>" + use, want: want},
		{name: "an author's own", text: "export D=a.example" + use, want: want},
		{name: "set nowhere", text: "kubectl get pods" + use, want: "{shell: kubectl get pods} " + want},
	})
	holds(t, Options{}, []kind{
		{name: "not given, in braces", text: "export D={your-domain}", err: "page.md:11:1: what stands for {your-domain} is left to the reader"},
		{name: "not given, in angle brackets", text: "export D=<your domain>", err: "page.md:11:1: what stands for <your domain> is left to the reader"},
		{name: "the run's namespace", text: "export NAMESPACE={your-namespace}\nkubectl delete svc a -n $NAMESPACE", want: "{delete: {objects: [svc/a], namespace: ${NAMESPACE}}}", note: "NAMESPACE is that of the run"},
		{name: "a namespace of the page's own", text: "export NAMESPACE=x\nkubectl delete svc a -n ${NAMESPACE}", want: "{set: {PAGE_NAMESPACE: {value: x}}} {delete: {objects: [svc/a], namespace: ${PAGE_NAMESPACE}}}"},
		{name: "braces of a shell", text: "for i in {1..2}; do kubectl exec $POD -- curl -s u; done", want: "{shell: for i in {1..2}; do kubectl exec $POD -- curl -s u; done}"},
	})
}

// TestFolders has manifests of a folder beside the page.
func TestFolders(t *testing.T) {
	cm := func(name string) string { return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n" }
	holds(t, Options{}, []kind{
		{name: "a folder", text: "kubectl apply -f d/", want: "{apply: {files: [d/a.yaml, d/b.yml]}}"},
		{name: "with what is in it", text: "kubectl apply -R -f d", want: "{apply: {files: [d/a.yaml, d/b.yml, d/e/c.yaml]}}"},
		{name: "deleted", text: "kubectl delete -f ./d/", want: "{delete: {objects: [configmap/a]}} {delete: {objects: [configmap/b]}}"},
		{name: "after cd", text: "cd d\nkubectl apply -f a.yaml", want: "{apply: {files: [d/a.yaml]}}"},
		{name: "none", text: "kubectl apply -f none/", err: "the page has not written the file none/"},
		{name: "outside", text: "kubectl apply -f ../", err: "lies outside"},
		{name: "outside, after cd", text: "cd d\nkubectl apply -f ../../a.yaml", err: "lies outside"},
		{name: "back after cd", text: "mkdir -p w && cd w\nkubectl apply -f ../d/a.yaml", want: "{apply: {files: [d/a.yaml]}}"},
		{name: "written, and back after cd", text: "cat > f.yaml <<EOF\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\nEOF\ncd d\nkubectl delete -f ../f.yaml", want: "{delete: {objects: [configmap/f]}}"},
		{name: "made if it is not there", text: "test -d w || mkdir w\n[ -d v ] || mkdir -p v\n[[ -e u ]] || mkdir u\nkubectl apply -f d/a.yaml", want: "{apply: {files: [d/a.yaml]}}"},
		{name: "listed", text: "$ kubectl apply -f d/a.yaml\n$ ls\nREADME.md", want: "{apply: {files: [d/a.yaml]}}", note: "page.md:13:1: what this shows is compared with nothing: ls is not run"},
		{name: "something else if it is not there", text: "test -d w || kubectl delete -f d/a.yaml", err: "test is no program"},
		{name: "something else is asked", text: "test -x w || mkdir w", err: "test is no program"},
	}, "d/a.yaml", cm("a"), "d/b.yml", cm("b"), "d/e/c.yaml", cm("c"), "d/README.md", "no manifest\n")
}

// TestComments has fences in which # begins a comment, also in front of a command.
func TestComments(t *testing.T) {
	steps, errs, _ := lint(t, deploySleep+"~~~bash\n# kubectl delete svc a\nkubectl delete svc b\n~~~\n", Options{})
	require.Empty(t, errs)
	assert.Equal(t, []string{"{delete: {objects: [svc/b]}}"}, steps[3:])
	steps, errs, _ = lint(t, deploySleep+"~~~bash\n# kubectl delete svc a\n# kubectl delete svc b\n~~~\n", Options{})
	require.Empty(t, errs)
	assert.Len(t, steps, 5)
	steps, errs, _ = lint(t, deploySleep+"~~~bash\nkubectl delete svc a   // it is not needed any more\n~~~\n", Options{})
	require.Empty(t, errs)
	assert.Equal(t, []string{"{delete: {objects: [svc/a]}}"}, steps[3:])
	steps, errs, _ = lint(t, deploySleep+"~~~bash\nkubectl exec $POD -- curl -s 'http://a.example // x'\n~~~\n", Options{})
	require.Empty(t, errs)
	assert.Contains(t, steps[3], "http://a.example // x")
}

// TestSessions has shells that are opened in pods: what is typed there, and what is not.
func TestSessions(t *testing.T) {
	const open = "kubectl exec -it deploy/sleep -- sh\n"
	inPod := func(command string) string {
		return "{exec: {in: deploy/sleep, command: [" + command + "]}}"
	}
	holds(t, Options{}, []kind{
		{name: "a prompt at home", text: "$ " + open + "~ $ curl -sI http://a.example\n/ $ exit", want: inPod("curl, -sI, http://a.example")},
		{name: "a prompt of a shell by its version", text: "$ " + open + "bash-5.1# curl -sI http://a.example", want: inPod("curl, -sI, http://a.example")},
		{name: "another mesh's program", text: open + "linkerd viz stat", err: "linkerd is no program"},
		{name: "a cloud's", text: open + "az aks show", note: "az sets up a cloud"},
		{name: "another terminal", text: open + "~~~\n\nIn a separate terminal run:\n\n~~~bash\ncurl http://a.example", err: "curl would run on this machine"},
		{name: "a loop without an end", text: open + "while true; do curl -s http://a.example; sleep 1; done", want: inPod("curl, -s, http://a.example"), note: "run once"},
		{name: "a loop that sleeps first", text: open + "while sleep 1; do curl -s http://a.example ; done", want: inPod("curl, -s, http://a.example"), note: "run once"},
		{name: "a loop with what it prints", text: "$ " + open + "/ # while true; do date; done\n10:00\n10:01", err: "a loop without an end"},
		{name: "a loop for a pod's shell", text: "kubectl exec deploy/sleep -- sh -c 'while true; do curl -s http://a.example; sleep 1; done'", want: inPod(`sh, -c, "curl -s http://a.example"`), note: "run once"},
		{name: "a loop on the host", text: "while true; do kubectl exec deploy/sleep -- curl -s http://a.example; sleep 1; done", want: inPod("curl, -s, http://a.example"), note: "run once"},
		{name: "gone on with", text: "$ " + open + "/ $ curl -s http://a.example\n$ kubectl get pod\n/ $ curl -s http://b.example", want: inPod("curl, -s, http://a.example") + " {shell: kubectl get pod} " + inPod("curl, -s, http://b.example"), note: "as the prompt says"},
		{name: "its namespace behind the shell", text: "kubectl exec -it sleep /bin/sh -n n -c c\ncurl -s http://a.example", want: "{exec: {in: sleep, container: c, namespace: n, command: [curl, -s, http://a.example]}}"},
		{name: "a shell that is told so", text: "kubectl exec -it sleep -n n -- /bin/sh -i\ncurl -s http://a.example", want: "{exec: {in: sleep, namespace: n, command: [curl, -s, http://a.example]}}"},
		{name: "never opened", text: "/ $ curl -s http://a.example", err: "curl would run on this machine"},
		{name: "what is shown behind the opening", text: "$ " + open + "Welcome", note: "page.md:12:1: what this shows is compared with nothing"},
	})
}

// TestInTheMesh has the ways by which a page has its pods join the mesh.
func TestInTheMesh(t *testing.T) {
	for _, label := range []string{"istio.io/dataplane-mode=ambient", "istio.io/rev=canary"} {
		steps, errs, _ := lint(t, "~~~bash\nkubectl label namespace default "+label+"\nkubectl apply -f samples/sleep/sleep.yaml\n~~~\n", Options{})
		require.Empty(t, errs)
		require.Len(t, steps, 2, "no other label is put in")
	}
	steps, errs, _ := lint(t, "~~~bash\nkubectl label namespace other istio.io/dataplane-mode=ambient\nkubectl apply -f samples/sleep/sleep.yaml\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 3, "another namespace than the samples'")
}

// TestTimed has commands of which somebody measures how long they take.
func TestTimed(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "nothing is shown", text: "time kubectl exec $POD -- curl -s u", want: "{exec: {in: ${POD}, command: [curl, -s, u]}}", note: "page.md:11:6: the time that it takes is not measured"},
		{name: "it is shown", text: "$ time kubectl exec $POD -- curl -s u\nreal 0m5.0s", err: "time is not run here"},
	})
}

// TestOtherNames has kubectl by other names, with verbs that are refused by their own names.
func TestOtherNames(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "edit", text: "kubectl get pod\nk edit svc a", err: "kubectl edit is not known here"},
		{name: "a verb of kubectl's alone", text: "kubectl get pod\nk  top pod", err: "kubectl top is not known here"},
		{name: "two blanks", text: "k  get pod", want: "{shell: kubectl get pod}"},
	})
}

// TestShowsSomethingElse has what stands behind a change and is of another command.
func TestShowsSomethingElse(t *testing.T) {
	const pods = "~~~\n\nYou should see its pod:\n\n~~~\nNAME    READY   STATUS\nhttpbin-7c8bd4546-5xzc7   2/2   Running\n"
	holds(t, Options{}, []kind{
		{name: "in a fence of its own", text: "kubectl apply -f samples/httpbin/httpbin.yaml\n" + pods, want: "{apply: {files: [samples/httpbin/httpbin.yaml]}}", note: "page.md:17:1: what this shows is compared with nothing: kubectl apply does not print it"},
		{name: "behind an assignment", text: "A=b\n" + pods, want: "{set: {A: {value: b}}}", note: "an assignment does not print it"},
		{name: "in the same fence", text: "kubectl apply -f samples/httpbin/httpbin.yaml\nNAME    READY", err: "the page shows of kubectl apply what it does not print"},
		{name: "a fact", text: "kubectl apply -f samples/httpbin/httpbin.yaml\n~~~\n\nThe response is:\n\n~~~\nHTTP/1.1 200 OK\n", err: "the page shows of kubectl apply what it does not print"},
	})
}

// TestKnownNames has names of files with variables that the page writes out.
func TestKnownNames(t *testing.T) {
	const url = "https://raw.githubusercontent.com/istio/istio/$R/samples/httpbin/httpbin.yaml"
	holds(t, Options{}, []kind{
		{name: "written out", text: "export R=release-1.27\nkubectl apply -f " + url, want: "{set: {R: {value: release-1.27}}} {apply: {files: [samples/httpbin/httpbin.yaml]}}"},
		{name: "looked up", text: "R=$(kubectl get ns default -o jsonpath={.metadata.name})\nkubectl apply -f " + url, err: "the name of the file"},
	})
}

// TestPatches has patches that a merge would make the same of, and others.
func TestPatches(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "merged", text: `kubectl patch svc a --type=merge -p '{"spec":{"ports":[{"port":80}]}}'`, want: `{patch: {object: svc/a, merge: {"spec":{"ports":[{"port":80}]}}}}`},
		{name: "without lists", text: `kubectl patch svc a -p '{"spec":{"type":"NodePort"}}'`, want: `{patch: {object: svc/a, merge: {"spec":{"type":"NodePort"}}}}`},
		{name: "with a list", text: `kubectl patch svc a -p '{"spec":{"ports":[{"port":80}]}}'`, err: "only a merge patch"},
		{name: "by an operation that is none", text: `kubectl patch svc a --type=json -p '[{"op":"frob","path":"/spec/x"}]'`, err: `op "frob" is none of add`},
		{name: "with a list in YAML", text: "kubectl patch deploy a -p 'spec: {template: {spec: {tolerations: [{key: a}]}}}'", err: "only a merge patch"},
		{name: "of operations", text: `kubectl patch svc a --type=json -p '[{"op":"remove","path":"/spec/x"}]'`, want: `{patch: {object: svc/a, json: [{"op":"remove","path":"/spec/x"}]}}`},
	})
}

// TestAskedClouds has values that only a cloud's program tells.
func TestAskedClouds(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "a variable", text: "A=$(az aks show | jq .x)", err: "az would tell the value of A"},
		{name: "who is an administrator", text: "kubectl create clusterrolebinding admin --clusterrole=cluster-admin --user=$(gcloud config get-value core/account)", note: "who runs this may do it already"},
		{name: "who is one, in quotes", text: `kubectl create clusterrolebinding admin --clusterrole=cluster-admin --user="$(gcloud config get-value core/account)"`, note: "who runs this may do it already"},
		{name: "anything else", text: "kubectl create ns a-$(gcloud config get-value project)", err: "what only a shell knows"},
	})
	steps, errs, _ := lint(t, "~~~bash\nA=$(az aks show | jq .x)\nkubectl get ns $A\n~~~\n", Options{Set: map[string]bool{"A": true}})
	require.Empty(t, errs)
	require.Len(t, steps, 1)
}

// TestOrNothing has changes that may fail.
func TestOrNothing(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "deleted", text: "kubectl delete svc a -n n 2>/dev/null || true", want: "{delete: {objects: [svc/a], namespace: n, ifThere: true}}"},
		{name: "made", text: "kubectl create ns a || true", want: "{apply: apiVersion: v1 kind: Namespace metadata: name: a }"},
		{name: "looked at", text: "kubectl get svc a || true", err: "|| is not run here"},
		{name: "or something", text: "kubectl delete svc a || kubectl delete svc b", err: "|| is not run here"},
		{name: "applied", text: "kubectl apply -f samples/httpbin/httpbin.yaml || true", err: "|| is not run here"},
	})
}

// TestAnnounced has fences of commands that are an output, as the text above them says.
func TestAnnounced(t *testing.T) {
	const of = "~~~\n\n%s\n\n~~~shell\nclient version: 1.2.3\n"
	shown := "{shell: kubectl get cm -A} {expect: {shown: client version: 1.2.3 }}"
	for text, want := range map[string]bool{"Sample output:": true, "Salida:": true, "La salida es parecida a esta:": true, "Saída esperada:": true, "Ausgabe:": true, "出力例:": true, "输出如下：": true, "Salidas de la malla": false, "The output should be similar to": true, "Expected result": true, "Now use the response of that:": false} {
		steps, errs, _ := lint(t, deploySleep+"\n~~~bash\nkubectl get cm -A\n"+strings.Replace(of, "%s", text, 1)+"~~~\n", Options{})
		if !want {
			require.NotEmpty(t, errs, text)
			continue
		}
		require.Empty(t, errs, text)
		assert.Equal(t, plainest(shown), plainest(steps[3]))
	}
}

// TestLeftToTheReader has parts in brackets that the reader is to fill in.
func TestLeftToTheReader(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "a namespace", text: "kubectl get pod -n [YOUR_NAMESPACE]", err: "what stands for [YOUR_NAMESPACE] is left to the reader"},
		{name: "a flag's value", text: "kubectl get pod --namespace=[NAMESPACE]", err: "what stands for [NAMESPACE]"},
		{name: "a manifest", text: "kubectl apply -f - <<EOF\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"[GET]\"}\nEOF", want: `{apply: apiVersion: v1 kind: ConfigMap metadata: {name: a} data: {a: [GET]} }`},
		{name: "a pattern", text: "kubectl get pod | grep '[ERROR]'", want: "{shell: kubectl get pod | grep '[ERROR]'}"},
		{name: "a cloud's command", text: "gcloud container clusters get-credentials <your cluster>", note: "gcloud sets up a cloud"},
	})
}

// TestManifestPipes has manifests whose text a pipe changes.
func TestManifestPipes(t *testing.T) {
	const made = "{apply: apiVersion: v1 kind: ConfigMap metadata: {name: b} data: {x: ${X}, y: $${Y}} }"
	pod := func(env string) string {
		return "{apply: apiVersion: v1 kind: Pod metadata: name: p spec: containers: - env: " + env + "name: c }"
	}
	holds(t, Options{}, []kind{
		{name: "read", text: "cat cm.yaml | kubectl create -f -", want: strings.NewReplacer("name: b", "name: a", "${X}", "$${X}").Replace(made)},
		{name: "edited", text: "X=x\nsed -e 's/name: a/name: b/' -e 's/{X}/{X}/' cm.yaml | kubectl apply -n n -f -", want: "{set: {X: {value: x}}} {apply: {manifest: " + strings.Replace(strings.TrimSuffix(strings.TrimPrefix(made, "{apply: "), "}"), "${X}", "$${X}", 1) + ", namespace: n}}"},
		{name: "a sample edited and deleted", text: "sed 's/: sleep/: politics/g' @samples/sleep/sleep.yaml@ | kubectl delete -f -", want: "{delete: {objects: [serviceaccount/politics, service/politics, deployment/politics]}}"},
		{name: "with an environment", text: "kubectl apply -f pod.yaml --dry-run -o yaml | kubectl set env --local -f - 'A=x' B=y -o yaml | kubectl apply -f -", want: pod("- name: A value: x - name: B value: y ")},
		{name: "a sidecar", text: "cat pod.yaml | istioctl kube-inject -f - | kubectl apply -f -", want: "{apply: apiVersion: v1 kind: Pod metadata: {name: p} spec: {containers: [{name: c, env: [{name: B, value: z}]}]} }"},
		{name: "a file that is not there", text: "cat none.yaml | kubectl apply -f -", err: "the page has not written the file none.yaml"},
		{name: "an edit that is not known", text: "sed -i 3d cm.yaml | kubectl apply -f -", err: "sed"},
		{name: "a dry run alone", text: "kubectl apply -f cm.yaml --dry-run=client", err: "kubectl apply --dry-run is known here with -o yaml"},
		{name: "of an object that is there", text: "kubectl get cm a -o yaml | sed 's/a/b/' | kubectl apply -f -", err: "kubectl apply changes the cluster"},
	}, "cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"${X}\", y: \"${Y}\"}\n", "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, env: [{name: B, value: z}]}]}\n")
}

// TestWaypoints has what istioctl does with waypoints.
func TestWaypoints(t *testing.T) {
	gateway := func(name, labels string) string {
		return "apiVersion: gateway.networking.k8s.io/v1 kind: Gateway metadata: name: " + name + labels + " spec: gatewayClassName: istio-waypoint listeners: - {name: mesh, port: 15008, protocol: HBONE} "
	}
	holds(t, Options{}, []kind{
		{name: "a namespace's", text: "istioctl waypoint apply -n a --enroll-namespace", want: "{apply: {manifest: " + gateway("waypoint", "") + ", namespace: a}} {label: {object: namespace/a, set: {istio.io/use-waypoint: waypoint}}}"},
		{name: "with a name", text: "istioctl x waypoint apply --name=b --for service --wait", want: "{apply: " + gateway("b", " labels: {istio.io/waypoint-for: service}") + "} {wait: {object: deployment/b, for: rollout}}"},
		{name: "of the page's namespace", text: "istioctl waypoint apply --enroll-namespace", want: "{apply: " + gateway("waypoint", "") + "} {label: {object: namespace/${NAMESPACE}, set: {istio.io/use-waypoint: waypoint}}}"},
		{name: "with what it says", text: "$ istioctl waypoint apply -n a\n✅ waypoint a/waypoint applied", want: "{apply: {manifest: " + gateway("waypoint", "") + ", namespace: a}}"},
		{name: "deleted", text: "istioctl waypoint delete b -n a", want: "{delete: {objects: [gateways.gateway.networking.k8s.io/b], namespace: a}}"},
		{name: "all deleted", text: "istioctl waypoint delete --all", err: "istioctl waypoint delete with --all"},
		{name: "listed", text: "istioctl waypoint list", err: "istioctl waypoint is known here as apply and delete"},
		{name: "of a revision", text: "istioctl waypoint apply --revision x", err: "istioctl waypoint apply with --revision"},
	})
}

// TestPrinted has files that a page prints.
func TestPrinted(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "one beside the page", text: "$ cat cm.yaml\nkind: ConfigMap", note: "page.md:12:1: what this shows is compared with nothing"},
		{name: "a sample", text: "cat samples/httpbin/httpbin.yaml", note: "not run: the file samples/httpbin/httpbin.yaml is read where a command uses it"},
		{name: "one that is not there", text: "cat none.yaml", err: "the page has not written the file none.yaml"},
		{name: "one of the machine", text: "cat /etc/hosts", err: "cat: it reads no file"},
	}, "cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
}

// TestOneCluster has flags that choose a cluster.
func TestOneCluster(t *testing.T) {
	holds(t, Options{}, []kind{
		{name: "one", text: "kubectl --context a get pod\nkubectl exec $POD --context=a -- curl -s --context u\nistioctl waypoint delete b --context \"a\"", want: "{shell: kubectl get pod} {exec: {in: ${POD}, command: [curl, -s, --context, u]}} {delete: {objects: [gateways.gateway.networking.k8s.io/b]}}"},
		{name: "one by a variable", text: "export C=a\nkubectl --context ${C} get pod\nkubectl --context a get pod", want: "{set: {C: {value: a}}} {shell: kubectl get pod} {shell: kubectl get pod}"},
		{name: "chosen before", text: "kubectl config use-context a\nkubectl --context a get pod", want: "{shell: kubectl get pod}"},
		{name: "two", text: "kubectl --context a get pod\nkubectl --context b get pod", err: "the page speaks to another cluster than before, b"},
	})
}
