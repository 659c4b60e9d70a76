//go:build lab

package e2e

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

// sample is a namespace in which the tutorials' workload runs already, so that
// a test need not wait for it.
const sample = "sample"

// withSample has the workload run, by the first steps of a built-in playbook.
func withSample(t *testing.T) {
	t.Helper()
	startSample.Do(func() {
		create(t, "v1", "namespaces", "", `{kind: Namespace, metadata: {name: sample}}`)
		file := builtin(t, "tls-origination").upTo("Set SOURCE_POD to the name of the sample's pod").file()
		e := egressplay(t, "run", file, "--namespace", sample, "--keep")
		e.exits(t, 0)
		for _, what := range []string{"left as the playbook made it:", "deployment/sleep", "serviceaccount/sleep", "labels of namespace/sample"} {
			assert.Contains(t, e.stdout, what, "--keep says what it leaves")
		}
		sampleRuns = true
	})
	require.True(t, sampleRuns, "the workload of the tests does not run; see the first test that needed it")
}

var (
	startSample sync.Once
	sampleRuns  bool
)

// resource returns the shared cluster's objects of a kind.
func resource(apiVersion, resource, namespace string) dynamic.ResourceInterface {
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		panic(err)
	}
	r := shared.dynamic.Resource(version.WithResource(resource))
	if namespace == "" {
		return r
	}
	return r.Namespace(namespace)
}

// create creates an object for as long as the test runs; one of [sample] stays.
func create(t *testing.T, apiVersion, kind, namespace, text string) {
	t.Helper()
	obj := &unstructured.Unstructured{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &obj.Object))
	obj.SetAPIVersion(apiVersion)
	r := resource(apiVersion, kind, namespace)
	_, err := r.Create(t.Context(), obj, metav1.CreateOptions{FieldManager: "somebody"})
	require.NoError(t, err)
	if namespace == sample || obj.GetName() == sample {
		return
	}
	t.Cleanup(func() {
		if err := r.Delete(context.Background(), obj.GetName(), metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
			assert.NoError(t, err)
		}
		eventually(t, func() bool {
			_, err := r.Get(context.Background(), obj.GetName(), metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		}, "%s %s does not go", kind, obj.GetName())
	})
}

// account makes a ServiceAccount that may do what the rules of a role say, on
// all namespaces, and returns a kubeconfig of its own.
func account(t *testing.T, name, rules string) (kubeconfig string) {
	t.Helper()
	create(t, "v1", "serviceaccounts", "default", `{kind: ServiceAccount, metadata: {name: `+name+`}}`)
	create(t, "rbac.authorization.k8s.io/v1", "clusterroles", "", `{kind: ClusterRole, metadata: {name: `+name+`}, rules: `+rules+`}`)
	create(t, "rbac.authorization.k8s.io/v1", "clusterrolebindings", "", `
kind: ClusterRoleBinding
metadata: {name: `+name+`}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: `+name+`}
subjects: [{kind: ServiceAccount, name: `+name+`, namespace: default}]
`)
	request := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": map[string]any{"name": name},
	}}
	answer, err := resource("v1", "serviceaccounts", "default").Create(t.Context(), request, metav1.CreateOptions{}, "token")
	require.NoError(t, err)
	token, _, err := unstructured.NestedString(answer.Object, "status", "token")
	require.NoError(t, err)

	return kubeconfigOf(t, shared.config.Host, &clientcmdapi.AuthInfo{Token: token})
}

// elsewhere is the name of the context in a kubeconfig of [kubeconfigOf].
const elsewhere = "elsewhere"

// kubeconfigOf writes a copy of the lab's kubeconfig with another server, and
// with another user unless that is nil.
func kubeconfigOf(t *testing.T, server string, user *clientcmdapi.AuthInfo) (path string) {
	t.Helper()
	c, err := clientcmd.LoadFromFile(shared.kubeconfig)
	require.NoError(t, err)
	at := c.Contexts[c.CurrentContext]
	c.Contexts = map[string]*clientcmdapi.Context{elsewhere: at}
	c.CurrentContext = elsewhere
	c.Clusters[at.Cluster].Server = server
	if user != nil {
		c.AuthInfos[at.AuthInfo] = user
	}
	path = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*c, path))
	return path
}
