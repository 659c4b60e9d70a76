package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A mutant is a playbook without one thing that it does.
type mutant struct {
	playbook *playbook
	step     *step
	without  string // what is left out, such as "ServiceEntry cnn"
	at       string // FILE:LINE of it

	from, to int        // the lines of the playbook that are left out, counted from 1; none if a file is changed
	item     *yaml.Node // the path in the playbook that is replaced, nil for none
	instead  string     // the path in its place
	text     string     // of the file at that path, which the playbook does not have
}

// mutantFile is the path of a file that has all documents but one.
const mutantFile = "mutant.yaml"

// mutants returns the mutants of a playbook in the order of its steps, without those of
// the steps that clean up at its end. A step that is marked as changing nothing has one
// mutant, without the whole step.
func (p *playbook) mutants() ([]*mutant, error) {
	var all []*mutant
	last := len(p.steps) // the first of the steps at the end that clean up: no later step could notice
	for last > 0 && p.steps[last-1].cleansUp {
		last--
	}
	for i := range p.steps[:last] {
		s := &p.steps[i]
		ms, err := p.mutantsOf(s)
		if err != nil {
			return nil, err
		}
		all = append(all, ms...)
	}
	return all, nil
}

func (p *playbook) mutantsOf(s *step) ([]*mutant, error) {
	whole := func(without string) []*mutant {
		return []*mutant{{playbook: p, step: s, without: without, at: place(p.file, s.line), from: s.line, to: s.end}}
	}
	switch {
	case s.changesNothing != "":
		return whole("the whole step"), nil
	case s.verb == "label":
		return whole("the labels of " + value(s.action, "object").Value), nil
	case s.verb == "policy" && value(s.action, "set") != nil:
		return whole("the policy " + value(s.action, "set").Value), nil
	case slices.Contains([]string{"annotate", "patch", "restart", "scale"}, s.verb):
		return whole("the whole step"), nil
	case s.verb == "delete":
		return whole("the deletion of " + strings.Join(deleted(s.action), ", ")), nil
	case s.verb != "apply":
		return nil, nil
	}
	if len(s.files()) > 0 {
		return p.mutantsOfFiles(s)
	}
	manifest := s.action
	if m := value(manifest, "manifest"); m != nil {
		manifest = m
	}
	docs, line, err := p.inline(manifest)
	if err != nil {
		return nil, err
	}
	if len(docs) == 1 {
		ms := whole(docs[0].name)
		ms[0].at = place(p.file, line+docs[0].first)
		return ms, nil
	}
	var ms []*mutant
	for _, d := range docs {
		ms = append(ms, &mutant{playbook: p, step: s, without: d.name, at: place(p.file, line+d.first), from: line + d.from, to: line + d.to})
	}
	return ms, nil
}

// mutantsOfFiles returns the mutants of a step that applies files. A file that would
// have no document left is replaced as a whole.
func (p *playbook) mutantsOfFiles(s *step) ([]*mutant, error) {
	var ms []*mutant
	items := s.files()
	for i, item := range items {
		text := p.files[item.Value]
		docs, err := documents(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.path(item.Value), err)
		}
		for _, d := range docs {
			m := &mutant{playbook: p, step: s, without: d.name, at: place(p.path(item.Value), d.first+1)}
			switch {
			case len(docs) > 1:
				m.item, m.instead, m.text = item, mutantFile, without(text, d)
			case len(items) > 1: // another one is applied twice
				m.item, m.instead = item, items[(i+1)%len(items)].Value
			default:
				m.from, m.to = s.line, s.end
			}
			ms = append(ms, m)
		}
	}
	return ms, nil
}

// without returns a manifest with empty lines in place of a document.
func without(text string, d document) string {
	lines := strings.Split(text, "\n")
	clear(lines[d.from:d.to])
	return strings.Join(lines, "\n")
}

// deleted returns the objects that a delete step deletes.
func deleted(action *yaml.Node) []string {
	if objects := value(action, "objects"); objects != nil {
		action = objects
	}
	if action.Kind == yaml.ScalarNode {
		return []string{action.Value}
	}
	var names []string
	for _, n := range action.Content {
		names = append(names, n.Value)
	}
	return names
}

func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// texts returns the files of the mutant by their paths in one folder, its
// playbook as NAME.yaml. lines are those of the playbook, with the patience
// that the mutant is to have.
func (m *mutant) texts(lines []string) (map[string]string, error) {
	lines = slices.Clone(lines)
	files := maps.Clone(m.playbook.files)
	if m.item != nil {
		if err := replace(lines, m.item, m.instead); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", m.playbook.file, m.item.Line, err)
		}
	}
	if m.text != "" {
		files[m.instead] = m.text
	}
	if m.from > 0 {
		clear(lines[m.from-1 : m.to-1])
	}
	files[m.playbook.name+".yaml"] = strings.Join(lines, "\n")
	return files, nil
}

// replace replaces a plain scalar by another text.
func replace(lines []string, n *yaml.Node, text string) error {
	runes := []rune(lines[n.Line-1])
	before, rest := string(runes[:n.Column-1]), string(runes[n.Column-1:])
	after, found := strings.CutPrefix(rest, n.Value)
	if !found {
		return fmt.Errorf("%q must be written without quotes, so that a mutant can have another value there", n.Value)
	}
	lines[n.Line-1] = before + text + after
	return nil
}
