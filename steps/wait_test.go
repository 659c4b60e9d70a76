package steps

import (
	"errors"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/runner"
)

func ptr[T any](v T) *T { return &v }

// with returns fields with one changed.
func with(fields map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(fields)
	changed[name] = value
	return changed
}

// workloadObject returns an object of a kind with spec and status, at generation 2.
func workloadObject(apiVersion, kind string, spec, status map[string]any) *unstructured.Unstructured {
	obj := clustertest.Object(apiVersion, kind, "default", "a", map[string]any{"spec": spec, "status": status})
	obj.SetGeneration(2)
	return obj
}

// Each claim about an object that meets it, and about one that does not.
func TestWait(t *testing.T) {
	deployment := func(status map[string]any) *unstructured.Unstructured {
		return workloadObject("apps/v1", "Deployment", map[string]any{"replicas": int64(1), "template": map[string]any{
			"spec": map[string]any{"containers": []any{map[string]any{"name": "sleep"}}}}}, status)
	}
	done := map[string]any{"observedGeneration": int64(2), "updatedReplicas": int64(1), "replicas": int64(1), "availableReplicas": int64(1),
		"conditions": []any{map[string]any{"type": "Available", "status": "True"}}}

	statefulSet := func(strategy, status map[string]any) *unstructured.Unstructured {
		return workloadObject("apps/v1", "StatefulSet", map[string]any{"replicas": int64(3), "updateStrategy": strategy}, status)
	}
	rolling := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(0)}}
	partial := map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(2)}}
	all := map[string]any{"observedGeneration": int64(2), "readyReplicas": int64(3), "updatedReplicas": int64(3), "currentRevision": "b", "updateRevision": "b"}

	daemonSet := func(strategy string, status map[string]any) *unstructured.Unstructured {
		return workloadObject("apps/v1", "DaemonSet", map[string]any{"updateStrategy": map[string]any{"type": strategy}}, status)
	}
	nodes := map[string]any{"observedGeneration": int64(2), "desiredNumberScheduled": int64(2), "updatedNumberScheduled": int64(2), "numberAvailable": int64(2)}

	job := func(condition, reason, message string) *unstructured.Unstructured {
		status := map[string]any{"active": int64(1)}
		if condition != "" {
			status = map[string]any{"conditions": []any{map[string]any{"type": condition, "status": "True", "reason": reason, "message": message}}}
		}
		return workloadObject("batch/v1", "Job", nil, status)
	}
	pod := func(phase, ready, reason string) *unstructured.Unstructured {
		return clustertest.Object("v1", "Pod", "default", "a", map[string]any{
			"spec": map[string]any{"containers": []any{map[string]any{"name": "x"}, map[string]any{"name": "y"}}},
			"status": map[string]any{"phase": phase, "podIP": "10.0.0.1", "reason": reason, "message": "the node was low on memory",
				"conditions": []any{map[string]any{"type": "Ready", "status": ready}}}})
	}
	running := pod("Running", "True", "")
	entry := clustertest.Object("networking.istio.io/v1", "ServiceEntry", "default", "a", map[string]any{
		"spec":   map[string]any{"hosts": []any{"a.org", "b.org"}, "empty": "", "null": nil, "none": []any{}, "ports": []any{map[string]any{"number": int64(80), "tls": true, "name": "x=y"}}},
		"status": map[string]any{"observedGeneration": int64(2), "conditions": []any{map[string]any{"type": "Reconciled", "status": "True", "observedGeneration": int64(1)}}},
	})
	entry.SetGeneration(2)

	for _, w := range []struct {
		object *unstructured.Unstructured
		what   string
		got    string // "" where it holds
		never  bool
	}{
		{deployment(done), "rollout", "", false},
		{deployment(with(done, "observedGeneration", int64(1))), "rollout", "not yet seen by its controller", false},
		{deployment(with(done, "updatedReplicas", int64(0))), "rollout", "0 of 1 pods updated", false},
		{deployment(with(done, "replicas", int64(2))), "rollout", "1 of 2 pods still to go", false},
		{deployment(with(with(done, "replicas", int64(2)), "updatedReplicas", int64(2))), "rollout", "1 of 2 pods still to go", false},
		{deployment(with(done, "availableReplicas", int64(0))), "rollout", "0 of 1 pods available", false},
		{deployment(with(done, "conditions", []any{map[string]any{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "no quota"}})),
			"rollout", "it exceeded its progress deadline (ProgressDeadlineExceeded: no quota)", true},

		{statefulSet(rolling, all), "rollout", "", false},
		{statefulSet(rolling, with(all, "replicas", int64(4))), "rollout", "1 of 4 pods still to go", false},
		{statefulSet(rolling, with(all, "observedGeneration", int64(1))), "rollout", "not yet seen by its controller", false},
		{statefulSet(rolling, with(all, "readyReplicas", int64(2))), "rollout", "2 of 3 pods ready", false},
		{statefulSet(rolling, with(all, "updatedReplicas", int64(1))), "rollout", "1 of 3 pods updated", false},
		{statefulSet(partial, with(all, "updatedReplicas", int64(1))), "rollout", "", false},
		{statefulSet(partial, with(all, "updatedReplicas", int64(0))), "rollout", "0 of 1 pods updated", false},
		{statefulSet(map[string]any{"type": "RollingUpdate"}, with(all, "currentRevision", "a")), "rollout", "3 of 3 pods updated", false},
		{statefulSet(map[string]any{"type": "OnDelete"}, all), "rollout", "its pods are replaced only when they are deleted (update strategy OnDelete)", true},

		{daemonSet("RollingUpdate", nodes), "rollout", "", false},
		{daemonSet("RollingUpdate", with(nodes, "observedGeneration", int64(1))), "rollout", "not yet seen by its controller", false},
		{daemonSet("RollingUpdate", with(nodes, "updatedNumberScheduled", int64(1))), "rollout", "1 of 2 pods updated", false},
		{daemonSet("RollingUpdate", with(nodes, "numberAvailable", int64(1))), "rollout", "1 of 2 pods available", false},
		{daemonSet("OnDelete", nodes), "rollout", "its pods are replaced only when they are deleted (update strategy OnDelete)", true},
		{running, "rollout", "a Pod: rollout is for a Deployment, a StatefulSet or a DaemonSet", true},

		{deployment(done), "condition=Available", "", false},
		{deployment(done), "condition=available", "", false},
		{deployment(done), "condition=Available=true", "", false},
		{deployment(done), "condition=Available=False", "True", false},
		{deployment(done), "condition=Progressing", "no such condition yet", false},
		{deployment(with(done, "observedGeneration", int64(1))), "condition=Available", "not yet of the object as it is written now", false},
		{entry, "condition=Reconciled", "not yet of the object as it is written now", false},
		{job("Complete", "", ""), "condition=Complete", "", false},
		{job("", "", ""), "condition=Complete", "no such condition yet", false},
		{job("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"), "condition=Complete",
			"no such condition yet; the job is Failed (BackoffLimitExceeded: Job has reached the specified backoff limit)", true},
		{job("Failed", "DeadlineExceeded", ""), "jsonpath={.status.succeeded}=1", "nothing at {.status.succeeded}; the job is Failed (DeadlineExceeded)", true},
		{job("Failed", "", ""), "condition=Failed", "", false},
		{job("Complete", "", ""), "condition=Failed", "no such condition yet; the job is Complete", true},
		{job("Failed", "", ""), "jsonpath={.metadata.labels.x}=1", "nothing at {.metadata.labels.x}", false},
		{running, "condition=Ready", "", false},
		{pod("Pending", "False", ""), "condition=Ready", "False", false},
		{pod("Failed", "False", "Evicted"), "condition=Ready", "False; the pod is Failed (Evicted: the node was low on memory)", true},
		{pod("Failed", "False", "Evicted"), "jsonpath={.status.phase}=Running", `"Failed"; the pod is Failed (Evicted: the node was low on memory)`, true},
		{pod("Failed", "False", "Evicted"), "jsonpath={.status.phase}=Failed", "", false},

		{running, "create", "", false},
		{running, "Create", "", false},
		{running, "delete", "still there", false},
		{nil, "create", "no such object", false},
		{nil, "rollout", "no such object", false},
		{nil, "condition=Ready", "no such object", false},
		{nil, "jsonpath={.a}=b", "no such object", false},
		{nil, "delete", "", false},

		{running, "jsonpath={.status.phase}=Running", "", false},
		{running, "jsonpath='{.status.phase}'=Running", "", false},
		{running, `jsonpath="{.status.phase}"="Running"`, "", false},
		{running, "'jsonpath={.status.phase}=Running'", "", false},
		{running, "jsonpath=.status.phase=Running", "", false},
		{running, "jsonpath=status.phase=Running", "", false},
		{running, "jsonpath={status.phase}=Running", "", false},
		{running, "jsonpath={.status.phase}= Running", "", false},
		{running, "jsonpath={.status.phase}=running", `"Running"`, false},
		{running, "jsonpath={.status.phsae}=Running", "nothing at {.status.phsae}", false},
		{running, `jsonpath='{.status.conditions[?(@.type=="Ready")].status}'=True`, "", false},
		{running, `jsonpath={.status.conditions[?(@.type=="Reday")].status}=True`, `nothing at {.status.conditions[?(@.type=="Reday")].status}`, false},
		{running, "jsonpath={.spec.containers[*].name}=x", "2 values", false},
		{running, "jsonpath={.spec.containers[*].name}=curl istio-proxy", `"x y"`, false},
		{running, "jsonpath={.spec.containers[*].name}=x y", "", false},
		{running, "jsonpath='{.spec.containers[*].name}{.spec.initContainers[*].name}'=x y", "", false},
		{running, "jsonpath='{.spec.containers[*].name}{.spec.initContainers[*].name}'=x", `"x y"`, false},
		{running, "jsonpath={.status.conditions[3].status}=True", "array index out of bounds: index 3, length 1", false},
		{running, "jsonpath={.spec.containers}=x", "an object or a list, not a value", true},
		{running, "jsonpath={.status.podIP}", "", false},
		{running, "jsonpath={.status.hostIP}", "nothing at {.status.hostIP}", false},
		{entry, "jsonpath={.spec.ports[0].number}=80", "", false},
		{entry, "jsonpath={.spec.ports[0].tls}=true", "", false},
		{entry, "jsonpath={.spec.hosts}", "", false},
		{entry, "jsonpath={.spec.null}", "nothing at {.spec.null}", false},
	} {
		name := "none"
		c := clustertest.NewFake()
		if w.object != nil {
			name = w.object.GetKind()
			c.Put(w.object)
		}
		t.Run(name+" "+w.what, func(t *testing.T) {
			step := &Wait{Object: "pod/a", For: w.what}
			if w.object != nil {
				step.Object = name + "/a"
			}
			require.NoError(t, step.Validate())
			assert.True(t, step.Repeats())
			_, err := step.Try(t.Context(), scope(c))
			assert.Equal(t, !w.never, step.Repeats())
			if w.got == "" {
				assert.NoError(t, err)
				return
			}
			mismatch, ok := errors.AsType[*runner.Mismatch](err)
			require.True(t, ok, "%v", err)
			got := mismatch.Got
			if w.what == "rollout" { // behind it stands what is wrong with the pods
				got = got[:min(len(got), len(w.got))]
			}
			assert.Equal(t, w.got, got)
		})
	}
}

