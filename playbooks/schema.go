package playbooks

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/steps"
)

// Schema returns the JSON Schema (draft 7, which editors know best) of a playbook.
// It is made of the types that a playbook is decoded into. It accepts each good
// playbook; what depends on the meaning of a text, such as whether a variable has a
// value, is judged by [Lint] alone.
func Schema() []byte {
	s := schema{definitions: object{}}
	root := s.header()
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "A playbook of egressplay"
	root["definitions"] = s.definitions
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		panic(err) // it has texts, numbers, lists and objects
	}
	return b.Bytes()
}

type object = map[string]any

// A schema is made type by type. Types with keys become definitions, each once.
type schema struct{ definitions object }

var (
	// aText is what the decoder takes for a text: any scalar as it is written.
	aText = object{"type": []string{"string", "number", "boolean"}}
	// varied is a text in place of a number, a duration, true or false.
	varied = object{"type": "string", "pattern": `\$\{`}
	// aDuration has a unit.
	aDuration = object{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|\$\{`}
	// aTitle holds no variables.
	aTitle = object{"anyOf": []any{object{"type": "string", "not": object{"pattern": `\$\{`}}, object{"type": []string{"number", "boolean"}}}}
	aName  = object{"type": "string", "pattern": namePattern.String()}
)

// of returns the schema of what the decoder fills a type in from.
func (s *schema) of(t reflect.Type) object {
	switch {
	case t == fill.NodeType:
		return object{}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t == fill.DurationType:
		return aDuration
	case fill.IsText(t) && t.Kind() == reflect.Slice:
		return object{"anyOf": []any{aText, object{"type": "array", "items": s.of(t.Elem())}}}
	case fill.IsText(t), t.Kind() == reflect.String:
		return aText
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"anyOf": []any{object{"type": "boolean"}, varied}}
	case reflect.Float32, reflect.Float64:
		return object{"anyOf": []any{object{"type": "number"}, varied}}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	}
	return object{"anyOf": []any{object{"type": "integer"}, varied}}
}

// structure returns the schema of a struct: its mapping, or one of its short forms.
func (s *schema) structure(t reflect.Type) object {
	name := t.String() // two packages have a Value
	ref := object{"$ref": "#/definitions/" + name}
	if _, known := s.definitions[name]; known {
		return ref
	}
	s.definitions[name] = object{} // for a type that has itself in it
	forms := []any{s.mapping(t)}
	for _, f := range fill.Fields(t) {
		inner := t.FieldByIndex(f.Index).Type
		if f.List {
			forms = append(forms, object{"type": "array", "items": s.of(inner.Elem())})
		}
		if f.Scalar && inner.Kind() == reflect.Slice && !fill.IsText(inner) {
			forms = append(forms, s.of(inner.Elem()))
		} else if f.Scalar {
			forms = append(forms, s.of(inner))
		}
	}
	definition := object{"anyOf": forms}
	if len(forms) == 1 {
		definition = forms[0].(object)
	}
	s.definitions[name] = definition
	return ref
}

// mapping returns the schema of a struct as a mapping of its keys.
func (s *schema) mapping(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range fill.Fields(t) {
		properties[f.Key] = s.of(t.FieldByIndex(f.Index).Type)
		if f.Required {
			required = append(required, f.Key)
		}
	}
	m := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		m["required"] = required
	}
	return m
}

func (s *schema) header() object {
	m := s.mapping(reflect.TypeFor[header]())
	m["required"] = []string{"apiVersion", "kind", "name", "steps"}
	properties := m["properties"].(object)
	properties["apiVersion"] = object{"const": apiVersion}
	properties["kind"] = object{"const": kind}
	properties["name"], properties["title"] = aName, aTitle
	properties["source"] = object{"type": "string", "pattern": "^https?://[^/]"}
	properties["tags"] = object{"type": "array", "items": aName}
	properties["topic"] = object{"anyOf": []any{object{"type": "integer", "minimum": 0, "maximum": 7}, varied}}
	properties["requires"] = object{"type": "array", "items": object{"enum": mesh.Requirements}}
	properties["internet"] = object{"type": "array", "items": object{"type": "object"}}
	properties["vars"] = object{"type": "object", "additionalProperties": aText}
	properties["defaults"] = s.mapping(reflect.TypeFor[defaults]())
	properties["steps"] = object{"type": "array", "minItems": 1, "items": s.step()}
	describeKeys(properties, "")
	return m
}

// step returns the schema of a step: one verb, and what that can be asked for.
func (s *schema) step() object {
	m := s.mapping(reflect.TypeFor[step]())
	properties := m["properties"].(object)
	properties["id"], properties["title"] = aName, aTitle
	properties["holds"] = object{"anyOf": []any{object{"type": "integer", "minimum": 1, "maximum": 100}, aDuration}}
	properties["changesNothing"] = aText
	describeKeys(properties, "step.")
	var oneVerb, rules []any
	for _, verb := range slices.Sorted(maps.Keys(steps.Kinds)) {
		kind := steps.Kinds[verb]
		properties[verb] = described(s.of(reflect.TypeOf(kind.New()).Elem()), verb)
		oneVerb = append(oneVerb, object{"required": []string{verb}})
		then := object{"not": object{"required": []string{"expect"}}}
		if len(kind.Expects) > 0 {
			then = object{"properties": object{"expect": s.expectations(verb, kind.Expects)}}
		}
		rules = append(rules, object{"if": object{"required": []string{verb}}, "then": then})
	}
	m["oneOf"], m["allOf"] = oneVerb, rules
	s.definitions["step"] = m
	return object{"$ref": "#/definitions/step"}
}

// expectations returns the schema of what can be expected of a verb.
func (s *schema) expectations(verb string, keys []string) object {
	properties := object{}
	for _, key := range keys {
		properties[key] = described(s.of(reflect.TypeOf(expect.Kinds[key]()).Elem()), "expect."+key)
	}
	name := "expect-" + verb
	s.definitions[name] = object{"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1}
	return object{"$ref": "#/definitions/" + name}
}

// describeKeys adds what the reference says of keys.
func describeKeys(properties object, lead string) {
	for key, property := range properties {
		properties[key] = described(property.(object), lead+key)
	}
}

// described returns a schema with what the reference says of its path.
func described(s object, path string) object {
	e, err := Explain(path)
	if err != nil || e.Text == "" {
		return s
	}
	if _, is := s["$ref"]; is { // draft 7 reads nothing beside a reference
		return object{"allOf": []any{s}, "description": e.Text}
	}
	s = maps.Clone(s)
	s["description"] = e.Text
	return s
}
