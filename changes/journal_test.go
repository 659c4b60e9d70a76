package changes_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

var ref = cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "a"}

func configMap(data map[string]any) *unstructured.Unstructured {
	return clustertest.Object("v1", "ConfigMap", "default", "a", map[string]any{"data": maps.Clone(data)})
}

// A game is a run on a fake, and somebody else who works there too.
type game struct {
	*testing.T
	c *clustertest.Fake
	j *changes.Journal
}

func play(t *testing.T, objects ...*unstructured.Unstructured) *game {
	c := clustertest.NewFake(objects...)
	return &game{t, c, changes.New(c)}
}

func (g *game) apply(data map[string]any) {
	g.Helper()
	_, _, err := g.j.Apply(g.Context(), configMap(data))
	require.NoError(g, err)
}

func (g *game) patch(text string) {
	g.Helper()
	_, _, err := g.j.Patch(g.Context(), ref, func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
		return []byte(text), changes.Words{}, nil
	})
	require.NoError(g, err)
}

func (g *game) remove() {
	g.Helper()
	require.NoError(g, g.j.Delete(g.Context(), ref, false))
}

// theirs changes the object as somebody else.
func (g *game) theirs(text string) {
	g.Helper()
	_, err := g.c.MergePatch(g.Context(), ref, []byte(text), cluster.WriteOptions{})
	require.NoError(g, err)
}

// anew has somebody else delete the object and make another one.
func (g *game) anew(data map[string]any) {
	g.Helper()
	require.NoError(g, g.c.Delete(g.Context(), ref, cluster.WriteOptions{}))
	_, err := g.c.Create(g.Context(), configMap(data))
	require.NoError(g, err)
}

// undo puts back what is open, and returns what went wrong with each.
func (g *game) undo() (errs []string) {
	g.j.Undo(g.Context(), g.j.Open(), time.Minute, func(u changes.Undone) {
		if u.Err != nil {
			errs = append(errs, u.Change.What+": "+u.Err.Error())
		}
	})
	return errs
}

// data returns the object's present data, nil if it does not exist.
func (g *game) data() map[string]any {
	g.Helper()
	obj, err := g.c.Get(g.Context(), ref)
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(g, err)
	data, _ := obj.Object["data"].(map[string]any)
	return data
}

type data = map[string]any

// Each row is a run, and what somebody else does during it: the object at the end, and
// what the run reports about it.
func TestWhatIsPutBack(t *testing.T) {
	was := data{"one": "1", "two": "2"}
	for name, c := range map[string]struct {
		was  map[string]any // nil for none
		run  func(g *game)
		want map[string]any
		errs []string
	}{
		"made":                           {nil, func(g *game) { g.apply(data{"one": "x"}) }, nil, nil},
		"made, changed by another":       {nil, func(g *game) { g.apply(data{"one": "x"}); g.theirs(`{"data":{"new":"y"}}`) }, nil, nil},
		"made, deleted by another":       {nil, func(g *game) { g.apply(data{"one": "x"}); g.c.Remove(ref) }, nil, nil},
		"made, made anew by another":     {nil, func(g *game) { g.apply(data{"one": "x"}); g.anew(data{"one": "y"}) }, data{"one": "y"}, []string{"configmap/a: made anew meanwhile by somebody, left as it is"}},
		"made, deleted":                  {nil, func(g *game) { g.apply(data{"one": "x"}); g.remove() }, nil, nil},
		"made, deleted, made by another": {nil, func(g *game) { g.apply(data{"one": "x"}); g.remove(); g.c.Put(configMap(data{"one": "y"})) }, data{"one": "y"}, nil},
		"made, deleted, made":            {nil, func(g *game) { g.apply(data{"one": "x"}); g.remove(); g.apply(data{"one": "y"}) }, nil, nil},
		"applied over":                   {was, func(g *game) { g.apply(data{"one": "x", "three": "3"}) }, was, nil},
		"applied over twice":             {was, func(g *game) { g.apply(data{"one": "x"}); g.apply(data{"three": "y"}) }, was, nil},
		"applied as it is":               {was, func(g *game) { g.apply(data{"one": "1"}) }, was, nil},
		"a key of another":               {was, func(g *game) { g.apply(data{"one": "x"}); g.theirs(`{"data":{"new":"y"}}`) }, data{"one": "1", "two": "2", "new": "y"}, nil},
		"a key of another in between": {was, func(g *game) {
			g.apply(data{"one": "x"})
			g.theirs(`{"data":{"new":"y","two":null}}`)
			g.apply(data{"one": "z"})
		}, data{"one": "1", "new": "y"}, nil},
		"the key that we changed":                 {was, func(g *game) { g.apply(data{"one": "x", "two": "x"}); g.theirs(`{"data":{"one":"y"}}`) }, data{"one": "y", "two": "2"}, []string{"configmap/a: changed meanwhile by somebody: data.one, left as it is"}},
		"changed, deleted by another":             {was, func(g *game) { g.patch(`{"data":{"one":"x"}}`); g.c.Remove(ref) }, nil, []string{"configmap/a: deleted meanwhile by somebody, left as it is"}},
		"changed, made anew by another":           {was, func(g *game) { g.patch(`{"data":{"one":"x"}}`); g.anew(data{"one": "x"}) }, data{"one": "x"}, []string{"configmap/a: made anew meanwhile by somebody, left as it is"}},
		"changed, made anew by another as it was": {was, func(g *game) { g.patch(`{"data":{"one":"x"}}`); g.anew(was) }, was, nil},
		"changed, deleted":                        {was, func(g *game) { g.patch(`{"data":{"one":"x"}}`); g.remove() }, was, nil},
		"deleted":                                 {was, func(g *game) { g.remove() }, was, nil},
		"deleted, made by another":                {was, func(g *game) { g.remove(); g.c.Put(configMap(data{"one": "y"})) }, data{"one": "y"}, []string{"configmap/a: made anew meanwhile by somebody, left as it is"}},
		"deleted, applied":                        {was, func(g *game) { g.remove(); g.apply(data{"three": "3"}) }, was, nil},
		"deleted, applied, changed by another": {was, func(g *game) { g.remove(); g.apply(data{"one": "x"}); g.theirs(`{"data":{"new":"y"}}`) },
			data{"one": "1", "two": "2", "new": "y"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := play(t)
			if c.was != nil {
				g.c.Put(configMap(c.was))
			}
			c.run(g)
			assert.Equal(t, c.errs, g.undo())
			assert.Equal(t, c.want, g.data())
			assert.Empty(t, g.j.Open(), "nothing is tried twice")
		})
	}
}

