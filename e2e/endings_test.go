//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	ownsignal "os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// However a run ends, the cluster is as it was, the report is written, and the
// exit code says why.

func TestInterruptAtAnyStepLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		after  string // the signal comes during the step behind this one
		signal syscall.Signal
		code   int
	}{
		{"Have a sidecar injected into each pod of the namespace", syscall.SIGINT, 130},
		{"Deploy the sleep sample, from which requests are sent", syscall.SIGINT, 130},
		{"Set SOURCE_POD to the name of the sample's pod", syscall.SIGTERM, 143},
		{"Only registered services may be reached now", syscall.SIGINT, 130},
		{"Redeploy the sample so that its sidecar handles the cluster's own addresses only", syscall.SIGINT, 130},
	} {
		t.Run(c.after, func(t *testing.T) {
			before := settledWorld(t)
			flag, read := reportFlag(t)
			p := begin(t, "run", "accessing-external-services", flag)
			p.await(c.after)
			p.signal(c.signal)
			e := p.wait()
			e.exits(t, c.code)
			assert.Contains(t, e.stdout, "put back:")
			before.leavesNothing(t)

			r := read()
			assert.Equal(t, "error", r.only(t).Status)
			assert.Equal(t, "passed", r.Cleanup.Status)
			assert.Empty(t, r.Cleanup.Left)
		})
	}
}

// lasting is a playbook that changes something of each sort and then runs a
// command that does not end by itself.
func lasting(t *testing.T) *script {
	return playbook(t,
		"Label\nlabel: {object: namespace/default, set: {e2e: lasting}}",
		"Apply\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: lasting}\n",
		"Policy\npolicy: {set: REGISTRY_ONLY}",
		"Last\nexec: {in: deploy/sleep, container: sleep, namespace: sample, command: sleep 300}",
	)
}

func TestInterruptDuringACommand(t *testing.T) {
	withSample(t)
	before := settledWorld(t)
	flag, read := reportFlag(t)
	p := begin(t, "run", lasting(t).file(), flag)
	p.await("Policy")
	p.signal(syscall.SIGINT)
	e := p.wait()
	e.exits(t, 130)
	assert.Contains(t, e.stdout, "interrupted")
	before.leavesNothing(t)
	assert.Equal(t, "error", read().only(t).Status)
}

func TestTimeoutOfAPlaybook(t *testing.T) {
	withSample(t)
	before := settledWorld(t)
	flag, read := reportFlag(t)
	e := egressplay(t, "run", lasting(t).file(), "--timeout", "3s", flag)
	e.exits(t, 3)
	assert.Contains(t, e.stdout, "the playbook did not end within 3s")
	before.leavesNothing(t)
	step := read().only(t).stopped(t, "error")
	assert.Equal(t, "Last", step.Title)
}

func TestWhatWasThereBeforeIsThereAgain(t *testing.T) {
	const name = "before"
	create(t, "v1", "namespaces", "", `{kind: Namespace, metadata: {name: before, labels: {istio-injection: disabled}}}`)
	// Another host, so that the playbook's own claims hold.
	create(t, "networking.istio.io/v1", "serviceentries", name, `
kind: ServiceEntry
metadata: {name: httpbin-ext, labels: {owner: somebody}, annotations: {note: keep me}}
spec:
  hosts: [example.org]
  exportTo: ["."]
  ports: [{number: 8080, name: tcp, protocol: TCP}]
  resolution: NONE
  location: MESH_EXTERNAL
`)
	eventually(t, func() bool {
		// Kubernetes and istiod put certificates into each namespace.
		own, err := resource("v1", "configmaps", name).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		all, err := resource("v1", "configmaps", "default").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		return len(own.Items) == len(all.Items)
	}, "the new namespace does not get what each namespace has")
	before := settledWorld(t)
	e := egressplay(t, "run", "accessing-external-services", "--namespace", name)
	e.exits(t, 0)
	// The playbook deletes the ServiceEntry, so it is another one now.
	const entry = "serviceentries.networking.istio.io before/httpbin-ext "
	before.leavesNothing(t, entry+".metadata.uid", entry+".metadata.creationTimestamp")
}

