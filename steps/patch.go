package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	yamlv3 "gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Patch changes an object by a JSON merge patch (RFC 7386), as kubectl patch
// --type=merge does. At the end the object is as it was.
type Patch struct {
	// Object is KIND/NAME, such as deploy/sleep.
	Object    string     `yaml:"object,required"`
	Namespace string     `yaml:"namespace"`
	Merge     MergePatch `yaml:"merge,required"`
}

var (
	_ runner.Action = (*Patch)(nil)
	_ Defaulter     = (*Patch)(nil)
	_ Validator     = (*Patch)(nil)
)

// SetDefaults implements [Defaulter].
func (p *Patch) SetDefaults(d Defaults) { p.Namespace = cmp.Or(p.Namespace, d.Namespace) }

// Validate implements [Validator].
func (p *Patch) Validate() error {
	if err := checkObject(p.Object); err != nil {
		return &runner.FieldError{Field: []string{"object"}, Err: err}
	}
	return nil
}

// Targets implements [Changer].
func (p *Patch) Targets() []changes.Target {
	return []changes.Target{target(p.Object, p.Namespace, "object")}
}

// Command implements [runner.Action].
func (p *Patch) Command(s *runner.Scope) string {
	text := p.Merge.Text
	if patch, err := p.Merge.json(); err == nil { // on one line
		text = string(patch)
	}
	return kubectl(cmp.Or(p.Namespace, s.Namespace), "patch", p.Object, "--type=merge", "-p", text)
}

// Repeats implements [runner.Action].
func (p *Patch) Repeats() bool { return false }

// Try implements [runner.Action].
func (p *Patch) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	patch, err := p.Merge.json()
	if err != nil {
		return nil, err
	}
	attempt := new(evidence.Attempt)
	ref, changed, err := patchObject(ctx, s, attempt, p.Object, p.Namespace, "patched", func(cluster.Ref, *unstructured.Unstructured) ([]byte, changes.Words, error) {
		return patch, changes.Words{}, nil
	})
	if err != nil {
		return attempt, err
	}
	attempt.Text += ref.Long() + " patched"
	if !changed {
		attempt.Text += " (no change)"
	}
	attempt.Text += "\n"
	return attempt, nil
}

// A MergePatch is the text of a merge patch in YAML or JSON: a mapping of the
// fields that change; null removes one. Variables are replaced as in a
// [Manifest].
type MergePatch struct {
	Text string
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MergePatch) UnmarshalText(text []byte) error {
	m.Text = string(text)
	_, err := m.json()
	return err
}

// ExpandVars replaces the variables.
func (m *MergePatch) ExpandVars(lookup runner.Lookup) error {
	text := Manifest{Text: m.Text}
	err := text.ExpandVars(lookup)
	m.Text = text.Text
	return err
}

// json returns the patch as the API server takes it.
func (m *MergePatch) json() ([]byte, error) {
	docs, err := documents(m.Text)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 || docs[0].Content[0].Kind != yamlv3.MappingNode {
		return nil, &runner.FieldError{Err: errors.New("a merge patch is a mapping of the fields that change"), Hint: "write merge: |, and below it such as spec: {replicas: 2}"}
	}
	patch, err := yaml.YAMLToJSONStrict([]byte(m.Text))
	if err != nil {
		return nil, fmt.Errorf("the patch cannot be read: %w", err)
	}
	return patch, nil
}
