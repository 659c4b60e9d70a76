package steps

import (
	"errors"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/runner"
)

// A Pod says which pod is meant, always one that is ready and not about to
// end: YAML has a pod's name, a workload as deploy/NAME, or {selector: LABELS}.
type Pod struct {
	Name     string `yaml:"name,scalar"`
	Selector string `yaml:"selector"`
}

// Validate implements [Validator].
func (p Pod) Validate() error {
	if p.Name != "" && p.Selector != "" {
		return &runner.FieldError{Field: []string{"selector"}, Err: errors.New("a pod is named or selected, not both")}
	}
	return nil
}

// IsZero reports whether no pod is named.
func (p Pod) IsZero() bool { return p == Pod{} }

func (p Pod) query(namespace, container string) cluster.PodQuery {
	q := cluster.PodQuery{Namespace: namespace, Selector: p.Selector, Container: container}
	if strings.Contains(p.Name, "/") {
		q.Owner = p.Name
	} else {
		q.Name = strings.TrimPrefix(p.Name, "pod/")
	}
	return q
}

// command returns a kubectl command line about the pod, such as exec or logs,
// which are the verb's words; rest are those behind the pod. kubectl exec takes
// no selector, and kubectl logs takes it for several pods: one is looked up.
func (p Pod) command(namespace string, verb []string, rest ...string) string {
	if p.Selector == "" {
		return kubectl(namespace, slices.Concat(verb, []string{p.Name}, rest)...)
	}
	find := kubectl(namespace, "get", "pod", "-l", p.Selector, "-o", "jsonpath={.items[0].metadata.name}")
	line := kubectl(namespace, verb...) + ` "$(` + find + `)"`
	if len(rest) > 0 {
		line += " " + Words(rest).String()
	}
	return line
}

// ready turns the error of a look for a pod into one that is tried again where
// time may cure it.
func ready(pod *cluster.Pod, err error) (*cluster.Pod, error) {
	if nr, ok := errors.AsType[*cluster.NotReadyError](err); ok && !nr.Final {
		return nil, runner.Retryable(err)
	}
	return pod, err
}

// kubectl returns a kubectl command line, with the namespace where it is not
// the default one.
func kubectl(namespace string, args ...string) string {
	words := Words{"kubectl"}
	if namespace != "" && namespace != "default" {
		words = append(words, "-n", namespace)
	}
	return append(words, args...).String()
}
