package changes_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

func inNamespace(kind, name string) *unstructured.Unstructured {
	return clustertest.Object("v1", kind, "made", name, nil)
}

// A namespace that the run made stays if others have put something into it, and their
// objects are named. Objects of the run and of the cluster itself, and objects that
// belong to those, do not count.
func TestANamespaceWithOthersObjectsStays(t *testing.T) {
	for _, by := range []string{"the clean-up", "a step"} {
		t.Run(by, func(t *testing.T) {
			g := play(t)
			made := clustertest.Object("v1", "Namespace", "", "made", nil)
			_, _, err := g.j.Apply(t.Context(), made)
			require.NoError(t, err)
			_, _, err = g.j.Apply(t.Context(), inNamespace("ConfigMap", "ours"))
			require.NoError(t, err)
			g.c.Put(inNamespace("ConfigMap", "kube-root-ca.crt"))
			g.c.Put(inNamespace("ServiceAccount", "default"))
			owned := inNamespace("Pod", "owned")
			owned.SetOwnerReferences([]metav1.OwnerReference{{Kind: "ReplicaSet", Name: "r", UID: "r"}})
			g.c.Put(owned)
			g.c.Put(inNamespace("ConfigMap", "theirs"))

			const want = "namespace/made has others' objects: configmap/theirs"
			if by == "a step" {
				assert.EqualError(t, g.j.Delete(t.Context(), cluster.RefOf(made), false), want)
			}
			assert.Equal(t, []string{"namespace/made: " + want}, g.undo())
			_, err = g.c.Get(t.Context(), cluster.RefOf(inNamespace("ConfigMap", "theirs")))
			require.NoError(t, err)
			assert.NotEmpty(t, g.j.Open(), "it can be put back when theirs is gone")

			g.c.Remove(cluster.RefOf(inNamespace("ConfigMap", "theirs")))
			assert.Empty(t, g.undo())
			_, err = g.c.Get(t.Context(), cluster.RefOf(made))
			assert.True(t, apierrors.IsNotFound(err))
		})
	}
}

// If a run may not list all kinds, it says so, whoever deletes the namespace. Objects
// of others that it can see still keep the namespace.
func TestWhatCannotBeSeenInANamespaceIsTold(t *testing.T) {
	const note = "whether others had something in it was not seen for kinds that may not be listed: Secret, Service"
	made := clustertest.Object("v1", "Namespace", "", "made", nil)
	begin := func(t *testing.T, unseen ...string) *game {
		g := play(t)
		g.c.Unseen = unseen
		_, _, err := g.j.Apply(t.Context(), made)
		require.NoError(t, err)
		return g
	}
	undone := func(g *game) (note string, err error) {
		require.NoError(g, g.j.Undo(g.Context(), g.j.Open(), time.Minute, func(u changes.Undone) { note, err = u.Note, u.Err }))
		return note, err
	}
	t.Run("by the clean-up", func(t *testing.T) {
		got, err := undone(begin(t, "Service", "Secret", "Lease", "Endpoints"))
		require.NoError(t, err)
		assert.Equal(t, note, got, "what the cluster makes by itself is nobody's")
	})
	t.Run("by a step", func(t *testing.T) {
		g := begin(t, "Service", "Secret")
		var warned []string
		ctx := cluster.WithWarnings(t.Context(), func(text string) { warned = append(warned, text) })
		require.NoError(t, g.j.Delete(ctx, cluster.RefOf(made), false))
		assert.Equal(t, []string{note}, warned)
	})
	t.Run("where everything may be listed", func(t *testing.T) {
		got, err := undone(begin(t))
		require.NoError(t, err)
		assert.Empty(t, got)
	})
	t.Run("with something that can be seen", func(t *testing.T) {
		g := begin(t, "Service", "Secret")
		g.c.Put(inNamespace("ConfigMap", "theirs"))
		_, err := undone(g)
		assert.EqualError(t, err, "namespace/made has others' objects: configmap/theirs")
	})
}

