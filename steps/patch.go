package steps

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	yamlv3 "gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
	"github.com/egressplay/egressplay/runner"
)

// Patch changes an object by a JSON merge patch (RFC 7386), as kubectl patch
// --type=merge does, or by a JSON patch (RFC 6902), as --type=json does. At the end the
// object is as it was.
type Patch struct {
	// Object is KIND/NAME, such as deploy/sleep.
	Object    string     `yaml:"object,required"`
	Namespace string     `yaml:"namespace"`
	Merge     MergePatch `yaml:"merge"`
	JSON      JSONPatch  `yaml:"json"`
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
	kind, _, _ := strings.Cut(p.Object, "/")
	switch {
	case p.Merge.Text == "" && p.JSON.Text == "":
		return &runner.FieldError{Err: errors.New("a patch needs merge or json"), Hint: "write merge: |, and below it such as spec: {replicas: 2}"}
	case p.Merge.Text != "" && p.JSON.Text != "":
		return &runner.FieldError{Field: []string{"json"}, Err: errors.New("a patch has merge or json, not both")}
	case p.JSON.Text != "" && isSecretKind(kind):
		return &runner.FieldError{Field: []string{"json"}, Err: errors.New("a Secret is not changed by a JSON patch"), Hint: "write the fields that change at merge"}
	}
	return nil
}

// Targets implements [Changer].
func (p *Patch) Targets() []changes.Target {
	return []changes.Target{target(p.Object, p.Namespace, "object")}
}

// Command implements [runner.Action].
func (p *Patch) Command(s *runner.Scope) string {
	if patch, err := p.JSON.json(); p.JSON.Text != "" {
		text := p.JSON.Text
		if err == nil { // on one line
			text = string(patch)
		}
		return kubectl(cmp.Or(p.Namespace, s.Namespace), "patch", p.Object, "--type=json", "-p", text)
	}
	text := p.Merge.Text
	if patch, err := p.Merge.json(); err == nil { // on one line
		text = string(p.masked(patch))
	}
	return kubectl(cmp.Or(p.Namespace, s.Namespace), "patch", p.Object, "--type=merge", "-p", text)
}

// masked returns the patch for a reader: that of a Secret without its values.
func (p *Patch) masked(patch []byte) []byte {
	var fields map[string]any
	kind, _, _ := strings.Cut(p.Object, "/")
	if !isSecretKind(kind) || json.Unmarshal(patch, &fields) != nil {
		return patch
	}
	masked, err := json.Marshal(redact.Masked(fields))
	if err != nil {
		return nil // what was read from JSON can be written
	}
	return masked
}

// Repeats implements [runner.Action].
func (p *Patch) Repeats() bool { return false }

// Try implements [runner.Action].
func (p *Patch) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	attempt := new(evidence.Attempt)
	ref, changed, err := patchObject(ctx, s, attempt, p.Object, p.Namespace, "patched", func(_ cluster.Ref, now *unstructured.Unstructured) ([]byte, changes.Words, error) {
		patch, err := p.patch(now)
		return patch, changes.Words{}, err
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

// patch returns the merge patch of an object.
func (p *Patch) patch(now *unstructured.Unstructured) ([]byte, error) {
	if p.JSON.Text != "" {
		return p.JSON.merge(now)
	}
	return p.Merge.json()
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
