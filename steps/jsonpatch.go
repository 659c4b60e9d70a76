package steps

import (
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	yamlv3 "gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/runner"
)

// A JSONPatch is the text of a JSON patch (RFC 6902) in YAML or JSON: a list of
// operations. Variables are replaced as in a [Manifest].
type JSONPatch struct {
	Text string
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *JSONPatch) UnmarshalText(text []byte) error {
	p.Text = string(text)
	_, err := p.json()
	return err
}

// ExpandVars replaces the variables.
func (p *JSONPatch) ExpandVars(lookup runner.Lookup) error {
	text := Manifest{Text: p.Text}
	err := text.ExpandVars(lookup)
	p.Text = text.Text
	return err
}

// json returns the patch as kubectl takes it, once each of its operations is one.
func (p *JSONPatch) json() ([]byte, error) {
	docs, err := documents(p.Text)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 || docs[0].Content[0].Kind != yamlv3.SequenceNode || len(docs[0].Content[0].Content) == 0 {
		return nil, &runner.FieldError{
			Err:  errors.New("a JSON patch is a list of operations"),
			Hint: `write such as [{"op": "replace", "path": "/spec/replicas", "value": 2}]; a mapping of fields stands at merge`,
		}
	}
	text, err := yaml.YAMLToJSONStrict([]byte(p.Text))
	if err != nil {
		return nil, fmt.Errorf("the patch cannot be read: %w", err)
	}
	var operations []map[string]any
	if err := json.Unmarshal(text, &operations); err != nil {
		return nil, fmt.Errorf("the patch cannot be read: %w", err)
	}
	for i, o := range operations {
		if err := checkOperation(o); err != nil {
			return nil, &runner.FieldError{Err: fmt.Errorf("operation %d of the patch: %w", i+1, err)}
		}
	}
	return text, nil
}

// operationKeys has the keys of each operation of a JSON patch.
var operationKeys = map[string][]string{
	"add": {"path", "value"}, "remove": {"path"}, "replace": {"path", "value"}, "move": {"from", "path"}, "copy": {"from", "path"}, "test": {"path", "value"},
}

// checkOperation judges an operation of a JSON patch.
func checkOperation(o map[string]any) error {
	op, _ := o["op"].(string)
	keys, known := operationKeys[op]
	if !known {
		return fmt.Errorf("op %q is none of add, remove, replace, move, copy and test", op)
	}
	for _, key := range keys {
		value, there := o[key]
		if !there {
			return fmt.Errorf("%s needs %s", op, key)
		}
		if path, isText := value.(string); key != "value" && (!isText || path == "" || path[0] != '/' && path[0] != '$') {
			return fmt.Errorf("%s: a path begins with /, such as /spec/replicas", key)
		}
	}
	return nil
}

// merge returns the merge patch that makes of an object what the JSON patch makes of it. It
// names the object's version: if somebody changes the object in between, the server
// refuses it, and the change is made anew.
func (p *JSONPatch) merge(now *unstructured.Unstructured) ([]byte, error) {
	text, err := p.json()
	if err != nil {
		return nil, err
	}
	operations, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, fmt.Errorf("the patch cannot be read: %w", err)
	}
	before, err := now.MarshalJSON()
	if err != nil {
		return nil, err
	}
	after, err := operations.Apply(before)
	if err != nil {
		return nil, fmt.Errorf("the patch does not fit %s %s: %w", now.GetKind(), now.GetName(), err)
	}
	merge, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(merge, &fields); err != nil || len(fields) == 0 {
		return merge, err
	}
	metadata, ok := fields["metadata"].(map[string]any)
	if !ok {
		metadata = map[string]any{}
		fields["metadata"] = metadata
	}
	metadata["resourceVersion"] = now.GetResourceVersion()
	return json.Marshal(fields)
}
