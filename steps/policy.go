package steps

import (
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
)

// Policy expects or sets the mesh's outbound traffic policy, which istiod
// reads from the key mesh of its ConfigMap. At the end it is as it was.
type Policy struct {
	// Expect and Set are ALLOW_ANY or REGISTRY_ONLY; one of them is given.
	Expect string `yaml:"expect"`
	Set    string `yaml:"set"`
}

var (
	_ runner.Action = (*Policy)(nil)
	_ Validator     = (*Policy)(nil)
	_ Changer       = (*Policy)(nil)
)

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
	return get + " | sed 's/mode: .*/mode: " + p.Set + "/' | " + kubectl(s.IstioNamespace, "replace", "-f", "-")
}

// Repeats implements [runner.Action].
func (p *Policy) Repeats() bool { return p.Set == "" }

// Try implements [runner.Action].
func (p *Policy) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	policy, err := mesh.ReadOutboundPolicy(ctx, s.Cluster, s.IstioNamespace, s.Revision)
	if err != nil {
		return nil, err
	}
	if p.Expect != "" {
		a := &evidence.Attempt{Text: policy.Excerpt}
		if policy.Mode != p.Expect {
			return a, &runner.Mismatch{What: "outbound traffic policy", Want: p.Expect, Got: policy.Mode}
		}
		return a, nil
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
