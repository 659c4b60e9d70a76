//go:build lab

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// A middleman stands between egressplay and the API server, and knows which
// requests change something.
type middleman struct {
	*httptest.Server
	mu sync.Mutex
	// before and after are called with the number of a request that changes
	// something, from 1: before it gets to the server, and when the server has
	// answered. Where before returns false, the request goes no further.
	before func(n int, r *http.Request) bool
	after  func(n int, r *http.Request)
	// refuse answers a request in the server's place, where it returns a Status.
	refuse func(r *http.Request) *metav1.Status
	count  int
}

func newMiddleman(t *testing.T) *middleman {
	t.Helper()
	target, err := url.Parse(shared.config.Host)
	require.NoError(t, err)
	m := &middleman{before: func(int, *http.Request) bool { return true }, after: func(int, *http.Request) {}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	config := rest.CopyConfig(shared.config)
	config.NextProtos = []string{"http/1.1"} // a connection of HTTP/2 cannot be upgraded for exec
	proxy.Transport, err = rest.TransportFor(config)
	require.NoError(t, err)
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !changesSomething(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		m.mu.Lock()
		m.count++
		n := m.count
		m.mu.Unlock()
		if !m.before(n, r) {
			panic(http.ErrAbortHandler)
		}
		if m.refuse != nil {
			if status := m.refuse(r); status != nil {
				w.Header().Set("Content-Type", "application/json")
				if d := status.Details; d != nil && d.RetryAfterSeconds > 0 {
					w.Header().Set("Retry-After", fmt.Sprint(d.RetryAfterSeconds))
				}
				status.Kind, status.APIVersion = "Status", "v1"
				w.WriteHeader(int(status.Code))
				_ = json.NewEncoder(w).Encode(status)
				return
			}
		}
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
		m.after(n, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // who asked may be gone
	}))
	t.Cleanup(m.Close)
	return m
}

// changesSomething reports whether a request is to change an object.
func changesSomething(r *http.Request) bool {
	dry := r.URL.Query().Has("dryRun") || strings.Contains(r.URL.Path, "/exec") || strings.Contains(r.URL.Path, "/portforward") ||
		strings.Contains(r.URL.Path, "/leases") || strings.Contains(r.URL.Path, "/selfsubjectaccessreviews")
	return r.Method != http.MethodGet && !dry
}

// shape is what is compared of an object: also who owns which field, which e2e's
// worlds leave out, and without what an object that is made anew cannot have.
func shape(t *testing.T, obj *unstructured.Unstructured) string {
	t.Helper()
	obj = obj.DeepCopy()
	delete(obj.Object, "status")
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	annotations := obj.GetAnnotations()
	delete(annotations, "control-plane.alpha.kubernetes.io/leader") // who is alive
	delete(annotations, "deployment.kubernetes.io/revision")        // its controller counts
	obj.SetAnnotations(annotations)
	managed := slices.DeleteFunc(obj.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Subresource != "" || e.Manager == "kube-controller-manager"
	})
	for i := range managed {
		managed[i].Time = nil // the server does not take back a time alone
	}
	obj.SetManagedFields(managed)
	text, err := json.MarshalIndent(obj.Object, "", " ")
	require.NoError(t, err)
	return string(text)
}

// scenery is what the run of the test finds, and changes.
type scenery struct{ namespace string }

func newScenery(t *testing.T, name string) scenery {
	t.Helper()
	create(t, "v1", "namespaces", "", `{kind: Namespace, metadata: {name: `+name+`}}`)
	s := scenery{name}
	create(t, "v1", "configmaps", name, `{kind: ConfigMap, metadata: {name: settings}, data: {one: theirs, two: theirs}}`)
	create(t, "v1", "configmaps", name, `{kind: ConfigMap, metadata: {name: other, annotations: {note: keep}}, data: {a: b}}`)
	create(t, "apps/v1", "deployments", name, `{kind: Deployment, metadata: {name: idle}, spec: {replicas: 0, selector: {matchLabels: {app: idle}},
  template: {metadata: {labels: {app: idle}}, spec: {containers: [{name: idle, image: curlimages/curl}]}}}}`)
	for _, own := range []string{"istio-ca-crl", "istio-ca-root-cert", "kube-root-ca.crt"} { // that controllers make in each namespace
		eventually(t, func() bool {
			_, err := resource("v1", "configmaps", name).Get(t.Context(), own, metav1.GetOptions{})
			return err == nil
		}, "no configmap/%s", own)
	}
	return s
}

