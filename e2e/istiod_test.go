//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// An object of Istio's is refused while istiod is away, and applied once istiod
// is back.
func TestApplyWhileIstiodIsAway(t *testing.T) {
	scaleIstiod(t, 0)
	t.Cleanup(func() { scaleIstiod(t, 1) })
	apply := func(within string) string {
		return playbook(t, "Apply\nwithin: "+within+`
apply: |
  apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata: {name: while-istiod-is-away}
  spec:
    hosts: [www.example.org]
    ports: [{number: 443, name: tls, protocol: TLS}]
    resolution: DNS
`).file()
	}
	e := egressplay(t, "run", apply("1ms"))
	e.exits(t, 3)
	assert.Contains(t, e.stdout, `failed calling webhook "validation.istio.io"`)

	before := unjudged(t)
	p := begin(t, "run", apply("2m"))
	eventually(t, func() bool { return unjudged(t) > before }, "no object was refused")
	scaleIstiod(t, 1)
	e = p.wait()
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "tries")
	assert.Contains(t, e.stdout, "while-istiod-is-away created")
}

// unjudged returns how many objects the API server has refused because it could
// not ask istiod, as it counts them itself.
func unjudged(t *testing.T) (sum float64) {
	t.Helper()
	metrics, err := shared.discovery.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	require.NoError(t, err)
	for line := range strings.Lines(string(metrics)) {
		labels, value, _ := strings.Cut(line, "} ")
		if strings.HasPrefix(labels, "apiserver_admission_webhook_rejection_count{") &&
			strings.Contains(labels, `error_type="calling_webhook_error"`) && strings.Contains(labels, `name="validation.istio.io"`) {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			sum += n
		}
	}
	return sum
}

// scaleIstiod waits until istiod has as many pods, which are ready.
func scaleIstiod(t *testing.T, replicas int64) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, replicas)
	ctx := context.Background() // it also cleans up
	_, err := resource("apps/v1", "deployments", "istio-system").Patch(ctx, "istiod", types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
	eventually(t, func() bool {
		d, err := resource("apps/v1", "deployments", "istio-system").Get(ctx, "istiod", metav1.GetOptions{})
		require.NoError(t, err)
		pods, err := resource("v1", "pods", "istio-system").List(ctx, metav1.ListOptions{LabelSelector: "app=istiod"})
		require.NoError(t, err)
		status, _ := d.Object["status"].(map[string]any)
		ready, _ := status["readyReplicas"].(int64)
		return ready == replicas && int64(len(pods.Items)) == replicas
	}, "istiod does not have %d pods", replicas)
}
