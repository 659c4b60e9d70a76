package steps

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/runner"
)

func patched(object, text string) *Patch {
	return &Patch{Object: object, Merge: MergePatch{Text: text}}
}

// Each verb that changes an object: what is different then, and that the object
// is as it was at the end.
func TestChangesOfAnObject(t *testing.T) {
	before := clustertest.Object("apps/v1", "Deployment", "default", "sleep", map[string]any{"spec": map[string]any{
		"replicas": int64(1), "paused": true,
		"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{"mine": "yes"}}},
	}})
	before.SetAnnotations(map[string]string{"mine": "yes", "old": "1"})
	ref := cluster.RefOf(before)
	at := func(obj *unstructured.Unstructured, path ...string) any {
		value, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
		return value
	}

	for name, test := range map[string]struct {
		action  runner.Action
		command string
		output  string
		check   func(t *testing.T, obj *unstructured.Unstructured)
	}{
		"annotate": {
			&Annotate{Object: "deploy/sleep", Set: map[string]string{"mine": "no", "a/b": "c d"}, Remove: []string{"old", "never"}},
			"kubectl annotate --overwrite deploy sleep 'a/b=c d' mine=no never- old-",
			"deployment.apps/sleep annotated\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				assert.Equal(t, map[string]string{"mine": "no", "a/b": "c d"}, obj.GetAnnotations())
			},
		},
		"annotate as it is": {
			&Annotate{Object: "deploy/sleep", Set: map[string]string{"mine": "yes"}},
			"kubectl annotate --overwrite deploy sleep mine=yes",
			"deployment.apps/sleep not annotated\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				assert.Equal(t, map[string]string{"mine": "yes", "old": "1"}, obj.GetAnnotations())
			},
		},
		"patch": {
			patched("deploy/sleep", "spec:\n  replicas: 3\n  paused: null\n"),
			`kubectl patch deploy/sleep --type=merge -p '{"spec":{"paused":null,"replicas":3}}'`,
			"deployment.apps/sleep patched\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				assert.EqualValues(t, 3, at(obj, "spec", "replicas"))
				assert.Nil(t, at(obj, "spec", "paused"))
				assert.NotNil(t, at(obj, "spec", "template"))
			},
		},
		"patch by operations": {
			&Patch{Object: "deploy/sleep", JSON: JSONPatch{Text: `[{"op": "replace", "path": "/spec/replicas", "value": 3}, {"op": "remove", "path": "/spec/paused"},` +
				`{"op": "add", "path": "/metadata/annotations/a~1b", "value": "c"}]`}},
			`kubectl patch deploy/sleep --type=json -p '[{"op":"replace","path":"/spec/replicas","value":3},{"op":"remove","path":"/spec/paused"},{"op":"add","path":"/metadata/annotations/a~1b","value":"c"}]'`,
			"deployment.apps/sleep patched\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				assert.EqualValues(t, 3, at(obj, "spec", "replicas"))
				assert.Nil(t, at(obj, "spec", "paused"))
				assert.Equal(t, map[string]string{"mine": "yes", "old": "1", "a/b": "c"}, obj.GetAnnotations())
			},
		},
		"patch in JSON": {
			patched("deploy/sleep", `{"metadata": {"labels": {"a": "b"}}}`),
			`kubectl patch deploy/sleep --type=merge -p '{"metadata":{"labels":{"a":"b"}}}'`,
			"deployment.apps/sleep patched\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				assert.Equal(t, map[string]string{"a": "b"}, obj.GetLabels())
			},
		},
		"scale": {
			&Scale{Object: "deploy/sleep", Replicas: 0},
			"kubectl scale deploy/sleep --replicas=0",
			"deployment.apps/sleep scaled\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				assert.EqualValues(t, 0, at(obj, "spec", "replicas"))
			},
		},
		"restart": {
			&Restart{Objects: []string{"deploy/sleep"}},
			"kubectl rollout restart deploy/sleep",
			"deployment.apps/sleep restarted\n",
			func(t *testing.T, obj *unstructured.Unstructured) {
				annotations, _ := at(obj, "spec", "template", "metadata", "annotations").(map[string]any)
				assert.Equal(t, "yes", annotations["mine"])
				assert.NotEmpty(t, annotations[restartedAt])
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := clustertest.NewFake(before)
			e := finished(play(t, c, true, test.action))[0]
			require.Equal(t, runner.Passed, e.Status, "%v", e.Problem)
			assert.Equal(t, test.command, e.Command)
			assert.Equal(t, test.output, e.Output)
			after, err := c.Get(t.Context(), ref)
			require.NoError(t, err)
			test.check(t, after)

			c = clustertest.NewFake(before)
			for _, e := range play(t, c, false, test.action, test.action) {
				if e.Kind == runner.Undone {
					assert.Nil(t, e.Problem)
				}
			}
			after, err = c.Get(t.Context(), ref)
			require.NoError(t, err)
			for _, field := range []string{"spec", "metadata"} {
				delete(after.Object[field].(map[string]any), "resourceVersion")
				delete(after.Object[field].(map[string]any), "uid")
				delete(after.Object[field].(map[string]any), "creationTimestamp")
				want, _ := json.Marshal(before.Object[field])
				got, _ := json.Marshal(after.Object[field])
				assert.JSONEq(t, string(want), string(got))
			}
		})
		t.Run(name+" of nothing", func(t *testing.T) {
			e := finished(play(t, clustertest.NewFake(), false, test.action))[0]
			assert.Equal(t, runner.Failed, e.Status)
			assert.ErrorContains(t, e.Problem, "deployment/sleep: want there, to be ")
		})
	}
}

