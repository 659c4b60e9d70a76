package transcript

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// jsonDocument returns the report as one JSON document.
func jsonDocument(d *document) []byte { return encode(d, "  ") }

// jsonLine returns an event as a line of JSON.
func jsonLine(e runner.Event) []byte { return encode(e, "") }

// encode returns a value as JSON, without anything that a terminal obeys.
func encode(v any, indent string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		panic(err) // neither documents nor events have anything that JSON has not
	}
	return harmless(b.Bytes())
}

// harmless returns a JSON document in which the characters that a terminal obeys
// are escaped. All of them can only be within a string.
func harmless(doc []byte) []byte {
	var b strings.Builder
	b.Grow(len(doc))
	for len(doc) > 0 {
		c, size := utf8.DecodeRune(doc)
		if isControl(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.Write(doc[:size])
		}
		doc = doc[size:]
	}
	return []byte(b.String())
}

// value returns as data what a verdict wants or got. Expectations write it as YAML;
// other claims, and what is cut short, are a text.
func value(v evidence.Verdict, text string) any {
	if text == "" {
		return nil
	}
	var n yaml.Node
	if !strings.HasPrefix(v.Key, "expect.") || yaml.Unmarshal([]byte(text), &n) != nil || len(n.Content) != 1 {
		return text
	}
	if data, ok := plainValue(n.Content[0]); ok {
		return data
	}
	return text
}

// plainValue returns a node as JSON has it; ok is false where it has none.
func plainValue(n *yaml.Node) (data any, ok bool) {
	switch n.Kind {
	case yaml.MappingNode:
		object := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind != yaml.ScalarNode {
				return nil, false
			}
			if object[n.Content[i].Value], ok = plainValue(n.Content[i+1]); !ok {
				return nil, false
			}
		}
		return object, true
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			if list[i], ok = plainValue(item); !ok {
				return nil, false
			}
		}
		return list, true
	case yaml.ScalarNode:
		return scalarValue(n), true
	}
	return nil, false // an alias
}

func scalarValue(n *yaml.Node) any {
	var number int64
	var truth bool
	switch {
	case n.Tag == "!!int" && n.Decode(&number) == nil:
		return number
	case n.Tag == "!!bool" && n.Decode(&truth) == nil:
		return truth
	}
	return n.Value
}
