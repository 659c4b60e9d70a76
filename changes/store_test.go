package changes_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
)

func aRun() changes.Run {
	return changes.Run{ID: "abc", Holder: "ann@laptop", Started: time.Now().Truncate(time.Second)}
}

// A process that has only the store puts everything back.
func TestARunThatWasKilledIsPutBack(t *testing.T) {
	folder := t.TempDir()
	stores := map[string]struct {
		store func(c cluster.Interface) changes.Store
		find  func(c cluster.Interface) ([]*changes.Kept, error)
	}{
		"secrets": {
			func(c cluster.Interface) changes.Store {
				return &changes.Secrets{Cluster: c, Namespace: "default", Run: aRun()}
			},
			func(c cluster.Interface) ([]*changes.Kept, error) { return changes.Find(t.Context(), c, "") },
		},
		"file": {
			func(cluster.Interface) changes.Store {
				return &changes.File{Path: filepath.Join(folder, "abc.json"), Run: aRun(), Server: "https://one"}
			},
			func(cluster.Interface) ([]*changes.Kept, error) { return changes.FindFiles(folder, "https://one") },
		},
	}
	for name, s := range stores {
		t.Run(name, func(t *testing.T) {
			g := play(t, configMap(data{"one": "1"}), clustertest.Object("v1", "ConfigMap", "default", "gone", data{"data": data{"x": "y"}}))
			g.j.Run, g.j.Store = "abc", s.store(g.c)
			before := g.c.State()
			g.patch(`{"data":{"one":"x"}}`)
			require.NoError(t, g.j.Delete(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "gone"}, false))
			_, _, err := g.j.Apply(t.Context(), clustertest.Object("v1", "ConfigMap", "default", "made", nil))
			require.NoError(t, err)

			kept, err := s.find(g.c)
			require.NoError(t, err)
			require.Len(t, kept, 1)
			assert.Equal(t, "abc", kept[0].Run.ID)
			assert.Equal(t, "ann@laptop", kept[0].Run.Holder)
			assert.WithinDuration(t, time.Now(), kept[0].Run.Started, time.Minute)
			require.Len(t, kept[0].Changes, 3)

			g.j = kept[0].Journal(g.c)
			assert.Empty(t, g.undo())
			assert.Equal(t, before, g.c.State(), "the store is gone as well")
			kept, err = s.find(g.c)
			require.NoError(t, err)
			assert.Empty(t, kept)
		})
	}
	other, err := changes.FindFiles(folder, "https://two")
	require.NoError(t, err)
	assert.Empty(t, other, "another cluster")
}

// What could not be put back stays in the store, so that it can be tried again.
func TestWhatCouldNotBePutBackStaysInTheStore(t *testing.T) {
	g := play(t)
	g.j.Run, g.j.Store = "abc", &changes.Secrets{Cluster: g.c, Namespace: "default", Run: aRun()}
	for _, name := range []string{"a", "b"} {
		_, _, err := g.j.Apply(t.Context(), clustertest.Object("v1", "ConfigMap", "default", name, nil))
		require.NoError(t, err)
	}
	denied := true
	g.c.FailFunc = func(call clustertest.Call) error {
		if denied && call.String() == "delete configmap/a" {
			return apierrors.NewForbidden(ref.Resource(), "a", errors.New("no"))
		}
		return nil
	}
	assert.Len(t, g.undo(), 1)
	kept, err := changes.Find(t.Context(), g.c, "default")
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Len(t, kept[0].Changes, 1)
	denied = false
	g.j = kept[0].Journal(g.c)
	assert.Empty(t, g.undo())
	assert.Nil(t, g.data())
}

// The notes of a run are removed even if the server is away for some seconds.
func TestTheNotesOfARunAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := play(t)
		g.j.Run, g.j.Store = "abc", &changes.Secrets{Cluster: g.c, Namespace: "default", Run: aRun()}
		g.apply(data{"one": "1"})
		away, back := apierrors.NewServiceUnavailable("away"), time.Now().Add(20*time.Second)
		g.c.FailFunc = func(call clustertest.Call) error {
			if call.Verb == "delete" && call.Ref.Kind == "Secret" && time.Now().Before(back) {
				return away
			}
			return nil
		}
		require.NoError(t, g.j.Undo(t.Context(), g.j.Open(), time.Minute, func(changes.Undone) {}))
		secrets, err := g.c.List(t.Context(), "secrets", "default", "")
		require.NoError(t, err)
		assert.Empty(t, secrets)

		g.apply(data{"one": "1"})
		back = time.Now().Add(time.Hour)
		assert.ErrorIs(t, g.j.Undo(t.Context(), g.j.Open(), time.Minute, func(changes.Undone) {}), away, "that it did not is told")
	})
}

