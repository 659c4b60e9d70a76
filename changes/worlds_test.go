package changes_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
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

var errLost = &cluster.UnreachableError{Server: "https://s", Err: errors.New("connection reset by peer")}

// failOnce has the first call of a verb on ConfigMap a end with an error, after
// first.
func (g *game) failOnce(verb string, err error, first func(call clustertest.Call)) {
	done := false
	g.c.FailFunc = func(call clustertest.Call) error {
		if done || call.Verb != verb || call.Ref.Name != "a" || call.Ref.Kind != "ConfigMap" {
			return nil
		}
		done = true
		if first != nil {
			first(call)
		}
		return err
	}
}

func secretsOf(g *game) {
	g.j.Run, g.j.Store = "abc", &changes.Secrets{Cluster: g.c, Namespace: "default", Run: aRun()}
}

// killed has another process continue with the run's notes, as after kill -9.
func (g *game) killed() {
	g.Helper()
	g.c.FailFunc = nil
	kept, err := changes.Find(g.Context(), g.c, "")
	require.NoError(g, err)
	require.Len(g, kept, 1)
	g.j = kept[0].Journal(g.c)
}

func notes(g *game) int {
	secrets, err := g.c.List(g.Context(), "secrets", "default", changes.RunLabel)
	require.NoError(g, err)
	return len(secrets)
}

// The run deletes an object, and applies it again; the server is away before it gets
// the second request.
func TestWorldDeletedThenApplyLost(t *testing.T) {
	was := data{"one": "1"}
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill ", kill), func(t *testing.T) {
			g := play(t, configMap(was))
			secretsOf(g)
			g.remove()
			g.failOnce("apply", errLost, nil)
			_, _, err := g.j.Apply(t.Context(), configMap(data{"one": "x"}))
			require.Error(t, err)
			if kill {
				g.killed()
			}
			assert.Empty(t, g.undo())
			assert.Equal(t, was, g.data(), "the user's object is there again")
		})
	}
}

// An object has to be deleted and made again to become as it was, and the server is
// away in between.
func TestWorldExchangeInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was := data{"one": "1"}
		g := play(t, configMap(was))
		g.remove()
		g.apply(data{"one": "x"})
		away := true
		g.c.FailFunc = func(call clustertest.Call) error {
			switch {
			case call.Verb == "update":
				return apierrors.NewInvalid(schemaGK, "a", nil)
			case call.Verb == "create" && away:
				away = false
				return errLost
			}
			return nil
		}
		assert.Empty(t, g.undo())
		assert.Equal(t, was, g.data(), "the user's object is there again")
	})
}

// The run patches an object, and the request to delete it is lost.
func TestWorldChangedThenDeleteLost(t *testing.T) {
	was := data{"one": "1"}
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill ", kill), func(t *testing.T) {
			g := play(t, configMap(was))
			secretsOf(g)
			g.patch(`{"data":{"one":"x"}}`)
			g.failOnce("delete", errLost, nil)
			require.Error(t, g.j.Delete(t.Context(), ref, false))
			if kill {
				g.killed()
			}
			assert.Empty(t, g.undo())
			assert.Equal(t, was, g.data())
		})
	}
}

// Of two changes of one field, the second request is lost.
func TestWorldSecondChangeLost(t *testing.T) {
	was := data{"one": "1"}
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill ", kill), func(t *testing.T) {
			g := play(t, configMap(was))
			secretsOf(g)
			g.patch(`{"data":{"one":"x"}}`)
			g.failOnce("patch", errLost, nil)
			_, _, err := g.j.Patch(t.Context(), ref, func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
				return []byte(`{"data":{"one":"y"}}`), changes.Words{}, nil
			})
			require.Error(t, err)
			if kill {
				g.killed()
			}
			assert.Empty(t, g.undo(), "nobody else has changed it")
			assert.Equal(t, was, g.data())
		})
	}
}

