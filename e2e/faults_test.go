//go:build lab

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// Something goes wrong on the way to the API server, or somebody meddles with what
// a run notes of itself: it ends with the truth, and the cluster is as it was, at
// once or after a cleanup.
func TestFaults(t *testing.T) {
	s := newScenery(t, "faults")
	before := s.look(t)
	change := "Change them\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {one: ours}\n  ---\n" +
		"  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: made}\n"
	short := playbook(t, change).file()
	waits := playbook(t, change, "Wait for somebody\nwait: {object: cm/go, for: create}\nwithin: 2m").file()
	args := func(m *middleman, file string) []string {
		return []string{"run", file, "--namespace", s.namespace, "--kubeconfig", kubeconfigOf(t, m.URL, nil), "--context", elsewhere}
	}
	of := func(r *http.Request, method, name string) bool {
		return r.Method == method && strings.HasSuffix(r.URL.Path, "/"+name)
	}
	goOn := func(t *testing.T) {
		create(t, "v1", "configmaps", s.namespace, `{kind: ConfigMap, metadata: {name: go}}`)
	}
	clean := func(t *testing.T) {
		err := resource("v1", "configmaps", s.namespace).Delete(t.Context(), "go", metav1.DeleteOptions{})
		_ = err // only some make it
		assert.Equal(t, before, s.look(t))
	}

	t.Run("the connection is reset before an apply gets through", func(t *testing.T) {
		m := newMiddleman(t)
		m.before = func(_ int, r *http.Request) bool { return !of(r, http.MethodPatch, "made") }
		e := egressplay(t, args(m, short)...)
		e.exits(t, 3)
		clean(t)
	})
	t.Run("the connection is reset when an apply has got through", func(t *testing.T) {
		m := newMiddleman(t)
		m.after = func(_ int, r *http.Request) {
			if of(r, http.MethodPatch, "made") {
				panic(http.ErrAbortHandler)
			}
		}
		e := egressplay(t, args(m, short)...)
		e.exits(t, 3)
		assert.Contains(t, e.stdout, "put back: configmap/made (deleted)")
		clean(t)
	})
	t.Run("the server is away for some seconds at the end", func(t *testing.T) {
		m := newMiddleman(t)
		var away time.Time
		m.before = func(_ int, r *http.Request) bool {
			if of(r, http.MethodDelete, "made") && away.IsZero() {
				away = time.Now().Add(5 * time.Second)
			}
			return time.Now().After(away)
		}
		egressplay(t, args(m, short)...).exits(t, 0)
		clean(t)
	})
	t.Run("somebody refuses the deletion", func(t *testing.T) {
		m := newMiddleman(t)
		m.refuse = func(r *http.Request) *metav1.Status {
			if !of(r, http.MethodDelete, "made") {
				return nil
			}
			return &metav1.Status{Status: metav1.StatusFailure, Code: 403, Reason: metav1.StatusReasonForbidden, Message: `admission webhook "keep.example.com" denied the request: keep it`}
		}
		e := egressplay(t, args(m, short)...)
		e.exits(t, 4)
		assert.Contains(t, e.stdout, "not put back: configmap/made")
		assert.Contains(t, e.stdout, "keep it")
		assert.Contains(t, cleanUp(t, s.runs(t)...), "put back: configmap/made (deleted)")
		clean(t)
	})
	t.Run("the server asks for patience", func(t *testing.T) {
		m := newMiddleman(t)
		asked := 0
		m.refuse = func(r *http.Request) *metav1.Status {
			if !of(r, http.MethodPatch, "made") || asked > 1 {
				return nil
			}
			asked++
			return &metav1.Status{
				Status: metav1.StatusFailure, Code: 429, Reason: metav1.StatusReasonTooManyRequests, Message: "later",
				Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
			}
		}
		egressplay(t, args(m, short)...).exits(t, 0)
		assert.Equal(t, 2, asked)
		clean(t)
	})
	t.Run("somebody deletes what the run has noted", func(t *testing.T) {
		run := begin(t, args(newMiddleman(t), waits)...)
		run.await("created")
		secrets := resource("v1", "secrets", s.namespace)
		require.NoError(t, secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "egressplay.io/run"}))
		goOn(t)
		run.wait().exits(t, 0)
		clean(t)
	})
	t.Run("somebody takes the place", func(t *testing.T) {
		run := begin(t, args(newMiddleman(t), waits)...)
		run.await("created")
		leases := resource("coordination.k8s.io/v1", "leases", s.namespace)
		spec := map[string]any{"spec": map[string]any{"holderIdentity": "another", "leaseDurationSeconds": 3600, "renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")}}
		patch, err := json.Marshal(spec)
		require.NoError(t, err)
		// The run may renew it at the same moment; what was written last holds.
		eventually(t, func() bool {
			_, err := leases.Patch(t.Context(), "egressplay", types.MergePatchType, patch, metav1.PatchOptions{})
			if err != nil {
				return false
			}
			select {
			case <-run.done:
				return true
			case <-time.After(time.Second):
				return false
			}
		}, "the run does not notice")
		e := run.wait()
		e.exits(t, 3)
		assert.Contains(t, e.stdout, "this run does not hold its place any more: another run is changing namespace faults")
		assert.Contains(t, e.stdout, "not put back: configmap/made", "it changes nothing more")
		id := e.kept(t)
		require.NoError(t, leases.Delete(t.Context(), "egressplay", metav1.DeleteOptions{}))
		assert.Contains(t, cleanUp(t, id), "put back: configmap/made (deleted)")
		clean(t)
	})
	t.Run("somebody deletes the namespace", func(t *testing.T) {
		gone := newScenery(t, "goes")
		run := begin(t, "run", waits, "--namespace", gone.namespace)
		run.await("created")
		require.NoError(t, resource("v1", "namespaces", "").Delete(t.Context(), gone.namespace, metav1.DeleteOptions{}))
		// The wait sees no more of the object than before.
		run.signal(syscall.SIGTERM)
		e := run.wait()
		e.exits(t, 143)
		assert.NotContains(t, egressplay(t, "cleanup", "--list").stdout, gone.namespace+"\n")
	})
}

