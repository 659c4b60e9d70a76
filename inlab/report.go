package inlab

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/egressplay/egressplay/evidence"
)

// A Report is the part of a report of egressplay that the tools need.
type Report struct {
	Version   int
	Playbooks []Playbook
	// ExitCode is the exit code of egressplay; the file does not have it.
	ExitCode int `json:"-"`
}

// A Playbook is the result of one playbook.
type Playbook struct {
	Name   string
	File   string
	Status string
	// Error is why the playbook has not passed, if no step says it.
	Error *string
	Steps []Step
}

// A Step is the result of one step.
type Step struct {
	Index      int
	ID         string
	Title      string
	Line       int
	Status     string
	DurationMS int64
	Attempts   int
	ExitCode   *int
	Error      *string
	Verdicts   evidence.Verdicts
	Findings   []evidence.Finding
}

// Took returns how long the step took.
func (s *Step) Took() time.Duration { return time.Duration(s.DurationMS) * time.Millisecond }

// ReadReport reads a report of version 2.
func ReadReport(file string) (*Report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if r.Version != 2 {
		return nil, fmt.Errorf("%s: a report of version %d, not 2", file, r.Version)
	}
	return &r, nil
}
