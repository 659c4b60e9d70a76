package pages

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tipAndSolution = deploySleep + `
<details>
<summary>Tip</summary>

~~~bash
> a.yaml && vi a.yaml
~~~
~~~yaml
# File a.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: # TODO
~~~
~~~bash
kubectl apply -f a.yaml
~~~
</details>
<details>
<summary><b>Solution</b></summary>

~~~bash
> a.yaml && vi a.yaml
~~~
~~~yaml
# File a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: done}
~~~
~~~bash
kubectl apply -f a.yaml
~~~
</details>
`

// TestDetails leaves a tip closed, and opens what else a page has folded.
func TestDetails(t *testing.T) {
	steps, errs, notes := lint(t, tipAndSolution, Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 4)
	assert.Contains(t, steps[3], "done")
	assert.Contains(t, strings.Join(notes, "\n"), `not run: it is in the part "Tip"`)
	steps, errs, _ = lint(t, strings.Replace(strings.Replace(tipAndSolution, ">Tip<", ">Part 1<", 1), "name: # TODO", "name: first", 1), Options{})
	require.Empty(t, errs)
	assert.Len(t, steps, 5)
}

// TestCleanUp marks what takes away what the page made, and nothing else.
func TestCleanUp(t *testing.T) {
	for heading, want := range map[string]bool{
		"## Cleanup": true, "## Clean up": true, "## Tear down the sample": true, "## 清理": true, "## Очищення": true, "## Remove the gateway": true,
		"## Before you begin": false, "## What is removed": false,
	} {
		text := deploySleep + heading + "\n### A part\n~~~bash\n$ kubectl delete -f samples/sleep/sleep.yaml\n~~~\n"
		steps, errs, _ := lint(t, text, Options{})
		require.Empty(t, errs)
		assert.Equal(t, want, strings.Contains(steps[3], "cleansUp: true"), heading)
		assert.NotContains(t, strings.Join(steps[:3], ""), "cleansUp")
		steps, _, _ = lint(t, text+"## Go on\n~~~bash\n$ kubectl create ns a\n~~~\n", Options{})
		assert.NotContains(t, steps[4], "cleansUp", "the section has ended")
	}
}

// TestCleanUpAlone has a text in the place of such a heading, which holds for the fence
// behind it alone.
func TestCleanUpAlone(t *testing.T) {
	const fence = "\n\n~~~bash\nkubectl delete svc a\n~~~\n"
	for text, want := range map[string]bool{
		"**Clean up**": true, "1. Clean up resources": true, "To clean up:": true, "Cleanup the first case:": true, "清理：": true,
		"Delete the service:": false, "Before we clean up, look once more at what is there:": false,
	} {
		steps, errs, _ := lint(t, deploySleep+"## A case\n\n"+text+fence+"\nGo on:"+fence, Options{})
		require.Empty(t, errs)
		assert.Equal(t, want, strings.Contains(steps[3], "cleansUp: true"), text)
		assert.NotContains(t, steps[4], "cleansUp")
	}
}

// TestFileOfTheTime takes the fence in which the page has written a file last.
func TestFileOfTheTime(t *testing.T) {
	fence := func(name string) string {
		return "Write `a.yaml`:\n~~~yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n~~~\n~~~bash\n$ kubectl apply -f a.yaml\n~~~\n"
	}
	steps, errs, _ := lint(t, "# T\n"+fence("one")+fence("two"), Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 2)
	assert.Contains(t, steps[0], "one")
	assert.Contains(t, steps[1], "two")
}

// TestOutputBehindText has an output that stands behind a text. What only a command
// prints is one in any case; what may be one, and is not compared, is told.
func TestOutputBehindText(t *testing.T) {
	page := func(text, output string) string {
		return deploySleep + "~~~bash\n$ kubectl exec $POD -c sleep -- curl -sS http://a.example\n~~~\n\n" + text + "\n\n~~~text\n" + output + "\n~~~\n"
	}
	for _, c := range []struct {
		text, output string
		compared     bool
	}{
		{"It is blocked with this message:", "no", true},
		{"Look at this.", "curl: (56) Recv failure\ncommand terminated with exit code 56", true},
		{"Look at this.", "HTTP/1.1 200 OK", true},
		{"A poem.", "a rose", false},
		{"El resultado:", "una rosa", true},
		{"Você verá:", "uma rosa", true},
		{"Un poema.", "una rosa", false},
	} {
		steps, errs, notes := lint(t, page(c.text, c.output), Options{})
		require.Empty(t, errs)
		assert.Equal(t, c.compared, strings.Contains(steps[3], "expect"), c.output)
		assert.Equal(t, !c.compared, strings.Contains(strings.Join(notes, "\n"), "compared with nothing"), c.output)
	}
}

// TestUnusedVariables asks for no variable that no step has a use for.
func TestUnusedVariables(t *testing.T) {
	_, errs, _ := lint(t, "# T\n~~~bash\n$ istioctl install -y --manifests=/x/$V/m --set meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY\n~~~\n", Options{})
	assert.Empty(t, errs)
	_, errs, _ = lint(t, "# T\n~~~bash\n$ kubectl delete cm $V\n~~~\n", Options{})
	assert.Len(t, errs, 1)
}

