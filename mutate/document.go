package main

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// A document is one object in a manifest, in the lines from the index from to
// before the index to.
type document struct {
	name     string // such as "ServiceEntry cnn"
	first    int    // the index of its first line that is neither empty nor a comment
	from, to int
}

var separator = regexp.MustCompile(`^---(\s+#.*)?\s*$`)

// documents returns the documents of a manifest that are not empty.
func documents(text string) ([]document, error) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n") // the rest belongs to no document
	var docs []document
	from := 0
	for i := 0; i <= len(lines); i++ {
		if i < len(lines) && !separator.MatchString(lines[i]) {
			continue
		}
		doc, err := newDocument(lines, from, i)
		if err != nil {
			return nil, err
		}
		if doc != nil {
			docs = append(docs, *doc)
		}
		from = i + 1
	}
	return docs, nil
}

// newDocument returns the document in lines[from:to], nil for an empty one.
func newDocument(lines []string, from, to int) (*document, error) {
	var object struct {
		Kind     string
		Metadata struct{ Name string }
	}
	if err := yaml.Unmarshal([]byte(strings.Join(lines[from:to], "\n")), &object); err != nil {
		return nil, err
	}
	if object.Kind == "" {
		return nil, nil
	}
	d := &document{name: object.Kind + " " + object.Metadata.Name, first: from, from: from, to: to}
	for d.first < to-1 && isBlank(lines[d.first]) {
		d.first++
	}
	return d, nil
}

func isBlank(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

// inline returns the documents of a manifest inside a playbook, with the line, counted
// from 1, at which its text begins.
func (p *playbook) inline(n *yaml.Node) (docs []document, line int, err error) {
	line = n.Line + 1
	if n.Style&yaml.LiteralStyle == 0 {
		return nil, 0, fmt.Errorf("%s:%d: a manifest is written as a block (|), so that a document can be left out by its lines", p.file, n.Line)
	}
	docs, err = documents(n.Value)
	if err != nil {
		return nil, 0, fmt.Errorf("%s:%d: %w", p.file, n.Line, err)
	}
	return docs, line, nil
}
