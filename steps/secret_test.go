package steps

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// Values of Secrets, passwords, tokens, cookies and keys are in no event,
// whatever a step does with them.
func TestNoEventHasASecret(t *testing.T) {
	inBase64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	there := clustertest.Object("v1", "Secret", "default", "there", map[string]any{
		"data": map[string]any{"a": inBase64("planted-there"), "pin": inBase64("m7q8")},
	})
	there.SetLabels(map[string]string{"app": "there"})
	secrets := map[string]bool{}
	var key string
	c := clustertest.NewFake(there, clustertest.ReadyPod("default", "sleep-1", nil, "sleep"))
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		// The pod prints all that it was given.
		fmt.Fprintln(r.Stdout, strings.Join(r.Command, " "), key)
		for secret := range secrets {
			fmt.Fprintf(r.Stderr, "{\"headers\": %q, \"b\": %q}\n", secret, inBase64("me:"+secret))
		}
		return cluster.ExecResult{ExitCode: 0, Trusted: true}, nil
	}
	for _, secret := range []string{
		"planted-there", "planted-string-data", "planted-data", "planted-patch", "planted\nlines-of-it", "planted-wanted",
		"planted-password", "planted-token", "planted-cookie", "planted-applied",
	} {
		secrets[secret] = true
	}
	manifest := `apiVersion: v1
kind: ConfigMap
metadata: {name: open}
data: {a: ordinary-value}
---
apiVersion: v1
kind: Secret
metadata:
  name: made
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"stringData": {"a": "planted-applied"}}', note: kept-note}
stringData:
  a: planted-string-data
  pin: "q4m1"
  lines: |
    planted
    lines-of-it
data: {b: ` + inBase64("planted-data") + `} # a comment
`
	exec := func(argv ...string) *Exec {
		return &Exec{In: Pod{Name: "sleep-1"}, Container: "sleep", Argv: argv}
	}
	certificates := &Certificates{"ROOT": {CA: true, CommonName: "root"}}
	steps := []runner.Action{
		&Apply{Manifest: Manifest{Text: manifest}},
		&Set{
			"V":    {Get: "secret", Name: "there", JSONPath: "{.data.a}"},
			"PIN":  {Get: "secret/there", JSONPath: "{.data.pin}"},
			"ALL":  {Get: "secrets", Selector: "app=there", JSONPath: "{.items[*].data}"},
			"NAME": {Get: "secret", Selector: "app=there", JSONPath: "{.items[0].metadata.name}"},
			"TEXT": {Value: "ordinary-text"},
		},
		&Patch{Object: "secret/made", Merge: MergePatch{Text: "stringData: {a: planted-patch, pin: 'q4m2'}\nmetadata: {labels: {b: kept-label}}"}},
		&Wait{Object: "secret/there", For: "jsonpath={.data.a}=" + inBase64("planted-there")},
		certificates,
		exec("curl", "-u", "me:planted-password", "-H", "Authorization: Bearer planted-token", "-b", "sid=planted-cookie", "https://u:q4m3@host/x"),
		exec("sh", "-c", "curl -u me:planted-password https://host | cat"),
		exec("env"),
		&Wait{Object: "secret/there", For: "jsonpath={.data.a}=planted-wanted"},
	}
	var es events
	r := &runner.Runner{Cluster: c, Sink: &es, Namespace: "default", IstioNamespace: "istio-system"}
	p := &runner.Playbook{Name: "p"}
	for i, a := range steps {
		p.Steps = append(p.Steps, runner.Step{
			StepInfo: runner.StepInfo{Index: i + 1, Title: "step", File: "p.yaml", Line: 1}, Holds: 1, Continue: true,
			Bind: func(lookup runner.Lookup) (runner.Action, []runner.Check, error) {
				if value, _ := lookup("ROOT_KEY"); !variables.Stands(value) {
					key = value
				}
				return a, nil, nil
			},
		})
	}
	r.Run(t.Context(), []*runner.Playbook{p})
	done := finished(es)
	for _, e := range done[:len(done)-1] {
		if text := e.Output + e.Command; strings.Contains(text, "curl") && e.Problem != nil {
			continue // the fake's curl reports nothing
		}
		assert.Equal(t, runner.Passed, e.Status, "%v", e.Problem)
	}
	assert.Equal(t, runner.Failed, done[len(done)-1].Status)

	text, err := json.Marshal(es)
	require.NoError(t, err)
	all := string(text)
	for secret := range secrets {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); line != "planted" {
				assert.NotContains(t, all, line)
			}
		}
	}
	assert.NotContains(t, all, "planted-")
	for _, short := range []string{"q4m1", "q4m2", "q4m3", "m7q8", inBase64("m7q8")} {
		assert.NotContains(t, all, `"`+short)
		assert.NotContains(t, all, "="+short)
		assert.NotContains(t, all, ": "+short)
		assert.NotContains(t, all, ":"+short)
	}
	require.NotEmpty(t, key)
	for line := range strings.Lines(key) {
		if !strings.HasPrefix(line, "-----") {
			assert.NotContains(t, all, strings.TrimSpace(line))
		}
	}
	// What is no secret is shown as it is.
	for _, ordinary := range []string{"ordinary-value", "ordinary-text", "kept-note", "kept-label", "NAME=there", "sleep-1"} {
		assert.Contains(t, all, ordinary)
	}
	assert.Equal(t, "PIN=(secret)", strings.Split(done[1].Output, "\n")[2])
	assert.Equal(t, "kubectl exec sleep-1 -c sleep -- curl -u 'me:(secret)' -H 'Authorization: (secret)' -b '(secret)' 'https://u:(secret)@host/x'", done[5].Command)
	assert.Equal(t, `kubectl patch secret/made --type=merge -p '{"metadata":{"labels":{"b":"kept-label"}},"stringData":{"a":"(secret)","pin":"(secret)"}}'`, done[2].Command)
	assert.Contains(t, done[8].Problem.Text, "want jsonpath={.data.a}=(secret), got")

	// A manifest without a Secret is shown as it was written.
	m := Manifest{Text: "apiVersion: v1\nkind:   ConfigMap # odd\nmetadata: {name: a}\n"}
	assert.Equal(t, m.Text, m.masked(scope(c)))
}