func TestWhatARunMakesSaysSo(t *testing.T) {
	g := play(t)
	g.apply(data{"one": "1"})
	obj, err := g.c.Get(t.Context(), ref)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"app.kubernetes.io/managed-by": "egressplay", "egressplay.io/run": g.j.Run}, obj.GetLabels())

	g = play(t, configMap(data{"one": "1"}))
	g.apply(data{"one": "2"})
	obj, err = g.c.Get(t.Context(), ref)
	require.NoError(t, err)
	assert.Empty(t, obj.GetLabels(), "what was there is not the run's")
}

// If the connection was lost, it is not known what the server did. Putting back finds
// that out.
func TestAChangeOfWhichNobodyKnowsWhetherItWasMade(t *testing.T) {
	lost := errors.New("connection reset by peer")
	for name, made := range map[string]bool{"it was made": true, "it was not": false} {
		for before, obj := range map[string]*unstructured.Unstructured{"nothing was there": nil, "something was there": configMap(data{"one": "1"})} {
			t.Run(before+", "+name, func(t *testing.T) {
				g := play(t)
				if obj != nil {
					g.c.Put(obj)
				}
				g.c.FailFunc = func(call clustertest.Call) error {
					if call.Verb != "apply" {
						return nil
					}
					if made {
						g.c.Put(call.Object)
					}
					return lost
				}
				_, _, err := g.j.Apply(t.Context(), configMap(data{"one": "x"}))
				require.ErrorIs(t, err, lost)
				assert.Empty(t, g.undo())
				if obj == nil {
					assert.Nil(t, g.data())
				} else {
					assert.Equal(t, data{"one": "1"}, g.data())
				}
			})
		}
	}
}

func TestARefusedChangeLeavesNothingToPutBack(t *testing.T) {
	g := play(t)
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "apply" {
			return apierrors.NewForbidden(ref.Resource(), "a", errors.New("no"))
		}
		return nil
	}
	_, _, err := g.j.Apply(t.Context(), configMap(nil))
	require.Error(t, err)
	assert.Empty(t, g.j.Open())
}

// Somebody changes the object between our look and our change.
func TestAChangeAtTheSameTime(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	meddled := false
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "patch" && !meddled {
			meddled = true
			g.c.Put(configMap(data{"one": "1", "new": "y"}))
		}
		return nil
	}
	g.patch(`{"data":{"one":"x"}}`)
	assert.Equal(t, data{"one": "x", "new": "y"}, g.data())
	assert.Empty(t, g.undo())
	assert.Equal(t, data{"one": "1", "new": "y"}, g.data())
}

