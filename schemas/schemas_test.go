package schemas_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/schemas"
)

// check returns what is wrong with an object, a line each.
func check(t *testing.T, text string) (problems []string) {
	t.Helper()
	doc := new(yaml.Node)
	require.NoError(t, yaml.Unmarshal([]byte(text), doc))
	for _, p := range schemas.Check(doc) {
		problems = append(problems, fmt.Sprintf("%d:%d %s: %s (%s)", p.Line, p.Column, p.Rule, p.Msg, p.Hint))
	}
	return problems
}

func TestWhatASchemaForbids(t *testing.T) {
	const entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
	for _, c := range []struct {
		object string
		want   []string
	}{
		{entry + "spec:\n  hosts: [a.example.com]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  resolution: DNS\n", nil},
		{entry + "spec: {hosts: ['${HOST}'], ports: [{number: '${PORT}', name: http, protocol: '${P}'}], resolution: '${R}'}\n", nil},
		{entry + "sepc: {}\n", []string{"4:1 unknown-field: the object has no field sepc (did you mean spec?)"}},
		{entry + "spec:\n  hosts: a.example.com\n", []string{"5:10 wrong-value: spec.hosts is a list, got the text \"a.example.com\" (write a list)"}},
		{entry + "spec:\n  ports:\n  - number: '80'\n    nmae: http\n", []string{
			"6:13 wrong-value: spec.ports[0].number is a number, got the text \"80\" (write it without quotes: 80)",
			"7:5 unknown-field: spec.ports[0] has no field nmae (did you mean name?)",
		}},
		{entry + "spec: {resolution: DSN}\n", []string{"4:20 wrong-value: spec.resolution: there is no \"DSN\" (did you mean DNS?)"}},
		{"apiVersion: networking.istio.io/v1\nkind: ServiceEntries\n", []string{"2:7 unknown-kind: networking.istio.io has no kind ServiceEntries (did you mean ServiceEntry?)"}},
		{"apiVersion: networking.istio.io/v2\nkind: ServiceEntry\n", []string{"1:13 unknown-kind: networking.istio.io has no version v2 of ServiceEntry (write apiVersion: networking.istio.io/v1)"}},
		{"apiVersion: networking.istio.io/v1\nkind: AuthorizationPolicy\n", []string{"2:7 unknown-kind: networking.istio.io has no kind AuthorizationPolicy (write apiVersion: security.istio.io/v1)"}},
		{"apiVersion: extensions/v1beta1\nkind: Deployment\n", []string{"1:13 unknown-kind: there is no Deployment of extensions/v1beta1 any more (write apiVersion: apps/v1)"}},
		{"apiVersion: v1\nkind: Deployment\n", []string{"2:7 unknown-kind: Kubernetes' core group has no kind Deployment (write apiVersion: apps/v1)"}},
		{"apiVersion: example.com/v1\nkind: Thing\nsepc: {}\n", nil},
		{"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, label: {}}\ndata: {n: 1}\n", []string{
			"3:21 unknown-field: metadata has no field label (did you mean labels?)",
			"4:11 wrong-value: data.n is a text, got the number 1 (write it in quotes: \"1\")",
		}},
		{"apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80, targetPort: http}, {port: 81, targetPort: 8081}]}\n", nil},
		{"apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{name: a, imagee: b}]}}}\n", []string{
			"3:49 unknown-field: spec.template.spec.containers[0] has no field imagee (did you mean image?)"}},
		{"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nspec: {parentRef: {name: a}}\n", []string{
			"3:8 unknown-field: spec has no field parentRef (did you mean parentRefs?)"}},
		{"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec: {configPatches: [{patch: {value: {anything: {goes: 1}}}}]}\n", nil},
	} {
		assert.Equal(t, c.want, check(t, c.object), "%s", c.object)
	}
}

// The data is of the versions that the lab is built with. If this fails, run
// scripts/schemas.
func TestSources(t *testing.T) {
	mod, err := os.ReadFile("../lab/go.mod")
	require.NoError(t, err)
	require.Len(t, schemas.Sources(), 3)
	for _, source := range schemas.Sources() {
		assert.Regexp(t, `(?m)^\t`+regexp.QuoteMeta(source)+`( |$)`, string(mod), "lab/go.mod")
	}
}