// TestSecretOfAProxy has a look at a proxy's certificates, as pages have it.
func TestSecretOfAProxy(t *testing.T) {
	const command = `istioctl pc secret -n istio-system "$(kubectl get pod -l istio=egressgateway -n istio-system -o jsonpath='{.items[0].metadata.name}')" -ojson | ` +
		`jq '[.dynamicActiveSecrets[] | select(.name == "default")][0].secret.tlsCertificate.certificateChain.inlineBytes' -r | base64 -d | openssl x509 -text -noout | grep 'Subject Alternative Name' -A 1`
	steps, errs, _ := lint(t, "# T\n~~~bash\n$ "+command+"\n            X509v3 Subject Alternative Name: critical\n                URI:spiffe://a\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 1)
	assert.Contains(t, steps[0], "shell:")
	assert.Contains(t, steps[0], "shown:")
	_, errs, _ = lint(t, "# T\n~~~bash\n$ istioctl pc bootstrap deploy/a\n~~~\n", Options{})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[0], "istioctl proxy-config bootstrap is not known here")
}

// TestAnalyze has a command for which Istio's own program runs.
func TestAnalyze(t *testing.T) {
	steps, errs, _ := lint(t, "# T\n~~~bash\n$ istioctl -n a analyze\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 1)
	assert.Contains(t, steps[0], "shell: istioctl -n a analyze")
	_, errs, _ = lint(t, "# T\n~~~bash\n$ istioctl analyze my.yaml\n~~~\n", Options{})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[0], "looks here at what the cluster has, not at files")
}

// TestUnshown notes changes behind which a page shows nothing.
func TestUnshown(t *testing.T) {
	const sample = "# T\n~~~bash\n$ kubectl label namespace default istio-injection=enabled\n$ kubectl apply -f samples/sleep/sleep.yaml\n~~~\n"
	entry := func(name string) string {
		return "~~~bash\n$ kubectl apply -f - <<EOF\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + name + "}\nspec: {hosts: [a.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}\nEOF\n~~~\n"
	}
	const (
		request = "~~~bash\n$ kubectl exec deploy/sleep -c sleep -- curl -sI https://a.example | grep HTTP/\n"
		shown   = request + "HTTP/2 200\n~~~\n"
		bare    = request + "~~~\n"
		cleanUp = "## Cleanup\n~~~bash\n$ kubectl delete serviceentry a\n~~~\n"
	)
	for _, c := range []struct {
		name, page string
		want       []string
	}{
		{"a change and what it shows", sample + entry("a") + shown + cleanUp, nil},
		{"a change at the end", sample + entry("a") + shown + entry("b") + bare + cleanUp, []string{"19:3: the page shows no output behind this"}},
		{"nothing shown at all", sample + entry("a") + bare + entry("b"), []string{"7:3: the page shows no output that can be compared"}},
		{"what an author has added", sample + entry("a") + "<!-- egressplay: exit=35 -->\n" + bare, nil},
		{"samples alone", sample, nil},
	} {
		_, errs, notes := lint(t, c.page, Options{})
		require.Empty(t, errs, c.name)
		var got []string
		for _, n := range notes {
			if i := strings.Index(n, "the page shows no output"); i >= 0 {
				got = append(got, n)
			}
		}
		require.Len(t, got, len(c.want), "%s: %v", c.name, notes)
		for i := range c.want {
			assert.Contains(t, got[i], c.want[i], c.name)
		}
	}
}

// TestMadeAnew notes deletions of what the page applies again before it shows anything.
func TestMadeAnew(t *testing.T) {
	entry := func(name string) string {
		return "~~~bash\n$ kubectl apply -f - <<EOF\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + name + "}\nspec: {hosts: [a.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}\nEOF\n~~~\n"
	}
	const (
		sample   = "# T\n~~~bash\n$ kubectl label namespace default istio-injection=enabled\n$ kubectl apply -f samples/sleep/sleep.yaml\n~~~\n"
		request  = "~~~bash\n$ kubectl exec deploy/sleep -c sleep -- curl -sI https://a.example | grep HTTP/\nHTTP/2 200\n~~~\n"
		deletion = "~~~bash\n$ kubectl delete serviceentry a\n~~~\n"
	)
	for name, c := range map[string]struct {
		page string
		want bool
	}{
		"applied again, and then a request":     {sample + entry("a") + request + deletion + entry("a") + request, true},
		"a request in between":                  {sample + entry("a") + request + deletion + request + entry("a") + request, false},
		"another one is applied":                {sample + entry("a") + request + deletion + entry("b") + request, false},
		"nothing is applied":                    {sample + entry("a") + request + deletion, false},
		"one of another namespace is applied":   {sample + entry("a") + request + deletion + strings.Replace(entry("a"), "name: a}", "name: a, namespace: other}", 1) + request, false},
		"a Deployment, whose pods are new ones": {sample + "~~~bash\n$ kubectl delete deploy sleep\n$ kubectl apply -f samples/sleep/sleep.yaml\n~~~\n" + request, false},
		"in a section that cleans up":           {sample + entry("a") + request + "## Cleanup\n" + deletion + "## Again\n" + entry("a") + request, true},
	} {
		_, errs, notes := lint(t, c.page, Options{})
		require.Empty(t, errs, name)
		noted := slices.ContainsFunc(notes, func(n string) bool {
			return strings.Contains(n, "again before it shows any output")
		})
		assert.Equal(t, c.want, noted, "%s: %v", name, notes)
	}
}
