package steps

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// newScript returns a step with a script, its variables in place.
func newScript(t *testing.T, text string, vars map[string]string) *Shell {
	t.Helper()
	s := new(Shell)
	require.NoError(t, s.Script.UnmarshalText([]byte(text)))
	require.NoError(t, s.Script.ExpandVars(func(name string) (string, bool) { v, ok := vars[name]; return v, ok }))
	return s
}

func TestShellReads(t *testing.T) {
	c := clustertest.NewFake()
	m := Manifest{Text: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {policy: 'mode: X'}\n"}
	objects, err := m.Objects()
	require.NoError(t, err)
	scope := runner.NewScope(c, nil)
	scope.Namespace = "default"
	_, _, err = scope.Changes.Apply(t.Context(), objects[0])
	require.NoError(t, err)
	for text, want := range map[string]string{
		"kubectl get cm a -o jsonpath='{.data.policy}' | grep -o mode": "mode\n",
		"kubectl get cm a -o yaml | grep policy":                       "  policy: 'mode: X'\n",
		"kubectl get cm a -o name":                                     "configmap/a\n",
		"kubectl get cm none":                                          "",
		"kubectl get cm $NAME -o name; echo $NAME":                     "configmap/a\na\n",
	} {
		a, err := newScript(t, text, map[string]string{"NAME": "a"}).Try(t.Context(), scope)
		require.NoError(t, err, text)
		if want == "" {
			assert.Equal(t, 1, a.Shell.Stages[0].Code)
			assert.Contains(t, a.Shell.Text, "NotFound")
			continue
		}
		assert.Equal(t, want, a.Shell.Text, text)
	}
}

func TestShellSets(t *testing.T) {
	scope := runner.NewScope(clustertest.NewFake(), nil)
	s := newScript(t, "A=$(echo one two | cut -d' ' -f2); export B=\"$A-$C\"", map[string]string{"C": "x"})
	assert.Equal(t, []string{"A", "B"}, s.Defines())
	_, err := s.Try(t.Context(), scope)
	require.NoError(t, err)
	b, _ := scope.Lookup("B")
	assert.Equal(t, "two-x", b)
}

// TestShellOnlyLooks has scripts that change something, or reach for the host.
func TestShellOnlyLooks(t *testing.T) {
	for _, text := range []string{
		"kubectl delete svc a", "kubectl apply -f - <<EOF\na\nEOF", "kubectl get pod | kubectl apply -f -", "kubectl --kubeconfig x get pod", "kubectl exec p", "kubectl logs -f p",
		"kubectl get pod -o go-template=x", "kubectl describe pod x", "ls", "cat /etc/passwd", "kubectl run x --image y", "for i in a; do kubectl delete svc $i; done",
	} {
		assert.Error(t, new(Shell).Script.UnmarshalText([]byte(text)), "%s", text)
	}
	s := new(Shell)
	require.NoError(t, s.Script.UnmarshalText([]byte("echo $NONE")))
	assert.Error(t, s.Script.ExpandVars(func(string) (string, bool) { return "", false }))
}

func TestCutTimes(t *testing.T) {
	for stderr, want := range map[string][2]string{
		"":               {"", ""},
		"curl: (28) x\n": {"curl: (28) x\n", ""},
		"real\t0m 5.02s\nuser\t0m 0.00s\nsys\t0m 0.00s\n":                                                          {"", "real\t0m 5.02s\nuser\t0m 0.00s\nsys\t0m 0.00s\n"},
		"x\n\nreal\t0m5.024s\nuser\t0m0.003s\nsys\t0m0.003s\n":                                                     {"x\n", "\nreal\t0m5.024s\nuser\t0m0.003s\nsys\t0m0.003s\n"},
		"0.01user 0.00system 0:05.45elapsed 0%CPU (0a+0d 1k)\n0inputs+0outputs (0major+6minor)pagefaults 0swaps\n": {"", "0.01user 0.00system 0:05.45elapsed 0%CPU (0a+0d 1k)\n0inputs+0outputs (0major+6minor)pagefaults 0swaps\n"},
	} {
		rest, times := cutTimes(stderr)
		assert.Equal(t, want, [2]string{rest, times}, "%q", stderr)
	}
}

func TestDeletesWhatMayBeGone(t *testing.T) {
	scope := runner.NewScope(clustertest.NewFake(), nil)
	scope.Namespace = "default"
	a, err := (&Delete{Objects: []string{"configmap/gone"}, IfThere: true}).Try(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, "configmap/gone is not there\n", a.Text)
	_, err = (&Delete{Objects: []string{"configmap/gone"}}).Try(t.Context(), scope)
	assert.Error(t, err)
	scope.AfterFailure = true
	_, err = (&Delete{Objects: []string{"configmap/gone"}}).Try(t.Context(), scope)
	assert.NoError(t, err, "what makes it may not have run")
}

// What a script reads is known before the run, so that missing permissions are.
func TestWhatAScriptReadsIsKnown(t *testing.T) {
	for script, want := range map[string][]string{
		"kubectl get pod -l app=sleep -o name | wc -l":                      {"list pod"},
		"kubectl get pods,services -A -o name":                              {"list pods in *", "list services in *"},
		"for n in a b; do kubectl -n other get service $n -o name; done":    {"get service/${} in other"},
		"X=$(kubectl get configmap/istio -n istio-system -o yaml); echo $X": {"get configmap/istio in istio-system"},
		"kubectl logs deploy/sleep -c istio-proxy":                          {"list Pod", "list ReplicaSet", "get deploy/sleep", "get Pod log"},
		"kubectl exec \"$POD\" -- curl -s http://a.example | head -1":       {"get Pod/${}", "create Pod/${} exec"},
		"kubectl describe pod kube-apiserver -n kube-system | grep range":   {"get servicecidr/kubernetes"},
		"echo a": nil,
	} {
		s := &Shell{}
		require.NoError(t, s.Script.UnmarshalText([]byte(script)), script)
		var got []string
		for _, a := range s.Reads() {
			text := a.Verb + " " + a.Ref.Kind
			if a.Ref.Name != "" {
				text += "/" + a.Ref.Name
			}
			if a.Ref.Namespace != "" {
				text += " in " + a.Ref.Namespace
			}
			if a.Subresource != "" {
				text += " " + a.Subresource
			}
			got = append(got, text)
		}
		assert.Equal(t, want, got, script)
	}
}

// A script tells of each command in a pod what it showed, and of a log the request before.
func TestAScriptTellsOfItsRequests(t *testing.T) {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "curl-1", nil, "c"), clustertest.ReadyPod("default", "curl-2", nil, "c"))
	c.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
		fmt.Fprintln(r.Stdout, "of", r.Pod)
		return cluster.ExecResult{Trusted: true}, nil
	}
	c.LogsFunc = func(context.Context, cluster.LogRequest) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	scope := runner.NewScope(c, nil)
	scope.Namespace = "default"
	try := func(text string) []evidence.Stage {
		a, err := newScript(t, text, nil).Try(t.Context(), scope)
		require.NoError(t, err)
		return a.Shell.Stages
	}
	stages := try("kubectl logs curl-1")
	assert.Nil(t, stages[0].Request, "nothing has made a request")
	assert.Equal(t, "curl-1", stages[0].Pod.Name)

	stages = try("kubectl exec curl-1 -- wget a | head -1; kubectl exec $(echo curl-2) -- wget b; kubectl exec curl-1 -- cat /tmp/x; kubectl logs curl-1")
	require.Len(t, stages, 6)
	for i, pod := range map[int]string{0: "curl-1", 3: "curl-2", 4: "curl-1", 5: "curl-1"} {
		assert.Equal(t, pod, stages[i].Pod.Name, "stage %d", i)
	}
	for i, pod := range map[int]string{0: "curl-1", 3: "curl-2", 4: "curl-2", 5: "curl-2"} {
		require.NotNil(t, stages[i].Request, "stage %d", i)
		assert.Equal(t, "of "+pod+"\n", stages[i].Request.Command.Stdout, "stage %d", i)
	}
	assert.Nil(t, stages[1].Request, "head")

	_, err := newScript(t, "kubectl exec \"$(kubectl get pod -l app=none -o jsonpath='{.items..metadata.name}')\" -- wget a", nil).Try(t.Context(), scope)
	assert.EqualError(t, err, "kubectl exec: the name of the pod is empty: there is no pod with the labels app=none in namespace default")
	_, err = newScript(t, "kubectl logs \"$(kubectl get pod -l app=none -o jsonpath='{.items..metadata.name}')\"", nil).Try(t.Context(), scope)
	assert.EqualError(t, err, "kubectl logs: the name of the pod is empty: there is no pod with the labels app=none in namespace default")
	_, err = newScript(t, "kubectl get pod \"$(kubectl get pod -l app=none -o jsonpath='{.items..metadata.name}')\"", nil).Try(t.Context(), scope)
	assert.EqualError(t, err, "kubectl get: the name of the pod is empty: there is no pod with the labels app=none in namespace default")
	_, err = newScript(t, "kubectl exec \"$(kubectl get pod curl-1 -o jsonpath='{.metadata.none}')\" -- wget a", nil).Pod(t.Context(), scope)
	assert.EqualError(t, err, "kubectl exec: the name of the pod is empty")
}

