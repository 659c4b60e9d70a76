package clustertest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// deadline bounds each test of the suite. On a real cluster one of them waits
// for a pod.
const deadline = 2 * time.Minute

// Run tests the promises of [cluster.Interface]: those of [RunObjects] and [RunPods].
func Run(t *testing.T, newCluster func(t *testing.T) cluster.Interface) {
	t.Run("objects", func(t *testing.T) { RunObjects(t, newCluster) })
	t.Run("pods", func(t *testing.T) { RunPods(t, newCluster) })
}

// A scene is a cluster with a namespace for one test.
type scene struct {
	testing.TB
	ctx context.Context
	c   cluster.Interface
	ns  string
}

func newScene(t testing.TB, c cluster.Interface) *scene {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	s := &scene{t, ctx, c, "clustertest-" + strings.ToLower(rand.Text()[:8])}
	_, err := c.Apply(ctx, Object("v1", "Namespace", "", s.ns, nil), cluster.WriteOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := c.Delete(ctx, cluster.Ref{Kind: "ns", Name: s.ns}, cluster.WriteOptions{}); !apierrors.IsNotFound(err) { // a test deletes it itself
			assert.NoError(t, err)
		}
	})
	return s
}

// of returns the same scene for a test within its own. A namespace for each
// would be slow: a real one takes 5 s to go.
func (s *scene) of(t *testing.T) *scene {
	within := *s
	within.TB = t
	return &within
}

// empty deletes the ConfigMaps of a test.
func (s *scene) empty() {
	list, err := s.c.List(s.ctx, "configmaps", s.ns, "")
	assert.NoError(s, err)
	for _, obj := range list {
		if obj.GetName() != "kube-root-ca.crt" { // a controller's own
			assert.NoError(s, s.c.Delete(s.ctx, cluster.RefOf(&obj), cluster.WriteOptions{}))
		}
	}
}

func (s *scene) configMap(name string, data map[string]any) *unstructured.Unstructured {
	return Object("v1", "ConfigMap", s.ns, name, map[string]any{"data": data})
}

func (s *scene) ref(name string) cluster.Ref {
	return cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: s.ns, Name: name}
}

func (s *scene) get(name string) *unstructured.Unstructured {
	obj, err := s.c.Get(s.ctx, s.ref(name))
	require.NoError(s, err)
	return obj
}

func (s *scene) apply(obj *unstructured.Unstructured) *unstructured.Unstructured {
	got, err := s.c.Apply(s.ctx, obj, cluster.WriteOptions{})
	require.NoError(s, err)
	return got
}