func TestPolicyOfBeforeIsPutBack(t *testing.T) {
	registryOnly(t)
	before := settledWorld(t)
	e := egressplay(t, "run", playbook(t,
		"There\npolicy: {expect: REGISTRY_ONLY}",
		"Change\npolicy: {set: ALLOW_ANY}",
		"Changed\npolicy: {expect: ALLOW_ANY}",
	).file())
	e.exits(t, 0)
	before.leavesNothing(t)

	// The tutorial begins with ALLOW_ANY, so it is not true here.
	e = egressplay(t, "run", builtin(t, "accessing-external-services").
		within("Envoy lets requests to unknown services pass through", "1s").file(), "--namespace", sample)
	e.exits(t, 1)
	before.leavesNothing(t)
}

// registryOnly changes the policy of the mesh for as long as the test runs, as
// the tutorial does, by way of a playbook that keeps what it changes.
func registryOnly(t *testing.T) {
	t.Helper()
	withSample(t)
	e := egressplay(t, "run", playbook(t, "Set\npolicy: {set: REGISTRY_ONLY}").file(), "--keep")
	e.exits(t, 0)
	t.Cleanup(func() { cleanUp(t, e.kept(t)) })
}

func TestWhatCannotBePutBackIsListed(t *testing.T) {
	kubeconfig := account(t, "no-delete", `[{apiGroups: [""], resources: [configmaps], verbs: [get, create, patch, update, delete]}]`)
	file := playbook(t,
		"Apply\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: left-over}\n",
		"Wait for somebody\nwait: {object: cm/go-on, for: create}\nwithin: 2m",
	).file()
	t.Cleanup(func() {
		require.NoError(t, resource("v1", "configmaps", "default").Delete(context.Background(), "left-over", metav1.DeleteOptions{}))
	})

	flag, read := reportFlag(t)
	run := begin(t, "run", file, "--kubeconfig", kubeconfig, flag)
	run.await("created")
	// What was allowed before the run is not any more.
	rules := []byte(`{"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","create","patch","update"]}]}`)
	_, err := resource("rbac.authorization.k8s.io/v1", "clusterroles", "").Patch(t.Context(), "no-delete", types.MergePatchType, rules, metav1.PatchOptions{})
	require.NoError(t, err)
	create(t, "v1", "configmaps", "default", `{kind: ConfigMap, metadata: {name: go-on}}`)
	e := run.wait()
	e.exits(t, 4)
	for _, text := range []string{"not put back: configmap/left-over", "cannot delete resource", "left as the playbook made it:", "1 change not put back", "to put it back later: egressplay cleanup --kubeconfig "} {
		assert.Contains(t, e.stdout, text)
	}
	r := read()
	assert.Equal(t, "passed", r.only(t).Status)
	assert.Equal(t, "failed", r.Cleanup.Status)
	require.Len(t, r.Cleanup.Left, 1)
	assert.Contains(t, r.Cleanup.Left[0], "configmap/left-over")
}

// Of several reasons the first one in the order 2, 1, 3, 4 is the exit code.
func TestExitCodeOfSeveralPlaybooks(t *testing.T) {
	withSample(t)
	passes := playbook(t, "True\nset: {A: b}").file()
	fails := playbook(t, "Untrue\npolicy: {expect: REGISTRY_ONLY}\nwithin: 1ms").file()
	cannot := playbook(t, "No such pod\nexec: {in: nobody, command: 'true'}\nwithin: 1ms").file()
	bad := playbook(t, "Bad\nexce: true").file()
	for _, c := range []struct {
		files []string
		code  int
	}{
		{[]string{passes}, 0},
		{[]string{passes, fails}, 1},
		{[]string{cannot, passes}, 3},
		{[]string{cannot, fails, passes}, 1},
		{[]string{fails, bad}, 2},
	} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			egressplay(t, append([]string{"run"}, c.files...)...).exits(t, c.code)
		})
	}
}