// What a JSON path finds is compared in other ways than kubectl wait knows. What
// it does not find is not compared.
func TestWaitCompares(t *testing.T) {
	entry := clustertest.Object("networking.istio.io/v1", "ServiceEntry", "default", "a", map[string]any{
		"spec": map[string]any{"hosts": []any{"a.org", "b.org"}, "empty": "", "none": []any{}, "resolution": "DNS"}})
	for _, w := range []struct {
		path string
		wait Wait
		got  string
	}{
		{"{.spec.resolution}", Wait{Contains: ptr("NS")}, ""},
		{"{.spec.resolution}", Wait{Contains: ptr("STATIC")}, `"DNS"`},
		{"{.spec.hosts[*]}", Wait{Contains: ptr("b.org")}, ""},
		{"{.spec.resolutoin}", Wait{Contains: ptr("NS")}, "nothing at {.spec.resolutoin}"},
		{"{.spec.resolution}", Wait{Not: ptr("NONE")}, ""},
		{"{.spec.resolution}", Wait{Not: ptr("DNS")}, `"DNS"`},
		{"{.spec.resolutoin}", Wait{Not: ptr("NONE")}, "nothing at {.spec.resolutoin}"},
		{"{.spec.empty}", Wait{Not: ptr("NONE")}, `""`},
		{"{.spec.hosts}", Wait{Not: ptr("NONE")}, "an object or a list, not a value"},
		{"{.spec.hosts[*]}", Wait{Length: ptr(2)}, ""},
		{"{.spec.hosts[*]}", Wait{Length: ptr(1)}, "2 values"},
		{"{.spec.hosts[*]}", Wait{Length: ptr(2), Contains: ptr("a.org"), Not: ptr("a.org")}, ""},
		{"{.spec.none[*]}", Wait{Length: ptr(1)}, "nothing at {.spec.none[*]}"},
	} {
		t.Run(w.path+" "+w.wait.wanted(), func(t *testing.T) {
			step := w.wait
			step.Object, step.For = "serviceentry/a", "jsonpath="+w.path
			require.NoError(t, step.Validate())
			_, err := step.Try(t.Context(), scope(clustertest.NewFake(entry)))
			if w.got == "" {
				assert.NoError(t, err)
				return
			}
			mismatch, ok := errors.AsType[*runner.Mismatch](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, w.got, mismatch.Got)
		})
	}
}

