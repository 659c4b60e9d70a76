package steps

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	yamlv3 "gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// A Manifest is the text of one or several objects in YAML, as kubectl apply
// takes it. A variable is replaced in the scalars that the parsed text has: a
// value of many lines stays one scalar. One that makes up a whole plain scalar
// takes the type that its value would have there, so that `port: ${PORT}` is a
// number.
type Manifest struct {
	Text string
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Manifest) UnmarshalText(text []byte) error {
	m.Text = string(text)
	_, err := m.Objects()
	return err
}

// Objects returns the objects of the manifest in order. Each has an
// apiVersion, a kind and a name.
func (m *Manifest) Objects() ([]*unstructured.Unstructured, error) {
	docs, err := documents(m.Text)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, doc := range docs {
		obj, err := object(doc)
		if err != nil {
			return nil, err
		}
		objects = append(objects, obj)
	}
	if len(objects) == 0 {
		return nil, errors.New("the manifest has no object")
	}
	return objects, nil
}

// ExpandVars replaces the variables.
func (m *Manifest) ExpandVars(lookup runner.Lookup) error {
	if !strings.Contains(m.Text, "${") {
		return nil
	}
	docs, err := documents(m.Text)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	enc := yamlv3.NewEncoder(&text)
	enc.SetIndent(2)
	for _, doc := range docs {
		if err := expandNode(doc, lookup); err != nil {
			return err
		}
		if err := enc.Encode(doc); err != nil {
			return err
		}
	}
	if err := enc.Close(); err != nil {
		return err
	}
	m.Text = text.String()
	return nil
}

func expandNode(n *yamlv3.Node, lookup runner.Lookup) error {
	if n.Kind == yamlv3.ScalarNode {
		value, err := variables.Expand(n.Value, lookup)
		if err != nil {
			return &runner.FieldError{Line: n.Line, Err: err}
		}
		if value == n.Value {
			return nil
		}
		if refs, _ := variables.Refs(n.Value); len(refs) == 1 && n.Value == "${"+refs[0].Name+"}" && n.Style == 0 {
			n.Tag = "" // found anew from the value
		} else if n.Style == 0 {
			n.Style = yamlv3.DoubleQuotedStyle
		}
		n.Value = value
		return nil
	}
	var errs []error
	for _, child := range n.Content {
		errs = append(errs, expandNode(child, lookup))
	}
	return errors.Join(errs...)
}

// documents parses text and returns its documents that are not empty.
func documents(text string) ([]*yamlv3.Node, error) {
	dec := yamlv3.NewDecoder(strings.NewReader(text))
	var docs []*yamlv3.Node
	for {
		var doc yamlv3.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, notYAML(err)
		}
		if doc.Kind == yamlv3.DocumentNode && len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
			docs = append(docs, &doc)
		}
	}
}

// notYAML places yaml.v3's error, which names the line in its text.
func notYAML(err error) error {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, msg, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, msg
			}
		}
	}
	return &runner.FieldError{Line: line, Err: fmt.Errorf("the manifest is not YAML: %s", text)}
}

// object returns the object that a document describes. It goes through
// sigs.k8s.io/yaml, so that a scalar means what it means to kubectl.
func object(doc *yamlv3.Node) (*unstructured.Unstructured, error) {
	root := doc.Content[0]
	fail := func(format string, args ...any) error {
		return &runner.FieldError{Line: root.Line, Err: fmt.Errorf(format, args...)}
	}
	if root.Kind != yamlv3.MappingNode {
		return nil, fail("an object is a mapping with apiVersion, kind and metadata")
	}
	text, err := yamlv3.Marshal(doc)
	if err != nil {
		return nil, fail("the object cannot be read: %w", err)
	}
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fail("the object cannot be read: %w", err)
	}
	obj := new(unstructured.Unstructured)
	if err := json.Unmarshal(data, &obj.Object); err != nil {
		return nil, fail("the object cannot be read: %w", err)
	}
	for _, field := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}} {
		value, found, err := unstructured.NestedString(obj.Object, field...)
		switch name := strings.Join(field, "."); {
		case err != nil:
			return nil, fail("the object's %s is no text", name)
		case !found || value == "":
			return nil, fail("the object has no %s", name)
		}
	}
	return obj, nil
}
