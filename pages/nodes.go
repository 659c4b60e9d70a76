package pages

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A place is one in the page.
type place struct{ line, column int }

// scalar returns a text.
func (at place) scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: at.line, Column: at.column}
	if strings.Contains(text, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

// number returns a number.
func (at place) number(n int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(n), Line: at.line, Column: at.column}
}

// truth returns true.
func (at place) truth() *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true", Line: at.line, Column: at.column}
}

// mapping returns a mapping of keys, which are texts, to nodes, in turn. A nil
// value leaves the key out.
func (at place) mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.line, Column: at.column}
	for i := 0; i+1 < len(pairs); i += 2 {
		value, _ := pairs[i+1].(*yaml.Node)
		if text, ok := pairs[i+1].(string); ok && text != "" {
			value = at.scalar(text)
		}
		if value != nil {
			n.Content = append(n.Content, at.scalar(pairs[i].(string)), value)
		}
	}
	return n
}

// list returns a list.
func (at place) list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: at.line, Column: at.column, Content: items}
}

// texts returns a list of texts.
func (at place) texts(items []string) *yaml.Node {
	n := at.list()
	n.Style = yaml.FlowStyle
	for _, item := range items {
		n.Content = append(n.Content, at.scalar(item))
	}
	return n
}

// block returns a text of the page's own lines: the first of them is below the
// node's line, as in YAML it is below the |.
func block(text string, first int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: text, Line: first - 1, Column: 1}
}

// key returns the value of a mapping's key; nil where it has none.
func key(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// move gives a node, and all in it, a place.
func move(n *yaml.Node, at place) {
	n.Line, n.Column = at.line, at.column
	for _, child := range n.Content {
		move(child, at)
	}
}

// literal escapes what would be a variable of the playbook.
func literal(text string) string { return strings.ReplaceAll(text, "${", "$${") }