// A Secret has at most 1 MiB, so large changes need several; one that somebody deletes
// is made again.
func TestManyChangesNeedSeveralSecrets(t *testing.T) {
	g := play(t)
	g.j.Run, g.j.Store = "abc", &changes.Secrets{Cluster: g.c, Namespace: "default", Run: aRun()}
	const objects = 6
	noise := make([]byte, 150<<10) // which does not compress
	for i := range objects {
		_, _ = rand.Read(noise)
		name := "big-" + strconv.Itoa(i)
		obj := clustertest.Object("v1", "ConfigMap", "default", name, data{"data": data{"x": hex.EncodeToString(noise)}})
		_, _, err := g.j.Apply(t.Context(), obj)
		require.NoError(t, err)
		if i == 3 {
			g.c.Remove(cluster.Ref{APIVersion: "v1", Kind: "Secret", Namespace: "default", Name: "egressplay-run-abc"})
		}
	}
	require.NoError(t, g.j.Save(t.Context()))
	secrets, err := g.c.List(t.Context(), "secrets", "default", "")
	require.NoError(t, err)
	assert.Greater(t, len(secrets), 1)
	kept, err := changes.Find(t.Context(), g.c, "")
	require.NoError(t, err)
	require.Len(t, kept, 1)
	assert.NotEmpty(t, kept[0].Changes)
	g.j = kept[0].Journal(g.c)
	assert.Empty(t, g.undo())
	secrets, err = g.c.List(t.Context(), "secrets", "default", "")
	require.NoError(t, err)
	assert.Empty(t, secrets)
}

func TestWhereNoSecretMayBeMade(t *testing.T) {
	g := play(t)
	g.c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "create" && call.Ref.Kind == "Secret" {
			return apierrors.NewForbidden(call.Ref.Resource(), call.Ref.Name, errors.New("no"))
		}
		return nil
	}
	path := filepath.Join(t.TempDir(), "runs", "abc.json")
	var said []string
	g.j.Run, g.j.Store = "abc", &changes.Either{
		First:   &changes.Secrets{Cluster: g.c, Namespace: "default", Run: aRun()},
		Second:  &changes.File{Path: path, Run: aRun(), Server: "https://one"},
		Instead: func(why error) { said = append(said, why.Error()) },
	}
	g.apply(data{"one": "1"})
	g.apply(data{"one": "2"})
	assert.Len(t, said, 1)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "an object may be a Secret")
	assert.Empty(t, g.undo())
	assert.NoFileExists(t, path)
}

// The former content of a Secret of another namespace is noted in that namespace, and
// nowhere else.
func TestWhatASecretHeldIsNotedBesideIt(t *testing.T) {
	secret := func(namespace, name, value string) *unstructured.Unstructured {
		return clustertest.Object("v1", "Secret", namespace, name, data{"data": data{"key": base64.StdEncoding.EncodeToString([]byte(value))}})
	}
	const theirs, ours, made = "what-it-held-before", "what-we-put-there", "what-we-made-there"
	g := play(t, clustertest.Object("v1", "Namespace", "", "vault", nil), secret("vault", "there", theirs))
	g.j.Run = "abc"
	g.j.Store = &changes.Spread{Home: "default", In: func(namespace string) changes.Store {
		return &changes.Secrets{Cluster: g.c, Namespace: namespace, Run: aRun()}
	}}
	before := g.c.State()
	for _, obj := range []*unstructured.Unstructured{secret("vault", "there", ours), secret("vault", "made", made), secret("default", "here", "here")} {
		_, _, err := g.j.Apply(t.Context(), obj)
		require.NoError(t, err)
	}
	require.NoError(t, g.j.Save(t.Context()))
	noted := func(namespace string) string {
		notes, err := g.c.Get(t.Context(), cluster.Ref{APIVersion: "v1", Kind: "Secret", Namespace: namespace, Name: "egressplay-run-abc"})
		require.NoError(t, err)
		var all strings.Builder
		for _, text := range notes.Object["data"].(map[string]any) {
			packed, err := base64.StdEncoding.DecodeString(text.(string))
			require.NoError(t, err)
			z, err := gzip.NewReader(bytes.NewReader(packed))
			require.NoError(t, err)
			body, err := io.ReadAll(z)
			require.NoError(t, err)
			all.Write(body)
		}
		return all.String()
	}
	code := func(value string) string { return base64.StdEncoding.EncodeToString([]byte(value)) }
	for _, value := range []string{theirs, ours, made} {
		assert.NotContains(t, noted("default"), code(value))
	}
	assert.Contains(t, noted("default"), code("here"))
	assert.Contains(t, noted("vault"), code(theirs))

	kept, err := changes.Find(t.Context(), g.c, "")
	require.NoError(t, err)
	require.Len(t, kept, 2)
	for _, k := range kept {
		g.j = k.Journal(g.c)
		assert.Empty(t, g.undo())
	}
	assert.Equal(t, before, g.c.State())
}