// Nobody reads the transcript, as in less, or after Ctrl-S: a signal ends the run,
// and everything is put back.
func TestSignalWhileNobodyReads(t *testing.T) {
	withSample(t)
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}} {
		t.Run(c.signal.String(), func(t *testing.T) {
			before := settledWorld(t)
			flag, read := reportFlag(t)
			file := chatty(t)
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			p := beginTo(t, w, w, "run", "-v", file, flag)
			require.NoError(t, w.Close())
			// It gets there although the steps before it fill the pipe.
			eventually(t, func() bool { return running300(t) }, "the last command does not run")
			p.signal(c.signal)
			p.wait().exits(t, c.code)
			before.leavesNothing(t)
			assert.Equal(t, "error", read().only(t).Status)
			assert.Equal(t, "passed", read().Cleanup.Status)
		})
	}
}

// A run whose transcript nobody reads goes on to its end, and waits for the reader
// only when everything is put back.
func TestARunDoesNotWaitForItsReader(t *testing.T) {
	withSample(t)
	before := settledWorld(t)
	flag, read := reportFlag(t)
	file := playbook(t, "Label\nlabel: {object: namespace/default, set: {e2e: unread}}", long("One"), long("Two")).file()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p := beginTo(t, w, &output{}, "run", "-v", file, flag)
	require.NoError(t, w.Close())
	report := strings.TrimPrefix(flag, "--report=json=")
	eventually(t, func() bool {
		text, _ := os.ReadFile(report) // it is there when the run has begun
		return strings.Contains(string(text), `"passed": 1,`)
	}, "the run does not end")
	assert.Equal(t, "passed", read().only(t).Status)
	before.leavesNothing(t)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	p.wait().exits(t, 0)
	assert.Contains(t, string(text), "✓ 3 steps passed", "a late reader gets all of it")
}

// The reader goes, as head does.
func TestAReaderThatGoes(t *testing.T) {
	withSample(t)
	before := settledWorld(t)
	flag, read := reportFlag(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p := beginTo(t, w, w, "run", "-v", chattyUntil(t, "1"), flag)
	require.NoError(t, errors.Join(w.Close(), r.Close()))
	p.wait().exits(t, 0)
	before.leavesNothing(t)
	assert.Equal(t, "passed", read().only(t).Status)
}

// Each signal that can be caught puts everything back.
func TestEachSignalCleansUp(t *testing.T) {
	withSample(t)
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			before := settledWorld(t)
			// What the tests were started with may ignore it, as nohup does, and then a
			// run ignores it too.
			caught := make(chan os.Signal, 1)
			ownsignal.Notify(caught, signal)
			defer ownsignal.Stop(caught)
			p := begin(t, "run", lasting(t).file())
			p.await("Policy")
			p.signal(signal)
			e := p.wait()
			e.exits(t, 128+int(signal))
			assert.Contains(t, e.stdout, "put back:")
			assert.NotContains(t, e.stderr, "goroutine")
			before.leavesNothing(t)
		})
	}
}

// A report that cannot be written makes no pass of a run, and keeps nothing from
// being put back.
func TestReportOnAFullDisk(t *testing.T) {
	withSample(t)
	before := settledWorld(t)
	e := egressplay(t, "run", chattyUntil(t, "1"), "--report", "json=/dev/full")
	e.exits(t, 3)
	assert.Contains(t, e.stderr, "write the report: write /dev/full: no space left on device")
	assert.Contains(t, e.stdout, "put back:")
	before.leavesNothing(t)
}

// long is a step whose transcript does not fit into a pipe.
func long(title string) string {
	return title + "\nexec: {in: deploy/sleep, container: sleep, namespace: sample, command: 'seq 20000'}"
}

// chatty is a playbook that changes something, says much and runs on.
func chatty(t *testing.T) string { return chattyUntil(t, "300") }

// chattyUntil is one whose last command takes so many seconds.
func chattyUntil(t *testing.T, seconds string) string {
	return playbook(t,
		"Label\nlabel: {object: namespace/default, set: {e2e: chatty}}",
		"Apply\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: chatty}\n",
		long("One"), long("Two"),
		"Last\nexec: {in: deploy/sleep, container: sleep, namespace: sample, command: sleep "+seconds+"}",
	).file()
}

// running300 reports whether the last command of chatty runs.
func running300(t *testing.T) bool {
	for _, p := range processes(t) {
		if slices.Equal(p.argv, []string{"sleep", "300"}) {
			return true
		}
	}
	return false
}