// runs returns the IDs of the runs that have left something in the namespace.
func (s scenery) runs(t *testing.T) (ids []string) {
	t.Helper()
	secrets, err := resource("v1", "secrets", s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "egressplay.io/run"})
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		ids = append(ids, secret.GetLabels()["egressplay.io/run"])
	}
	return ids
}

// cleanUp puts back what runs have left, and returns what is said of it.
func cleanUp(t *testing.T, ids ...string) string {
	t.Helper()
	if len(ids) == 0 {
		return "nothing was left"
	}
	e := egressplay(t, append([]string{"cleanup"}, ids...)...)
	e.exits(t, 0)
	return e.stdout
}

// kept returns the ID of a run that was told to keep what it changed.
func (e ended) kept(t *testing.T) string {
	t.Helper()
	_, after, found := strings.Cut(e.stdout, "to put it back later: egressplay cleanup ")
	require.True(t, found, e.stdout)
	line, _, _ := strings.Cut(after, "\n")
	words := strings.Fields(line) // flags may name the cluster
	return words[len(words)-1]
}

// look returns all that the run may touch.
func (s scenery) look(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	list := func(apiVersion, kind, namespace string) {
		objects, err := resource(apiVersion, kind, namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for i := range objects.Items {
			seen[kind+"/"+objects.Items[i].GetName()] = shape(t, &objects.Items[i])
		}
	}
	for _, kind := range []string{"configmaps", "secrets", "services"} {
		list("v1", kind, s.namespace)
	}
	list("apps/v1", "deployments", s.namespace)
	list("networking.istio.io/v1", "serviceentries", s.namespace)
	list("v1", "secrets", "istio-system")
	for name, of := range map[string][2]string{"namespaces": {"", s.namespace}, "configmaps": {"istio-system", "istio"}} {
		obj, err := resource("v1", name, of[0]).Get(t.Context(), of[1], metav1.GetOptions{})
		require.NoError(t, err)
		seen[name+" "+of[1]] = shape(t, obj)
	}
	return seen
}

// all has a step of each kind that changes something, and of each way in which it
// can: made, changed, deleted, and one after the other.
func (s scenery) all(t *testing.T) string {
	t.Helper()
	return playbook(t,
		"Make two\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: made}\n  data: {a: b}\n  ---\n"+
			"  apiVersion: networking.istio.io/v1\n  kind: ServiceEntry\n  metadata: {name: made}\n  spec: {hosts: [made.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n",
		"Change one\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: settings}\n  data: {one: ours, three: ours}\n",
		"Delete one\ndelete: cm/other",
		"Make it again\napply: |\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: other}\n  data: {c: d}\n",
		"Label\nlabel: {object: ns/"+s.namespace+", set: {a: b}}",
		"Annotate\nannotate: {object: cm/made, set: {a: b}}",
		"Patch\npatch: {object: deploy/idle, merge: \"spec: {paused: true, minReadySeconds: 3}\"}",
		"Scale\nscale: {object: deploy/idle, replicas: 0}",
		"Restart\nrestart: deploy/idle",
		"Set the policy\npolicy: {set: REGISTRY_ONLY}",
		"Delete what was made\ndelete: se/made",
	).file()
}

// everything returns every object that somebody wanted to be there, of every kind
// that can be listed, with who owns which field of it.
func everything(t *testing.T) map[string]string {
	t.Helper()
	groups, err := discovery.ServerPreferredResources(shared.discovery)
	require.NoError(t, err)
	seen := map[string]string{}
	for _, g := range groups {
		version, err := schema.ParseGroupVersion(g.GroupVersion)
		require.NoError(t, err)
		for _, r := range g.APIResources {
			kind := version.WithResource(r.Name).GroupResource().String()
			if !slices.Contains(r.Verbs, "list") || slices.Contains(churn, kind) || slices.Contains(collected, kind) {
				continue
			}
			list, err := shared.dynamic.Resource(version.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err, "list %s", kind)
			for i := range list.Items {
				if obj := &list.Items[i]; len(obj.GetOwnerReferences()) == 0 {
					seen[kind+" "+obj.GetNamespace()+"/"+obj.GetName()] = shape(t, obj)
				}
			}
		}
	}
	return seen
}

// leftRuns returns the IDs of the runs that have left something anywhere.
func leftRuns(t *testing.T) (ids []string) {
	t.Helper()
	secrets, err := resource("v1", "secrets", "").List(t.Context(), metav1.ListOptions{LabelSelector: "egressplay.io/run"})
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		id := secret.GetLabels()["egressplay.io/run"]
		if strings.HasPrefix(secret.GetName(), "egressplay-run-"+id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// killEverywhere kills a run at each of its points, or with every at each such one,
// and has cleanup put back what it left. A point is before or after a request that
// changes something, while the run puts back too. It returns how many kills were
// put back, and of how many. playbook is what stands behind run: a playbook, and
// which part of it.
func killEverywhere(t *testing.T, playbook []string, namespace string, every int, look func(*testing.T) map[string]string) (putBack, kills int) {
	t.Helper()
	before, others := look(t), leftRuns(t)
	args := func(m *middleman) []string {
		return append([]string{"run", "--namespace", namespace, "--kubeconfig", kubeconfigOf(t, m.URL, nil), "--context", elsewhere}, playbook...)
	}

	// How many points there are, a run shows that is not killed.
	m := newMiddleman(t)
	egressplay(t, args(m)...).exits(t, 0)
	require.Equal(t, before, look(t))
	points := m.count
	for n := 1; n <= points; n++ {
		for _, when := range []string{"before", "after"} {
			if every > 1 && (n%2 == 0) != (when == "after") {
				continue
			}
			t.Run(fmt.Sprintf("%s change %d", when, n), func(t *testing.T) {
				m := newMiddleman(t)
				var run *process
				started := make(chan struct{})
				kill := func(at int, at2 string) bool {
					if at != n || at2 != when {
						return true
					}
					<-started
					require.NoError(t, run.cmd.Process.Kill())
					<-run.done
					return false
				}
				m.before = func(at int, _ *http.Request) bool { return kill(at, "before") }
				m.after = func(at int, _ *http.Request) { kill(at, "after") }
				run = begin(t, args(m)...)
				close(started)
				if code := run.wait().code; n > points-5 && code == 0 {
					t.Skip("this run had fewer points: nobody changed an object between its look and its change")
				}
				kills++
				assert.Equal(t, 137, run.wait().code)

				ids := slices.DeleteFunc(leftRuns(t), func(id string) bool { return slices.Contains(others, id) })
				said := cleanUp(t, ids...)
				if assert.Equal(t, before, look(t), "%s", said) {
					putBack++
				}
			})
		}
	}
	return putBack, kills
}

// A run that is killed at any point, be it between a change and its answer or
// while it puts back, is put back by cleanup: all is as it was, down to who owns
// which field. EGRESSPLAY_E2E_KILL takes more than a sample: all points of the
// built-in playbooks that it names, or with "all" those of every one.
func TestARunThatIsKilledAtAnyPointIsPutBack(t *testing.T) {
	var names []string
	every := 1
	switch wanted := os.Getenv("EGRESSPLAY_E2E_KILL"); wanted {
	case "": // all of them take some minutes: every other one, before and after in turns
		every = 2
	case "all":
		e := egressplay(t, "list", "-o", "name")
		e.exits(t, 0)
		names = strings.Fields(e.stdout)
	default:
		names = strings.Fields(wanted)
	}
	s := newScenery(t, "killed")
	t.Run("every kind of step", func(t *testing.T) {
		putBack, kills := killEverywhere(t, []string{s.all(t)}, s.namespace, every, s.look)
		assert.Greater(t, kills, 20/every)
		t.Logf("put back after %d of %d kills", putBack, kills)
	})
	all, allKills := 0, 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			// Steps that only look change nothing: they are left out.
			putBack, kills := killEverywhere(t, []string{name, "--only", lastStep(t, name)}, "default", every, everything)
			all, allKills = all+putBack, allKills+kills
			t.Logf("%s: put back after %d of %d kills", name, putBack, kills)
		})
	}
	if len(names) > 0 {
		t.Logf("built-in playbooks: put back after %d of %d kills", all, allKills)
	}
}

// lastStep returns the number of the last step of a built-in playbook.
func lastStep(t *testing.T, playbook string) string {
	t.Helper()
	e := egressplay(t, "list", "-o", "json")
	e.exits(t, 0)
	var listed []struct {
		Name  string
		Steps int
	}
	require.NoError(t, json.Unmarshal([]byte(e.stdout), &listed))
	for _, p := range listed {
		if p.Name == playbook {
			return strconv.Itoa(p.Steps)
		}
	}
	require.FailNow(t, "there is no playbook "+playbook)
	return ""
}