// An object is deleted, but nobody may watch until it is gone.
func TestWorldDeleteDoneWaitForbidden(t *testing.T) {
	was := data{"one": "1"}
	g := play(t, configMap(was))
	wait := fmt.Errorf("wait until configmap/a is gone: %w", apierrors.NewForbidden(ref.Resource(), "a", errors.New("cannot watch")))
	g.failOnce("delete", wait, func(clustertest.Call) { g.c.Remove(ref) })
	require.Error(t, g.j.Delete(t.Context(), ref, false))
	assert.NotEmpty(t, g.j.Open())
	g.undo()
	assert.Equal(t, was, g.data())
}

// The answer to a creation is lost, and the object is applied again.
func TestWorldCreateLostAndTriedAgain(t *testing.T) {
	g := play(t)
	g.failOnce("apply", apierrors.NewServerTimeout(ref.Resource(), "patch", 1), func(call clustertest.Call) { g.c.Put(call.Object) })
	_, _, err := g.j.Apply(t.Context(), configMap(data{"one": "x"}))
	require.Error(t, err)
	g.apply(data{"one": "y"})
	assert.Empty(t, g.undo())
	assert.Nil(t, g.data(), "the run made it")
}

// The answer to a creation is lost, and the object is deleted.
func TestWorldCreateLostAndDeleted(t *testing.T) {
	g := play(t)
	g.failOnce("apply", apierrors.NewServerTimeout(ref.Resource(), "patch", 1), func(call clustertest.Call) { g.c.Put(call.Object) })
	_, _, err := g.j.Apply(t.Context(), configMap(data{"one": "x"}))
	require.Error(t, err)
	g.remove()
	assert.Empty(t, g.undo())
	assert.Nil(t, g.data(), "the run made it, and deleted it")
}

// Somebody makes the object after the run has looked for it, and before it applies
// it.
func TestWorldMadeByAnotherInBetween(t *testing.T) {
	g := play(t)
	g.failOnce("apply", nil, func(clustertest.Call) { g.c.Put(configMap(data{"theirs": "1"})) })
	g.apply(data{"one": "x"})
	g.undo()
	assert.Equal(t, data{"theirs": "1"}, g.data(), "theirs stays")
}

// The run gets its place only after it has looked at the object.
func TestWorldTakenAfterTheLook(t *testing.T) {
	g := play(t)                                     // another run has deleted the user's object for the moment
	g.j.Take = func(context.Context, string) error { // it waits until another run has ended, which puts the object back
		if g.data() == nil {
			g.c.Put(configMap(data{"user": "1"}))
		}
		return nil
	}
	g.apply(data{"user": "x"})
	g.undo()
	assert.Equal(t, data{"user": "1"}, g.data())
}

// The same with an object that is deleted.
func TestWorldTakenAfterTheLookDelete(t *testing.T) {
	g := play(t, configMap(data{"user": "changed by run A"}))
	once := false
	g.j.Take = func(context.Context, string) error { // it waits until another run has ended, which puts the object back
		if !once {
			once = true
			g.theirs(`{"data":{"user":"1"}}`)
		}
		return nil
	}
	g.remove()
	g.undo()
	assert.Equal(t, data{"user": "1"}, g.data())
}

// Somebody edits the object after the run has looked at it, and before it deletes
// it.
func TestWorldEditedBeforeDelete(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	g.failOnce("delete", nil, func(clustertest.Call) { g.c.Put(configMap(data{"one": "1", "theirs": "y"})) })
	g.remove()
	assert.Empty(t, g.undo())
	assert.Equal(t, data{"one": "1", "theirs": "y"}, g.data())
}