// RunObjects tests the promises about objects. It needs an API
// server and the controllers, but no node.
func RunObjects(t *testing.T, newCluster func(t *testing.T) cluster.Interface) {
	whole := newScene(t, newCluster(t))
	run := func(name string, test func(s *scene)) {
		t.Run(name, func(t *testing.T) {
			s := whole.of(t)
			defer s.empty()
			test(s)
		})
	}

	run("get of what is not there", func(s *scene) {
		_, err := s.c.Get(s.ctx, s.ref("absent"))
		require.Error(s, err)
		assert.True(s, apierrors.IsNotFound(err), "%v", err)
	})
	run("an unknown kind", func(s *scene) {
		for _, ref := range []cluster.Ref{
			{Kind: "nosuchkind", Namespace: s.ns, Name: "x"},
			{APIVersion: "v1", Kind: "NoSuchKind", Namespace: s.ns, Name: "x"},
			{APIVersion: "no.such.group/v1", Kind: "NoSuchKind", Namespace: s.ns, Name: "x"},
		} {
			_, err := s.c.Get(s.ctx, ref)
			noKind, ok := errors.AsType[*cluster.NoKindError](err)
			require.True(s, ok, "%v: %v", ref, err)
			assert.Equal(s, &cluster.NoKindError{Kind: ref.Kind, APIVersion: ref.APIVersion}, noKind)
			assert.NotEmpty(s, noKind.Hint())
		}
		for _, old := range []struct{ apiVersion, kind, err, hint string }{
			{"apps/v1beta1", "Deployment", "the cluster has no kind Deployment in apps/v1beta1, only in apps/v1", "write apiVersion: apps/v1"},
			{"extensions/v1beta1", "Ingress", "the cluster has no kind Ingress in extensions/v1beta1, only in networking.k8s.io/v1", "write apiVersion: networking.k8s.io/v1"},
			{"v1", "Deployment", "the cluster has no kind Deployment in v1, only in apps/v1", "write apiVersion: apps/v1"},
			{"example.com/v1", "Deployment", "the cluster has no kind Deployment in example.com/v1, only in apps/v1",
				"install the definitions (CRDs) of example.com, then run the same command again"},
		} {
			_, err := s.c.Get(s.ctx, cluster.Ref{APIVersion: old.apiVersion, Kind: old.kind, Namespace: s.ns, Name: "x"})
			require.EqualError(s, err, old.err)
			noKind, _ := errors.AsType[*cluster.NoKindError](err)
			assert.Equal(s, old.hint, noKind.Hint())
		}
		_, err := s.c.Apply(s.ctx, Object("no.such.group/v1", "Thing", s.ns, "x", nil), cluster.WriteOptions{})
		assert.ErrorAs(s, err, new(*cluster.NoKindError))
		_, err = s.c.List(s.ctx, "nosuchkind", s.ns, "")
		assert.ErrorAs(s, err, new(*cluster.NoKindError))
	})
	run("no namespace is given", func(s *scene) {
		_, err := s.c.Apply(s.ctx, Object("v1", "ConfigMap", "", "a", nil), cluster.WriteOptions{})
		assert.ErrorContains(s, err, "namespace")
	})
	run("a namespace that is not there", func(s *scene) {
		_, err := s.c.Apply(s.ctx, Object("v1", "ConfigMap", s.ns+"-not", "a", nil), cluster.WriteOptions{})
		assert.True(s, apierrors.IsNotFound(err), "%v", err)
	})
	run("apply creates, changes, and takes back its own", func(s *scene) {
		got := s.apply(s.configMap("a", map[string]any{"one": "1", "two": "2"}))
		assert.NotEmpty(s, got.GetUID())
		s.apply(s.configMap("a", map[string]any{"two": "22", "three": "3"}))
		assert.Equal(s, map[string]any{"two": "22", "three": "3"}, s.get("a").Object["data"])
	})
	run("apply leaves alone what others set", func(s *scene) {
		s.apply(s.configMap("a", map[string]any{"one": "1"}))
		_, err := s.c.MergePatch(s.ctx, s.ref("a"), []byte(`{"data":{"theirs":"x"},"metadata":{"labels":{"theirs":"y"}}}`), cluster.WriteOptions{})
		require.NoError(s, err)
		s.apply(s.configMap("a", map[string]any{"one": "11"}))
		got := s.get("a")
		assert.Equal(s, map[string]any{"one": "11", "theirs": "x"}, got.Object["data"])
		assert.Equal(s, map[string]string{"theirs": "y"}, got.GetLabels())
	})
	run("apply wins over others", func(s *scene) {
		_, err := s.c.Create(s.ctx, s.configMap("a", map[string]any{"one": "theirs"}))
		require.NoError(s, err)
		s.apply(s.configMap("a", map[string]any{"one": "ours"}))
		assert.Equal(s, map[string]any{"one": "ours"}, s.get("a").Object["data"])
	})
	run("apply takes an object as it was read", func(s *scene) {
		s.apply(s.configMap("a", map[string]any{"one": "1"}))
		read := s.get("a")
		s.apply(s.configMap("a", map[string]any{"one": "2"}))
		s.apply(read)
		assert.Equal(s, map[string]any{"one": "1"}, s.get("a").Object["data"])
	})
	run("create", func(s *scene) {
		given := s.apply(s.configMap("a", map[string]any{"one": "1"}))
		_, err := s.c.Create(s.ctx, given)
		assert.True(s, apierrors.IsAlreadyExists(err), "%v", err)
		require.NoError(s, s.c.Delete(s.ctx, s.ref("a"), cluster.WriteOptions{}))
		got, err := s.c.Create(s.ctx, given)
		require.NoError(s, err)
		assert.Equal(s, map[string]any{"one": "1"}, s.get("a").Object["data"])
		assert.NotEqual(s, given.GetUID(), got.GetUID(), "it is another object")
	})
	run("update makes it what is given", func(s *scene) {
		before := s.configMap("a", map[string]any{"one": "1"})
		before.SetLabels(map[string]string{"l": "1"})
		read := s.apply(before)

		changed := s.configMap("a", map[string]any{"two": "2"})
		changed.SetLabels(map[string]string{"l": "2", "more": "x"})
		changed.SetAnnotations(map[string]string{"note": "x"})
		now := s.apply(changed)
		_, err := s.c.Update(s.ctx, read)
		assert.True(s, apierrors.IsConflict(err), "it has changed since: %v", err)

		back := read.DeepCopy()
		back.SetResourceVersion(now.GetResourceVersion())
		_, err = s.c.Update(s.ctx, back)
		require.NoError(s, err)
		now = s.get("a")
		assert.Equal(s, read.Object["data"], now.Object["data"])
		assert.Equal(s, read.GetLabels(), now.GetLabels())
		assert.Empty(s, now.GetAnnotations())
		assert.Equal(s, read.GetUID(), now.GetUID())
		assert.Equal(s, "1", read.GetLabels()["l"], "what was given is not changed")

		require.NoError(s, s.c.Delete(s.ctx, s.ref("a"), cluster.WriteOptions{}))
		_, err = s.c.Update(s.ctx, now)
		assert.True(s, apierrors.IsNotFound(err), "%v", err)
	})
	run("what is only tried changes nothing", func(s *scene) {
		dry := cluster.WriteOptions{DryRun: true}
		_, err := s.c.Apply(s.ctx, s.configMap("a", nil), dry)
		require.NoError(s, err)
		_, err = s.c.Get(s.ctx, s.ref("a"))
		assert.True(s, apierrors.IsNotFound(err), "%v", err)

		read := s.apply(s.configMap("a", map[string]any{"one": "1"}))
		got, err := s.c.Apply(s.ctx, s.configMap("a", map[string]any{"one": "2"}), dry)
		require.NoError(s, err)
		assert.Equal(s, map[string]any{"one": "2"}, got.Object["data"], "the answer is as if it had been made")
		got, err = s.c.MergePatch(s.ctx, s.ref("a"), []byte(`{"data":{"two":"2"}}`), dry)
		require.NoError(s, err)
		assert.Equal(s, map[string]any{"one": "1", "two": "2"}, got.Object["data"])
		require.NoError(s, s.c.Delete(s.ctx, s.ref("a"), dry))
		assert.Equal(s, read.GetResourceVersion(), s.get("a").GetResourceVersion())
	})
	run("a write of another version, or of another object", func(s *scene) {
		read := s.apply(s.configMap("a", map[string]any{"one": "1"}))
		old := cluster.WriteOptions{Version: read.GetResourceVersion(), UID: read.GetUID()}
		now := s.apply(s.configMap("a", map[string]any{"one": "2"}))
		_, err := s.c.Apply(s.ctx, s.configMap("a", map[string]any{"one": "3"}), old)
		assert.True(s, apierrors.IsConflict(err), "%v", err)
		_, err = s.c.MergePatch(s.ctx, s.ref("a"), []byte(`{"data":{"one":"3"}}`), old)
		assert.True(s, apierrors.IsConflict(err), "%v", err)
		err = s.c.Delete(s.ctx, s.ref("a"), old)
		assert.True(s, apierrors.IsConflict(err), "%v", err)
		err = s.c.Delete(s.ctx, s.ref("a"), cluster.WriteOptions{UID: "another"})
		assert.True(s, apierrors.IsConflict(err), "%v", err)

		of := cluster.WriteOptions{Version: now.GetResourceVersion(), UID: now.GetUID()}
		now, err = s.c.Apply(s.ctx, s.configMap("a", map[string]any{"one": "3"}), of)
		require.NoError(s, err)
		of.Version = now.GetResourceVersion()
		now, err = s.c.MergePatch(s.ctx, s.ref("a"), []byte(`{"data":{"one":"4"}}`), of)
		require.NoError(s, err)
		of.Version = now.GetResourceVersion()
		require.NoError(s, s.c.Delete(s.ctx, s.ref("a"), of))
	})
	run("dependents", func(s *scene) {
		owner := s.apply(s.configMap("owner", nil))
		refs, err := s.c.Dependents(s.ctx, owner)
		require.NoError(s, err)
		assert.Empty(s, refs)
		owned := s.configMap("owned", nil)
		owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "owner", UID: owner.GetUID()}})
		s.apply(owned)
		refs, err = s.c.Dependents(s.ctx, owner)
		require.NoError(s, err)
		assert.Equal(s, []cluster.Ref{s.ref("owned")}, refs)
	})
	run("contents", func(s *scene) {
		s.apply(s.configMap("inside", nil))
		quiet := cluster.WithWarnings(s.ctx, func(warning string) { assert.Fail(s, "nobody has named a kind", warning) })
		all, unseen, err := s.c.Contents(quiet, s.ref("inside").Namespace)
		require.NoError(s, err)
		assert.Empty(s, unseen, "we may list everything")
		i := slices.IndexFunc(all, func(obj unstructured.Unstructured) bool { return cluster.RefOf(&obj) == s.ref("inside") })
		require.GreaterOrEqual(s, i, 0)
		assert.NotEmpty(s, all[i].GetUID())
		for _, obj := range all {
			assert.Equal(s, s.ref("inside").Namespace, obj.GetNamespace())
		}
	})
	run("merge patch", func(s *scene) {
		s.apply(s.configMap("a", map[string]any{"one": "1", "two": "2"}))
		got, err := s.c.MergePatch(s.ctx, s.ref("a"), []byte(`{"data":{"one":null,"three":"3"}}`), cluster.WriteOptions{})
		require.NoError(s, err)
		assert.Equal(s, map[string]any{"two": "2", "three": "3"}, got.Object["data"])
		_, err = s.c.MergePatch(s.ctx, s.ref("absent"), []byte(`{}`), cluster.WriteOptions{})
		assert.True(s, apierrors.IsNotFound(err), "%v", err)
	})
	run("merge patch of an object that changed", func(s *scene) {
		read := s.apply(s.configMap("a", map[string]any{"one": "1"}))
		s.apply(s.configMap("a", map[string]any{"one": "2"}))
		patch := `{"metadata":{"resourceVersion":"` + read.GetResourceVersion() + `"},"data":{"one":"3"}}`
		_, err := s.c.MergePatch(s.ctx, s.ref("a"), []byte(patch), cluster.WriteOptions{})
		assert.True(s, apierrors.IsConflict(err), "%v", err)
		assert.Equal(s, map[string]any{"one": "2"}, s.get("a").Object["data"])
	})
	run("delete", func(s *scene) {
		err := s.c.Delete(s.ctx, s.ref("a"), cluster.WriteOptions{})
		assert.True(s, apierrors.IsNotFound(err), "%v", err)
		s.apply(s.configMap("a", nil))
		require.NoError(s, s.c.Delete(s.ctx, s.ref("a"), cluster.WriteOptions{}))
		_, err = s.c.Get(s.ctx, s.ref("a"))
		assert.True(s, apierrors.IsNotFound(err), "%v", err)
	})
	run("list", func(s *scene) {
		for _, name := range []string{"c", "a", "b"} {
			obj := s.configMap(name, nil)
			obj.SetLabels(map[string]string{"for": "list", "name": name})
			s.apply(obj)
		}
		names := func(kind, selector string) (names []string) {
			list, err := s.c.List(s.ctx, kind, s.ns, selector)
			require.NoError(s, err)
			for _, obj := range list {
				assert.Equal(s, "ConfigMap", obj.GetKind())
				names = append(names, obj.GetName())
			}
			return names
		}
		assert.Equal(s, []string{"a", "b", "c"}, names("configmaps", "for=list"))
		assert.Equal(s, []string{"a", "c"}, names("cm", "name in (a,c)"))
		assert.Empty(s, names("ConfigMap", "for=nothing"))
	})
	run("resolve", func(s *scene) {
		for _, test := range []struct{ given, want cluster.Ref }{
			{cluster.Ref{Kind: "deploy", Name: "x"}, cluster.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "fallback", Name: "x"}},
			{cluster.Ref{Kind: "Deployment"}, cluster.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "fallback"}},
			{cluster.Ref{Kind: "deployments.apps", Namespace: "own"}, cluster.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "own"}},
			{cluster.Ref{APIVersion: "apps/v1", Kind: "Deployment"}, cluster.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "fallback"}},
			{cluster.Ref{Kind: "svc"}, cluster.Ref{APIVersion: "v1", Kind: "Service", Namespace: "fallback"}},
			{cluster.Ref{Kind: "po"}, cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "fallback"}},
			{cluster.Ref{Kind: "ns", Namespace: "none"}, cluster.Ref{APIVersion: "v1", Kind: "Namespace"}},
			{cluster.Ref{Kind: "namespace"}, cluster.Ref{APIVersion: "v1", Kind: "Namespace"}},
		} {
			got, err := s.c.Resolve(s.ctx, test.given, "fallback")
			require.NoError(s, err, "%+v", test.given)
			assert.Equal(s, test.want, got)
		}
	})
	run("a context that has ended", func(s *scene) {
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(s.ctx)
		cancel(stopped)
		_, err := s.c.Get(ctx, s.ref("a"))
		assert.ErrorIs(s, err, stopped)
		_, err = s.c.Apply(ctx, s.configMap("a", nil), cluster.WriteOptions{})
		assert.ErrorIs(s, err, stopped)
		assert.ErrorIs(s, s.c.Delete(ctx, s.ref("a"), cluster.WriteOptions{}), stopped)
		_, err = s.c.Pod(ctx, cluster.PodQuery{Namespace: s.ns, Selector: "app=x"})
		assert.ErrorIs(s, err, stopped)
		_, err = s.c.Exec(ctx, cluster.ExecRequest{Namespace: s.ns, Pod: "x", Command: []string{"true"}})
		assert.ErrorIs(s, err, stopped)
	})
}

