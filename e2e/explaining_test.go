//go:build lab

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// broken matches what a broken playbook says of itself: the code of its cause, and
// what the explanation says.
var broken = regexp.MustCompile(`(?m)^# (cause|says): (.*)$`)

// Each playbook of testdata/explaining has one thing broken, and its failing step
// names it.
func TestAFailureNamesItsCause(t *testing.T) {
	once(t)
	withSample(t)
	files, err := filepath.Glob("testdata/explaining/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var took []int64
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			file, err := filepath.Abs(file)
			require.NoError(t, err)
			findings := failingFindings(t, file)
			for again := 0; findings[0].Code == "" && again < 2; again++ { // on a busy machine a witness may have come too late
				findings = failingFindings(t, file)
			}
			for _, m := range broken.FindAllStringSubmatch(string(text), -1) {
				if m[1] == "cause" {
					assert.Equal(t, m[2], findings[0].Code, findings[0].Cause)
				} else {
					assert.Regexp(t, m[2], findings[0].Cause)
				}
			}
			assert.NotEmpty(t, findings[0].Next)
			took = append(took, findings[0].TookMS)
			t.Logf("explained in %d ms: %s", findings[0].TookMS, findings[0].Cause)
		})
	}
	slices.Sort(took)
	require.NotEmpty(t, took)
	t.Logf("an explanation took %d ms in the median, %d ms at most", took[len(took)/2], took[len(took)-1])
}

// A page goes on where what it shows did not come: each step of it that fails for a cause
// names it, and one whose page is wrong itself names none.
func TestAFailureOfAPageNamesItsCause(t *testing.T) {
	once(t)
	file := filepath.Join(t.TempDir(), "page.md")
	text, err := os.ReadFile("testdata/explaining/page.md")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	report := filepath.Join(t.TempDir(), "report.json")
	e := egressplay(t, "run", file, "--report", "json="+report)
	e.exits(t, 1)
	page := strings.Split(string(text), "\n")
	for _, test := range []struct{ sentence, command, code, says string }{
		{"The second of two", "$ kubectl exec", "host-not-registered", "www.google.com"},
		{"The log of the sidecar", "$ kubectl logs", "host-not-registered", "www.google.com"},
		{"A route leads", "$ kubectl exec", "subset-not-defined", "cnn"},
		{"By a shell", "$ kubectl exec", "host-not-registered", "httpbin.org"},
		{"What the page shows is wrong", "$ kubectl exec", "", ""},
		{"Of two requests, nobody", "$ kubectl exec", "", ""},
	} {
		findings := findingsAt(t, report, lineOf(t, page, test.sentence, test.command))
		if test.code == "" {
			for _, f := range findings {
				assert.Empty(t, f.Code, "%s: %s", test.sentence, f.Cause)
			}
			continue
		}
		if assert.Len(t, findings, 1, "%s\n%s", test.sentence, e.stdout) {
			assert.Equal(t, test.code, findings[0].Code, "%s: %s", test.sentence, findings[0].Cause)
			assert.Contains(t, findings[0].Cause, test.says)
		}
	}
}

// findingsAt returns what a report has of the step in a line, which did not pass.
func findingsAt(t *testing.T, report string, line int) []finding {
	t.Helper()
	data, err := os.ReadFile(report)
	require.NoError(t, err)
	var run struct {
		Playbooks []struct {
			Steps []struct {
				Line     int
				Status   string
				Findings []finding
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &run))
	require.Len(t, run.Playbooks, 1)
	for _, s := range run.Playbooks[0].Steps {
		if s.Line == line {
			assert.Equal(t, "failed", s.Status, "line %d", line)
			return s.Findings
		}
	}
	require.Fail(t, "no step", "in line %d", line)
	return nil
}

// A finding is what a report has of an explanation.
type finding struct {
	Code, Cause, Next string
	TookMS            int64
}

// failingFindings runs a broken world, and returns what its report has of the last step.
func failingFindings(t *testing.T, file string) []finding {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	e := egressplay(t, "run", file, "--namespace", sample, "--report", "json="+report)
	assert.NotEqual(t, 0, e.code, e.stdout)
	data, err := os.ReadFile(report)
	require.NoError(t, err)
	var run struct {
		Playbooks []struct {
			Steps []struct{ Findings []finding }
		}
	}
	require.NoError(t, json.Unmarshal(data, &run))
	require.NotEmpty(t, run.Playbooks)
	steps := run.Playbooks[0].Steps
	require.NotEmpty(t, steps)
	findings := steps[len(steps)-1].Findings
	require.Len(t, findings, 1, e.stdout)
	if findings[0].Code == "" {
		t.Logf("nothing was explained:\n%s", e.stdout)
	}
	return findings
}
