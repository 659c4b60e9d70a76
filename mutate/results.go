package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/egressplay/egressplay/inlab"
)

// A result is the result of a mutant.
type result struct {
	Playbook string  `json:"playbook"`
	Hash     string  `json:"hash"` // of the playbook and its files
	Step     stepRef `json:"step"` // the mutated one
	Without  string  `json:"without"`
	At       string  `json:"at"` // FILE:LINE of what was left out
	Outcome  outcome `json:"outcome"`
	// ChangesNothing is the reason that the step states, "" for most.
	ChangesNothing string `json:"changesNothing,omitempty"`
	ExitCode       int    `json:"exitCode"` // of egressplay
	// EndedBy is the step that did not pass, nil if all passed. Its line is that in the
	// playbook as well.
	EndedBy *stepRef `json:"endedBy"`
	Message string   `json:"message"` // why it did not pass, or why it counts as alive
	Seconds float64  `json:"seconds"`
	// ByDeletion reports whether the only step that noticed is one that deletes an
	// object that does not exist.
	ByDeletion bool `json:"byDeletion,omitempty"`
	// Explained reports whether the explanation names what was left out; Said is its
	// text.
	Explained bool   `json:"explained"`
	Said      string `json:"said,omitempty"`
}

type stepRef struct {
	Index int    `json:"index"` // from 1, in the mutant
	Title string `json:"title"`
	Line  int    `json:"line"`
}

// An outcome is what a mutant shows about its playbook.
type outcome string

const (
	killed         outcome = "killed"          // a later expectation failed
	alive          outcome = "alive"           // anything else
	changesNothing outcome = "changes nothing" // as the step is marked
	notReached     outcome = "not reached"     // the playbook ends before it without mutation
)

// of reports whether the result is that of the present mutant.
func (r *result) of(m *mutant) bool {
	return r.Playbook == m.playbook.name && r.Hash == m.playbook.hash && r.Step.Line == m.step.line && r.Without == m.without && r.At == m.at
}

// missing matches the error of a step that cannot run because something that it needs
// does not exist.
var missing = regexp.MustCompile(`\bno (?:ready )?pod\b|\bis not found\b|\bno such\b|\bnot found$`)

// judge returns the result of a mutant. Only a later step kills it: one whose
// expectation failed, or whose error names something missing. A mutant that could not
// be run for another reason, or failed at the mutated step, proves nothing. whole is
// the run without mutation.
func judge(m *mutant, r, whole *run) *result {
	res := &result{
		Playbook:       m.playbook.name,
		Hash:           m.playbook.hash,
		Step:           stepRef{m.step.index, m.step.title, m.step.line},
		Without:        m.without,
		At:             m.at,
		Outcome:        alive,
		ChangesNothing: m.step.changesNothing,
		ExitCode:       r.exitCode,
		Message:        r.reason,
		Seconds:        float64(r.took.Milliseconds()) / 1000,
	}
	by := m.noticedBy(r, whole)
	if by != nil {
		res.EndedBy = &stepRef{by.Index, by.Title, by.Line}
		if by.Error != nil {
			res.Message = oneLine(*by.Error)
		}
		res.ByDeletion = m.playbook.verbAt(by.Line) == "delete"
		res.Explained, res.Said = explains(m.without, by.Findings), oneLine(said(by.Findings))
	}
	switch later := by != nil && by.Line > m.step.line; {
	case m.step.changesNothing != "":
		if s := different(m, r, whole); s != "" {
			res.Message = fmt.Sprintf("it changes something: %q gives another result without it. %s", s, res.Message)
		} else if r.exitCode == 0 {
			res.Outcome = changesNothing
		}
	case r.exitCode == 1 && later, r.exitCode == 3 && later && missing.MatchString(res.Message):
		res.Outcome = killed
	case r.exitCode == 1 && by == nil && len(r.failed) > 0:
		res.Message = "no step but those that fail without mutation, too: " + res.Message
	case r.exitCode == 1:
		res.Message = "no later step: " + res.Message
	case r.exitCode != 0:
		res.Message = "a broken mutant: " + res.Message
	}
	return res
}

// unreached returns the result of a mutant of a step that does not run even without
// mutation, because the playbook ends before the line end.
func unreached(m *mutant, end int) *result {
	return &result{
		Playbook: m.playbook.name, Hash: m.playbook.hash, Step: stepRef{m.step.index, m.step.title, m.step.line},
		Without: m.without, At: m.at, Outcome: notReached, Message: fmt.Sprintf("it ends before line %d without mutation", end),
	}
}

// noticedBy returns the step that shows that something is left out, nil for none: the
// first that did not pass and passes without mutation. A deletion of something that
// does not exist proves less than other steps, so it comes last.
func (m *mutant) noticedBy(r, whole *run) *inlab.Step {
	var noticed []*inlab.Step
	for _, s := range r.failed {
		if whole == nil || !slices.ContainsFunc(whole.failed, func(other *inlab.Step) bool { return other.Line == s.Line }) {
			noticed = append(noticed, s)
		}
	}
	for _, s := range noticed {
		if s.Line > m.step.line && m.playbook.verbAt(s.Line) != "delete" {
			return s
		}
	}
	for _, s := range noticed {
		if s.Line > m.step.line {
			return s
		}
	}
	if len(noticed) > 0 {
		return noticed[0]
	}
	return nil
}

// different returns the title of the first step after the mutated one that has
// another result than without mutation, "" for none.
func different(m *mutant, r, whole *run) string {
	for _, s := range whole.steps {
		if s.Line <= m.step.line {
			continue
		}
		i := slices.IndexFunc(r.steps, func(other inlab.Step) bool { return other.Line == s.Line })
		if i < 0 || r.steps[i].Status != s.Status || !sameCode(r.steps[i].ExitCode, s.ExitCode) {
			return s.Title
		}
	}
	return ""
}

func sameCode(a, b *int) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

// results are all results, kept in a file.
type results struct {
	file string
	all  []*result
}

// openResults reads the results in a file. Without the file there are none.
func openResults(file string) (*results, error) {
	rs := &results{file: file}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return rs, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &rs.all)
	}
	if err != nil {
		return nil, fmt.Errorf("read the results so far: %w", err)
	}
	return rs, nil
}

// find returns the result of a mutant, nil if it has not been run.
func (rs *results) find(m *mutant) *result {
	for _, r := range rs.all {
		if r.of(m) {
			return r
		}
	}
	return nil
}

// keep removes the results of a playbook that do not belong to one of its mutants.
func (rs *results) keep(playbook string, ms []*mutant) {
	rs.all = slices.DeleteFunc(rs.all, func(r *result) bool {
		return r.Playbook == playbook && !slices.ContainsFunc(ms, r.of)
	})
}

// put adds a result, or replaces an earlier one of the same mutant, and writes the
// file. A reader always finds a complete file.
func (rs *results) put(m *mutant, r *result) error {
	rs.all = slices.DeleteFunc(rs.all, func(other *result) bool { return other.of(m) })
	rs.all = append(rs.all, r)
	return rs.write()
}

func (rs *results) write() error {
	data, err := json.MarshalIndent(rs.all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(rs.file), 0o777); err != nil {
		return err
	}
	part := rs.file + ".part"
	if err := os.WriteFile(part, append(data, '\n'), 0o666); err != nil {
		return err
	}
	return os.Rename(part, rs.file)
}
