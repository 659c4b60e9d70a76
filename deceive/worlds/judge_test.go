package worlds

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/inlab"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name string
		step string // in a report
		good bool
		says string // the text of what is missed or broken; "" for nothing
	}{
		{"a lie that its expectation denies", `"id":"lie-log-a","status":"failed","verdicts":[{"key":"expect.log[0].status","outcome":"not held"}]`, true, ""},
		{"a lie that its expectation cannot judge", `"id":"lie-path-a","status":"error","verdicts":[{"key":"expect.path","outcome":"not judged"}]`, true, ""},
		{"a lie beside what holds", `"id":"lie-path-a","status":"failed","verdicts":[{"key":"expect.status","outcome":"held"},{"key":"expect.path","outcome":"not held"}]`, true, ""},
		{"a lie of which one claim holds", `"id":"lie-log-a","status":"failed","verdicts":[{"key":"expect.log[0].status","outcome":"held"},{"key":"expect.log[0].path","outcome":"not held"}]`, true, ""},
		{"a lie of a key with capitals", `"id":"lie-exitcode-a","status":"failed","verdicts":[{"key":"expect.exitCode","outcome":"not held"}]`, true, ""},
		{"a lie of a verb", `"id":"lie-policy-a","status":"failed","verdicts":[{"key":"policy","outcome":"not held"}]`, true, ""},
		{"a change that is said not to be in force", `"id":"lie-change-a","status":"error","error":"the proxy refuses its configuration, so that what was changed is not in force: x"`, true, ""},

		{"a lie that passes", `"id":"lie-log-a","status":"passed","verdicts":[{"key":"expect.log","outcome":"held"}]`, false, "w.yaml:7: T (lie-log-a): a lie that was not caught: it passed"},
		{"a lie that is not checked", `"id":"lie-log-a","status":"failed","verdicts":[{"key":"expect.log","outcome":"not checked"}]`, false, "not caught by log"},
		{"a lie that was not tried", `"id":"lie-log-a","status":"skipped"`, false, "it skipped"},
		{"a lie that another expectation denies", `"id":"lie-log-a","status":"failed","verdicts":[{"key":"expect.log","outcome":"held"},{"key":"expect.exitCode","outcome":"not held"}]`, false, "not the world that it is said to be: exitCode"},
		{"a lie that another expectation denies, too", `"id":"lie-log-a","status":"failed","verdicts":[{"key":"expect.log","outcome":"not held"},{"key":"expect.exitCode","outcome":"not held"}]`, false, "not the world that it is said to be: exitCode"},
		{"a lie whose step could not be run", `"id":"lie-log-a","status":"error","error":"curl: not found"`, false, "not caught by log: error: curl: not found"},
		{"a lie of a change whose step could not be run", `"id":"lie-change-a","status":"error","error":"curl: not found"`, false, "curl: not found"},

		{"an honest claim", `"id":"honest-a","status":"passed","verdicts":[{"key":"expect.log","outcome":"held"}]`, true, ""},
		{"an honest claim of a verb", `"id":"honest-a","status":"passed"`, true, ""},
		{"an honest claim that fails", `"id":"honest-a","status":"failed","error":"log: want a\nb"`, false, "w.yaml:7: T (honest-a): an honest claim that did not pass: failed: log: want a; b"},
		{"an honest claim that was not checked", `"id":"honest-a","status":"passed","verdicts":[{"key":"expect.arrived","outcome":"not checked","why":"nobody records"}]`, false, "was not checked"},
		{"an honest claim of nothing", `"id":"honest-a","status":"passed","exitCode":0`, false, "nothing was checked"},

		{"a world that is not set up", `"status":"failed","error":"no such kind"`, false, "w.yaml:7: broken: T: failed: no such kind"},
		{"an id that is none of a claim", `"id":"lie","status":"failed"`, false, "broken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const others = `{"id":"lie-path-other","status":"failed","verdicts":[{"key":"expect.path","outcome":"not held"}]}, {"id":"honest-other","status":"passed"}, {"status":"passed"}`
			file := filepath.Join(t.TempDir(), "report.json")
			text := `{"version": 2, "playbooks": [{"name": "w", "file": "w.yaml", "steps": [` + others + `, {"line": 7, "title": "T", ` + c.step + `}]}]}`
			require.True(t, json.Valid([]byte(text)), text)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			report, err := inlab.ReadReport(file)
			require.NoError(t, err)
			r := Judge(report)
			assert.Equal(t, c.good, r.Good())
			var said bytes.Buffer
			r.Print(&said)
			assert.Contains(t, said.String(), c.says)
			assert.Len(t, append(r.Missed, r.Broken...), map[bool]int{true: 0, false: 1}[c.good])
		})
	}
}

func TestPrint(t *testing.T) {
	var said bytes.Buffer
	(&Result{Lies: 67, Caught: 66, Honest: 64, Passed: 64, Missed: []string{"one"}, Broken: []string{"two"}}).Print(&said)
	assert.Equal(t, "two\none\n66 of 67 deceptive worlds caught; 64 of 64 honest worlds passed\n", said.String())
	assert.False(t, (&Result{}).Good(), "nothing was claimed")
	assert.False(t, Judge(&inlab.Report{Playbooks: []inlab.Playbook{{File: "a.yaml", Error: new(string)}}}).Good())
}
