//go:build lab

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

// What cannot be run says why, what to do, and ends with exit code 3; what may
// not be run ends with 2.

func TestContainerThatThePodHasNot(t *testing.T) {
	withSample(t)
	flag, read := reportFlag(t)
	e := egressplay(t, "run", playbook(t,
		"Run\nexec: {in: deploy/sleep, container: curl, namespace: sample, command: 'true'}").file(), flag)
	e.exits(t, 3)
	step := read().only(t).stopped(t, "error")
	for _, text := range []string{"curl", "deploy/sleep", "istio-proxy"} {
		assert.Contains(t, *step.Error, text, "which container of which pod, and those it has")
	}
	assert.Contains(t, e.stdout, "hint:", "what to do")
	assert.Less(t, step.DurationMS, int64(20_000), "waiting cannot help")
}

func TestNoPermission(t *testing.T) {
	kubeconfig := account(t, "no-rights", `[]`)
	flag, read := reportFlag(t)
	e := egressplay(t, "run", "tls-origination", "--kubeconfig", kubeconfig, flag)
	e.exits(t, 3)
	for _, text := range []string{
		"patch namespaces\n", "create serviceentries.networking.istio.io in namespace default\n", "delete deployments.apps in namespace default\n", "hint:",
	} {
		assert.Contains(t, e.stderr, text, "all that is missing, before anything is touched")
	}
	assert.Zero(t, read().Summary.Passed)
}

// To one who may not see that a lab serves the cluster it is any cluster.
func TestMeshOfARealClusterIsNotChangedUnasked(t *testing.T) {
	kubeconfig := account(t, "no-lab", `[{apiGroups: [""], resources: [namespaces], verbs: [get]}]`)
	before := settledWorld(t)
	s := builtin(t, "accessing-external-services")
	flag, read := reportFlag(t)
	e := egressplay(t, "run", s.file(), "--kubeconfig", kubeconfig, flag)
	e.exits(t, 2)
	for _, text := range []string{"--allow-mesh-changes", ":" + strconv.Itoa(s.line("Change to the blocking-by-default policy"))} {
		assert.Contains(t, e.stderr, text)
	}
	assert.Zero(t, read().Summary.Passed)
	before.leavesNothing(t)

	e = egressplay(t, "run", s.file(), "--kubeconfig", kubeconfig, "--allow-mesh-changes")
	e.exits(t, 3)
	assert.Contains(t, e.stderr, "patch namespaces", "now it is asked for")
	assert.Contains(t, e.stderr, "patch configmaps in namespace istio-system")
}

func TestNoClusterAtTheContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := "https://" + l.Addr().String()
	require.NoError(t, l.Close())
	kubeconfig := kubeconfigOf(t, server, nil)

	e := egressplay(t, "run", "tls-origination", "--kubeconfig", kubeconfig, "--context", elsewhere)
	e.exits(t, 3)
	for _, text := range []string{server, "connection refused", "hint:", "start the cluster"} {
		assert.Contains(t, e.stderr, text)
	}

	e = egressplay(t, "run", "tls-origination", "--kubeconfig", kubeconfig, "--context", "nowhere")
	e.exits(t, 2)
	for _, text := range []string{`no context "nowhere"`, elsewhere} {
		assert.Contains(t, e.stderr, text, "what there is instead")
	}
}

// The environment names a cluster as the flags do, and a flag wins.
func TestClusterNamedByTheEnvironment(t *testing.T) {
	file := playbook(t, "True\nset: {A: b}").file()
	env := []string{"EGRESSPLAY_KUBECONFIG=" + kubeconfigOf(t, shared.config.Host, nil), "EGRESSPLAY_CONTEXT=" + elsewhere}
	e := beginWith(t, env, "run", file).wait()
	e.exits(t, 0)
	first, _, _ := strings.Cut(e.stdout, "\n")
	assert.Contains(t, first, elsewhere)

	e = beginWith(t, env, "run", file, "--context", "nowhere").wait()
	e.exits(t, 2)
	assert.Contains(t, e.stderr, `no context "nowhere"`)

	// KUBECONFIG alone is nobody's wish.
	e = beginWith(t, []string{"KUBECONFIG=" + kubeconfigOf(t, "https://127.0.0.1:1", nil)}, "run", file).wait()
	e.exits(t, 0)
	first, _, _ = strings.Cut(e.stdout, "\n")
	assert.Contains(t, first, `lab "default"`)
}

// The cluster without Istio is the lab's, seen through a proxy that hides the
// groups of Istio.
func TestClusterWithoutIstio(t *testing.T) {
	withSample(t)
	server := httptest.NewServer(hideGroups(t, "istio.io"))
	t.Cleanup(server.Close)
	before := settledWorld(t)
	flag, read := reportFlag(t)
	e := egressplay(t, "run", "tls-origination", "--namespace", sample, "--kubeconfig", kubeconfigOf(t, server.URL, nil), flag)
	e.exits(t, 3)
	step := read().only(t).stopped(t, "error")
	assert.Contains(t, *step.Error, "the cluster has no kind ServiceEntry")
	assert.Contains(t, e.stdout, "hint:", "what to do")
	before.leavesNothing(t)
}

// hideGroups is an API server without the groups whose name has this end.
func hideGroups(t *testing.T, end string) http.Handler {
	target, err := url.Parse(shared.config.Host)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport, err = rest.TransportFor(shared.config)
	require.NoError(t, err)
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Path != "/apis" {
			return nil
		}
		// Both forms of the list of groups: each group's name is in its
		// metadata, or is a field of its own.
		var doc map[string]any
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			return err
		}
		for _, key := range []string{"items", "groups"} {
			groups, ok := doc[key].([]any)
			if !ok {
				continue
			}
			doc[key] = slices.DeleteFunc(groups, func(g any) bool {
				group := g.(map[string]any)
				if metadata, ok := group["metadata"].(map[string]any); ok {
					group = metadata
				}
				name, _ := group["name"].(string)
				return strings.HasSuffix(name, end)
			})
		}
		body, err := json.Marshal(doc)
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
		return err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No compression, and no form of discovery but JSON.
		r.Header.Del("Accept-Encoding")
		if group, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/apis/"), "/"); strings.HasSuffix(group, end) {
			http.NotFound(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