func leases(c cluster.Interface, id string) *changes.Leases {
	return &changes.Leases{Cluster: c, Run: changes.Run{ID: id, Holder: id + "@host"}, IstioNamespace: "istio-system"}
}

func TestOneRunAtATimeInAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.NewFake()
		a, b := leases(c, "a"), leases(c, "b")
		require.NoError(t, a.Take(t.Context(), "default"))
		require.NoError(t, a.Take(t.Context(), "default"), "it has it")
		err := b.Take(t.Context(), "default")
		held, ok := errors.AsType[*changes.HeldError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, "a@host", held.Holder)
		assert.Contains(t, err.Error(), "another run is changing namespace default: run a of a@host, since ")
		assert.Contains(t, held.Hint(), "--wait-for")
		assert.NoError(t, b.Take(t.Context(), "istio-system"), "another place")
		b.Release(t.Context())

		// A run that goes on keeps its place, however long it takes.
		time.Sleep(5 * time.Minute)
		assert.ErrorAs(t, b.Take(t.Context(), "default"), new(*changes.HeldError))

		b.WaitFor = time.Minute
		go func() {
			time.Sleep(30 * time.Second)
			a.Release(context.Background())
		}()
		require.NoError(t, b.Take(t.Context(), "default"), "it waits for the other")
		b.Release(t.Context())
		list, err := c.List(t.Context(), "leases", "", "")
		require.NoError(t, err)
		assert.Empty(t, list, "nothing is left")
	})
}

func TestAPlaceOfARunThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.NewFake()
		a, b := leases(c, "a"), leases(c, "b")
		lost := make(chan error, 1)
		a.Lost = func(err error) { lost <- err }
		c.FailFunc = func(call clustertest.Call) error { // a can take the Lease, but gets no further request through
			if call.Verb == "update" && call.Object.GetLabels()[changes.RunLabel] == "a" {
				return errors.New("no answer")
			}
			return nil
		}
		require.NoError(t, a.Take(t.Context(), "default"))
		time.Sleep(time.Minute)
		require.NoError(t, b.Take(t.Context(), "default"), "it has run out")
		err := <-lost
		assert.ErrorContains(t, err, "this run does not hold its place any more")
		a.Release(t.Context())
		b.Release(t.Context())
	})
}

// renewed has a run on a machine whose clock differs hold a Lease for some time.
func renewed(t *testing.T, c *clustertest.Fake, differs, lasts time.Duration) {
	obj := clustertest.Object("coordination.k8s.io/v1", "Lease", "default", "egressplay", nil)
	until := time.Now().Add(lasts)
	renew := func() {
		now := time.Now().Add(differs).UTC().Format("2006-01-02T15:04:05.000000Z07:00")
		obj.Object["spec"] = data{"holderIdentity": "far", "leaseDurationSeconds": int64(30), "acquireTime": now, "renewTime": now}
		c.Put(obj)
	}
	renew()
	go func() {
		for time.Now().Before(until) {
			time.Sleep(5 * time.Second)
			renew()
		}
	}()
}

