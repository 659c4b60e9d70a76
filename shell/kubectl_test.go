package shell

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKubectl(t *testing.T) {
	for line, want := range map[string]Kubectl{
		"kubectl exec -it p -c sleep -- curl -sI u":   {Verb: "exec", Args: []string{"p"}, Command: []string{"curl", "-sI", "u"}, flags: map[string][]string{"stdin": {"true"}, "tty": {"true"}, "container": {"sleep"}}},
		"kubectl exec p -c sleep curl -s u":           {Verb: "exec", Args: []string{"p"}, Command: []string{"curl", "-s", "u"}, flags: map[string][]string{"container": {"sleep"}}},
		"kubectl -n istio-system get cm istio -oyaml": {Verb: "get", Args: []string{"cm", "istio"}, flags: map[string][]string{"namespace": {"istio-system"}, "output": {"yaml"}}},
		"kubectl get pod -o=jsonpath={.a} --namespace x": {Verb: "get", Args: []string{"pod"},
			flags: map[string][]string{"output": {"jsonpath={.a}"}, "namespace": {"x"}}},
		"kubectl create secret tls s --key=k --cert c": {Verb: "create secret tls", Args: []string{"s"}, flags: map[string][]string{"key": {"k"}, "cert": {"c"}}},
		"kubectl create ns a":                          {Verb: "create namespace", Args: []string{"a"}, flags: map[string][]string{}},
		"kubectl -n a -c b logs p":                     {Verb: "logs", Args: []string{"p"}, flags: map[string][]string{"namespace": {"a"}, "container": {"b"}}},
		"kubectl exec p /bin/f -- load -c 3":           {Verb: "exec", Args: []string{"p"}, Command: []string{"/bin/f", "load", "-c", "3"}, flags: map[string][]string{}},
		"kubectl exec -it p /bin/sh -n a":              {Verb: "exec", Args: []string{"p"}, Command: []string{"/bin/sh"}, flags: map[string][]string{"stdin": {"true"}, "tty": {"true"}, "namespace": {"a"}}},
		"kubectl -it exec p -- sh":                     {Verb: "exec", Args: []string{"p"}, Command: []string{"sh"}, flags: map[string][]string{"stdin": {"true"}, "tty": {"true"}}},
		"kubectl create -f x":                          {Verb: "create", flags: map[string][]string{"filename": {"x"}}},
		"kubectl rollout status deploy/a":              {Verb: "rollout status", Args: []string{"deploy/a"}, flags: map[string][]string{}},
		"kubectl delete -f a -f b":                     {Verb: "delete", flags: map[string][]string{"filename": {"a", "b"}}},
	} {
		k, err := ParseKubectl(strings.Fields(line))
		require.NoError(t, err, line)
		assert.Equal(t, &want, k, line)
	}
	for _, line := range []string{
		"kubectl", "kubectl frobnicate", "kubectl get --kubeconfig /etc/x pod", "kubectl exec --frob p", "kubectl get pod -o", "kubectl create", "kubectl --context x get pod",
		"kubectl proxy", "kubectl cp a b", "kubectl port-forward x 1", "kubectl edit x", "kubectl get pod --raw /x",
	} {
		if k, err := ParseKubectl(strings.Fields(line)); err == nil {
			assert.Empty(t, k.Args, "%s", line)
		}
	}
}
