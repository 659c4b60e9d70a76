package transcript_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// planned is the playbook that the recorded runs run.
func planned() *runner.Playbook {
	p := &runner.Playbook{Name: origination.Name, Title: origination.Title, File: origination.File, Topic: origination.Topic}
	for _, info := range []runner.StepInfo{label, set, apply, request, headers} {
		p.Steps = append(p.Steps, runner.Step{StepInfo: info})
	}
	return p
}

func report(events []runner.Event) *transcript.Report {
	plan := []*runner.Playbook{planned()}
	if len(events) > 0 && events[len(events)-1].Summary != nil && events[len(events)-1].Summary.Skipped > 0 {
		plan = append(plan, &runner.Playbook{Name: "egress-gateway", File: "my/egress-gateway.yaml"})
	}
	r := transcript.NewReport(plan)
	for _, e := range events {
		r.Send(e)
	}
	return r
}

var asJSON = transcript.Formats["json"]

func write(r *transcript.Report, path string) error {
	return transcript.WriteFile(path, r.In(asJSON))
}

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		file   string
		events []runner.Event
	}{
		{"passed.json", passedRun},
		{"failed.json", failedRun},
		{"interrupted.json", interruptedRun},
		{"left.json", leftRun},
		{"kept.json", keptRun},
		{"not-begun.json", nil},
	} {
		t.Run(tt.file, func(t *testing.T) { golden(t, tt.file, report(tt.events).In(asJSON)) })
	}
}

// A program that is killed leaves what it has written last: every document must
// be whole and must not claim more than has happened.
func TestReportIsWholeAfterEveryEvent(t *testing.T) {
	for name, events := range map[string][]runner.Event{"passed": passedRun, "failed": failedRun, "left": leftRun} {
		for n := range events {
			var doc struct {
				Playbooks []struct {
					Status runner.Status
					Steps  []struct{ Status runner.Status }
				}
				Summary runner.Summary
				Cleanup struct {
					Status runner.Status
					Left   []string
				}
			}
			require.NoError(t, json.Unmarshal(report(events[:n]).In(asJSON), &doc), "%s after %d events", name, n)
			require.NotEmpty(t, doc.Playbooks)
			assert.Len(t, doc.Playbooks[0].Steps, 5)
			assert.NotNil(t, doc.Cleanup.Left)
			begun, ended := false, false
			for _, e := range events[:n] {
				begun = begun || e.Kind == runner.PlaybookStarted
				ended = ended || e.Kind == runner.PlaybookFinished
			}
			if !ended {
				assert.Zero(t, doc.Summary.Passed+doc.Summary.Failed, "%s after %d events", name, n)
			}
			if begun && !ended {
				assert.Equal(t, runner.Errored, doc.Playbooks[0].Status)
				assert.NotEqual(t, runner.Passed, doc.Cleanup.Status)
			}
		}
	}
}

// Each round of a playbook has a report of its own.
func TestReportOfSeveralRounds(t *testing.T) {
	var doc struct {
		Playbooks []struct {
			Round  int
			Status runner.Status
			Steps  []struct{ Status runner.Status }
		}
		Summary runner.Summary
	}
	require.NoError(t, json.Unmarshal(report(flakyRun).In(asJSON), &doc))
	require.Len(t, doc.Playbooks, 3)
	for i, want := range []runner.Status{runner.Passed, runner.Failed, runner.Passed} {
		assert.Equal(t, i+1, doc.Playbooks[i].Round)
		assert.Equal(t, want, doc.Playbooks[i].Status)
		assert.NotEmpty(t, doc.Playbooks[i].Steps)
	}
	assert.Equal(t, runner.Summary{Passed: 2, Failed: 1}, doc.Summary)
}

func TestReportLeft(t *testing.T) {
	r := transcript.NewReport(nil)
	left := func() []string {
		left, _ := r.Left()
		return left
	}
	complete := func() bool {
		_, complete := r.Left()
		return complete
	}
	assert.Empty(t, left())
	assert.True(t, complete(), "nothing has begun")

	for _, e := range begin {
		r.Send(e)
	}
	assert.False(t, complete(), "what the steps changed is not known before the clean-up")

	r.Send(cleanup[0])
	assert.Len(t, left(), 2)
	assert.True(t, complete())
	r.Send(cleanup[1])
	assert.Equal(t, []string{"label istio-injection of namespace default"}, left())
	r.Send(cleanup[2])
	assert.Empty(t, left())
}

func TestReportFail(t *testing.T) {
	r := transcript.NewReport([]*runner.Playbook{planned()})
	r.Fail(errors.New("no cluster"))
	golden(t, "not-run.json", r.In(asJSON))
}

func TestReportWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	r := report(passedRun)
	require.NoError(t, write(r, path))
	require.NoError(t, write(r, path), "a file that is there is replaced")
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(r.In(asJSON)), string(got))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing else is left in the folder")
}

func TestReportWriteFollowsLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making a link needs a privilege there")
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real.json"), filepath.Join(dir, "link.json")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o644))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, write(report(passedRun), link))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink, "the link is still one")
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, json.Valid(got))
}

func TestReportWriteToAFolder(t *testing.T) {
	dir := t.TempDir()
	err := write(report(nil), dir)
	assert.EqualError(t, err, "write the report: open "+dir+": it is a folder")
}

func TestIsStream(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	assert.False(t, transcript.IsStream(file), "it is not there yet")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	assert.False(t, transcript.IsStream(file))
	assert.True(t, transcript.IsStream(os.DevNull))
	if runtime.GOOS != "windows" {
		assert.True(t, transcript.IsStream("/dev/stdout"), "also where it is redirected to a file")
	}
}

func TestReportWriteSaysWhereItCannot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "report.json")
	err := write(report(nil), path)
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, "write the report: open "+path+": no such file or directory", err.Error())
}

func BenchmarkReport(b *testing.B) {
	for b.Loop() {
		report(passedRun).In(asJSON)
	}
}

// A report may be written to a terminal: no name in it is a command there, and a
// program reads the name as it is.
func TestReportHasNoControls(t *testing.T) {
	name := "a\x1b[2J\u009b2J\u202e\x7fb…ü"
	r := transcript.NewReport([]*runner.Playbook{{Name: name, File: name}})
	doc := r.In(asJSON)
	for _, c := range string(doc) {
		assert.False(t, c < ' ' && c != '\n' || 0x7f <= c && c <= 0x9f || c == 0x202e, "%q", c)
	}
	var got struct{ Playbooks []struct{ File string } }
	require.NoError(t, json.Unmarshal(doc, &got))
	assert.Equal(t, name, got.Playbooks[0].File)
}