func TestWaitBySelector(t *testing.T) {
	pod := func(name, phase string) *unstructured.Unstructured {
		p := clustertest.Object("v1", "Pod", "default", name, map[string]any{"status": map[string]any{"phase": phase}})
		p.SetLabels(map[string]string{"app": "x"})
		return p
	}
	wait := func(what string, pods ...*unstructured.Unstructured) error {
		w := &Wait{Object: "pod", Selector: "app=x", For: what}
		require.NoError(t, w.Validate())
		o, err := w.Try(t.Context(), scope(clustertest.NewFake(pods...)))
		if err == nil {
			assert.Equal(t, "pod/a condition met\npod/b condition met\n", o.Text)
		}
		return err
	}
	const runs = "jsonpath={.status.phase}=Running"
	assert.NoError(t, wait(runs, pod("a", "Running"), pod("b", "Running")))
	assert.EqualError(t, wait(runs, pod("a", "Running"), pod("b", "Pending")), "pod/b: want jsonpath={.status.phase}=Running, got \"Pending\"")
	assert.EqualError(t, wait(runs), "pod with the labels app=x: want jsonpath={.status.phase}=Running, got no such object")
	going := pod("b", "Pending")
	going.SetFinalizers([]string{"x/y"})
	now := metav1.Now()
	going.SetDeletionTimestamp(&now)
	assert.EqualError(t, wait(runs, going), "pod with the labels app=x: want jsonpath={.status.phase}=Running, got no such object")
}

