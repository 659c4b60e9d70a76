// Package schemas knows the kinds of Kubernetes, Istio and the Gateway API and their
// fields, and reports without a cluster what is wrong with an object.
//
// What it knows is data, kinds.json, which scripts/schemas writes from what these
// projects publish; the file names their versions. It says nothing about a group that
// is not in it.
package schemas

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/nearest"
)

//go:embed kinds.json
var text []byte

// A document is kinds.json. A type is the name of one in Types, which has its fields
// and their types; []T, a list; map:T; enum:A|B; or one of string, integer, number,
// boolean, scalar (a number or a text) and any.
type document struct {
	Sources []string                     `json:"sources"`
	Kinds   map[string]map[string]string `json:"kinds"` // by GROUP/KIND and version
	Types   map[string]map[string]string `json:"types"`
}

var known = sync.OnceValue(func() *document {
	d := new(document)
	if err := json.Unmarshal(text, d); err != nil {
		panic(err) // a test reads it
	}
	return d
})

// Sources returns the modules and versions from which the schemas are.
func Sources() []string { return slices.Clone(known().Sources) }

// A Rule names a kind of problem. An author uses it to ignore a problem.
type Rule string

// The rules of [Check].
const (
	UnknownKind  Rule = "unknown-kind"  // a kind or a version that its group does not have
	UnknownField Rule = "unknown-field" // a field that the kind does not have
	WrongValue   Rule = "wrong-value"   // a value that the field cannot have
)

// A Problem is what is wrong at one place of an object.
type Problem struct {
	Rule         Rule
	Line, Column int // in the text that the object was read from, from 1
	Msg          string
	Hint         string // what to write instead; "" where nothing useful can be said
}

// Check returns what is wrong with the object at a node, in the order of its text.
// A value with a variable, ${NAME}, may be anything.
func Check(n *yaml.Node) []Problem {
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	c := &checker{document: known()}
	c.object(n)
	return c.problems
}

type checker struct {
	*document
	problems []Problem
}

func (c *checker) add(rule Rule, n *yaml.Node, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{rule, n.Line, n.Column, fmt.Sprintf(format, args...), hint})
}

func (c *checker) object(n *yaml.Node) {
	apiVersion, kind := field(n, "apiVersion"), field(n, "kind")
	if apiVersion == nil || kind == nil || varies(apiVersion) || varies(kind) {
		return // what is missing is reported where the object is read
	}
	group, version, grouped := strings.Cut(apiVersion.Value, "/")
	if !grouped {
		group, version = "", group
	}
	var kinds []string // of the group
	for k := range c.Kinds {
		if name, ok := strings.CutPrefix(k, group+"/"); ok {
			kinds = append(kinds, name)
		}
	}
	slices.Sort(kinds)
	if len(kinds) == 0 {
		c.unknownGroup(apiVersion, kind)
		return
	}
	versions, found := c.Kinds[group+"/"+kind.Value]
	if !found {
		c.add(UnknownKind, kind, c.elsewhere(kind.Value, kinds), "%s has no kind %s", cmpGroup(group), kind.Value)
		return
	}
	t, found := versions[version]
	if !found {
		hint := "write apiVersion: " + join(group, newest(slices.Collect(maps.Keys(versions))))
		c.add(UnknownKind, apiVersion, hint, "%s has no version %s of %s", cmpGroup(group), version, kind.Value)
		return
	}
	c.value(n, t, "")
}

// unknownGroup tells of a kind that has moved to another group, such as those of
// extensions/v1beta1.
func (c *checker) unknownGroup(apiVersion, kind *yaml.Node) {
	if strings.Contains(apiVersion.Value, ".") {
		return // a group of somebody's own
	}
	if hint := c.elsewhere(kind.Value, nil); hint != "" {
		c.add(UnknownKind, apiVersion, hint, "there is no %s of %s any more", kind.Value, apiVersion.Value)
	}
}

// elsewhere says which kind may be meant: one of the group, or the same of another.
func (c *checker) elsewhere(kind string, kinds []string) string {
	var there []string
	for _, k := range slices.Sorted(maps.Keys(c.Kinds)) {
		if group, name, _ := strings.Cut(k, "/"); name == kind {
			there = append(there, join(group, newest(slices.Collect(maps.Keys(c.Kinds[k])))))
		}
	}
	if len(there) > 0 {
		return "write apiVersion: " + strings.Join(there, " or ")
	}
	if near, ok := nearest.Name(kind, kinds); ok {
		return "did you mean " + near + "?"
	}
	return ""
}