// The API server is killed while a run goes on, or puts back, and is there again
// some seconds later: the run ends with the truth, and all is as it was, at once or
// after a cleanup.
func TestAPIServerThatIsKilled(t *testing.T) {
	s := newScenery(t, "killed-server")
	before := s.look(t)
	file := playbook(t,
		"Change them\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {one: ours}\n  ---\n"+
			"  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: made}\n",
		"Wait for somebody\nwait: {object: cm/go, for: create}\nwithin: 2m",
	).file()
	for _, at := range []string{"while it waits", "while it puts back"} {
		t.Run(at, func(t *testing.T) {
			run := begin(t, "run", file, "--namespace", s.namespace)
			run.await("created")
			killComponent(t, "kube-apiserver")
			want := []int{0, 3} // it may see that the server is away, or not
			if at == "while it puts back" {
				run.signal(syscall.SIGTERM)
				want = []int{143}
			}
			eventually(t, func() bool {
				status, err := shared.status(t.Context())
				if err != nil || !status.Ready {
					return false
				}
				_, err = resource("v1", "configmaps", s.namespace).List(t.Context(), metav1.ListOptions{})
				return err == nil
			}, "the lab does not recover")
			goOn := resource("v1", "configmaps", s.namespace)
			_, err := goOn.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "go"},
			}}, metav1.CreateOptions{})
			require.NoError(t, err)
			e := run.waitFor(2 * patience)
			assert.Contains(t, want, e.code, "%s\n%s", e.stdout, e.stderr)
			require.NoError(t, goOn.Delete(t.Context(), "go", metav1.DeleteOptions{}))
			said := cleanUp(t, s.runs(t)...)
			assert.Equal(t, before, s.look(t), "%s\n%s", e.stdout, said)
			t.Logf("exit code %d; %s", e.code, said)
		})
	}
}
