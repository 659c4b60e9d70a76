package playbooks

import (
	"github.com/egressplay/egressplay/playbooks/fill"

	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// bom is what some editors write at the start of a file in UTF-8.
const bom = "\ufeff"

const (
	// maxSize is how large a playbook, or a file that one names, may be.
	maxSize = 1 << 20
	// maxDepth is how deep values may lie in one another.
	maxDepth = 64
	// maxBisected is the size up to which the place of a syntax error is
	// looked for by parsing beginnings of the file, some 16 times.
	maxBisected = 64 << 10
)

// parse returns the root of the one document in s, a mapping, or nil. It keeps
// from the YAML parser what makes it slow, and refuses of YAML what a playbook
// has no use for: anchors, aliases, merge keys, tags, directives.
func parse(s Source) (*yaml.Node, Errors) {
	p := &parser{file: s.File}
	p.text = bytes.TrimPrefix(s.Data, []byte(bom))
	if p.checkText(); len(p.errs) > 0 {
		return nil, p.errs
	}
	documents := p.documents()
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	if len(documents) == 0 || fill.IsNull(documents[0].Content[0]) {
		p.errorf(1, 1, "a playbook begins with apiVersion: "+apiVersion+" and kind: "+kind, "the file is empty")
		return nil, p.errs
	}
	root := documents[0].Content[0]
	if root.Kind != yaml.MappingNode {
		p.errorf(root.Line, root.Column, "a playbook begins with apiVersion: "+apiVersion+" and kind: "+kind,
			"a playbook is a mapping of keys to values, this is %s", fill.Describe(root))
		return nil, p.errs
	}
	p.checkNodes(root, 1)
	if len(documents) > 1 {
		p.errorf(documents[1].Line, documents[1].Column, "move it into a file of its own", "a second document: a file has one playbook")
	}
	return root, p.errs
}

type parser struct {
	file string
	text []byte
	errs Errors
}

func (p *parser) errorf(line, column int, hint, format string, args ...any) {
	p.errs = append(p.errs, &Error{File: p.file, Line: line, Column: column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// errorAt adds an error about the character at an offset of the text.
func (p *parser) errorAt(offset int, hint, format string, args ...any) {
	before := p.text[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	p.errorf(line, column, hint, format, args...)
}

// directive matches what costs the YAML parser quadratic time.
var directive = regexp.MustCompile(`(?m)^%(TAG|YAML)`)

// checkText looks for what can be told from the text alone.
func (p *parser) checkText() {
	if len(p.text) > maxSize {
		p.errorf(1, 1, "move its manifests into files of their own: apply: {files: [PATH]}", "the file is larger than 1 MiB")
		return
	}
	for i := 0; i < len(p.text); {
		c, size := utf8.DecodeRune(p.text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			p.errorAt(i, "save the file as UTF-8", "the byte 0x%02x is no text in UTF-8", p.text[i])
			return
		case c == 0:
			p.errorAt(i, "is this a text file?", "a NUL byte")
			return
		case c < ' ' && c != '\n' && c != '\r' && c != '\t', c == 0x7f, 0x80 <= c && c < 0xa0 && c != 0x85, c == '\ufeff', c == '\ufffe', c == '\uffff':
			p.errorAt(i, `remove it, or write it in double quotes as "`+escape(c)+`"`, "the control character %U", c)
			return
		}
		i += size
	}
	if at := directive.FindIndex(p.text); at != nil {
		p.errorAt(at[0], "remove the line", "directives (%%YAML, %%TAG) mean nothing in a playbook")
	}
}

func escape(c rune) string {
	if c < 0x100 {
		return fmt.Sprintf(`\x%02x`, c)
	}
	return fmt.Sprintf(`\u%04x`, c)
}

// documents parses the text, up to its second document.
func (p *parser) documents() []*yaml.Node {
	documents, err := parseYAML(p.text)
	if err == nil {
		return documents
	}
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := lineOf.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	if m := unknownAnchor.FindStringSubmatch(msg); m != nil {
		if i := bytes.Index(p.text, []byte("*"+m[1])); i >= 0 {
			p.errorAt(i, "a text that begins with * must be in quotes", "aliases (*%s) mean nothing in a playbook", m[1])
			return nil
		}
	}
	if len(p.text) > maxBisected {
		p.errorf(line, 1, "", "no valid YAML: %s", msg)
		return nil
	}
	at := p.culprit(err)
	p.errorAt(at, p.syntaxHint(msg, at), "no valid YAML: %s", msg)
	return nil
}

var (
	lineOf        = regexp.MustCompile(`^line ([0-9]+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// parseYAML returns the first two documents of text.
func parseYAML(text []byte) (documents []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser has such places ("internal error")
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for len(documents) < 2 {
		document := new(yaml.Node)
		if err := d.Decode(document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}

// culprit returns the offset of the character at which the YAML parser gave
// up. Its own error names a line at most, and often that of the value which
// the mistake is in: so this is the end of the shortest beginning of the text
// that fails in the same way.
func (p *parser) culprit(want error) int {
	cut := func(n int) int {
		for n < len(p.text) && !utf8.RuneStart(p.text[n]) {
			n--
		}
		return n
	}
	n := sort.Search(len(p.text), func(n int) bool {
		_, err := parseYAML(p.text[:cut(n)])
		return err != nil && err.Error() == want.Error()
	})
	for n = cut(n) - 1; n > 0 && (!utf8.RuneStart(p.text[n]) || p.text[n] == '\n' || p.text[n] == '\r'); n-- {
	}
	return max(n, 0)
}

// syntaxHint returns what most probably helps against an error of the YAML
// parser.
func (p *parser) syntaxHint(msg string, at int) string {
	switch {
	case strings.Contains(msg, "tab character"), strings.Contains(msg, "cannot start any token") && p.text[at] == '\t':
		return "indent with blanks, not with tabs"
	case strings.Contains(msg, "cannot start any token"):
		return fmt.Sprintf("a text that begins with %c must be in quotes", p.text[at])
	case strings.Contains(msg, "mapping values are not allowed"):
		return `a text that has ": " in it must be in quotes; a key must stand exactly below its neighbours`
	case strings.Contains(msg, "expected ',' or"):
		return "inside { } and [ ], a text that has one of { } [ ] , in it must be in quotes, as in {in: '${NAME}'}"
	case strings.Contains(msg, "could not find expected ':'"):
		return "a key needs a colon and a blank behind it"
	case strings.Contains(msg, "did not find expected key"), strings.Contains(msg, "did not find expected '-' indicator"):
		return "a key, or a list's dash, must stand exactly below its neighbours; a text that begins with a quote must end with it"
	case strings.Contains(msg, "alphabetic or numeric"):
		return "a text that begins with * or & must be in quotes"
	case strings.Contains(msg, "unexpected end of stream"):
		return "the quotes that open here are not closed"
	case strings.Contains(msg, "max depth"):
		return fmt.Sprintf("a playbook is at most %d levels deep", maxDepth)
	}
	return ""
}

// checkNodes refuses what a playbook has no use for in n and beneath it.
func (p *parser) checkNodes(n *yaml.Node, depth int) {
	if depth > maxDepth {
		p.errorf(n.Line, n.Column, "", "nested deeper than %d levels", maxDepth)
		return
	}
	if n.Kind == yaml.AliasNode {
		p.errorf(n.Line, n.Column, "write the value out", "aliases (*%s) mean nothing in a playbook", n.Value)
		return
	}
	if n.Anchor != "" {
		p.errorf(n.Line, n.Column, "remove it; a text that begins with & must be in quotes", "anchors (&%s) mean nothing in a playbook", n.Anchor)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		p.errorf(n.Line, n.Column, "remove it; a text that begins with ! must be in quotes", "tags (%s) mean nothing in a playbook", n.Tag)
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Tag == "!!merge" {
			p.errorf(child.Line, child.Column, "write the keys out", "merge keys (<<) mean nothing in a playbook")
			continue
		}
		p.checkNodes(child, depth+1)
	}
}
