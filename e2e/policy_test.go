//go:build lab

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A Sidecar overrides the mesh's policy for the pods of its namespace: what the
// ConfigMap says is not what is in force there.
func TestPolicyIsExpectedOfTheSidecarToo(t *testing.T) {
	withSample(t)
	const (
		pod = "Find the pod\nset: {SOURCE_POD: {get: pod, selector: app=sleep}}"
		// The request is one to a host that the mesh does not know.
		request  = "A request\nexec: {in: '${SOURCE_POD}', container: sleep, command: curl -sI http://www.baidu.com}\nexpect: "
		override = "Override\napply: |\n  apiVersion: networking.istio.io/v1\n  kind: Sidecar\n  metadata: {name: strict}\n  spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"
		expect   = "The policy\npolicy: {expect: ALLOW_ANY}"
	)
	e := egressplay(t, "run", playbook(t, pod, expect, request+"{status: 200}").file(), "--namespace", sample)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "unknown hosts go to PassthroughCluster")

	e = egressplay(t, "run", playbook(t, pod, override, request+"{status: 502}", expect+"\nwithin: 2s").file(), "--namespace", sample)
	e.exits(t, 1)
	for _, text := range []string{"got   REGISTRY_ONLY", "the mesh's configuration says ALLOW_ANY", "sends unknown hosts to BlackHoleCluster", "outboundTrafficPolicy of its own"} {
		assert.Contains(t, e.stdout, text)
	}

	// Nobody knows a pod yet: the ConfigMap alone is judged, and that is said.
	e = egressplay(t, "run", playbook(t, override, expect).file(), "--namespace", sample)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "what is in force was not looked at")
}
