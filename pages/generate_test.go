package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGenerate has gateways that istioctl would make: they must be there.
func TestGenerate(t *testing.T) {
	operator := func(spec string) string {
		return "$ istioctl manifest generate -f - <<EOF > ./gw.yaml\napiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: " + spec + "\nEOF\n"
	}
	const rest = "$ kubectl apply -f ./gw.yaml\n$ kubectl delete -f ./gw.yaml\n$ rm ./gw.yaml\n"
	const old = "$ cat <<EOF | istioctl manifest generate --set values.global.istioNamespace=istio-system -f - > ./gw.yaml\ngateways:\n  enabled: true\n  istio-egressgateway:\n    enabled: false\n  mine:\n    enabled: true\nEOF\n"
	for _, text := range []string{operator("{profile: empty, components: {egressGateways: [{name: mine, enabled: true}, {name: off, enabled: false}]}}"), old} {
		steps, errs, notes := lint(t, "# T\n~~~bash\n"+text+rest+"~~~\n", Options{})
		require.Empty(t, errs)
		assert.Equal(t, []string{bare("{wait: {object: deployment/mine, namespace: istio-system, for: rollout}}")}, steps)
		assert.Contains(t, strings.Join(notes, "\n"), "the gateway mine must be there where gw.yaml is applied")
		assert.Contains(t, strings.Join(notes, "\n"), "not run: what gw.yaml has was there before")
	}
	for text, want := range map[string]string{
		operator("{profile: default}"):                                                                 "profile is not empty",
		operator("{profile: empty, components: {pilot: {enabled: true}}}"):                             "components.pilot",
		operator("{profile: empty, components: {egressGateways: [{name: a, enabled: false}]}}"):        "the settings have no gateway",
		"$ istioctl manifest generate --set profile=demo > gw.yaml\n":                                  "settings in a here-document",
		strings.Replace(old, "--set values.global.istioNamespace=istio-system", "--set values.x=1", 1): "istioctl manifest generate with --set is not known here",
	} {
		_, errs, _ := lint(t, "# T\n~~~bash\n"+text+rest+"~~~\n", Options{})
		assert.Contains(t, strings.Join(errs, "\n"), want)
	}
}
