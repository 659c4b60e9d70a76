//go:build lab

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"

	corev1 "k8s.io/api/core/v1"
)

// pod returns a pod with one container, c, that runs a shell script. spec is added to
// the pod's spec and container to the container, as flow-style YAML.
func pod(name, script, spec, container string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %[1]s}}
spec:
  terminationGracePeriodSeconds: 0
  %s
  containers:
  - name: c
    image: sleep
    command: [sh, -c, %q]
    %s
`, name, indent(spec), script, container)
}

func indent(spec string) string { return strings.ReplaceAll(spec, "\n", "\n  ") }

const forever = "exec sleep infinity"

func TestDeploymentIsScaledAndReplaced(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 2
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: "registry.example/any/sleep:9", command: [sleep, infinity]}]
`)
	n.ready("deployment/d", "Available")
	n.eventuallyField("deployment/d", ".status.readyReplicas", "2")
	first := n.field("pods", ".items[0].metadata.name")
	n.must("delete", "pod", first)
	n.eventuallyField("deployment/d", ".status.readyReplicas", "2")
	assert.NotContains(t, n.field("pods", ".items[*].metadata.name"), first)
}

func TestInitContainersRunInOrder(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("p", "cat /shared/log; "+forever, `
volumes: [{name: shared, emptyDir: {}}]
initContainers:
- {name: one, image: sleep, command: [sh, -c, "echo one >> /shared/log"], volumeMounts: [{name: shared, mountPath: /shared}]}
- {name: two, image: sleep, command: [sh, -c, "echo two >> /shared/log"], volumeMounts: [{name: shared, mountPath: /shared}]}
`, "volumeMounts: [{name: shared, mountPath: /shared}]"))
	n.ready("pod/p", "Ready")
	assert.Equal(t, "one\ntwo\n", n.must("logs", "p"))
}

func TestRestartsAndPreviousLogs(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	// Only the first run fails. The kubelet keeps only the last run that has ended, so
	// an earlier one could go while its log is asked for.
	n.apply(pod("fails", "[ -e /v/ran ] && "+forever+"; touch /v/ran; echo this is the run before; exit 7",
		"volumes: [{name: v, emptyDir: {}}]", "volumeMounts: [{name: v, mountPath: /v}]"))
	n.apply(pod("keeps-failing", "exit 7", "", ""))
	n.apply(pod("killed", "kill -KILL $$$$", "restartPolicy: Never", ""))
	n.apply(pod("done", "echo done", "restartPolicy: Never", ""))

	// The kernel drops a signal that a container's first process sends itself.
	n.eventuallyField("pod/killed", ".status.phase", "Succeeded")
	n.eventuallyField("pod/done", ".status.phase", "Succeeded")
	n.eventuallyField("pod/fails", ".status.containerStatuses[0].restartCount", "1")
	assert.Equal(t, "7", n.field("pod/fails", ".status.containerStatuses[0].lastState.terminated.exitCode"))
	assert.Equal(t, "this is the run before\n", n.must("logs", "fails", "--previous"))
	n.eventuallyField("pod/keeps-failing", ".status.containerStatuses[0].state.waiting.message", "back-off")
}

func TestProbes(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("live", forever, "", "livenessProbe: {exec: {command: [test, -e, /tmp/alive]}, periodSeconds: 1, failureThreshold: 2}"))
	n.apply(pod("ready", "touch /tmp/ready; "+forever, "", "readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}"))
	n.ready("pod/ready", "Ready")
	n.must("exec", "ready", "--", "rm", "/tmp/ready")
	n.ready("pod/ready", "Ready=false")
	n.must("exec", "ready", "--", "touch", "/tmp/ready")
	n.ready("pod/ready", "Ready")
	n.eventually(func() bool { // more than once by now, on a busy machine
		return n.field("pod/live", ".status.containerStatuses[0].restartCount") != "0"
	}, func() string { return "a container that is not alive is not started again" })
}

func TestVolumesAndEnvironment(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: config}
data: {word: from the ConfigMap}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
stringData: {word: from the Secret}
`)
	n.apply(pod("p", forever, `