// What the playbook made goes at the end, and needs no restart before.
func TestRestartOfWhatThePlaybookMade(t *testing.T) {
	c := clustertest.NewFake()
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: sleep}\nspec: {template: {}}\n"
	var undone []string
	for _, e := range play(t, c, false, &Apply{Manifest: Manifest{Text: deployment}}, &Restart{Objects: []string{"deploy/sleep"}}) {
		if e.Kind == runner.Undone {
			undone = append(undone, e.Undo)
		}
	}
	assert.Equal(t, []string{"deployment/sleep"}, undone)
}

func TestWhatCannotBeChanged(t *testing.T) {
	c := clustertest.NewFake(clustertest.Object("v1", "ConfigMap", "default", "a", nil))
	e := finished(play(t, c, false, &Scale{Object: "cm/a", Replicas: 1}))[0]
	assert.ErrorContains(t, e.Problem, "configmap/a cannot be scaled: it has no spec.replicas")
	e = finished(play(t, c, false, &Patch{Object: "cm/a", JSON: JSONPatch{Text: `[{"op": "remove", "path": "/data/none"}]`}}))[0]
	assert.ErrorContains(t, e.Problem, "the patch does not fit ConfigMap a")
	e = finished(play(t, c, false, &Patch{Object: "cm/a", JSON: JSONPatch{Text: `[{"op": "test", "path": "/metadata/name", "value": "b"}]`}}))[0]
	assert.ErrorContains(t, e.Problem, "the patch does not fit ConfigMap a")
	e = finished(play(t, c, false, &Restart{Objects: []string{"cm/a"}}))[0]
	assert.ErrorContains(t, e.Problem, "configmap/a cannot be restarted: want a Deployment, a StatefulSet or a DaemonSet")

	for _, v := range []Validator{
		&Annotate{Object: "cm"}, &Annotate{Object: "cm/a"}, &Annotate{Object: "cm/a", Set: map[string]string{"a": "b"}, Remove: []string{"a"}},
		&Patch{Object: "cm"}, &Patch{Object: "cm/a"}, &Patch{Object: "secret/a", JSON: JSONPatch{Text: "[]"}},
		&Patch{Object: "cm/a", Merge: MergePatch{Text: "a: 1"}, JSON: JSONPatch{Text: "[]"}}, &Scale{Object: "cm/a/b"}, &Scale{Object: "deploy/a", Replicas: -1}, &Restart{}, &Restart{Objects: []string{"a"}},
	} {
		assert.Error(t, v.Validate(), "%T %+v", v, v)
	}
	for _, text := range []string{"", "text", "[a]", "a: 1\n---\nb: 2\n", "a: {", "a: 1\na: 2\n"} {
		assert.Error(t, new(MergePatch).UnmarshalText([]byte(text)), text)
	}
	for _, text := range []string{
		"", "text", "a: 1", "[]", "[a]", `[{"op": "frob", "path": "/a"}]`, `[{"op": "add", "path": "/a"}]`, `[{"op": "remove", "path": "a"}]`, `[{"op": "copy", "path": "/a"}]`, `[{"path": "/a"}]`,
	} {
		assert.Error(t, new(JSONPatch).UnmarshalText([]byte(text)), text)
	}
	m := MergePatch{Text: "spec:\n  replicas: ${N}\n  host: ${H}\n"}
	require.NoError(t, m.ExpandVars(func(name string) (string, bool) {
		return map[string]string{"N": "2", "H": "a: b"}[name], true
	}))
	patch, err := m.json()
	require.NoError(t, err)
	assert.JSONEq(t, `{"spec":{"replicas":2,"host":"a: b"}}`, string(patch))
}
