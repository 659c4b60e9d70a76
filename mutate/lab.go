package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/egressplay/egressplay/inlab"
)

// A run is how egressplay ran one playbook.
type run struct {
	exitCode int
	steps    []inlab.Step
	failed   *inlab.Step // the one that ended the run, nil for none
	reason   string      // why it did not pass, where no step says it
	took     time.Duration
}

// runIn runs the playbook NAME.yaml of texts, which are files by their paths in
// one folder.
func runIn(ctx context.Context, lab *inlab.Lab, name string, texts map[string]string) (*run, error) {
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
	report, err := lab.Run(ctx, filepath.Join(dir, "report.json"), filepath.Join(dir, name+".yaml"))
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
			r.failed, r.reason = s, oneLine(*s.Error)
		}
	}
	return r, nil
}

func oneLine(text string) string {
	return strings.Join(strings.Split(strings.TrimSpace(text), "\n"), "; ")
}