// A pod of a Deployment that the run made goes with it, and with the pod the run's labels.
func TestWhatGoesWithWhatTheRunMade(t *testing.T) {
	g := play(t)
	put := func(kind, name string, owner *unstructured.Unstructured) *unstructured.Unstructured {
		obj := clustertest.Object("v1", kind, "default", name, nil)
		obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: owner.GetAPIVersion(), Kind: owner.GetKind(), Name: owner.GetName(), UID: owner.GetUID()}})
		g.c.Put(obj)
		now, err := g.c.Get(t.Context(), cluster.RefOf(obj))
		require.NoError(t, err)
		return now
	}
	patch := func(ref cluster.Ref) {
		_, _, err := g.j.Patch(t.Context(), ref, func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
			return []byte(`{"metadata":{"labels":{"a":"b"}}}`), changes.Words{What: "labels of " + ref.String()}, nil
		})
		require.NoError(t, err)
	}
	_, made, err := g.j.Apply(t.Context(), configMap(nil))
	require.NoError(t, err)
	between := put("Secret", "between", made)
	pod := cluster.RefOf(put("ConfigMap", "pod", between))
	patch(pod)
	other := clustertest.Object("v1", "ConfigMap", "default", "other", nil)
	g.c.Put(other)
	patch(cluster.RefOf(other))
	g.c.Remove(cluster.RefOf(other))
	// The owner is gone before anybody looks at the pod.
	gone := make(chan bool)
	g.c.FailFunc = func(call clustertest.Call) error {
		switch {
		case call.Verb == "delete" && call.Ref.Name == "a":
			g.c.Remove(call.Ref)
			close(gone)
			return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, "a")
		case call.Verb == "get" && call.Ref == pod:
			<-gone
		}
		return nil
	}
	assert.Equal(t, []string{"labels of configmap/other: deleted meanwhile by somebody, left as it is"}, g.undo())
	assert.Empty(t, g.j.Open())
}

func TestWhatCannotBePutBackIsNotDeleted(t *testing.T) {
	job := clustertest.Object("batch/v1", "Job", "default", "j", nil)
	withOwned := func() *game {
		g := play(t, job, configMap(nil))
		owner, err := g.c.Get(t.Context(), ref)
		require.NoError(t, err)
		owned := clustertest.Object("v1", "Secret", "default", "owned", nil)
		owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "a", UID: owner.GetUID()}})
		g.c.Put(owned)
		return g
	}
	for _, c := range []struct {
		ref  cluster.Ref
		want string
	}{
		{cluster.Ref{APIVersion: "v1", Kind: "Namespace", Name: "default"}, "namespace/default could not be put back: all that is in it goes with it"},
		{cluster.RefOf(job), "job/j could not be put back: one that is made anew does its work again"},
		{ref, "configmap/a could not be put back: what it owns goes with it: secret/owned"},
	} {
		g := withOwned()
		err := g.j.Delete(t.Context(), c.ref, false)
		require.EqualError(t, err, c.want)
		assert.True(t, changes.IsRefused(err))
		assert.Empty(t, g.j.Open())

		require.NoError(t, g.j.Delete(t.Context(), c.ref, true), "it is wanted so")
		assert.Equal(t, "deleted for good, as the playbook says", g.j.Open()[0].Back)
		assert.Empty(t, g.undo())
		_, err = g.c.Get(t.Context(), c.ref)
		assert.True(t, apierrors.IsNotFound(err), "%v", err)
	}

	g := play(t)
	made := clustertest.Object("v1", "Namespace", "", "made", nil)
	_, _, err := g.j.Apply(t.Context(), made)
	require.NoError(t, err)
	assert.NoError(t, g.j.Delete(t.Context(), cluster.RefOf(made), false), "the run itself made it")

	pod := clustertest.ReadyPod("default", "p", nil)
	controller := true
	pod.SetOwnerReferences([]metav1.OwnerReference{{Kind: "ReplicaSet", Name: "r", UID: "r", Controller: &controller}})
	g = play(t, pod)
	require.NoError(t, g.j.Delete(t.Context(), cluster.RefOf(pod), false), "its controller makes another")
	assert.Empty(t, g.undo())
	_, err = g.c.Get(t.Context(), cluster.RefOf(pod))
	assert.True(t, apierrors.IsNotFound(err), "nobody else does")
}