// RunPods tests the promises about pods. It needs one that runs
// them, and has the image curlimages/curl.
func RunPods(t *testing.T, newCluster func(t *testing.T) cluster.Interface) {
	s := newScene(t, newCluster(t))
	s.apply(s.deployment("first"))
	pod := s.waitForPod(cluster.PodQuery{Namespace: s.ns, Owner: "deploy/sample"})

	t.Run("which pod is meant", func(t *testing.T) {
		for _, q := range []cluster.PodQuery{
			{Name: pod.Name}, {Selector: "app=sample"}, {Owner: "deployment/sample"}, {Owner: "deployments.apps/sample", Container: "sample"},
		} {
			q.Namespace = s.ns
			got, err := s.c.Pod(s.ctx, q)
			require.NoError(t, err, "%v", q)
			assert.Equal(t, pod, got)
			got, err = s.c.LogPod(s.ctx, q)
			require.NoError(t, err, "%v", q)
			assert.Equal(t, pod, got)
		}
		assert.Equal(t, "sample", pod.Container)
		assert.Equal(t, []string{"sample"}, pod.Containers)
		assert.NotEmpty(t, pod.IP)
	})
	t.Run("a pod that is not there", func(t *testing.T) {
		for _, q := range []cluster.PodQuery{{Name: "absent"}, {Selector: "app=absent"}, {Owner: "deploy/absent"}} {
			q.Namespace = s.ns
			_, err := s.c.Pod(s.ctx, q)
			notReady, ok := errors.AsType[*cluster.NotReadyError](err)
			require.True(t, ok, "%v: %v", q, err)
			assert.False(t, notReady.Final)
			assert.Equal(t, q.String(), notReady.Query)
			_, err = s.c.LogPod(s.ctx, q)
			assert.ErrorAs(t, err, new(*cluster.NotReadyError), "%v", q)
		}
	})
	t.Run("a container that is not there", func(t *testing.T) {
		_, err := s.c.Pod(s.ctx, cluster.PodQuery{Namespace: s.ns, Owner: "deploy/sample", Container: "other"})
		notReady, ok := errors.AsType[*cluster.NotReadyError](err)
		require.True(t, ok, "%v", err)
		assert.True(t, notReady.Final)
		assert.Contains(t, notReady.Reason, "it has: sample")

		_, err = s.c.Exec(s.ctx, cluster.ExecRequest{Namespace: s.ns, Pod: pod.Name, Container: "other", Command: []string{"true"}})
		notReady, ok = errors.AsType[*cluster.NotReadyError](err)
		require.True(t, ok, "%v", err)
		assert.True(t, notReady.Final)
	})
	t.Run("a query that is none", func(t *testing.T) {
		for _, q := range []cluster.PodQuery{{}, {Name: "a", Selector: "b=c"}, {Owner: "sample"}} {
			_, err := s.c.Pod(s.ctx, q)
			assert.Error(t, err, "%+v", q)
		}
	})

	exec := func(t *testing.T, stdin string, command ...string) (result cluster.ExecResult, stdout, stderr string) {
		var out, errOut strings.Builder
		r := cluster.ExecRequest{
			Namespace: s.ns, Pod: pod.Name, Container: "sample", Command: command, Stdout: &out, Stderr: &errOut,
		}
		if stdin != "" {
			r.Stdin = strings.NewReader(stdin)
		}
		result, err := s.c.Exec(s.ctx, r)
		require.NoError(t, err)
		assert.True(t, result.Trusted)
		return result, out.String(), errOut.String()
	}
	t.Run("exit codes", func(t *testing.T) {
		for command, want := range map[string]int{"exit 0": 0, "exit 35": 35, "exit 255": 255, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9} {
			result, _, _ := exec(t, "", "sh", "-c", command)
			assert.Equal(t, want, result.ExitCode, command)
		}
	})
	t.Run("output is kept apart and whole", func(t *testing.T) {
		_, stdout, stderr := exec(t, "", "sh", "-c", "echo out; echo err >&2; echo out again")
		assert.Equal(t, "out\nout again\n", stdout)
		assert.Equal(t, "err\n", stderr)
		_, stdout, _ = exec(t, "", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x")
		assert.Len(t, stdout, 3000000)
	})
	t.Run("standard input", func(t *testing.T) {
		_, stdout, _ := exec(t, strings.Repeat("0123456789", 100000), "sh", "-c", "wc -c")
		assert.Equal(t, "1000000", strings.TrimSpace(stdout))
	})
	t.Run("no output is wanted", func(t *testing.T) {
		result, err := s.c.Exec(s.ctx, cluster.ExecRequest{
			Namespace: s.ns, Pod: pod.Name, Container: "sample", Command: []string{"sh", "-c", "echo x; exit 3"},
		})
		require.NoError(t, err)
		assert.Equal(t, 3, result.ExitCode)
	})
	t.Run("a command that is not there", func(t *testing.T) {
		_, err := s.c.Exec(s.ctx, cluster.ExecRequest{
			Namespace: s.ns, Pod: pod.Name, Container: "sample", Command: []string{"no-such-command"},
		})
		require.Error(t, err)
		assert.NotErrorAs(t, err, new(*cluster.LostError))
	})
	t.Run("a pod that is gone", func(t *testing.T) {
		_, err := s.c.Exec(s.ctx, cluster.ExecRequest{Namespace: s.ns, Pod: "absent", Container: "sample", Command: []string{"true"}})
		assert.True(t, apierrors.IsNotFound(err), "%v", err)
		_, err = s.c.Logs(s.ctx, cluster.LogRequest{Namespace: s.ns, Pod: "absent", Container: "sample"})
		assert.True(t, apierrors.IsNotFound(err), "%v", err)
	})
	t.Run("a context that ends while a command runs", func(t *testing.T) {
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(s.ctx)
		r, w := io.Pipe()
		go func() {
			r.Read(make([]byte, 1)) // the command has started
			cancel(stopped)
			io.Copy(io.Discard, r)
		}()
		defer w.Close()
		_, err := s.c.Exec(ctx, cluster.ExecRequest{
			Namespace: s.ns, Pod: pod.Name, Container: "sample", Command: []string{"sh", "-c", "echo started; exec sleep 1000"}, Stdout: w,
		})
		assert.ErrorIs(t, err, stopped)
	})
	t.Run("logs", func(t *testing.T) {
		read := func(r cluster.LogRequest) string {
			r.Namespace, r.Pod, r.Container = s.ns, pod.Name, "sample"
			log, err := s.c.Logs(s.ctx, r)
			require.NoError(t, err)
			defer log.Close()
			text, err := io.ReadAll(log)
			require.NoError(t, err)
			return string(text)
		}
		assert.Equal(t, "hello first\nhello again\n", read(cluster.LogRequest{}))
		assert.Equal(t, "hello again\n", read(cluster.LogRequest{Tail: 1}))
		stamp, line, _ := strings.Cut(read(cluster.LogRequest{Tail: 1, Timestamps: true}), " ")
		_, err := time.Parse(time.RFC3339Nano, stamp)
		assert.NoError(t, err)
		assert.Equal(t, "hello again\n", line)
	})
	t.Run("clocks", func(t *testing.T) {
		least, most := s.c.Ahead()
		assert.LessOrEqual(t, least, most)
	})
	t.Run("a new template means a new pod", func(t *testing.T) {
		s.apply(s.deployment("second"))
		next := s.waitForPod(cluster.PodQuery{Namespace: s.ns, Owner: "deploy/sample"})
		assert.NotEqual(t, pod.Name, next.Name)
	})
	t.Run("a Deployment goes with its pods", func(t *testing.T) {
		require.NoError(t, s.c.Delete(s.ctx, cluster.Ref{Kind: "deploy", Namespace: s.ns, Name: "sample"}, cluster.WriteOptions{}))
		left, err := s.c.List(s.ctx, "pods", s.ns, "app=sample")
		require.NoError(t, err)
		assert.Empty(t, left)
	})
	t.Run("a namespace goes with what is in it", func(t *testing.T) {
		s.apply(s.configMap("inside", nil))
		require.NoError(t, s.c.Delete(s.ctx, cluster.Ref{Kind: "ns", Name: s.ns}, cluster.WriteOptions{}))
		_, err := s.c.Get(s.ctx, s.ref("inside"))
		assert.True(t, apierrors.IsNotFound(err), "%v", err)
	})
}

func (s *scene) deployment(version string) *unstructured.Unstructured {
	podLabels := map[string]any{"app": "sample"}
	return Object("apps/v1", "Deployment", s.ns, "sample", map[string]any{"spec": map[string]any{
		"selector": map[string]any{"matchLabels": podLabels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": podLabels, "annotations": map[string]any{"version": version}},
			"spec": map[string]any{
				"terminationGracePeriodSeconds": int64(0),
				"containers": []any{map[string]any{
					"name":    "sample",
					"image":   "curlimages/curl",
					"command": []any{"sh", "-c", "echo hello " + version + "; echo hello again; exec sleep infinity"},
				}},
			},
		},
	}})
}

// waitForPod returns the pod that a query means as soon as it is ready.
func (s *scene) waitForPod(q cluster.PodQuery) *cluster.Pod {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		pod, err := s.c.Pod(s.ctx, q)
		if err == nil {
			return pod
		}
		if s.ctx.Err() == nil {
			require.ErrorAs(s, err, new(*cluster.NotReadyError))
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			require.NoError(s, err, "no pod in time")
		}
	}
}
