// Command generate writes the kinds that schemas knows, from the files in which
// their projects publish them.
//
//	generate -o kinds.json crds.yaml ... swagger.json
//
// A YAML file has CustomResourceDefinitions; a JSON file is Kubernetes' OpenAPI
// document of version 2. scripts/schemas finds them in the modules of lab/go.mod.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// A schema is a part of an OpenAPI schema, as far as it is of use here.
type schema struct {
	Ref          string             `json:"$ref"`
	Type         string             `json:"type"`
	Properties   map[string]*schema `json:"properties"`
	Items        *schema            `json:"items"`
	Additional   *schema            `json:"additionalProperties"`
	Enum         []any              `json:"enum"`
	IntOrString  bool               `json:"x-kubernetes-int-or-string"`
	KeepsUnknown bool               `json:"x-kubernetes-preserve-unknown-fields"`
	Format       string             `json:"format"`
	Kinds        []gvk              `json:"x-kubernetes-group-version-kind"`
}

// UnmarshalJSON takes `additionalProperties: true` as well.
func (s *schema) UnmarshalJSON(data []byte) error {
	if string(data) == "true" {
		s.KeepsUnknown = true
		return nil
	}
	type plain schema
	return json.Unmarshal(data, (*plain)(s))
}

type gvk struct{ Group, Version, Kind string }

func (k gvk) name() string { return k.Group + "/" + k.Kind }

// A document is what kinds.json is.
type document struct {
	Sources []string                     `json:"sources"`
	Kinds   map[string]map[string]string `json:"kinds"`
	Types   map[string]map[string]string `json:"types"`

	named       map[string]string // the name of a type, by its content
	definitions map[string]*schema
	refs        map[string]string
}

func main() {
	log.SetFlags(0)
	out := flag.String("o", "kinds.json", "the `file` to write")
	sources := flag.String("sources", "", "what the files are of, separated by commas")
	flag.Parse()
	d := &document{
		Sources: strings.Split(*sources, ","), Kinds: map[string]map[string]string{}, Types: map[string]map[string]string{},
		named: map[string]string{}, refs: map[string]string{},
	}
	for _, file := range flag.Args() {
		if err := d.read(file); err != nil {
			log.Fatalf("%s: %v", file, err)
		}
	}
	if err := d.write(*out); err != nil {
		log.Fatal(err)
	}
}

func (d *document) read(file string) error {
	if strings.HasSuffix(file, ".json") {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return d.swagger(text)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	docs := yaml.NewYAMLReader(bufio.NewReader(f))
	for {
		text, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.crd(text); err != nil {
			return err
		}
	}
}

// crd adds the kind of a CustomResourceDefinition.
func (d *document) crd(text []byte) error {
	var crd struct {
		Kind string `json:"kind"`
		Spec struct {
			Group string `json:"group"`
			Names struct {
				Kind string `json:"kind"`
			} `json:"names"`
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					Schema *schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &crd); err != nil || crd.Kind != "CustomResourceDefinition" {
		return err
	}
	for _, v := range crd.Spec.Versions {
		s := v.Schema.Schema
		if s == nil {
			continue
		}
		fields := map[string]string{"apiVersion": "string", "kind": "string", "metadata": "metadata"}
		for name, field := range s.Properties {
			if fields[name] == "" {
				fields[name] = d.typeOf(field)
			}
		}
		d.add(gvk{crd.Spec.Group, v.Name, crd.Spec.Names.Kind}, d.structure(fields))
	}
	return nil
}

// swagger adds Kubernetes' own kinds.
func (d *document) swagger(text []byte) error {
	var doc struct {
		Definitions map[string]*schema `json:"definitions"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	d.definitions = doc.Definitions
	for _, name := range slices.Sorted(maps.Keys(doc.Definitions)) {
		s := doc.Definitions[name]
		if len(s.Kinds) != 1 || s.Properties["metadata"] == nil || strings.HasSuffix(s.Properties["metadata"].Ref, ".ListMeta") {
			continue
		}
		d.add(s.Kinds[0], d.typeOf(&schema{Ref: "#/definitions/" + name}))
	}
	d.Types["metadata"] = d.Types[d.typeOf(&schema{Ref: "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"})]
	return nil
}

func (d *document) add(k gvk, t string) {
	if d.Kinds[k.name()] == nil {
		d.Kinds[k.name()] = map[string]string{}
	}
	d.Kinds[k.name()][k.Version] = t
}

// typeOf returns a type as schemas reads it.
func (d *document) typeOf(s *schema) string {
	switch {
	case s == nil || s.KeepsUnknown && len(s.Properties) == 0:
		return "any"
	case s.Ref != "":
		return d.reference(strings.TrimPrefix(s.Ref, "#/definitions/"))
	case s.IntOrString || s.Format == "int-or-string":
		return "scalar"
	case len(s.Enum) > 0 && s.Type == "string":
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		return "enum:" + strings.Join(values, "|")
	case s.Type == "array":
		return "[]" + d.typeOf(s.Items)
	case len(s.Properties) > 0 && !s.KeepsUnknown:
		fields := map[string]string{}
		for name, field := range s.Properties {
			fields[name] = d.typeOf(field)
		}
		return d.structure(fields)
	case s.Type == "object" && s.Additional != nil:
		return "map:" + d.typeOf(s.Additional)
	case s.Type == "object" || s.Type == "":
		return "any"
	}
	return s.Type
}

// reference returns the type of a definition, which may refer to itself.
func (d *document) reference(name string) string {
	if t, known := d.refs[name]; known {
		return t
	}
	s := d.definitions[name]
	if s == nil || len(s.Properties) == 0 {
		switch {
		case strings.HasSuffix(name, ".IntOrString"), strings.HasSuffix(name, ".Quantity"):
			d.refs[name] = "scalar"
		default:
			d.refs[name] = cmp.Or(d.typeOf(s), "any")
		}
		return d.refs[name]
	}
	t := strings.TrimPrefix(name, "io.k8s.")
	d.refs[name] = t
	fields := map[string]string{}
	for field, of := range s.Properties {
		fields[field] = d.typeOf(of)
	}
	d.Types[t] = fields
	return t
}

// structure returns the type that has fields.
func (d *document) structure(fields map[string]string) string {
	text, err := json.Marshal(fields)
	if err != nil {
		log.Fatal(err)
	}
	if name, known := d.named[string(text)]; known {
		return name
	}
	name := fmt.Sprintf("t%d", len(d.named)+1)
	d.named[string(text)] = name
	d.Types[name] = fields
	return name
}

// write writes the document, a kind or a type a line.
func (d *document) write(file string) error {
	var b strings.Builder
	line := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			log.Fatal(err)
		}
		return string(text)
	}
	block := func(name string, m map[string]map[string]string) string {
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(m)) {
			lines = append(lines, line(key)+": "+line(m[key]))
		}
		return line(name) + ": {\n" + strings.Join(lines, ",\n") + "\n}"
	}
	fmt.Fprintf(&b, "{%s: %s,\n%s,\n%s}\n", line("sources"), line(d.Sources), block("kinds", d.Kinds), block("types", d.Types))
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