// TestShellPod has scripts whose first command in a pod reads a variable that the script
// sets itself.
func TestShellPod(t *testing.T) {
	c := clustertest.NewFake(clustertest.ReadyPod("default", "a", nil, "c"), clustertest.ReadyPod("default", "b", nil, "c"))
	scope := runner.NewScope(c, nil)
	scope.Namespace = "default"
	for text, want := range map[string]string{
		`for h in x y; do kubectl exec $P -- curl $h; done`:          "a",
		`for h in {1..3}; do kubectl exec $P -- curl $h; done`:       "a",
		`for h in $(seq 3); do kubectl exec $P -- curl $h; done`:     "a",
		`for p in b a; do kubectl exec $p -- curl x; done`:           "b",
		`X=1; kubectl exec $P -- curl $X`:                            "a",
		`Q=$(kubectl get pod b -o name); kubectl exec $Q -- curl x`:  "",
		`kubectl exec $P -- curl x; P=b; kubectl exec $P -- curl $P`: "a",
		`echo $P`: "",
	} {
		pod, err := newScript(t, text, map[string]string{"P": "a"}).Pod(t.Context(), scope)
		require.NoError(t, err, text)
		name := ""
		if pod != nil {
			name = pod.Name
		}
		assert.Equal(t, want, name, text)
	}
	_, err := newScript(t, `kubectl exec none -- curl x`, nil).Pod(t.Context(), scope)
	assert.Error(t, err)
}
