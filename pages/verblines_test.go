package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestVerbLines has what pages show of changes: the same objects, also as older ages of
// kubectl print them, and others.
func TestVerbLines(t *testing.T) {
	const cm = "$ kubectl apply -f - <<EOF\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: b}\nEOF\n"
	for text, wrong := range map[string]string{
		cm + "configmap/a created\nserviceentry.networking.istio.io/b unchanged":          "",
		cm + "configmap \"a\" configured\nserviceentry.networking.istio.io \"b\" created": "",
		cm + "...\nserviceentry.networking.istio.io/b created":                            "",
		cm + "configmap/c created":                                              "page.md:20:1: the page shows that configmap/c is created, and the command does not change it",
		cm + "configmap/a created\n    configmap/b created":                     "page.md:21:5: the page shows that configmap/b is created, and",
		cm + "configmap/a deleted":                                              "the page shows that configmap/a is deleted, which the command does not do",
		"$ kubectl delete svc a\nservice \"a\" deleted":                         "",
		"$ kubectl delete svc a\nservice \"a\" deleted from default namespace":  "",
		"$ kubectl delete svc a\nservice \"b\" deleted":                         "shows that service/b is deleted, and the command does not change it",
		"$ kubectl delete svc a\nconfigmap \"a\" deleted":                       "shows that configmap/a is deleted, and",
		"$ kubectl label ns a b=c\nnamespace/a labeled":                         "",
		"$ kubectl label ns a b=c\nnamespace/a annotated":                       "namespace/a is annotated, which the command does not do",
		"$ kubectl scale deploy a --replicas=2\ndeployment.apps/a scaled":       "",
		"$ kubectl scale deploy a --replicas=2\ndeployment.extensions/b scaled": "deployment/b is scaled, and",
		"$ kubectl create ns a\nnamespace/a created":                            "",
		"$ kubectl create ns a\nnamespace/b created":                            "namespace/b is created, and",
		"$ kubectl apply -f samples/sleep/sleep.yaml\nserviceaccount/sleep created\nservice/sleep created\ndeployment.apps/sleep created": "",
		"$ kubectl apply -f samples/curl/curl.yaml\nserviceaccount/curl created\nservice/curl created\ndeployment.apps/curl created":      "",
		"$ kubectl apply -f samples/sleep/sleep.yaml\ndeployment.apps/curl created":                                                       "deployment/curl is created, and",
		"$ kubectl wait --for=condition=available deploy/a\ndeployment.apps/a condition met":                                              "",
		"$ kubectl wait --for=condition=available deploy/a\ndeployment.apps/b condition met":                                              "deployment/b is condition met, and",
		"$ kubectl rollout status deploy/a\ndeployment \"a\" successfully rolled out":                                                     "",
		"$ kubectl rollout status deploy/a\ndeployment \"a\" exceeded its progress deadline":                                              "which the command does not do",
		"$ kubectl create ns a && kubectl label ns a b=c\nnamespace/a created\nnamespace/a labeled":                                       "",
		"$ kubectl create ns a && kubectl label ns a b=c\nnamespace/a created\nnamespace/b labeled":                                       "namespace/b is labeled, and",
		"$ kubectl create ns a && kubectl get ns a -o name\nnamespace/b created\nthe output":                                              "namespace/b is created, and",
		"$ NAME=a\n$ kubectl create ns $NAME\nnamespace/b created":                                                                        "",
	} {
		_, errs, _ := lint(t, deploySleep+"\nText:\n\n~~~bash\n"+text+"\n~~~\n", Options{})
		if wrong == "" {
			assert.Empty(t, errs, text)
		} else if assert.Len(t, errs, 1, text) {
			assert.Contains(t, errs[0], wrong)
		}
	}
	_, errs, notes := lint(t, deploySleep+"~~~bash\n$ kubectl create ns a\nnamespace/b created\n~~~\n", Options{SkipUnmapped: true})
	assert.Empty(t, errs)
	assert.Contains(t, strings.Join(notes, "\n"), "compared with nothing: the page shows that namespace/b is created")
	_, errs, _ = lint(t, deploySleep+"<!-- egressplay: output=exit -->\n~~~bash\n$ kubectl create ns a\nnamespace/b created\n~~~\n", Options{})
	assert.Empty(t, errs)
}

// TestChangeAndLook has outputs of a change and of a look behind it.
func TestChangeAndLook(t *testing.T) {
	const want = "{apply: apiVersion: v1 kind: Namespace metadata: name: a } | {shell: kubectl get ns a -o jsonpath={.metadata.name}} {expect: {shown: a }}"
	for _, text := range []string{
		"~~~bash\n$ kubectl create ns a && kubectl get ns a -o jsonpath={.metadata.name}\nnamespace/a created\na\n~~~\n",
		"~~~bash\nkubectl create ns a\nkubectl get ns a -o jsonpath={.metadata.name}\n~~~\n\nOutput:\n\n~~~text\nnamespace/a created\na\n~~~\n",
	} {
		steps, errs, _ := lint(t, deploySleep+"\nText:\n\n"+text, Options{})
		require.Empty(t, errs, text)
		assert.Equal(t, plainest(want), plainest(strings.Join(steps[3:], " | ")), text)
	}
}
