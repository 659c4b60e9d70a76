package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/lab/internet"
	"github.com/egressplay/egressplay/lab/network"
	"github.com/egressplay/egressplay/lab/supervise"
)

func TestEventsAreKeptForThoseWhoComeLater(t *testing.T) {
	e := newEvents()
	list, news := e.after(0)
	assert.Empty(t, list)
	e.add(Event{Component: Etcd, State: "starting"})
	<-news
	e.add(Event{Component: Etcd, State: "ready"})
	e.add(Event{Ready: true})

	list, _ = e.after(0)
	require.Len(t, list, 3)
	assert.Equal(t, "starting", list[0].State)
	assert.Equal(t, []bool{false, false, true}, []bool{list[0].last(), list[1].last(), list[2].last()})
	list, news = e.after(3)
	assert.Empty(t, list)
	select {
	case <-news:
		assert.Fail(t, "there is no news")
	default:
	}
	assert.True(t, Event{Error: "x"}.last())
}

func TestRetry(t *testing.T) {
	tries := 0
	require.NoError(t, retry(t.Context(), func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	}))
	assert.Equal(t, 3, tries)

	bad := errors.New("for good")
	tries = 0
	require.ErrorIs(t, retry(t.Context(), func(context.Context) error {
		tries++
		return permanent{bad}
	}), bad)
	assert.Equal(t, 1, tries)

	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := retry(ctx, func(context.Context) error {
		cancel(late)
		return bad
	})
	require.ErrorIs(t, err, late)
	require.ErrorIs(t, err, bad, "what was said last is told, too")
}

func TestObjectsAreWhatTheLabPromises(t *testing.T) {
	list, err := own("mine", "v1", []internet.Host{{Names: []string{"a.example", "*.b.example"}}, {Names: []string{"c.example"}}})
	require.NoError(t, err)
	byName := map[string]*unstructured.Unstructured{}
	for _, o := range list {
		byName[o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName()] = o
	}
	data := func(key string) map[string]any {
		require.Contains(t, byName, key)
		m, _, err := unstructured.NestedMap(byName[key].Object, "data")
		require.NoError(t, err)
		return m
	}
	assert.Equal(t, map[string]any{"name": "mine", "version": "v1", "hosts": "a.example *.b.example c.example"}, data("ConfigMap kube-public/egressplay-lab"))
	assert.Contains(t, data("ConfigMap kube-system/coredns")["Corefile"], "forward . "+network.NameServerIP)
	assert.Contains(t, byName, "Namespace /istio-system")
	ip, _, err := unstructured.NestedString(byName["Service kube-system/kube-dns"].Object, "spec", "clusterIP")
	require.NoError(t, err)
	assert.Equal(t, "10.96.0.10", ip)
}

func TestDecodeAndSplit(t *testing.T) {
	list, err := decode(strings.NewReader(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"istio-egressgateway"}}
{"apiVersion":"v1","kind":"Service","metadata":{"name":"istio-egressgateway"}}
`))
	require.NoError(t, err)
	gateway, others := split(list, isGateway)
	require.Len(t, gateway, 1)
	require.Len(t, others, 1)
	assert.Equal(t, "Service", others[0].GetKind())

	_, err = decode(strings.NewReader("kind: [")) // no YAML
	require.Error(t, err)
	_, err = decode(strings.NewReader("a: b\n")) // no object
	require.Error(t, err)
}

func TestComponentOf(t *testing.T) {
	for pod, want := range map[string]string{
		"istio-system/istiod-6df6f4f564-nc8pl":              Istiod,
		"istio-system/istio-egressgateway-59459fb867-74kq8": EgressGateway,
		"kube-system/coredns-746bd4b877-j2psh":              CoreDNS,
		"default/coredns-746bd4b877-j2psh":                  otherPods,
		"default/sleep-64f76bc9b7-hwb2r":                    otherPods,
	} {
		namespace, name, _ := strings.Cut(pod, "/")
		assert.Equal(t, want, componentOf(map[string]string{
			"io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.name": name,
		}), pod)
	}
}

func TestAvailable(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "not Available yet",
		"{status: {conditions: [{type: Progressing, status: 'True'}]}}":                 "not Available yet",
		"{status: {conditions: [{type: Available, status: 'False', message: no pod}]}}": "no pod",
		"{status: {conditions: [{type: Available, status: 'True'}]}}":                   "",
	} {
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(text), &o.Object))
		if err := available(o); want == "" {
			assert.NoError(t, err, text)
		} else {
			assert.ErrorContains(t, err, want, text)
		}
	}
}

// The components' files are made from templates; a mistake in one would show only in a
// lab.
func TestConfigurationFiles(t *testing.T) {
	f := Folder(t.TempDir())
	keys, err := makeCredentials(f.state("pki"), f.Kubeconfig(), "https://127.0.0.1:1")
	require.NoError(t, err)
	p := &processes{folder: f, keys: keys}
	for _, name := range []string{Kubelet, Proxy} {
		path, err := p.config(name)
		require.NoError(t, err)
		text := read(t, path)
		assert.NotContains(t, text, "no value")
		assert.NotContains(t, text, "{{")
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), new(map[string]any)))
	}
}

// An API server with a limit of 350 MiB used a whole core for nothing once it had some
// thousand objects more than at its start.
func TestNoComponentHasAMemoryLimit(t *testing.T) {
	t.Setenv("GOGC", "")
	f := Folder(t.TempDir())
	keys, err := makeCredentials(f.state("pki"), f.Kubeconfig(), "https://127.0.0.1:1")
	require.NoError(t, err)
	p := &processes{folder: f, keys: keys}
	proxy, err := p.proxy()
	require.NoError(t, err)
	kubelet, err := p.kubelet()
	require.NoError(t, err)
	for _, process := range []supervise.Process{p.etcd(), p.apiServer(), p.controllerManager(), p.scheduler(), proxy, kubelet} {
		assert.False(t, slices.ContainsFunc(process.Env, func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") }), process.Name)
		assert.Equal(t, process.Name != APIServer, slices.Contains(process.Env, seldomCollected), process.Name)
	}
}
