//go:build lab

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

const sleepDeployment = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: sleep}
---
apiVersion: v1
kind: Service
metadata: {name: sleep, labels: {app: sleep}}
spec: {ports: [{port: 80, name: http}], selector: {app: sleep}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleep}
spec:
  replicas: 1
  selector: {matchLabels: {app: sleep}}
  template:
    metadata: {labels: {app: sleep}}
    spec:
      terminationGracePeriodSeconds: 0
      serviceAccountName: sleep
      containers:
      - {name: sleep, image: curlimages/curl, command: ["/bin/sleep", "infinity"], imagePullPolicy: IfNotPresent}
`

// The first steps of Istio's task "Accessing External Services".
func TestSidecarLetsTheInternetThrough(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, true)
	n.apply(sleepDeployment)
	n.ready("deployment/sleep", "Available")
	assert.Equal(t, "sleep istio-proxy", n.field("pods", ".items[0].spec.containers[*].name"))

	curl := func(args ...string) string {
		return n.must(append([]string{"exec", "deploy/sleep", "-c", "sleep", "--", "curl", "-sS", "-m", "20"}, args...)...)
	}
	const status = "%{http_code} %{http_version}"
	assert.Equal(t, "200 2", curl("-o", "/dev/null", "-w", status, "https://www.baidu.com"))
	assert.Equal(t, "301 1.1", curl("-o", "/dev/null", "-w", status, "http://edition.cnn.com/politics"))
	assert.Equal(t, "200 2", curl("-o", "/dev/null", "-w", status, "-L", "http://edition.cnn.com/politics"))

	n.apply(`
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata: {name: httpbin-ext}
spec:
  hosts: [httpbin.org]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
  location: MESH_EXTERNAL
`)
	n.eventually(func() bool {
		return strings.Contains(curl("http://httpbin.org/headers"), `"X-Envoy-Decorator-Operation": "httpbin.org:80/*"`)
	}, func() string { return "the request does not take the way of the ServiceEntry" })
	n.eventuallyLogged("outbound|80||httpbin.org", "logs", "deploy/sleep", "-c", "istio-proxy")
	assert.Contains(t, n.must("get", "configmap", "istio", "-n", "istio-system", "-o", "yaml"), "mode: ALLOW_ANY")

	// The far end records the same.
	ip := n.field("pods", ".items[0].status.podIP")
	var arrived []string
	for _, r := range recorded(t, defaultName) {
		if strings.HasPrefix(r.Remote, ip+":") {
			arrived = append(arrived, r.Site+r.Path)
		}
	}
	assert.Contains(t, arrived, "www.baidu.com/")
	assert.Contains(t, arrived, "edition.cnn.com/politics")
	assert.Contains(t, arrived, "httpbin.org/headers")
	assert.Contains(t, verb(t, "logs", "internet"), "https://www.baidu.com/ HTTP/2.0 200")
}

// callsOut is a container that succeeds only if it can get out through the sidecar at
// once.
const callsOut = `{name: %s, image: curlimages/curl, command: [curl, -sS, --fail, -m, "20", -w, "%%{http_code}", "http://httpbin.org/status/204"]}`

// The startup probe of a native sidecar holds the containers after it until the
// proxy is ready.
func TestNativeSidecarHoldsInitContainers(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, true)
	n.apply(`
apiVersion: batch/v1
kind: Job
metadata: {name: native}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {sidecar.istio.io/nativeSidecar: "true"}}
    spec:
      restartPolicy: Never
      initContainers:
      - ` + fmt.Sprintf(callsOut, "first") + `
      containers:
      - ` + fmt.Sprintf(callsOut, "then") + `
`)
	n.eventuallyField("job/native", ".status.conditions[*].type", "Complete")
	assert.Equal(t, "istio-init istio-proxy first", n.field("pods", ".items[0].spec.initContainers[*].name"))
	for _, container := range []string{"first", "then"} {
		assert.Equal(t, "204", n.must("logs", "job/native", "-c", container))
	}
}

func TestApplicationIsHeldUntilTheProxyStarts(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, true)
	n.apply(`
apiVersion: v1
kind: Pod
metadata: {name: held, annotations: {proxy.istio.io/config: "holdApplicationUntilProxyStarts: true"}}
spec:
  restartPolicy: Never
  containers:
  - ` + fmt.Sprintf(callsOut, "application") + `
`)
	const exitCode = ".status.containerStatuses[?(@.name=='application')].state.terminated.exitCode"
	assert.Equal(t, "0", n.eventuallyField("pod/held", exitCode, "0"))
	assert.Equal(t, "istio-proxy application", n.field("pod/held", ".spec.containers[*].name"))
	assert.Equal(t, "204", n.must("logs", "held", "-c", "application"))
}

// serviceEntry is a ServiceEntry for all hosts of a domain, with a resolution.
const serviceEntry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wildcard}
spec:
  hosts: ["*.wikipedia.org"]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: %s
`