volumes:
- {name: config, configMap: {name: config}}
- {name: secret, secret: {secretName: secret, defaultMode: 0400}}
- {name: pod, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
- {name: memory, emptyDir: {medium: Memory}}
`, `workingDir: /tmp
    env:
    - {name: PLAIN, value: a b}
    - {name: FROM, valueFrom: {configMapKeyRef: {name: config, key: word}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    volumeMounts:
    - {name: config, mountPath: /config}
    - {name: secret, mountPath: /secret}
    - {name: pod, mountPath: /pod}
    - {name: memory, mountPath: /memory}`))
	n.ready("pod/p", "Ready")
	for command, want := range map[string]string{
		"cat /config/word":                         "from the ConfigMap",
		"cat /secret/word":                         "from the Secret",
		"stat -L -c %a /secret/word":               "400\n",
		"cat /pod/labels":                          `app="p"`,
		"touch /memory/x && stat -f -c %T /memory": "tmpfs\n",
		"pwd":          "/tmp\n",
		"echo $PLAIN.": "a b.\n",
		"echo $FROM":   "from the ConfigMap\n",
		"echo $IP":     n.field("pod/p", ".status.podIP") + "\n",
		"hostname":     "p\n",
	} {
		assert.Equal(t, want, n.must("exec", "p", "--", "sh", "-c", command), command)
	}
	// A change reaches the pod.
	n.must("patch", "configmap", "config", "-p", `{"data":{"word":"changed"}}`)
	n.eventually(func() bool {
		return n.must("exec", "p", "--", "cat", "/config/word") == "changed"
	}, func() string { return "the file has not changed" })
}

func TestProjectedTokenIsTaken(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("p", forever, "", ""))
	n.ready("pod/p", "Ready")
	got := n.must("exec", "p", "--", "sh", "-c", `
cd /var/run/secrets/kubernetes.io/serviceaccount
curl -sS --cacert ca.crt -H "Authorization: Bearer $(cat token)" https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews \
	-H 'Content-Type: application/json' -d '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'`)
	assert.Contains(t, got, "system:serviceaccount:"+n.name+":default")
}

func TestNames(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("cluster", forever, "", ""))
	n.apply(pod("default", forever, "dnsPolicy: Default", ""))
	n.apply(pod("own", forever, `
dnsPolicy: None
dnsConfig: {nameservers: [192.0.2.7], searches: [example.test], options: [{name: ndots, value: "3"}]}`, ""))
	for _, p := range []string{"cluster", "default", "own"} {
		n.ready("pod/"+p, "Ready")
	}
	resolv := func(pod string) string { return n.must("exec", pod, "--", "cat", "/etc/resolv.conf") }
	assert.Contains(t, resolv("cluster"), "nameserver 10.96.0.10\n")
	assert.Contains(t, resolv("cluster"), n.name+".svc.cluster.local")
	assert.Equal(t, "nameserver 127.0.0.1\nsearch .\n", resolv("default"), "the kubelet's way to say that there is none")
	assert.Equal(t, "nameserver 192.0.2.7\nsearch example.test\noptions ndots:3\n", resolv("own"))

	assert.Contains(t, n.must("exec", "cluster", "--", "getent", "hosts", "kubernetes.default"), "10.96.0.1")
	assert.Contains(t, n.must("exec", "cluster", "--", "getent", "hosts", "edition.cnn.com"), "203.0.113.")
	assert.Equal(t, 2, n.kubectl("exec", "cluster", "--", "getent", "hosts", "nobody.example").code, "unknown names do not exist")
}

func TestSecurityContext(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("p", forever, `
securityContext:
  runAsUser: 1234
  runAsGroup: 2345
  fsGroup: 3456
  sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "81"}]
volumes: [{name: v, emptyDir: {}}]`, `volumeMounts: [{name: v, mountPath: /v}]`))
	n.ready("pod/p", "Ready")
	assert.Equal(t, "1234 2345\n", n.must("exec", "p", "--", "sh", "-c", "echo $(id -u) $(id -g)"))
	assert.Contains(t, n.must("exec", "p", "--", "id", "-G"), "3456")
	assert.Equal(t, "3456\n", n.must("exec", "p", "--", "sh", "-c", "touch /v/x; stat -c %g /v/x"))
	assert.Equal(t, "81\n", n.must("exec", "p", "--", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"))
}

func TestTermination(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	// Its last output reaches a client that follows its log, which then ends by itself.
	n.apply(strings.Replace(pod("polite", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done", "", ""),
		"PeriodSeconds: 0", "PeriodSeconds: 60", 1))
	n.apply(strings.Replace(pod("deaf", "trap '' TERM; "+forever, "", ""), "PeriodSeconds: 0", "PeriodSeconds: 1", 1))
	n.ready("pod/polite", "Ready")
	n.ready("pod/deaf", "Ready")
	follow := n.command("logs", "-f", "polite")
	said, err := follow.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, follow.Start())
	late := time.AfterFunc(aWhile, func() { follow.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewReader(said)
	first, err := lines.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "up\n", first)
	began := time.Now()
	n.must("delete", "pod", "polite", "deaf")
	assert.Less(t, time.Since(began), 45*time.Second, "the polite one was not given up, the deaf one not waited for")
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	assert.Equal(t, "bye\n", string(rest))
	assert.NoError(t, follow.Wait())
}

func TestLogsFollow(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("p", "for i in 1 2 3; do echo $i; echo err$i >&2; sleep 0.3; done", "restartPolicy: Never", ""))
	n.await("kubectl", "logs", "p")
	r := n.kubectl("logs", "-f", "p")
	assert.Equal(t, 0, r.code, r.stderr)
	for i := 1; i <= 3; i++ {
		assert.Contains(t, r.stdout, fmt.Sprintf("%d\n", i))
		assert.Contains(t, r.stdout, fmt.Sprintf("err%d\n", i))
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("p", forever, "", ""))
	n.ready("pod/p", "Ready")
	for name, tt := range map[string]struct {
		stdin string
		args  []string
		want  result
	}{
		"exit code":        {"", []string{"exec", "p", "--", "sh", "-c", "exit 35"}, result{"", "command terminated with exit code 35\n", 35}},
		"separate streams": {"", []string{"exec", "p", "--", "sh", "-c", "echo out; echo err >&2"}, result{"out\n", "err\n", 0}},
		"stdin":            {"a\nb\n", []string{"exec", "-i", "p", "--", "tac"}, result{"b\na\n", "", 0}},
		"large":            {strings.Repeat("x", 3<<20), []string{"exec", "-i", "p", "--", "wc", "-c"}, result{"3145728\n", "", 0}},
		"killed":           {"", []string{"exec", "p", "--", "sh", "-c", "kill -9 $$"}, result{"", "command terminated with exit code 137\n", 137}},
		"terminated":       {"", []string{"exec", "p", "--", "sh", "-c", "kill -15 $$"}, result{"", "command terminated with exit code 143\n", 143}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := n.command(tt.args...)
			cmd.Stdin = strings.NewReader(tt.stdin)
			assert.Equal(t, tt.want, execute(cmd))
		})
	}
}

// A fresh pod's first exec must never see the machine's own files.
func TestExecRightAfterTheStart(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	for i := range 5 {
		n.apply(pod(fmt.Sprintf("p%d", i), forever, "", ""))
	}
	for i := range 5 {
		name := fmt.Sprintf("p%d", i)
		n.eventually(func() bool {
			r := n.kubectl("exec", name, "--", "cat", "/etc/resolv.conf")
			if r.code == 0 {
				assert.Contains(t, r.stdout, "10.96.0.10")
			}
			return r.code == 0
		}, func() string { return "no exec in " + name })
	}
}

// sizes is a terminal that is resized by what is sent.
type sizes chan remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize {
	size, ok := <-s
	if !ok {
		return nil
	}
	return &size
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(pod("p", forever, "", ""))
	n.ready("pod/p", "Ready")
	config, err := clientcmd.BuildConfigFromFlags("", strings.TrimSpace(verb(t, "kubeconfig")))
	require.NoError(t, err)
	config.GroupVersion, config.APIPath, config.NegotiatedSerializer = &schema.GroupVersion{Version: "v1"}, "/api", scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	require.NoError(t, err)
	url := client.Post().Namespace(n.name).Resource("pods").Name("p").SubResource("exec").VersionedParams(&corev1.PodExecOptions{
		Command: []string{"sh"}, Stdin: true, Stdout: true, TTY: true,
	}, scheme.ParameterCodec).URL()
	exec, err := remotecommand.NewSPDYExecutor(config, "POST", url)
	require.NoError(t, err)

	stdin, typed := io.Pipe()
	shown, stdout := io.Pipe()
	resize := make(sizes, 1)
	resize <- remotecommand.TerminalSize{Width: 97, Height: 31}
	ctx, cancel := context.WithTimeout(t.Context(), aWhile)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		err := exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Tty: true, TerminalSizeQueue: resize})
		stdout.Close()
		ended <- err
	}()
	var seen bytes.Buffer
	until := func(text string) {
		t.Helper()
		for buffer := make([]byte, 1024); !strings.Contains(seen.String(), text); {
			k, err := shown.Read(buffer)
			seen.Write(buffer[:k])
			require.NoError(t, err, "waiting for %q, seen %q", text, seen.String())
		}
		seen.Reset()
	}
	// The quotes keep the echo of what is typed from looking like the answer.
	typing := func(text string) { fmt.Fprint(typed, text) }
	typing("until [ \"$(stty size)\" = '31 97' ]; do sleep 0.05; done; echo si''ze1\n")
	until("size1")
	resize <- remotecommand.TerminalSize{Width: 120, Height: 50}
	typing("until [ \"$(stty size)\" = '50 120' ]; do sleep 0.05; done; echo si''ze2\n")
	until("size2")
	// The job in the foreground prints it: the shell between two commands would swallow
	// the Ctrl-C.
	typing("sh -c 'echo be\\gun; exec sleep 1000'\n")
	until("begun")
	typing("\x03") // Ctrl-C: also in a lab that was started in the background
	typing("echo aft''er; exit 7\n")
	until("after")
	go io.Copy(io.Discard, shown)
	assert.ErrorContains(t, <-ended, "exit code 7")
}

func TestUnknownImage(t *testing.T) {
	t.Parallel()
	n := newNamespace(t, false)
	n.apply(strings.Replace(pod("p", forever, "", ""), "image: sleep", "image: example.test/nothing:1", 1))
	n.eventuallyField("pod/p", ".status.containerStatuses[0].state.waiting.reason", "Image")
	events := n.eventuallyField("events", ".items[*].message", "the lab has no image")
	assert.Contains(t, events, `"example.test/nothing:1"`)
	assert.Contains(t, events, "sleep")
	assert.Contains(t, events, "proxyv2")
}