func TestWaitSaysWhyPodsAreNotReady(t *testing.T) {
	status := map[string]any{"observedGeneration": int64(2), "updatedReplicas": int64(1), "replicas": int64(1)}
	c := clustertest.NewFake()
	c.Put(workloadObject("apps/v1", "Deployment", map[string]any{"template": map[string]any{}}, status))
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "pod" {
			return &cluster.NotReadyError{Query: call.Ref.Name, Reason: "pod sleep-1: container sleep: ErrImagePull"}
		}
		return nil
	}
	_, err := (&Wait{Object: "deploy/a", For: "rollout"}).Try(t.Context(), scope(c))
	assert.EqualError(t, err, "deployment/a: want rollout, got 0 of 1 pods available; pod sleep-1: container sleep: ErrImagePull")
}

// A wait for what will never be fails at once, whatever time it has.
func TestWaitEndsAtOnce(t *testing.T) {
	failed := workloadObject("batch/v1", "Job", nil, map[string]any{"conditions": []any{map[string]any{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}}})
	e := finished(play(t, clustertest.NewFake(failed), false, &Wait{Object: "job/a", For: "condition=Complete"}))[0]
	assert.Equal(t, runner.Failed, e.Status)
	assert.Equal(t, 1, e.Attempts)
	assert.ErrorContains(t, e.Problem, "BackoffLimitExceeded")
}