// What is deleted for good stays deleted, whether or not its end was noted.
func TestWorldForGood(t *testing.T) {
	job := clustertest.Object("batch/v1", "Job", "default", "j", nil)
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprint("kill ", kill), func(t *testing.T) {
			g := play(t, job)
			secretsOf(g)
			if !kill {
				g.c.FailFunc = func(call clustertest.Call) error {
					if call.Verb == "delete" && call.Ref.Kind == "Job" {
						g.c.Remove(call.Ref)
						return errLost
					}
					return nil
				}
			}
			_ = g.j.Delete(t.Context(), cluster.RefOf(job), true)
			if kill {
				g.killed()
			}
			g.c.FailFunc = nil
			g.undo()
			_, err := g.c.Get(t.Context(), cluster.RefOf(job))
			assert.True(t, apierrors.IsNotFound(err), "it does its work again")
		})
	}
}

// An object is deleted for good and made by the run again: what the run reports about
// it is true.
func TestWorldForGoodThenMade(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	require.NoError(t, g.j.Delete(t.Context(), ref, true))
	g.apply(data{"one": "x"})
	open := g.j.Open()
	g.undo()
	assert.Nil(t, g.data(), "it was to go for good")
	assert.NotContains(t, open[0].Back, "for good as")
}

// A change that was refused, or made at the second attempt, leaves no notes.
func TestWorldRefusedLeavesTheNotes(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		g := play(t)
		secretsOf(g)
		g.failOnce("apply", apierrors.NewForbidden(ref.Resource(), "a", errors.New("no")), nil)
		_, _, err := g.j.Apply(t.Context(), configMap(nil))
		require.Error(t, err)
		_, _, err = g.j.Apply(t.Context(), clustertest.Object("v1", "ConfigMap", "default", "b", nil))
		require.NoError(t, err)
		assert.Empty(t, g.undo())
		assert.Zero(t, notes(g))
	})
	t.Run("a conflict that was cured", func(t *testing.T) {
		g := play(t, configMap(data{"one": "1"}))
		secretsOf(g)
		g.failOnce("patch", nil, func(clustertest.Call) { g.c.Put(configMap(data{"one": "1", "new": "y"})) })
		g.patch(`{"data":{"one":"x"}}`)
		assert.Empty(t, g.undo())
		assert.Zero(t, notes(g))
	})
	t.Run("and harms later", func(t *testing.T) {
		g := play(t, configMap(data{"one": "1"}))
		secretsOf(g)
		g.failOnce("patch", nil, func(clustertest.Call) { g.c.Put(configMap(data{"one": "1", "new": "y"})) })
		g.patch(`{"data":{"one":"x"}}`)
		assert.Empty(t, g.undo())
		if notes(g) == 0 {
			return
		}
		g.theirs(`{"data":{"one":"x"}}`) // the user, days later
		g.killed()
		g.undo()
		assert.Equal(t, data{"one": "x", "new": "y"}, g.data(), "cleanup takes back what the user did")
	})
	t.Run("the first note's answer was lost", func(t *testing.T) {
		g := play(t)
		run := aRun()
		g.j.Run, g.j.Store = "abc", &changes.Either{
			First:  &changes.Secrets{Cluster: g.c, Namespace: "default", Run: run},
			Second: &changes.File{Path: filepath.Join(t.TempDir(), "abc.json"), Run: run}, Instead: func(error) {},
		}
		g.c.FailFunc = func(call clustertest.Call) error {
			if call.Verb == "create" && call.Ref.Kind == "Secret" {
				g.c.Put(call.Object)
				return errLost
			}
			return nil
		}
		_, _, err := g.j.Apply(t.Context(), configMap(nil))
		require.Error(t, err)
		g.undo()
		assert.Zero(t, notes(g))
	})
}

// What a workload owns is deleted with it, and its controller does not make it again.
func TestWorldWhatAWorkloadOwns(t *testing.T) {
	deployment := clustertest.Object("apps/v1", "Deployment", "default", "d", nil)
	g := play(t, deployment)
	owner, err := g.c.Get(t.Context(), cluster.RefOf(deployment))
	require.NoError(t, err)
	owned := clustertest.Object("v1", "PersistentVolumeClaim", "default", "data", nil)
	owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", UID: owner.GetUID()}})
	g.c.Put(owned)
	assert.ErrorAs(t, g.j.Delete(t.Context(), cluster.RefOf(deployment), false), new(*changes.ForGoodError))
	assert.Empty(t, g.undo())
	_, err = g.c.Get(t.Context(), cluster.RefOf(owned))
	assert.NoError(t, err, "and its data")
}