// An object that a run deleted together with its owner names the new owner afterwards;
// else the garbage collector would delete it.
func TestWhatIsMadeAnewNamesItsNewOwner(t *testing.T) {
	for _, kill := range []string{"", "before the clean-up", "in the clean-up"} {
		for _, kind := range []string{"ConfigMap", "Deployment"} {
			t.Run(kind+" "+kill, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					owner := clustertest.Object("v1", kind, "default", "owner", nil)
					if kind == "Deployment" {
						owner.SetAPIVersion("apps/v1")
					}
					g := play(t, owner)
					secretsOf(g)
					was, err := g.c.Get(t.Context(), cluster.RefOf(owner))
					require.NoError(t, err)
					owned := configMap(data{"one": "1"})
					owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: was.GetAPIVersion(), Kind: kind, Name: "owner", UID: was.GetUID()}})
					g.c.Put(owned)
					g.remove()
					require.NoError(t, g.j.Delete(t.Context(), cluster.RefOf(owner), false))
					switch kill {
					case "before the clean-up":
						g.killed()
					case "in the clean-up":
						open := g.j.Open()
						g.j.Store = nil // nothing is forgotten
						g.j.Undo(t.Context(), open[:1], time.Minute, func(changes.Undone) {})
						g.killed()
					}
					assert.Empty(t, g.undo())
					is, err := g.c.Get(t.Context(), cluster.RefOf(owner))
					require.NoError(t, err)
					require.NotEqual(t, was.GetUID(), is.GetUID())
					back, err := g.c.Get(t.Context(), ref)
					require.NoError(t, err)
					require.Len(t, back.GetOwnerReferences(), 1)
					assert.Equal(t, is.GetUID(), back.GetOwnerReferences()[0].UID)
				})
			})
		}
	}
}

func TestWhatIsOwnedWaitsForItsOwner(t *testing.T) {
	g := play(t, clustertest.Object("v1", "ConfigMap", "default", "owner", nil))
	was, err := g.c.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "owner"})
	require.NoError(t, err)
	owned := configMap(data{"one": "1"})
	owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: was.GetUID()}})
	g.c.Put(owned)
	g.remove()
	require.NoError(t, g.j.Delete(t.Context(), cluster.RefOf(was), false))
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "create" && call.Ref.Name == "owner" {
			return apierrors.NewForbidden(call.Ref.Resource(), "owner", errors.New("no"))
		}
		return nil
	}
	errs := g.undo()
	require.Len(t, errs, 2)
	assert.Contains(t, errs[1], "configmap/a: its owner is not there: ")
	assert.Nil(t, g.data(), "it would be taken away at once")
}

// If the server does not list a kind for a moment, because its API service is away, it
// is asked again, and objects of that kind never count as gone.
func TestAKindThatIsHiddenIsNotGone(t *testing.T) {
	for name, away := range map[string]time.Duration{"for a moment": 10 * time.Second, "for good": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := play(t)
				secretsOf(g)
				g.apply(data{"one": "1"})
				back := time.Now().Add(away)
				g.c.FailFunc = func(call clustertest.Call) error {
					if call.Ref.Kind == "ConfigMap" && time.Now().Before(back) {
						return &cluster.NoKindError{Kind: "ConfigMap", APIVersion: "v1"}
					}
					return nil
				}
				errs := g.undo()
				if name == "for a moment" {
					assert.Empty(t, errs)
					assert.Nil(t, g.data())
					return
				}
				require.Len(t, errs, 1)
				assert.Contains(t, errs[0], "the cluster has no kind ConfigMap")
				g.c.FailFunc = nil
				assert.Equal(t, 1, notes(g), "it can be put back later")
				assert.NotNil(t, g.data())
			})
		})
	}
}

// A kind whose definition the run made goes with the definition, and its objects too.
func TestAKindThatTheRunMadeIsGone(t *testing.T) {
	g := play(t)
	definition := clustertest.Object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "serviceentries.networking.istio.io",
		data{"spec": data{"group": "networking.istio.io", "names": data{"kind": "ServiceEntry", "plural": "serviceentries"}}})
	_, _, err := g.j.Apply(t.Context(), definition)
	require.NoError(t, err)
	_, _, err = g.j.Apply(t.Context(), clustertest.Object("networking.istio.io/v1", "ServiceEntry", "default", "s", nil))
	require.NoError(t, err)
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Ref.Kind == "ServiceEntry" {
			return &cluster.NoKindError{Kind: "ServiceEntry", APIVersion: "networking.istio.io/v1"}
		}
		return nil
	}
	assert.Empty(t, g.undo())
}