func TestIstiodJudgesEveryObject(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	refused(t, n.applied(fmt.Sprintf(serviceEntry, "DNS")))
	n.apply(fmt.Sprintf(serviceEntry, "NONE"))

	// A change into such a one is refused too.
	refused(t, n.kubectl("patch", "serviceentry", "wildcard", "--type=merge", "--patch", `{"spec": {"resolution": "DNS"}}`))
	assert.Equal(t, "NONE", n.field("serviceentry/wildcard", ".spec.resolution"))
}

// refused asserts that a ServiceEntry was refused, in istiod's words.
func refused(t *testing.T, r result) {
	t.Helper()
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, `admission webhook "validation.istio.io" denied the request`)
	assert.Contains(t, r.stderr, "hosts must be FQDN or contain only prefix wildcards if no endpoints are provided for resolution mode DNS")
}

// Addresses of Services do not depend on br_netfilter, which an ordinary user
// cannot load.
func TestServiceWithoutBridgeNetfilter(t *testing.T) {
	t.Parallel()
	const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if _, err := os.Stat(setting); err == nil {
		r := execute(exec.Command("nsenter", inNode(t, "sh", "-c", "echo 0 > "+setting+" && cat "+setting)...))
		require.Equal(t, result{stdout: "0\n"}, r)
	}
	n := newNamespace(t, false)
	n.apply(pod("client", forever, "", ""))
	n.ready("pod/client", "Ready")
	// CoreDNS answers /ready on 8181: a server that every lab has.
	ip := n.must("get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].status.podIP}")
	n.apply(`
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {ports: [{port: 5300, targetPort: 8181}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
endpoints: [{addresses: ["` + ip + `"]}]
ports: [{port: 8181}]
`)
	assert.Equal(t, "OK", n.await("kubectl", "exec", "client", "--", "curl", "-sSf", "-m", "5", "http://dns:5300/ready"))
}

// inNode returns the arguments with which nsenter runs a command in the namespaces of
// the lab's node.
func inNode(t *testing.T, command ...string) []string {
	t.Helper()
	args := []string{"--target", strconv.Itoa(statusOfLab(t, defaultName).Pid), "--net", "--mount"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	return append(append(args, "--wd=/", "--"), command...)
}

func TestKubeconfigIsForTheHost(t *testing.T) {
	t.Parallel()
	path := strings.TrimSpace(verb(t, "kubeconfig"))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	folder, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), folder.Mode().Perm())
	config, err := clientcmd.LoadFromFile(path)
	require.NoError(t, err)
	server := config.Clusters[config.Contexts[config.CurrentContext].Cluster].Server
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+$`, server)
}

func TestPortForward(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	// Envoy's administration listens on the loopback of the pod alone.
	cmd := n.command("port-forward", "-n", "istio-system", "deploy/istio-egressgateway", ":15000")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line := make([]byte, 1024)
	k, err := out.Read(line)
	require.NoError(t, err)
	port := regexp.MustCompile(`127\.0\.0\.1:(\d+) -> 15000`).FindSubmatch(line[:k])
	require.NotNil(t, port, "%s", line[:k])
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Get("http://" + net.JoinHostPort("127.0.0.1", string(port[1])) + "/ready")
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

func TestTheClusterSaysThatItIsALab(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	assert.Equal(t, defaultName, n.must("get", "configmap", "egressplay-lab", "-n", "kube-public", "-o", "jsonpath={.data.name}"))
	var v versions
	require.NoError(t, json.Unmarshal([]byte(verb(t, "version", "-o", "json")), &v))
	assert.Equal(t, v.Version, n.must("get", "configmap", "egressplay-lab", "-n", "kube-public", "-o", "jsonpath={.data.version}"))
	assert.Equal(t, v.Kubernetes, n.must("get", "node", "lab", "-o", "jsonpath={.status.nodeInfo.kubeletVersion}"))
}

func TestNothingOfALabIsTheMachines(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	require.NoError(t, err)
	const setting = "/proc/sys/kernel/panic"
	before, err := os.ReadFile(setting)
	require.NoError(t, err)

	n := newNamespace(t, false)
	n.apply(pod("p", forever, "securityContext: {runAsUser: 0}", ""))
	n.ready("pod/p", "Ready")
	n.kubectl("exec", "p", "--", "sh", "-c", "hostname changed; echo 4711 > "+setting)

	now, err := os.Hostname()
	require.NoError(t, err)
	assert.Equal(t, host, now)
	after, err := os.ReadFile(setting)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}