// Not every controller makes again what it has made once.
func TestWorldControlledButNotMadeAgain(t *testing.T) {
	controller := true
	for _, obj := range []*unstructured.Unstructured{
		clustertest.Object("v1", "Secret", "default", "postgres-password", nil),
		clustertest.Object("batch/v1", "Job", "default", "of-a-cronjob", nil),
	} {
		obj.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Postgres", Name: "p", UID: "p", Controller: &controller}})
		g := play(t, obj)
		if err := g.j.Delete(t.Context(), cluster.RefOf(obj), false); err != nil {
			continue
		}
		assert.Empty(t, g.undo())
		_, err := g.c.Get(t.Context(), cluster.RefOf(obj))
		assert.NoError(t, err, obj.GetName())
	}
}

// A run holds no Lease in the namespace of its notes.
func TestWorldAliveElsewhere(t *testing.T) {
	c := clustertest.NewFake(clustertest.Object("v1", "Namespace", "", "elsewhere", nil))
	l := leases(c, "abc")
	require.NoError(t, l.Take(t.Context(), "elsewhere"))
	defer l.Release(context.Background())
	k := &changes.Kept{Run: changes.Run{ID: "abc", Process: changes.Process()}, Namespace: "default"}
	alive, err := changes.Alive(t.Context(), c, "", []*changes.Kept{k})
	require.NoError(t, err)
	assert.Equal(t, []bool{true}, alive, "this very process")
}

// Nobody may look at Leases.
func TestWorldAliveForbidden(t *testing.T) {
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Ref.Kind == "Lease" {
			return apierrors.NewForbidden(call.Ref.Resource(), call.Ref.Name, errors.New("no"))
		}
		return nil
	}
	_, err := changes.Alive(t.Context(), c, "", []*changes.Kept{{Run: changes.Run{ID: "abc"}, Namespace: "default"}})
	assert.NoError(t, err, "else nothing can be cleaned up")
}

// Notes that cannot be read do not keep others from being found.
func TestWorldBrokenNote(t *testing.T) {
	g := play(t)
	secretsOf(g)
	g.apply(data{"one": "1"})
	obj := clustertest.Object("v1", "Secret", "istio-system", "egressplay-run-x", data{"data": data{"change-0001": "!"}})
	obj.SetLabels(map[string]string{changes.RunLabel: "x", changes.ManagedBy: "egressplay"})
	g.c.Put(obj)
	kept, _ := changes.Find(t.Context(), g.c, "")
	assert.NotEmpty(t, kept)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "x.json"), nil, 0o600))
	_, err := changes.FindFiles(folder, "https://one")
	assert.NoError(t, err, "a file of another cluster, cut short when the power went")
}

// An object of the user's is made immutable.
func TestWorldMadeImmutable(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	_, _, err := g.j.Patch(t.Context(), ref, func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
		return []byte(`{"data":{"one":"x"},"immutable":true}`), changes.Words{}, nil
	})
	if forGood, ok := errors.AsType[*changes.ForGoodError](err); ok { // refused before anything is changed
		assert.NotContains(t, forGood.Hint(), "forGood", "no step that applies or patches has it")
		return
	}
	require.NoError(t, err)
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "update" && call.Ref.Kind == "ConfigMap" {
			return apierrors.NewInvalid(schemaGK, "a", nil)
		}
		return nil
	}
	assert.Empty(t, g.undo())
	assert.Equal(t, data{"one": "1"}, g.data())
}

// Somebody else deletes the object that the run is about to delete.
func TestWorldDeletedByAnother(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	g.failOnce("delete", nil, func(clustertest.Call) { g.c.Remove(ref) })
	require.Error(t, g.j.Delete(t.Context(), ref, false))
	g.undo()
	assert.Nil(t, g.data(), "somebody else deleted it")
}

