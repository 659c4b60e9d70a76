package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	confined   = `{patch: {object: deployment/sleep, merge: {spec:{template:{metadata:{annotations:{traffic.sidecar.istio.io/includeOutboundIPRanges:10.0.0.1/24}}}}}}}`
	unconfined = `{patch: {object: deployment/sleep, merge: {spec:{template:{metadata:{annotations:{traffic.sidecar.istio.io/includeOutboundIPRanges:null}}}}}}}`
	anew       = `{wait: {object: deployment/sleep, for: rollout}}`
)

// TestIncludeIPRanges has the ways in which pages confine sidecars to ranges of
// addresses, and take it back.
func TestIncludeIPRanges(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"istioctl", `$ istioctl manifest apply <the flags you used> --set values.global.proxy.includeIPRanges="10.0.0.1/24"`, []string{confined, anew}},
		{"istioctl install", `$ istioctl install --set values.global.proxy.includeIPRanges="10.0.0.1/24"`, []string{confined, anew}},
		{"helm of old", `helm template install/kubernetes/helm/istio <the flags you used> --set global.proxy.includeIPRanges="10.0.0.1/24" -x templates/sidecar-injector-configmap.yaml | kubectl apply -f -`, []string{confined, anew}},
		{"kube-inject", "$ kubectl apply -f <(istioctl kube-inject -f samples/sleep/sleep.yaml --includeIPRanges=10.0.0.1/24)", []string{"{apply: {files: [samples/sleep.yaml]}}", confined, anew}},
		{
			"taken back", "$ istioctl install --set values.global.proxy.includeIPRanges=10.0.0.1/24\n$ istioctl install <the flags you used>",
			[]string{confined, anew, unconfined, anew},
		},
		{
			"what is deployed later", "$ istioctl install --set values.global.proxy.includeIPRanges=10.0.0.1/24\n$ kubectl delete deploy sleep\n$ kubectl apply -f samples/sleep/sleep.yaml",
			[]string{confined, anew, "{delete: {objects: [deploy/sleep]}}", "{apply: {files: [samples/sleep.yaml]}}", confined, anew},
		},
		{
			"what is gone", "$ istioctl install --set values.global.proxy.includeIPRanges=10.0.0.1/24\n$ kubectl delete deploy sleep\n$ istioctl install <the flags you used>",
			[]string{confined, anew, "{delete: {objects: [deploy/sleep]}}"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			steps, errs, _ := lint(t, deploySleep+"\n~~~bash\n"+test.text+"\n~~~\n", Options{})
			require.Empty(t, errs)
			assert.Equal(t, len(test.want)+3, len(steps), steps)
			for i, want := range test.want {
				assert.Equal(t, bare(want), bare(steps[i+3]))
			}
		})
	}
	_, errs, _ := lint(t, "# T\n~~~bash\n$ istioctl install --set values.global.proxy.includeIPRanges=10.0.0.1/24\n~~~\n", Options{})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[0], "the page has deployed nothing whose sidecar can be confined to 10.0.0.1/24")
}

// TestOtherRanges has the values of several platforms, of which a reader takes one;
// without a platform's name between, each is a command of its own.
func TestOtherRanges(t *testing.T) {
	page := func(between string) string {
		return deploySleep + "## Bypass\n~~~bash\n$ kubectl apply -f <(istioctl kube-inject -f samples/sleep/sleep.yaml --includeIPRanges=10.0.0.1/24)\n~~~\n" + between +
			"\n~~~bash\n$ kubectl apply -f <(istioctl kube-inject -f samples/sleep/sleep.yaml --includeIPRanges=10.1.0.0/16)\n~~~\n"
	}
	steps, errs, notes := lint(t, page("On IBM Cloud, use:"), Options{})
	require.Empty(t, errs)
	assert.Len(t, steps, 6)
	assert.Contains(t, strings.Join(notes, "\n"), "not run: it is for another platform than line 9")
	for _, between := range []string{"Now with more:", "## Another section\nOn IBM Cloud:"} {
		steps, errs, _ = lint(t, page(between), Options{})
		require.Empty(t, errs)
		assert.Len(t, steps, 9)
	}
}
