package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/egressplay/egressplay/inlab"
)

// A run is the result of one playbook's run.
type run struct {
	exitCode int
	steps    []inlab.Step
	failed   []*inlab.Step // those that did not pass, in their order
	reason   string        // why it did not pass, if no step says it
	took     time.Duration
}

// runIn runs the playbook NAME.yaml of texts, which are files by their paths in
// one folder, with the flags of egressplay run in args.
func runIn(ctx context.Context, lab *inlab.Lab, name string, texts map[string]string, args []string) (*run, error) {
	dir, err := os.MkdirTemp("", "egressplay-mutate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for path, text := range texts {
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	started := time.Now()
	report, err := lab.Run(ctx, filepath.Join(dir, "report.json"), append(slices.Clone(args), filepath.Join(dir, name+".yaml"))...)
	if err != nil {
		return nil, err
	}
	if len(report.Playbooks) != 1 {
		return nil, fmt.Errorf("a report of %d playbooks, not of one", len(report.Playbooks))
	}
	p := report.Playbooks[0]
	r := &run{exitCode: report.ExitCode, steps: p.Steps, took: time.Since(started)}
	if p.Error != nil {
		r.reason = *p.Error
	}
	for i := range r.steps {
		if s := &r.steps[i]; s.Error != nil && (s.Status == "failed" || s.Status == "error") {
			r.failed, r.reason = append(r.failed, s), oneLine(*s.Error)
		}
	}
	return r, nil
}

// end returns the line of the first step that did not run because an earlier one ended
// the playbook; if there is none, a line after all others.
func (r *run) end(p *playbook) int {
	for i := range p.steps {
		if i >= len(r.steps) || r.steps[i].Status == "skipped" {
			return p.steps[i].line
		}
	}
	return len(p.lines) + 1
}

func oneLine(text string) string {
	return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), "; ")
}