// What the run reports about an object that somebody else has made again is true.
func TestWorldWords(t *testing.T) {
	g := play(t)
	g.apply(data{"one": "x"})
	g.anew(data{"one": "y"})
	g.apply(data{"one": "z"})
	open := g.j.Open()
	assert.Empty(t, g.undo())
	assert.Equal(t, data{"one": "y"}, g.data())
	assert.Equal(t, "as it was", open[0].Back, "not deleted")
}

// Of a list of texts somebody else changes another one than the run.
func TestWorldList(t *testing.T) {
	g := play(t, clustertest.Object("v1", "ConfigMap", "default", "a", data{"l": []any{"1", "2"}}))
	g.patch(`{"l":["x","2"]}`)
	g.theirs(`{"l":["x","y"]}`)
	assert.Empty(t, g.undo(), "only what we changed goes back")
}

// In one namespace no Lease may be made.
func TestWorldOneNamespaceWithoutLeases(t *testing.T) {
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "create" && call.Ref.Namespace == "istio-system" {
			return apierrors.NewForbidden(call.Ref.Resource(), call.Ref.Name, errors.New("no"))
		}
		return nil
	}
	a, b := leases(c, "a"), leases(c, "b")
	require.NoError(t, a.Take(t.Context(), "istio-system"))
	require.NoError(t, a.Take(t.Context(), "default"))
	defer a.Release(context.Background())
	defer b.Release(context.Background())
	assert.ErrorAs(t, b.Take(t.Context(), "default"), new(*changes.HeldError))
}

var schemaGK = schema.GroupKind{Kind: "ConfigMap"}

// An object is made again, and its controller writes it before its owners are noted.
func TestWorldMadeAnewAndConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		obj := configMap(data{"one": "1"})
		obj.SetAnnotations(map[string]string{"deployment.kubernetes.io/revision": "3"})
		obj.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "owner", Operation: "Apply"}})
		g := play(t, obj)
		g.remove()
		g.failOnce("update", apierrors.NewConflict(ref.Resource(), "a", errors.New("modified")), func(clustertest.Call) {
			now := configMap(data{"one": "1"})
			now.SetAnnotations(map[string]string{"deployment.kubernetes.io/revision": "1"})
			g.c.Put(now)
		})
		assert.Empty(t, g.undo(), "it was put back")
	})
}

// Somebody else has deleted the object, and a finalizer keeps it for a while.
func TestWorldDying(t *testing.T) {
	obj := configMap(data{"one": "1"})
	now := metav1.Now()
	obj.SetDeletionTimestamp(&now)
	obj.SetFinalizers([]string{"a/b"})
	g := play(t, obj)
	_ = g.j.Delete(t.Context(), ref, false)
	g.undo()
	assert.Nil(t, g.data(), "somebody else deleted it")
}

// The server does not answer to the first attempt to connect.
func TestWorldDialTimeout(t *testing.T) {
	_, err := (&net.Dialer{Timeout: time.Nanosecond}).Dial("tcp", "192.0.2.1:443")
	require.Error(t, err)
	synctest.Test(t, func(t *testing.T) {
		g := play(t)
		g.apply(data{"one": "1"})
		g.failOnce("delete", &cluster.UnreachableError{Server: "https://s", Err: err}, nil)
		assert.Empty(t, g.undo())
	})
}

// Somebody changes an object without end.
func TestWorldHotLoop(t *testing.T) {
	g := play(t, configMap(data{"one": "1"}))
	n := 0
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "patch (dry run)" {
			n++
			return apierrors.NewConflict(ref.Resource(), "a", errors.New("modified"))
		}
		return nil
	}
	_, _, err := g.j.Patch(ctx, ref, func(*unstructured.Unstructured) ([]byte, changes.Words, error) {
		return []byte(`{"data":{"one":"x"}}`), changes.Words{}, nil
	})
	require.Error(t, err)
	assert.Less(t, n, 20, "requests in 300 ms")
}
