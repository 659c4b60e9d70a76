package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/steps"
)

// A playbook is the text of a playbook, with the places of its parts.
type playbook struct {
	name, file string // as in [playbooks.Source]
	lines      []string
	steps      []step
	within     *yaml.Node        // of the defaults, nil without one
	files      map[string]string // the texts of those that it applies, by their path in the playbook
	hash       string            // of all its texts
	source     playbooks.Source
	defaults   bool // it has some
	goesOn     bool // after a failed step that only looks, as a page does
}

// A step is one step of a playbook, which is in the lines from line to before
// end, counted from 1.
type step struct {
	index          int // from 1
	title, verb    string
	line, end      int
	action         *yaml.Node // the value of the verb
	within         *yaml.Node // nil if the step has none
	changesNothing string     // the reason, "" if the step is not marked
	cleansUp       bool
}

// read returns the playbook of a source, which must be a valid one.
func read(s playbooks.Source) (*playbook, error) {
	if _, err := playbooks.Load([]string{s.File}, playbooks.Options{}); err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(s.Data, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	root := document.Content[0]
	p := &playbook{
		name:   s.Name,
		file:   s.File,
		lines:  strings.Split(string(s.Data), "\n"),
		within: value(value(root, "defaults"), "within"),
		files:  make(map[string]string),
		source: s,
	}
	p.defaults = value(root, "defaults") != nil
	end := len(p.lines) + 1
	for i := 0; i < len(root.Content); i += 2 {
		if key := root.Content[i]; key.Line > value(root, "steps").Line {
			end = min(end, key.Line)
		}
	}
	for i, n := range slices.Backward(value(root, "steps").Content) {
		if !strings.HasPrefix(strings.TrimSpace(p.lines[n.Line-1]), "- ") {
			return nil, fmt.Errorf("%s:%d: a step begins with a dash and its first key, so that it can be left out by its lines", p.file, n.Line)
		}
		st := step{index: i + 1, line: n.Line, end: end, within: value(n, "within")}
		st.title = value(n, "title").Value
		if reason := value(n, "changesNothing"); reason != nil {
			st.changesNothing = reason.Value
		}
		p.goesOn = p.goesOn || value(n, "continue") != nil
		if v := value(n, "cleansUp"); v != nil {
			st.cleansUp = v.Value == "true"
		}
		for verb := range steps.Kinds {
			if action := value(n, verb); action != nil {
				st.verb, st.action = verb, action
			}
		}
		end = n.Line
		p.steps = append(p.steps, st)
	}
	slices.Reverse(p.steps)
	if err := p.readFiles(); err != nil {
		return nil, err
	}
	p.hash = p.sum()
	return p, nil
}

// readFiles reads the files that steps apply.
func (p *playbook) readFiles() error {
	var errs []error
	for _, s := range p.steps {
		for _, n := range s.files() {
			if !filepath.IsLocal(n.Value) {
				errs = append(errs, fmt.Errorf("%s:%d: %s is not below the playbook's folder, so a mutant cannot have a copy", p.file, n.Line, n.Value))
				continue
			}
			text, err := p.source.ReadFile(n.Value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %s: %w", p.file, n.Line, n.Value, err))
			}
			p.files[n.Value] = string(text)
		}
	}
	return errors.Join(errs...)
}

// verbAt returns the verb of the step in a line, "" for none.
func (p *playbook) verbAt(line int) string {
	for i := range p.steps {
		if p.steps[i].line == line {
			return p.steps[i].verb
		}
	}
	return ""
}

// path returns the path of a file that a step applies.
func (p *playbook) path(file string) string { return filepath.Join(filepath.Dir(p.file), file) }

// sum returns a hash of the playbook and its files.
func (p *playbook) sum() string {
	h := sha256.New()
	io.WriteString(h, strings.Join(p.lines, "\n"))
	for _, path := range slices.Sorted(maps.Keys(p.files)) {
		fmt.Fprintf(h, "\x00%s\x00%s", path, p.files[path])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// files returns the paths of the files that a step applies.
func (s *step) files() []*yaml.Node {
	if s.verb != "apply" {
		return nil
	}
	if files := value(s.action, "files"); files != nil {
		return files.Content
	}
	return nil
}

// value returns the value of a key in a mapping, nil if there is none.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
