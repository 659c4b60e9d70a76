package expect

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/evidence"
)

// at returns a path of YAML keys below another one.
func at(below []string, fields ...string) []string {
	return append(append([]string(nil), below...), fields...)
}

func index(i int) string { return strconv.Itoa(i) }

// judge returns the verdict on a claim: that got is what is wanted.
func judge(field []string, held bool, want, got string) evidence.Verdict {
	if held {
		return evidence.Verdict{Field: field, Outcome: evidence.Held, Want: want, Got: got}
	}
	return evidence.Verdict{Field: field, Outcome: evidence.NotHeld, Want: want, Got: got}
}

// unjudged returns the verdict on a claim that cannot be judged, and why. again
// says that another attempt may be judged.
func unjudged(field []string, again bool, why, hint string) evidence.Verdicts {
	return evidence.Verdicts{{Field: field, Outcome: evidence.NotJudged, Again: again, Why: why, Hint: hint}}
}

// maxShown is how much of a text a verdict quotes, in bytes.
const maxShown = 400

// scalar returns a text as YAML has it.
func scalar(text string) string { return flow(short(text)) }

// short returns the beginning of a text.
func short(text string) string {
	if len(text) > maxShown {
		return text[:maxShown] + "…"
	}
	return text
}

// flow returns a value as YAML in one line, as it can stand in a playbook.
func flow(value any) string {
	var n yaml.Node
	if err := n.Encode(value); err != nil {
		return err.Error()
	}
	oneLine(&n)
	b, err := yaml.Marshal(&n)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(string(b), "\n")
}

// oneLine has a node written in one line.
func oneLine(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		n.Style = yaml.FlowStyle
	case yaml.ScalarNode:
		if strings.ContainsAny(n.Value, "\n\t") {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	for _, child := range n.Content {
		oneLine(child)
	}
}

// A mapping is a YAML mapping whose keys keep their order.
type mapping []pair

type pair struct {
	key   string
	value any
}

// MarshalYAML implements yaml.Marshaler.
func (m mapping) MarshalYAML() (any, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, p := range m {
		var key, value yaml.Node
		if err := key.Encode(p.key); err != nil {
			return nil, err
		}
		if err := value.Encode(p.value); err != nil {
			return nil, err
		}
		oneLine(&value)
		n.Content = append(n.Content, &key, &value)
	}
	return n, nil
}
