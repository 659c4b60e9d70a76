package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	toRegistryOnly = `$ kubectl get configmap istio -n istio-system -o yaml | sed 's/mode: ALLOW_ANY/mode: REGISTRY_ONLY/g' | kubectl replace -n istio-system -f -`
	toAllowAny     = `$ kubectl get configmap istio -n istio-system -o yaml | sed 's/mode: REGISTRY_ONLY/mode: ALLOW_ANY/g' | kubectl replace -n istio-system -f -`
	twoSwitches    = deploySleep + "\n{{< tabset >}}\n{{< tab name=\"on\" >}}\n{{< text bash >}}\n" + toRegistryOnly + "\n{{< /text >}}\n{{< /tab >}}\n{{< tab name=\"off\" >}}\n{{< text bash >}}\n" +
		toAllowAny + "\n{{< /text >}}\n{{< /tab >}}\n{{< /tabset >}}\n"
)

// TestTabsThatUndoEachOther has the switch of the policy in two tabs: what runs is
// what the page goes on with.
func TestTabsThatUndoEachOther(t *testing.T) {
	look := func(mode string) string {
		return "\nIt is:\n~~~bash\n$ kubectl get configmap istio -n istio-system -o yaml | grep -o \"mode: " + mode + "\"\nmode: " + mode + "\n~~~\n"
	}
	steps, errs, notes := lint(t, twoSwitches, Options{})
	require.Empty(t, errs)
	assert.Len(t, steps, 3)
	assert.Equal(t, 2, strings.Count(strings.Join(notes, "\n"), "undo each other, and the page goes on with neither"))
	for _, mode := range []string{"REGISTRY_ONLY", "ALLOW_ANY"} {
		steps, errs, _ = lint(t, twoSwitches+look(mode), Options{})
		require.Empty(t, errs)
		require.Len(t, steps, 5)
		assert.Equal(t, "{policy: {set: "+mode+"}}", steps[3])
	}
	steps, errs, _ = lint(t, twoSwitches, Options{Tab: "off"})
	require.Empty(t, errs)
	require.Len(t, steps, 4)
	assert.Equal(t, "{policy: {set: ALLOW_ANY}}", steps[3])
}

// TestEitherPolicy has a look of which the page says that it may show either policy.
func TestEitherPolicy(t *testing.T) {
	looks := func(behind string) string {
		return deploySleep + "Look:\n~~~bash\n$ kubectl get configmap istio -n istio-system -o yaml | grep -o \"mode: REGISTRY_ONLY\"\n$ kubectl get configmap istio -n istio-system -o yaml | grep -o \"mode: ALLOW_ANY\"\nmode: ALLOW_ANY\n~~~\n" + behind
	}
	for _, behind := range []string{"The output is either `mode: ALLOW_ANY` or `mode: REGISTRY_ONLY`.", "输出将会是 `mode: ALLOW_ANY` 或 `mode: REGISTRY_ONLY`。"} {
		steps, errs, notes := lint(t, looks(behind), Options{})
		require.Empty(t, errs)
		assert.Len(t, steps, 3)
		assert.Equal(t, 2, strings.Count(strings.Join(notes, "\n"), "either policy, which claims nothing"))
	}
	for _, behind := range []string{"", "It is ALLOW_ANY, and not REGISTRY_ONLY.", "## Section\nEither ALLOW_ANY or REGISTRY_ONLY."} {
		steps, errs, _ := lint(t, looks(behind), Options{})
		require.Empty(t, errs)
		assert.Len(t, steps, 5)
	}
}