func cmpGroup(group string) string {
	if group == "" {
		return "Kubernetes' core group"
	}
	return group
}

func join(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}

// newest returns the version that Kubernetes prefers: v2, v1, v1beta1, v1alpha1.
func newest(versions []string) string {
	return slices.MaxFunc(versions, func(a, b string) int {
		rank := func(v string) string {
			switch {
			case strings.Contains(v, "alpha"):
				return "0" + v
			case strings.Contains(v, "beta"):
				return "1" + v
			}
			return "2" + v
		}
		return strings.Compare(rank(a), rank(b))
	})
}

// field returns the value of a mapping's key, nil where it has none.
func field(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func varies(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "${")
}

// value checks a value of a type; path is where it is in the object.
func (c *checker) value(n *yaml.Node, t, path string) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t == "any" || varies(n) || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if of, ok := strings.CutPrefix(t, "[]"); ok {
		if n.Kind != yaml.SequenceNode {
			c.add(WrongValue, n, "write a list", "%s is a list, got %s", path, describe(n))
			return
		}
		for i, item := range n.Content {
			c.value(item, of, path+"["+strconv.Itoa(i)+"]")
		}
		return
	}
	if of, ok := strings.CutPrefix(t, "map:"); ok {
		c.fields(n, path, func(key *yaml.Node) (string, bool) { return of, true })
		return
	}
	if fields, ok := c.Types[t]; ok {
		c.fields(n, path, func(key *yaml.Node) (string, bool) {
			of, known := fields[key.Value]
			if !known {
				hint := ""
				if near, ok := nearest.Name(key.Value, slices.Sorted(maps.Keys(fields))); ok {
					hint = "did you mean " + near + "?"
				}
				c.add(UnknownField, key, hint, "%s has no field %s", orObject(path), key.Value)
			}
			return of, known
		})
		return
	}
	c.scalar(n, t, path)
}

func orObject(path string) string {
	if path == "" {
		return "the object"
	}
	return path
}

func (c *checker) fields(n *yaml.Node, path string, typeOf func(key *yaml.Node) (string, bool)) {
	if n.Kind != yaml.MappingNode {
		c.add(WrongValue, n, "", "%s is a mapping, got %s", orObject(path), describe(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Tag == "!!merge" || varies(key) {
			continue
		}
		if of, known := typeOf(key); known {
			c.value(n.Content[i+1], of, strings.TrimPrefix(path+"."+key.Value, "."))
		}
	}
}

// scalar checks a value that is no list and no mapping.
func (c *checker) scalar(n *yaml.Node, t, path string) {
	values, enum := strings.CutPrefix(t, "enum:")
	if n.Kind != yaml.ScalarNode {
		c.add(WrongValue, n, "", "%s is one value, got %s", path, describe(n))
		return
	}
	switch {
	case enum:
		all := strings.Split(values, "|")
		if slices.Contains(all, n.Value) {
			return
		}
		hint := "one of " + strings.Join(all, ", ")
		if near, ok := nearest.Name(n.Value, all); ok {
			hint = "did you mean " + near + "?"
		}
		c.add(WrongValue, n, hint, "%s: there is no %s", path, strconv.Quote(n.Value))
	case t == "string" && n.Tag != "!!str" && n.Tag != "!!timestamp":
		c.add(WrongValue, n, "write it in quotes: "+strconv.Quote(n.Value), "%s is a text, got %s", path, describe(n))
	case t == "integer" && n.Tag != "!!int" || t == "number" && n.Tag != "!!int" && n.Tag != "!!float":
		hint := ""
		if _, err := strconv.ParseFloat(n.Value, 64); err == nil {
			hint = "write it without quotes: " + n.Value
		}
		c.add(WrongValue, n, hint, "%s is a number, got %s", path, describe(n))
	case t == "boolean" && n.Tag != "!!bool":
		c.add(WrongValue, n, "write true or false", "%s is true or false, got %s", path, describe(n))
	}
}

// describe returns what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return n.Value
	}
	return "the text " + strconv.Quote(n.Value)
}
