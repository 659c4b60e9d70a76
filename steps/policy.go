package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// Policy expects or sets the mesh's outbound traffic policy, which istiod
// reads from the key mesh of its ConfigMap. At the end it is as it was.
//
// What is expected must be in force, too, in the sidecar of the pod from which
// the playbook makes its requests: the one of its defaults, SOURCE_POD, or that of
// the last command, as far as one of them is known when the step begins.
type Policy struct {
	// Expect and Set are ALLOW_ANY or REGISTRY_ONLY; one of them is given.
	Expect string `yaml:"expect"`
	Set    string `yaml:"set"`

	// in and namespace are those of the defaults, with variables that may not
	// have a value yet.
	in, namespace string
}

var (
	_ runner.PodAction = (*Policy)(nil)
	_ Changer          = (*Policy)(nil)
	_ Defaulter        = (*Policy)(nil)
	_ Validator        = (*Policy)(nil)
)

// SetDefaults implements [Defaulter].
func (p *Policy) SetDefaults(d Defaults) {
	p.in, p.namespace = cmp.Or(d.In, "${SOURCE_POD}"), d.Namespace
}

// modes are the outbound traffic policies that have a step of the tutorial.
var modes = []string{mesh.AllowAny, mesh.RegistryOnly}

// Targets implements [Changer].
func (p *Policy) Targets() []changes.Target {
	if p.Set == "" {
		return nil
	}
	return []changes.Target{{Ref: cluster.Ref{APIVersion: "v1", Kind: "ConfigMap", Name: mesh.ConfigMapName("")}, Field: []string{"set"}, Mesh: true}}
}

// Validate implements [Validator].
func (p *Policy) Validate() error {
	if (p.Expect == "") == (p.Set == "") {
		return &runner.FieldError{Err: errors.New("a policy step expects a mode or sets one"), Hint: "write expect: ALLOW_ANY, or set: REGISTRY_ONLY"}
	}
	field := "set"
	if p.Expect != "" {
		field = "expect"
	}
	if mode := p.Expect + p.Set; !slices.Contains(modes, mode) && !strings.Contains(mode, "${") {
		return &runner.FieldError{Field: []string{field}, Err: fmt.Errorf("%q is no outbound traffic policy: want %s", mode, strings.Join(modes, " or "))}
	}
	return nil
}

// Command implements [runner.Action].
func (p *Policy) Command(s *runner.Scope) string {
	get := kubectl(s.IstioNamespace, "get", "cm", mesh.ConfigMapName(s.Revision), "-o", "yaml")
	if p.Expect != "" {
		return get + " | grep -iA 3 outboundTrafficPolicy | head -2"
	}
	return get + " | sed " + quote("s/mode: .*/mode: "+p.Set+"/") + " | " + kubectl(s.IstioNamespace, "replace", "-f", "-")
}

// Repeats implements [runner.Action].
func (p *Policy) Repeats() bool { return p.Set == "" }

// Role implements [Looker].
func (p *Policy) Role() runner.Role {
	if p.Set == "" {
		return runner.Looks
	}
	return runner.Acts
}

// Try implements [runner.Action].
func (p *Policy) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	policy, err := mesh.ReadOutboundPolicy(ctx, s.Cluster, s.IstioNamespace, s.Revision)
	if err != nil {
		return nil, err
	}
	if p.Expect != "" {
		return p.judge(ctx, s, policy)
	}
	a := &evidence.Attempt{Text: "outboundTrafficPolicy:\n  mode: " + p.Set + "\n"}
	if policy.Mode == p.Set {
		return a, nil
	}
	_, _, err = s.Changes.Patch(ctx, policy.Ref(), func(now *unstructured.Unstructured) ([]byte, changes.Words, error) {
		patch, err := mesh.PolicyPatch(now, p.Set)
		return patch, changes.Words{What: "outbound traffic policy", Back: policy.Mode}, err
	})
	if !changes.IsRefused(err) {
		a.Changes = []evidence.Change{changeOf(policy.Ref())}
	}
	return a, err
}

// Pod implements [runner.PodAction]: it returns the pod whose sidecar is asked,
// nil where none is known or there is none yet.
func (p *Policy) Pod(ctx context.Context, s *runner.Scope) (*cluster.Pod, error) {
	if p.Set != "" {
		return nil, nil
	}
	in, err := variables.Expand(p.in, s.Lookup)
	namespace, namespaceErr := variables.Expand(p.namespace, s.Lookup)
	if in == "" || err != nil || namespaceErr != nil {
		in, namespace = s.LastPod.Name, s.LastPod.Namespace
	}
	if in == "" {
		return nil, nil
	}
	pod, err := s.Cluster.Pod(ctx, Pod{Name: in}.query(cmp.Or(namespace, s.Namespace), ""))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil || !slices.Contains(pod.Containers, mesh.Sidecar):
		return nil, nil // what the mesh's configuration says is judged alone, and said so
	}
	return pod, nil
}

// judge judges what the mesh's configuration says, and what is in force.
func (p *Policy) judge(ctx context.Context, s *runner.Scope, policy *mesh.OutboundPolicy) (*evidence.Attempt, error) {
	a := &evidence.Attempt{Text: policy.Excerpt}
	pod, err := p.Pod(ctx, s)
	if err != nil {
		return a, err
	}
	inForce := ""
	switch to, err := p.inForce(ctx, s, pod); {
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	case err != nil:
		a.Text += "this is the mesh's configuration; what is in force was not looked at: " + err.Error() + "\n"
	default:
		inForce = to
		a.Text += fmt.Sprintf("in force in the sidecar of %s: unknown hosts go to %s\n", pod.Name, to)
	}
	const what = "outbound traffic policy"
	if policy.Mode != p.Expect {
		return a, &runner.Mismatch{What: what, Want: p.Expect, Got: policy.Mode}
	}
	if inForce != "" && inForce != catchAlls[p.Expect] {
		got := inForce
		for mode, to := range catchAlls {
			if to == inForce {
				got = mode
			}
		}
		return a, &runner.Mismatch{
			What: what, Want: p.Expect, Got: got,
			Why:  fmt.Sprintf("the mesh's configuration says %s, but the sidecar of %s sends unknown hosts to %s", policy.Mode, pod.Name, inForce),
			Hint: "look for a Sidecar with an outboundTrafficPolicy of its own, in the namespace of the pod or in " + s.IstioNamespace,
		}
	}
	return a, nil
}

// inForce returns the upstream cluster to which a pod's sidecar sends requests to
// unknown hosts. The error reports why it is not known.
func (p *Policy) inForce(ctx context.Context, s *runner.Scope, pod *cluster.Pod) (string, error) {
	if pod == nil {
		return "", errors.New("no pod with a sidecar is known here yet from which requests are made")
	}
	m := &mesh.Mesh{Cluster: s.Cluster, Namespace: s.IstioNamespace, Revision: s.Revision}
	defer m.Close()
	return m.CatchAll(ctx, *pod)
}

// catchAlls are the upstream clusters that the policies mean.
var catchAlls = map[string]string{mesh.AllowAny: evidence.Passthrough, mesh.RegistryOnly: evidence.BlackHole}