func TestWaitIsChecked(t *testing.T) {
	for _, w := range []struct {
		wait Wait
		err  string
		hint string
	}{
		{Wait{Object: "deploy/a", For: "rolout"}, `cannot wait for "rolout"`, "did you mean rollout?"},
		{Wait{Object: "deploy/a", For: "conditon=Ready"}, `cannot wait for "conditon=Ready"`, "did you mean condition?"},
		{Wait{Object: "deploy/a", For: "Ready"}, `cannot wait for "Ready"`, "did you mean condition=Ready?"},
		{Wait{Object: "deploy/a", For: "deleted"}, `cannot wait for "deleted"`, "did you mean delete?"},
		{Wait{Object: "deploy/a", For: ""}, `cannot wait for ""`, ""},
		{Wait{Object: "deploy/a", For: "condition"}, "names no condition", ""},
		{Wait{Object: "deploy/a", For: "condition="}, "names no condition", ""},
		{Wait{Object: "deploy/a", For: "condition=Ready="}, "names no condition", ""},
		{Wait{Object: "deploy/a", For: "jsonpath"}, "the JSON path is missing", ""},
		{Wait{Object: "deploy/a", For: "jsonpath=''=a"}, "the JSON path is missing", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a}="}, "compared with nothing", "write jsonpath={PATH}=VALUE, or jsonpath={PATH} for any value"},
		{Wait{Object: "deploy/a", For: "jsonpath='{.a}'=''"}, "compared with nothing", "write jsonpath={PATH}=VALUE, or jsonpath={PATH} for any value"},
		{Wait{Object: "deploy/a", For: "jsonpath={.a}=b=c"}, "more than one value", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a"}, "want a path such as", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a[}=b"}, "jsonpath {.a[}", ""},
		{Wait{Object: "deploy/a", For: "jsonpath=a{.b}=a"}, "want a path such as", ""},
		{Wait{Object: "deploy/a", For: `jsonpath={"a"}{.b}=a`}, "want a path such as", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a}", Contains: ptr("")}, "contains is empty", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a}", Not: ptr("")}, "not is empty", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a}", Length: ptr(-1)}, "length must be 0 or more, got -1", ""},
		{Wait{Object: "deploy/a", For: "jsonpath={.a}=b", Not: ptr("c")}, "has a value already", ""},
		{Wait{Object: "deploy/a", For: "rollout", Not: ptr("c")}, "go with a JSON path", "write for: jsonpath={PATH}"},
		{Wait{Object: "deploy", For: "rollout"}, `"deploy" names no object`, "write KIND/NAME, or add selector: LABELS"},
		{Wait{Object: "deploy/a", Selector: "a=b", For: "rollout"}, "named or selected, not both", ""},
		{Wait{Object: "deploy", Selector: "a=b", For: "delete"}, "would pass for deleted", "name the object instead"},
	} {
		t.Run(w.wait.For, func(t *testing.T) {
			err := w.wait.Validate()
			require.ErrorContains(t, err, w.err)
			fe, ok := errors.AsType[*runner.FieldError](err)
			require.True(t, ok)
			assert.Equal(t, w.hint, fe.Hint)
			assert.Len(t, fe.Field, 1)
		})
	}
	for _, what := range []string{"${WHAT}", "jsonpath=${PATH}=${VALUE}", "condition=${NAME}", `jsonpath='{.a[?(@.b=="${IP}")].c}'=${IP}`} {
		assert.NoError(t, (&Wait{Object: "deploy/a", For: what}).Validate(), what)
	}
}

func TestCommandsOfWait(t *testing.T) {
	for want, w := range map[string]Wait{
		"kubectl rollout status deploy/a":                                                                 {Object: "deploy/a", For: "rollout"},
		"kubectl -n x rollout status sts -l app=a":                                                        {Object: "sts", Selector: "app=a", Namespace: "x", For: "rollout"},
		"kubectl wait --for=condition=Ready pod -l app=a":                                                 {Object: "pod", Selector: "app=a", For: "condition=Ready"},
		"kubectl wait --for=delete pod/a":                                                                 {Object: "pod/a", For: "delete"},
		"kubectl wait '--for=jsonpath={.status.phase}=Running' pod/a":                                     {Object: "pod/a", For: "jsonpath='{.status.phase}'=Running"},
		"kubectl wait '--for=jsonpath={.status.readyReplicas}=1' deploy/a":                                {Object: "deploy/a", For: "jsonpath=.status.readyReplicas=1"},
		"kubectl wait '--for=jsonpath={.a}' deploy/a":                                                     {Object: "deploy/a", For: "jsonpath={.a}"},
		`until [ "$(kubectl get pod/a -o 'jsonpath={.a}{.b}')" = c ]; do sleep 1; done`:                   {Object: "pod/a", For: "jsonpath='{.a}{.b}'=c"},
		`until echo "$(kubectl get pod/a -o 'jsonpath={.a}')" | grep -qF -- 'b c'; do sleep 1; done`:      {Object: "pod/a", For: "jsonpath={.a}", Contains: ptr("b c")},
		`until case "$(kubectl get pod/a -o 'jsonpath={.a}')" in '' | b) false ;; esac; do sleep 1; done`: {Object: "pod/a", For: "jsonpath={.a}", Not: ptr("b")},
		`until [ "$(kubectl get pod/a -o 'jsonpath={range .a[*]}x{end}')" = xx ]; do sleep 1; done`:       {Object: "pod/a", For: "jsonpath={.a[*]}", Length: ptr(2)},
	} {
		assert.Equal(t, want, w.Command(scope(nil)))
	}
}
