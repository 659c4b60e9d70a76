package fill

import "gopkg.in/yaml.v3"

// IsNull reports whether n is no value: nothing, ~ or null.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// Describe names what n is, for a reader who wrote it.
func Describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case IsNull(n):
		return "nothing"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "the number " + Cut(n.Value)
	case n.Tag == "!!bool":
		return n.Value
	}
	return "the text " + Quote(n.Value)
}
