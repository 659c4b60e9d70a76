//go:build lab

package e2e

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Somebody else works in the namespace while a run goes on: what he changes
// stays, and his next server-side apply finds no conflict.
func TestWhatSomebodyElseChangesStays(t *testing.T) {
	s := newScenery(t, "others")
	owner := metav1.PatchOptions{FieldManager: "owner"}
	maps := resource("v1", "configmaps", s.namespace)
	theirs := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"owned"},"data":{"one":"theirs","two":"theirs"}}`)
	_, err := maps.Patch(t.Context(), "owned", types.ApplyPatchType, theirs, owner)
	require.NoError(t, err)

	file := playbook(t,
		"Change two\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: owned}\n  data: {one: ours, three: ours}\n  ---\n"+
			"  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {one: ours}\n",
		"Make one\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: made}\n",
		"Wait for somebody\nwait: {object: cm/go, for: create}\nwithin: 2m",
	).file()
	run := begin(t, "run", file, "--namespace", s.namespace)
	run.await("created")
	_, err = maps.Patch(t.Context(), "owned", types.MergePatchType, []byte(`{"data":{"new":"theirs"}}`), metav1.PatchOptions{FieldManager: "colleague"})
	require.NoError(t, err)
	_, err = maps.Patch(t.Context(), "settings", types.MergePatchType, []byte(`{"data":{"one":"changed by a colleague"}}`), metav1.PatchOptions{FieldManager: "colleague"})
	require.NoError(t, err)
	require.NoError(t, maps.Delete(t.Context(), "made", metav1.DeleteOptions{}))
	create(t, "v1", "configmaps", s.namespace, `{kind: ConfigMap, metadata: {name: made}, data: {of: somebody else}}`)
	create(t, "v1", "configmaps", s.namespace, `{kind: ConfigMap, metadata: {name: go}}`)
	e := run.wait()
	e.exits(t, 4)
	assert.Contains(t, e.stdout, "changed meanwhile by colleague: data.one, left as it is")
	assert.Contains(t, e.stdout, "made anew meanwhile by")
	assert.Contains(t, e.stdout, "put back: configmap/owned (as it was)")

	data := func(name string) any {
		obj, err := maps.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		return obj.Object["data"]
	}
	assert.Equal(t, map[string]any{"one": "theirs", "two": "theirs", "new": "theirs"}, data("owned"))
	assert.Equal(t, map[string]any{"one": "changed by a colleague", "two": "theirs"}, data("settings"))
	assert.Equal(t, map[string]any{"of": "somebody else"}, data("made"))
	_, err = maps.Patch(t.Context(), "owned", types.ApplyPatchType, theirs, owner)
	assert.NoError(t, err, "the owner's next apply")
}

// Of two runs in one namespace the second is refused, or waits where it is told
// to; both leave nothing.
func TestTwoRunsInOnePlace(t *testing.T) {
	s := newScenery(t, "twice")
	before := s.look(t)
	file := playbook(t,
		"Change it\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {one: ours}\n",
		"Wait for somebody\nwait: {object: cm/go, for: create}\nwithin: 2m",
	).file()
	first := begin(t, "run", file, "--namespace", s.namespace)
	first.await("configured")

	second := egressplay(t, "run", file, "--namespace", s.namespace)
	second.exits(t, 3)
	assert.Contains(t, second.stdout, "another run is changing namespace twice: run ")
	assert.Contains(t, second.stdout, "--wait-for")

	third := begin(t, "run", file, "--namespace", s.namespace, "--wait-for", "2m")
	third.await("playbook ")
	create(t, "v1", "configmaps", s.namespace, `{kind: ConfigMap, metadata: {name: go}}`)
	first.wait().exits(t, 0)
	third.wait().exits(t, 0)
	require.NoError(t, resource("v1", "configmaps", s.namespace).Delete(t.Context(), "go", metav1.DeleteOptions{}))
	assert.Equal(t, before, s.look(t))
}

// Many runs that begin in the same second: one of them has the place, and none
// leaves anything.
func TestRunsThatBeginInTheSameSecond(t *testing.T) {
	s := newScenery(t, "crowd")
	before := s.look(t)
	file := playbook(t, "Change it\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {one: ours}\n").file()
	for range 3 {
		var runs []*process
		for range 3 {
			runs = append(runs, begin(t, "run", file, "--namespace", s.namespace))
		}
		passed := 0
		for _, r := range runs {
			e := r.wait()
			if e.code == 0 {
				passed++
				continue
			}
			e.exits(t, 3)
			assert.Contains(t, e.stdout, "another run is changing namespace crowd")
		}
		assert.Positive(t, passed)
		assert.Equal(t, before, s.look(t))
	}
}

// What a run has left by --keep is put back later, and told to whoever runs there
// meanwhile.
func TestWhatIsKeptIsPutBackLater(t *testing.T) {
	s := newScenery(t, "kept")
	before := s.look(t)
	file := s.all(t)
	e := egressplay(t, "run", file, "--namespace", s.namespace, "--keep")
	e.exits(t, 0)
	id := e.kept(t)
	assert.NotEqual(t, before, s.look(t))

	hello := playbook(t, "Say it\nset: {GREETING: hello}").file()
	e = egressplay(t, "run", hello, "--namespace", s.namespace)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, "here; to put it back: egressplay cleanup ")

	list := egressplay(t, "cleanup", "--list")
	list.exits(t, 0)
	assert.Regexp(t, id+` .*outbound traffic policy in istio-system`, list.stdout)
	assert.Contains(t, cleanUp(t, id), "put back: outbound traffic policy")
	assert.Equal(t, before, s.look(t))
	assert.NotContains(t, egressplay(t, "cleanup", "--list").stdout, id)
	egressplay(t, "cleanup", id).exits(t, 2)
}

// Of several clean-ups of one run at once, one puts everything back, and the others
// do nothing or say who is at it.
func TestCleanUpsAtOnce(t *testing.T) {
	s := newScenery(t, "cleanups")
	before := s.look(t)
	for range 3 {
		e := egressplay(t, "run", s.all(t), "--namespace", s.namespace, "--keep")
		e.exits(t, 0)
		id := e.kept(t)
		var all []*process
		for range 3 {
			all = append(all, begin(t, "cleanup", id))
		}
		done := 0
		for _, p := range all {
			switch e := p.wait(); e.code {
			case 0:
				done++
				assert.Regexp(t, "put back: outbound traffic policy|put back meanwhile", e.stdout)
			case 2:
				assert.Contains(t, e.stderr, "no run ")
			default:
				e.exits(t, 3)
				assert.Contains(t, e.stderr, "another run is changing ")
			}
		}
		assert.Positive(t, done)
		assert.Equal(t, before, s.look(t))
	}
}

// A record that cannot be read keeps no other run from being put back.
func TestCleanUpBesideARecordThatCannotBeRead(t *testing.T) {
	s := newScenery(t, "cleanup-unread")
	before := s.look(t)
	e := egressplay(t, "run", s.all(t), "--namespace", s.namespace, "--keep")
	e.exits(t, 0)
	id := e.kept(t)
	forged := `
apiVersion: v1
kind: Secret
metadata:
  name: egressplay-run-forged0000
  namespace: ` + s.namespace + `
  labels: {app.kubernetes.io/managed-by: egressplay, egressplay.io/run: forged0000}
  annotations: {egressplay.io/holder: somebody, egressplay.io/started: "2100-01-01T00:00:00Z"}
stringData: {change-0001: nothing}
`
	kubectl(t, "create", forged)
	remove := sync.OnceFunc(func() { kubectl(t, "delete", forged) })
	t.Cleanup(remove)
	e = egressplay(t, "cleanup", "forged0000", id, "--namespace", s.namespace) // not --all, for the sample is a run that stays
	e.exits(t, 3)
	assert.Contains(t, e.stdout, "run forged0000 is left as it is")
	assert.Contains(t, e.stderr, "cannot be read")
	assert.NotContains(t, egressplay(t, "cleanup", "--list", "--namespace", s.namespace).stdout, id)
	remove()
	assert.Equal(t, before, s.look(t))
}
