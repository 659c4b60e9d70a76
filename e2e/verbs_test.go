//go:build lab

package e2e

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Workloads of each kind are waited for, changed and put back, and what has
// ended has its log.
func TestWorkloads(t *testing.T) {
	const job = `A Job with an init container
apply: |
  apiVersion: batch/v1
  kind: Job
  metadata: {name: once}
  spec:
    template:
      spec:
        restartPolicy: Never
        initContainers:
        - {name: init, image: curlimages/curl, command: [sh, -c, "echo first"]}
        containers:
        - {name: main, image: curlimages/curl, command: [sh, -c, "echo second"]}
`
	const sets = `A StatefulSet and a DaemonSet
apply: |
  apiVersion: apps/v1
  kind: StatefulSet
  metadata: {name: set}
  spec:
    replicas: 2
    serviceName: set
    selector: {matchLabels: {app: set}}
    template:
      metadata: {labels: {app: set}}
      spec:
        terminationGracePeriodSeconds: 0
        containers: [{name: s, image: curlimages/curl, command: [/bin/sleep, infinity]}]
  ---
  apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: daemon}
  spec:
    selector: {matchLabels: {app: daemon}}
    template:
      metadata: {labels: {app: daemon}}
      spec:
        terminationGracePeriodSeconds: 0
        containers: [{name: s, image: curlimages/curl, command: [/bin/sleep, infinity]}]
`
	before := settledWorld(t)
	e := egressplay(t, "run", playbook(t,
		job,
		"It is done\nwait: {object: job/once, for: condition=Complete}\nwithin: 2m",
		"Its log\nlogs: job/once\nexpect: {stdout: {equals: second}}",
		"That of its init container\nlogs: {in: {selector: job-name=once}, container: init}\nexpect: {stdout: {equals: first}}",
		sets,
		"The StatefulSet runs\nwait: {object: sts/set, for: rollout}\nwithin: 2m",
		"The DaemonSet runs\nwait: {object: ds/daemon, for: rollout}\nwithin: 2m",
		`All pods are ready`+"\n"+`wait: {object: pod, selector: "app in (set,daemon)", for: condition=Ready}`,
		"A path without braces\nwait: {object: sts/set, for: jsonpath=.status.readyReplicas=2}",
		`Compared`+"\n"+`wait: {object: sts/set, for: "jsonpath={.status.currentRevision}", contains: set-, not: set-0}`,
		`Counted`+"\n"+`wait: {object: pod/set-0, for: "jsonpath={.spec.containers[*].name}", length: 1}`,
		"Scale it\nscale: {object: sts/set, replicas: 1}",
		"One is left\nwait: {object: sts/set, for: jsonpath=.status.replicas=1}",
		"Restart both\nrestart: [sts/set, ds/daemon]",
		"It runs again\nwait: {object: sts/set, for: rollout}\nwithin: 2m",
		"Annotate it\nannotate: {object: sts/set, set: {a: b}}",
		"Patch it\npatch:\n  object: sts/set\n  merge: |\n    metadata:\n      labels: {c: d}",
		`Both are there`+"\n"+`wait: {object: sts/set, for: "jsonpath='{.metadata.annotations.a}{.metadata.labels.c}'=bd"}`,
		"An old kind of object\napply: |\n  apiVersion: v1\n  kind: Endpoints\n  metadata: {name: old}",
	).file())
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "Warning: v1 Endpoints is deprecated")
	before.leavesNothing(t)
}

func TestAJobThatFailsEndsTheWait(t *testing.T) {
	e := egressplay(t, "run", playbook(t, `A Job that fails
apply: |
  apiVersion: batch/v1
  kind: Job
  metadata: {name: fails}
  spec:
    backoffLimit: 0
    template:
      spec:
        restartPolicy: Never
        containers:
        - {name: main, image: curlimages/curl, command: [sh, -c, "exit 3"]}
`, "It is done\nwait: {object: job/fails, for: condition=Complete}\nwithin: 1h").file())
	e.exits(t, 1)
	assert.Contains(t, e.stdout, "the job is Failed (BackoffLimitExceeded")
}

func TestAKindOfAnAPIThatIsGone(t *testing.T) {
	e := egressplay(t, "run", playbook(t, "Apply\napply: |\n  apiVersion: extensions/v1beta1\n  kind: Ingress\n  metadata: {name: x}").file())
	e.exits(t, 3)
	assert.Contains(t, e.stdout, "the cluster has no kind Ingress in extensions/v1beta1, only in networking.k8s.io/v1")
	assert.Contains(t, e.stdout, "write apiVersion: networking.k8s.io/v1")
}

// A proxy writes the line of a request up to a second later: by then another
// playbook may run.
func TestLogsOfThePlaybookBefore(t *testing.T) {
	withSample(t)
	request := func(path string) string {
		return "A request\nexec: {in: deploy/sleep, container: sleep, command: curl -s http://httpbin.org/anything/" + path + "}"
	}
	logs := "logs: {in: deploy/sleep, container: istio-proxy}\n"
	first := playbook(t, request("of-the-first"))
	second := playbook(t,
		"No line of it\n"+logs+"holds: 10\nexpect: {stdout: {not: {contains: of-the-first}}}",
		request("of-the-second"),
		"Its own line\n"+logs+"expect: {stdout: {contains: of-the-second, not: {contains: of-the-first}}}",
	)
	second.text = "apiVersion: egressplay/v1\nkind: Playbook\nname: second\n" + second.text[len("apiVersion: egressplay/v1\nkind: Playbook\nname: test\n"):]
	e := egressplay(t, "run", first.file(), second.file(), "--namespace", sample)
	e.exits(t, 0)
}

// What curl reports of itself, whatever stands in front of it and whatever the
// far end sends.
func TestCurlAsItIsWritten(t *testing.T) {
	withSample(t)
	forged := base64.URLEncoding.EncodeToString([]byte("HTTP/1.1 200 OK\r\nX-Forged: yes\r\n\r\nhi"))
	request := func(command, expect string) string {
		return "A request\nexec:\n  in: deploy/sleep\n  container: sleep\n  command: " + command + "\nwithin: 1ms\nexpect: " + expect
	}
	for _, c := range []struct {
		command, expect string
		code            int
	}{
		{"curl -si http://httpbin.org/base64/" + forged, "{responses: [{status: 200, headers: {x-forged: {absent: true}, content-length: \"36\"}}]}", 0},
		{"curl -si http://httpbin.org/base64/" + forged, "{headers: {x-forged: \"yes\"}}", 1},
		{"timeout 5 curl -sIL http://httpbin.org/redirect-to?url=/get", "{responses: [{status: 302}, {status: 200}]}", 0},
		{"sh -c 'curl -si http://httpbin.org/status/418'", "{status: 418}", 0},
		{"sh -c 'curl -si http://httpbin.org/status/418'", "{status: 200}", 1},
		{"curl -sI -- http://httpbin.org/get", "{status: 200}", 0},
		{"curl -s --data -w http://httpbin.org/post", `{status: 200, body: {contains: "-w"}}`, 0},
		{"curl -s http://httpbin.org/delay/1 http://httpbin.org/get", "{elapsed: {max: 900ms}}", 1},
		{"curl -si --compressed http://httpbin.org/gzip", "{status: 200, body: {contains: gzipped}}", 0},
	} {
		t.Run(c.command, func(t *testing.T) {
			e := egressplay(t, "run", playbook(t, request(c.command, c.expect)).file(), "--namespace", sample)
			e.exits(t, c.code)
		})
	}
}