// Putting back waits for a server or a webhook that is away for some seconds.
func TestWhatTimeMayCureIsTriedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"server":    &cluster.UnreachableError{Server: "https://example.com", Err: errors.New("connection refused")},
		"webhook":   apierrors.NewInternalError(errors.New(`failed calling webhook "validation.istio.io"`)),
		"too many":  apierrors.NewTooManyRequests("later", 1),
		"conflict":  apierrors.NewConflict(ref.Resource(), "a", errors.New("modified")),
		"namespace": terminating(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := play(t, configMap(data{"one": "1"}))
				g.patch(`{"data":{"one":"x"}}`)
				back := time.Now().Add(20 * time.Second)
				g.c.FailFunc = func(call clustertest.Call) error {
					if call.Verb == "update" && time.Now().Before(back) {
						return err
					}
					return nil
				}
				assert.Empty(t, g.undo())
				assert.Equal(t, data{"one": "1"}, g.data())
				assert.Less(t, time.Since(back), 3*time.Second)
			})
		})
	}
}

func terminating() error {
	err := apierrors.NewForbidden(ref.Resource(), "a", errors.New("being terminated"))
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: "NamespaceTerminating"}}
	return err
}

// Changes that do not depend on each other are put back at the same time, including
// workloads that the run made. What makes pods comes when everything else is as it was.
func TestUndoesAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deployment := clustertest.Object("apps/v1", "Deployment", "default", "d", map[string]any{"spec": map[string]any{"replicas": int64(1)}})
		g := play(t, deployment)
		for _, name := range []string{"a", "b", "c"} {
			_, _, err := g.j.Apply(t.Context(), clustertest.Object("v1", "ConfigMap", "default", name, nil))
			require.NoError(t, err)
		}
		for _, name := range []string{"ours-1", "ours-2"} {
			_, _, err := g.j.Apply(t.Context(), clustertest.Object("apps/v1", "Deployment", "default", name, nil))
			require.NoError(t, err)
		}
		_, _, err := g.j.Patch(t.Context(), cluster.RefOf(deployment), func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
			return []byte(`{"spec":{"replicas":2}}`), changes.Words{}, nil
		})
		require.NoError(t, err)
		var mu sync.Mutex
		var last string
		g.c.FailFunc = func(call clustertest.Call) error {
			if call.Verb == "delete" {
				time.Sleep(10 * time.Second)
			}
			if call.Verb == "delete" || call.Verb == "update" {
				mu.Lock()
				defer mu.Unlock()
				last = call.String()
			}
			return nil
		}
		started := time.Now()
		var told []string
		g.j.Undo(t.Context(), g.j.Open(), time.Minute, func(u changes.Undone) { told = append(told, u.Change.What) })
		assert.Equal(t, 10*time.Second, time.Since(started))
		assert.Equal(t, "update deployment/d", last)
		assert.Equal(t, []string{"deployment/d", "deployment/ours-2", "deployment/ours-1", "configmap/c", "configmap/b", "configmap/a"}, told, "newest first")
	})
}

func TestADryRunChangesNothing(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	g.j.DryRun = true
	before := g.c.State()
	now, after, err := g.j.Apply(t.Context(), configMap(data{"one": "2"}))
	require.NoError(t, err)
	assert.NotEqual(t, now.GetResourceVersion(), after.GetResourceVersion(), "it would be changed")
	now, after, err = g.j.Apply(t.Context(), configMap(data{"one": "1"}))
	require.NoError(t, err)
	assert.Equal(t, now.GetResourceVersion(), after.GetResourceVersion(), "it is so already")
	now, _, err = g.j.Apply(t.Context(), clustertest.Object("v1", "ConfigMap", "default", "b", nil))
	require.NoError(t, err)
	assert.Nil(t, now)
	require.NoError(t, g.j.Delete(t.Context(), ref, false))
	assert.Equal(t, before, g.c.State())
	assert.Empty(t, g.j.Open())
}

// A store that fails keeps the change from being made.
func TestNothingIsChangedThatIsNotKept(t *testing.T) {
	g := play(t)
	g.j.Store = storeFunc(func(context.Context, []*changes.Change) error { return errors.New("disk full") })
	_, _, err := g.j.Apply(t.Context(), configMap(nil))
	require.EqualError(t, err, "nothing was changed: it could not be noted how to put it back: disk full")
	assert.Nil(t, g.data())
	assert.Empty(t, g.j.Open())
}

type storeFunc func(context.Context, []*changes.Change) error

func (f storeFunc) Save(ctx context.Context, all []*changes.Change) error { return f(ctx, all) }
func (storeFunc) Drop(context.Context, []*changes.Change) error           { return nil }
