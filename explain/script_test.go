package explain_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/explain"
)

// asScript returns a failure of a request as that of a script, which made another
// request before: what is shown has the meaning of the claims.
func asScript(f explain.Failure, before *evidence.Attempt) explain.Failure {
	shown := evidence.Verdict{Key: "expect.shown", What: "shown", Outcome: evidence.NotHeld, Want: "HTTP/2 200", Got: "no more"}
	for _, v := range f.Verdicts {
		shown.Means = append(shown.Means, evidence.Meaning{Stage: 1, Key: v.Key, Want: v.Want, Got: v.Got})
	}
	held := evidence.Verdict{Key: "expect.shown", What: "exit codes other than 0", Outcome: evidence.Held}
	f.Kind, f.Verdicts = "shell", evidence.Verdicts{held, shown}
	f.Attempt = &evidence.Attempt{Shell: &evidence.Shell{Stages: []evidence.Stage{
		{Argv: []string{"kubectl", "exec"}, Exec: true, Request: before},
		{Argv: []string{"kubectl", "exec"}, Exec: true, Request: f.Attempt},
		{Argv: []string{"grep", "HTTP"}, Behind: true},
	}}}
	return f
}

// A request of a script is explained as that of any other step: by the same causes, and
// where another or none is the cause, by none of them.
func TestAScriptIsExplainedAsARequestIs(t *testing.T) {
	other := &evidence.Attempt{
		Command:   &evidence.Command{Pod: evidence.Pod{Namespace: "default", Name: "other-1", Sidecar: true}},
		Transfers: []evidence.Transfer{{URL: "https://other.example.com", ExitCode: 35}},
		Proxies:   []evidence.Proxy{{Name: evidence.Sidecar, Log: evidence.Log{Read: true}}},
	}
	codes := map[string]bool{}
	for file, all := range recordedCases(t) {
		for i := range all {
			r := &all[i]
			f := r.failure()
			if f.Attempt == nil || slices.ContainsFunc(f.Verdicts, func(v evidence.Verdict) bool { return v.JSONPath != "" }) {
				continue // no output has a claim about a path of JSON
			}
			if len(f.Verdicts) == 0 {
				f.Verdicts = evidence.Verdicts{{Key: "expect.stdout", Outcome: evidence.NotHeld, Want: "a", Got: "b"}}
			}
			script := r.failure()
			script.Verdicts = f.Verdicts
			t.Run(file+"/"+r.Name, func(t *testing.T) {
				e := r.explainer(t, noise)
				assert.Equal(t, untimed(e.Explain(t.Context(), f)), untimed(e.Explain(t.Context(), asScript(script, other))))
				codes[r.Code] = true
			})
		}
	}
	assert.Greater(t, len(codes), 60, "causes that were named of a script")
}

func untimed(all []evidence.Finding) []evidence.Finding {
	for i := range all {
		all[i].TookMS = 0
	}
	return all
}

// Where nobody can tell of which request a difference is, or the script made none, nothing
// is said of one.
func TestAScriptWhoseRequestIsNotKnownIsNotExplained(t *testing.T) {
	y := try{
		url: "https://www.google.com", exit: 35, sidecar: evidence.Line{Cluster: evidence.BlackHole, Flags: []string{"UH"}, SNI: "www.google.com"},
		claims: evidence.Verdicts{{Key: "expect.exitCode", Outcome: evidence.NotHeld, Want: "0", Got: "35"}},
	}
	e := &explain.Explainer{Cluster: worldOf(t, cnn)}
	known := asScript(y.failure(), nil)
	found := e.Explain(t.Context(), known)
	require.Len(t, found, 1)
	assert.Equal(t, "host-not-registered", found[0].Code)

	unknown := asScript(y.failure(), nil)
	unknown.Verdicts[1].Means = nil
	for _, f := range e.Explain(t.Context(), unknown) {
		assert.True(t, f.Unknown, f.Cause)
	}
	held := asScript(y.failure(), nil)
	held.Verdicts[1].Outcome = evidence.NotJudged
	for _, f := range e.Explain(t.Context(), held) {
		assert.True(t, f.Unknown, f.Cause)
	}
	log := asScript(y.failure(), nil) // a log with nothing before that made a request
	log.Attempt.Shell.Stages[1] = evidence.Stage{Argv: []string{"kubectl", "logs"}, Log: true}
	for _, f := range e.Explain(t.Context(), log) {
		assert.True(t, f.Unknown, f.Cause)
	}
}