// The clocks of two machines may differ: a Lease has expired only if it was seen not to
// be renewed.
func TestClocksThatDiffer(t *testing.T) {
	for name, differs := range map[string]time.Duration{"behind": -time.Hour, "ahead": time.Hour, "together": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.NewFake()
				renewed(t, c, differs, 10*time.Minute)
				b := leases(c, "b")
				assert.ErrorAs(t, b.Take(t.Context(), "default"), new(*changes.HeldError), "it goes on")
				b.WaitFor = time.Minute
				assert.ErrorAs(t, b.Take(t.Context(), "default"), new(*changes.HeldError), "it still goes on")
				time.Sleep(15 * time.Minute)
				started := time.Now()
				require.NoError(t, b.Take(t.Context(), "default"), "it is gone")
				assert.LessOrEqual(t, time.Since(started), 40*time.Second)
				b.Release(t.Context())
			})
		})
	}
}

// A run that could not renew its Lease, and whose place another run has taken,
// changes nothing more there, and says so; what it changed is put back later.
func TestARunThatHasLostItsPlaceStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := play(t, configMap(data{"one": "1"}))
		secretsOf(g)
		a, b := leases(g.c, "a"), leases(g.c, "b")
		g.j.Take, g.j.Held = a.Take, a.Held
		var cut, late atomic.Bool
		g.c.FailFunc = func(call clustertest.Call) error {
			if call.Ref.Kind != "Lease" {
				return nil
			}
			// Later a gets no request through, but b does.
			if cut.Load() || late.Load() && call.Verb == "update" && call.Object.GetLabels()[changes.RunLabel] == "a" {
				return errLost
			}
			return nil
		}
		g.patch(`{"data":{"one":"x"}}`)
		cut.Store(true)
		time.Sleep(time.Minute)
		_, _, err := g.j.Apply(t.Context(), configMap(data{"one": "y"}))
		assert.ErrorContains(t, err, "it is not certain that this run still holds namespace default")
		assert.ErrorAs(t, a.Held(t.Context(), "default"), new(*cluster.UnreachableError))

		late.Store(true)
		cut.Store(false)
		b.WaitFor = time.Minute
		require.NoError(t, b.Take(t.Context(), "default"))
		_, _, err = g.j.Apply(t.Context(), configMap(data{"one": "y"}))
		lost, ok := errors.AsType[*changes.LostError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, "b", lost.By.Run)
		errs := g.undo()
		require.Len(t, errs, 1)
		assert.Contains(t, errs[0], "this run does not hold its place any more: another run is changing namespace default: run b of b@host")
		assert.Equal(t, data{"one": "x"}, g.data(), "b is changing it now")

		b.Release(t.Context())
		a.Release(t.Context())
		g.killed()
		assert.Empty(t, g.undo())
		assert.Equal(t, data{"one": "1"}, g.data())
	})
}

func TestWithoutLeases(t *testing.T) {
	c := clustertest.NewFake()
	c.FailFunc = func(call clustertest.Call) error {
		if call.Verb == "create" {
			return apierrors.NewForbidden(call.Ref.Resource(), call.Ref.Name, errors.New("no"))
		}
		return nil
	}
	l := leases(c, "a")
	said := 0
	l.Note = func(error) { said++ }
	require.NoError(t, l.Take(t.Context(), "default"))
	require.NoError(t, l.Take(t.Context(), "istio-system"))
	assert.Equal(t, 1, said)
	l.Release(t.Context())
	assert.NoError(t, leases(clustertest.NewFake(), "b").Take(t.Context(), "not-there"), "there is nothing to hold")
}

func TestIsGone(t *testing.T) {
	self := changes.Process()
	if self == "" {
		t.Skip("this system does not tell one start of a process from another")
	}
	assert.False(t, changes.IsGone(self))
	assert.False(t, changes.IsGone(""))
	assert.False(t, changes.IsGone("another-machine/1/2"), "it may well live there")
	cmd := exec.Command("true")
	require.NoError(t, cmd.Run())
	parts := strings.Split(self, "/")
	parts[len(parts)-2] = strconv.Itoa(cmd.Process.Pid)
	assert.True(t, changes.IsGone(strings.Join(parts, "/")))
	parts = strings.Split(self, "/")
	parts[len(parts)-1] += "1"
	assert.True(t, changes.IsGone(strings.Join(parts, "/")), "another process has its number now")
}
