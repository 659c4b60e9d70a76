//go:build lab

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

// report is the format of --report json=PATH. Nothing may be in it that is not
// here.
type report struct {
	Version    int               `json:"version"`
	Started    time.Time         `json:"started"`
	DurationMS int64             `json:"durationMs"`
	Target     string            `json:"target"`
	Versions   map[string]string `json:"versions"`
	Targets    []struct {
		Context  string            `json:"context"`
		Target   string            `json:"target"`
		Versions map[string]string `json:"versions"`
	} `json:"targets"`
	Mistakes []struct {
		At   evidence.Position `json:"at"`
		Text string            `json:"text"`
		Hint string            `json:"hint"`
	} `json:"mistakes"`
	Notes     []string         `json:"notes"`
	Playbooks []playbookReport `json:"playbooks"`
	Summary   struct {
		Passed  int `json:"passed"`
		Failed  int `json:"failed"`
		Skipped int `json:"skipped"`
		Error   int `json:"error"`

		NotChecked int `json:"notChecked"`
	} `json:"summary"`
	Cleanup struct {
		Status string   `json:"status"`
		Left   []string `json:"left"`
	} `json:"cleanup"`
}

type playbookReport struct {
	Name       string       `json:"name"`
	Title      string       `json:"title"`
	Topic      int          `json:"topic"`
	Text       string       `json:"text"`
	Source     string       `json:"source"`
	Part       string       `json:"part"`
	Round      int          `json:"round"`
	Context    string       `json:"context"`
	File       string       `json:"file"`
	Status     string       `json:"status"`
	Started    time.Time    `json:"started"`
	DurationMS int64        `json:"durationMs"`
	Error      *string      `json:"error"`
	Steps      []stepReport `json:"steps"`
	Cleanup    []struct {
		What       string `json:"what"`
		Status     string `json:"status"`
		Back       string `json:"back"`
		DurationMS int64  `json:"durationMs"`
		Error      string `json:"error"`
	} `json:"cleanup"`
	Left []string `json:"left"`
}

type stepReport struct {
	Index      int       `json:"index"`
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Text       string    `json:"text"`
	Kind       string    `json:"kind"`
	File       string    `json:"file"`
	Line       int       `json:"line"`
	Choice     string    `json:"choice"`
	Status     string    `json:"status"`
	Started    time.Time `json:"started"`
	DurationMS int64     `json:"durationMs"`
	Attempts   int       `json:"attempts"`
	ExitCode   *int      `json:"exitCode"`
	Error      *string   `json:"error"`
	Hint       string    `json:"hint"`
	Command    string    `json:"command"`
	Output     string    `json:"output"`

	Verdicts []verdictReport    `json:"verdicts"`
	Findings []evidence.Finding `json:"findings"`
	Evidence *evidence.Attempt  `json:"evidence"`
}

type verdictReport struct {
	evidence.Verdict
	WantValue any `json:"wantValue"`
	GotValue  any `json:"gotValue"`
}

// reportFlag returns a flag that asks for a report, and what reads and checks
// it once the run has ended.
func reportFlag(t *testing.T) (flag string, read func() report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	return "--report=json=" + path, func() report {
		t.Helper()
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		dec := json.NewDecoder(strings.NewReader(string(text)))
		dec.DisallowUnknownFields()
		var r report
		require.NoError(t, dec.Decode(&r), "%s", text)
		assert.False(t, dec.More(), "one document and nothing else: %s", text)
		r.check(t)
		return r
	}
}

// check asserts what holds for each report.
func (r report) check(t *testing.T) {
	t.Helper()
	statuses := []string{"passed", "failed", "skipped", "error"}
	assert.Equal(t, 2, r.Version)
	assert.Contains(t, statuses, r.Cleanup.Status)
	assert.NotNil(t, r.Cleanup.Left)
	count := map[string]int{}
	for _, p := range r.Playbooks {
		count[p.Status]++
		assert.Contains(t, statuses, p.Status)
		assert.NotEmpty(t, p.Name)
		assert.NotEmpty(t, p.File)
		passed, line := 0, 0
		for i, s := range p.Steps {
			assert.Equal(t, i+1, s.Index)
			assert.Contains(t, statuses, s.Status)
			assert.NotEmpty(t, s.Title)
			assert.NotEmpty(t, s.Kind)
			assert.Equal(t, p.File, s.File)
			assert.Greater(t, s.Line, line, "step %d begins beneath the one before it", s.Index)
			line = s.Line
			assert.Equal(t, s.Status == "skipped", s.Started.IsZero(), "step %d has a time where it was begun", s.Index)
			for _, v := range s.Verdicts {
				assert.Equal(t, v.Want == "", v.WantValue == nil && v.Want != "null", "step %d, %s", s.Index, v.Key)
			}
			if s.Status == "passed" {
				passed++
				assert.Nil(t, s.Error, "step %d passed", s.Index)
				assert.Positive(t, s.Attempts, "step %d passed", s.Index)
			}
			if s.Status == "failed" {
				assert.NotNil(t, s.Error, "step %d failed", s.Index)
			}
		}
		if p.Status == "passed" {
			assert.Positive(t, passed, "a playbook with no passed step has not passed")
			if p.Part == "" {
				assert.Len(t, p.Steps, passed)
			}
		}
	}
	assert.Equal(t, count["passed"], r.Summary.Passed)
	assert.Equal(t, count["failed"], r.Summary.Failed)
	assert.Equal(t, count["skipped"], r.Summary.Skipped)
	assert.Equal(t, count["error"], r.Summary.Error)
}

// only returns the report's only playbook.
func (r report) only(t *testing.T) playbookReport {
	t.Helper()
	require.Len(t, r.Playbooks, 1)
	return r.Playbooks[0]
}

// stopped returns the step that ended the playbook, once it is seen that those
// before it passed and those after it were skipped.
func (p playbookReport) stopped(t *testing.T, status string) stepReport {
	t.Helper()
	assert.Equal(t, status, p.Status)
	var at *stepReport
	for i, s := range p.Steps {
		switch {
		case at == nil && s.Status != "passed":
			at = &p.Steps[i]
			assert.Equal(t, status, s.Status, "step %d, %q", s.Index, s.Title)
		case at != nil:
			assert.Equal(t, "skipped", s.Status, "step %d, %q, after the one that ended the playbook", s.Index, s.Title)
		}
	}
	require.NotNil(t, at, "each step passed")
	return *at
}