// The proxies are asked about the request of a script that went otherwise, and about no other.
func TestTheWitnessIsAskedAboutTheRequest(t *testing.T) {
	y := try{url: "https://www.google.com", exit: 35, claims: evidence.Verdicts{{Key: "expect.exitCode", Outcome: evidence.NotHeld, Want: "0", Got: "35"}}}
	f := asScript(y.failure(), &evidence.Attempt{Command: &evidence.Command{}})
	request := f.Attempt.Shell.Stages[1].Request
	request.Proxies, request.Lines = nil, nil
	var asked []*evidence.Attempt
	e := &explain.Explainer{Cluster: worldOf(t, cnn), Look: func(_ context.Context, a *evidence.Attempt) error {
		asked = append(asked, a)
		a.Lines = []evidence.Line{{Proxy: evidence.Sidecar, By: evidence.ByConnection, Cluster: evidence.BlackHole, SNI: "www.google.com"}}
		return nil
	}}
	found := e.Explain(t.Context(), f)
	require.Len(t, found, 1)
	assert.Equal(t, "host-not-registered", found[0].Code)
	require.Len(t, asked, 1)
	assert.Same(t, request, asked[0])
	assert.True(t, strings.Contains(found[0].Cause, "www.google.com"))
}

// A tutorial shows the sidecar of a pod that has none.
func TestAShownSidecarThatIsNotThere(t *testing.T) {
	const (
		pod      = "{apiVersion: v1, kind: Pod, metadata: {name: sleep-1, namespace: team}, spec: {containers: [{name: sleep}]}}\n---\n"
		native   = "{apiVersion: v1, kind: Pod, metadata: {name: sleep-1, namespace: team}, spec: {initContainers: [{name: istio-proxy, restartPolicy: Always}], containers: [{name: sleep}]}}\n---\n"
		injected = "{apiVersion: v1, kind: Pod, metadata: {name: sleep-1, namespace: team}, spec: {containers: [{name: sleep}, {name: istio-proxy}]}}\n---\n"
		off      = "{apiVersion: v1, kind: Namespace, metadata: {name: team}}\n---\n"
		on       = "{apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {istio-injection: enabled}}}\n---\n"
	)
	look := evidence.Stage{Argv: []string{"kubectl", "get", "pod", "sleep-1", "-n", "team", "-o", "jsonpath={.spec.containers[*].name}"}}
	inner := evidence.Stage{Argv: []string{"kubectl", "get", "pod", "-n", "team"}, Inner: true}
	for name, test := range map[string]struct {
		world, want, got string
		stages           []evidence.Stage
		code             string
	}{
		"no label":                 {pod + off, "sleep istio-proxy", "sleep", []evidence.Stage{inner, look}, "injection-off"},
		"a pod older than it":      {pod + on, "sleep istio-proxy", "sleep", []evidence.Stage{look}, "pod-older-than-label"},
		"a native sidecar":         {native + on, "sleep istio-proxy", "sleep", []evidence.Stage{look}, "native-sidecar"},
		"another container":        {pod + off, "sleep curl", "sleep", []evidence.Stage{look}, ""},
		"the sidecar is there":     {injected + on, "sleep istio-proxy", "sleep", []evidence.Stage{look}, ""},
		"one of two looks":         {pod + off, "sleep istio-proxy", "sleep", []evidence.Stage{look, look}, ""},
		"a table":                  {pod + off, "istio-proxy", "sleep", []evidence.Stage{{Argv: look.Argv[:6]}}, ""},
		"the pod is there no more": {off, "sleep istio-proxy", "sleep", []evidence.Stage{look}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			found := (&explain.Explainer{Cluster: worldOf(t, test.world)}).Explain(t.Context(), explain.Failure{
				Kind: "shell", Namespace: "default", IstioNamespace: "istio-system",
				Attempt:  &evidence.Attempt{Shell: &evidence.Shell{Stages: test.stages}},
				Verdicts: evidence.Verdicts{{Key: "expect.shown", Outcome: evidence.NotHeld, Want: test.want, Got: test.got}},
			})
			if test.code == "" {
				for _, f := range found {
					assert.True(t, f.Unknown, f.Cause)
				}
				return
			}
			require.Len(t, found, 1)
			assert.Equal(t, test.code, found[0].Code, found[0].Cause)
		})
	}
}
