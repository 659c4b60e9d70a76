package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/inlab"
	"github.com/egressplay/egressplay/playbooks"
)

var update = flag.Bool("update", false, "write what came into the files that say what is wanted")

func loadFile(t *testing.T, file string) set {
	t.Helper()
	sets, err := load([]string{file})
	require.NoError(t, err)
	require.Len(t, sets, 1)
	return sets[0]
}

// TestMutants compares what each mutant of a playbook changes.
func TestMutants(t *testing.T) {
	s := loadFile(t, "testdata/all.yaml")
	var got strings.Builder
	for _, m := range s.mutants {
		fmt.Fprintf(&got, "== %s: step %d, line %d, without %s\n", m.at, m.step.index, m.step.line, m.without)
		texts, err := m.texts(s.playbook.lines)
		require.NoError(t, err)
		writeChanges(&got, "", s.playbook.lines, strings.Split(texts["all.yaml"], "\n"))
		if text, ok := texts[mutantFile]; ok {
			writeChanges(&got, mutantFile+":", strings.Split(s.playbook.files["samples/two.yaml"], "\n"), strings.Split(text, "\n"))
		}
	}
	const want = "testdata/mutants.golden"
	if *update {
		require.NoError(t, os.WriteFile(want, []byte(got.String()), 0o600))
	}
	data, err := os.ReadFile(want)
	require.NoError(t, err)
	assert.Equal(t, string(data), got.String())
}

// writeChanges writes the lines that differ, by their numbers.
func writeChanges(w *strings.Builder, file string, before, after []string) {
	for i := range max(len(before), len(after)) {
		switch {
		case i >= len(before) || i >= len(after):
			fmt.Fprintf(w, "%s%d lines became %d\n", file, len(before), len(after))
			return
		case before[i] == after[i]:
		case after[i] == "":
			fmt.Fprintf(w, "- %s%d %s\n", file, i+1, before[i])
		default:
			fmt.Fprintf(w, "! %s%d %s\n", file, i+1, after[i])
		}
	}
}

// TestMutantsOfBuiltins checks that each mutant is a playbook that can be run.
func TestMutantsOfBuiltins(t *testing.T) {
	sets, err := load([]string{"../playbooks", "testdata/all.yaml"})
	require.NoError(t, err)
	for _, s := range sets {
		took := make([]time.Duration, len(s.playbook.steps))
		lines, err := patience{5 * time.Second, 10 * time.Second}.shorten(s.playbook, took)
		require.NoError(t, err)
		for _, m := range s.mutants {
			texts, err := m.texts(lines)
			require.NoError(t, err)
			dir := t.TempDir()
			for _, path := range slices.Sorted(maps.Keys(texts)) {
				file := filepath.Join(dir, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
				require.NoError(t, os.WriteFile(file, []byte(texts[path]), 0o600))
			}
			_, err = playbooks.Load([]string{filepath.Join(dir, s.playbook.name+".yaml")}, playbooks.Options{})
			assert.NoError(t, err, "%s without %s", m.at, m.without)
			assert.Equal(t, len(lines), strings.Count(texts[s.playbook.name+".yaml"], "\n")+1, "%s without %s", m.at, m.without)
		}
	}
}

func TestMutantsThatCannotBeMade(t *testing.T) {
	const head = "apiVersion: egressplay/v1\nkind: Playbook\nname: x\nsteps:\n"
	for _, test := range []struct{ name, text, want string }{
		{"a manifest that is no block", "- title: T\n  apply: 'apiVersion: v1\n\n    kind: ConfigMap\n\n    metadata: {name: x}'\n", "x.yaml:6: a manifest is written as a block (|)"},
		{"a step in braces", "- {title: T, set: {A: b}}\n", ""},
		{"steps in brackets", "  [{title: T, set: {A: b}}]\n", "x.yaml:5: a step begins with a dash"},
		{"more marks than there may be", strings.Repeat("- title: T\n  label: {object: pod/a, set: {a: b}}\n  changesNothing: so\n", 4), "4 steps say that they change nothing, at most 3 may"},
		{"a playbook that is none", "- title: T\n", "step 1 has no verb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			require.NoError(t, os.WriteFile("x.yaml", []byte(head+test.text), 0o600))
			_, err := load([]string{"x.yaml"})
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestShorten(t *testing.T) {
	p := loadFile(t, "testdata/all.yaml").playbook
	seconds := func(slow ...int) []time.Duration {
		took := make([]time.Duration, len(p.steps))
		for i := 0; i < len(slow); i += 2 {
			took[slow[i]-1] = time.Duration(slow[i+1]) * time.Second
		}
		return took
	}
	for _, test := range []struct {
		name string
		took []time.Duration
		want []string
	}{
		{"all at once", seconds(), []string{"! 4 defaults: {in: deploy/curl, container: curl, within: 5s}", "! 21   within: 10s", "! 60   within: 5s"}},
		{"slow ones have their time", seconds(5, 8, 6, 3, 11, 7), []string{"! 4 defaults: {in: deploy/curl, container: curl, within: 9s}", "! 21   within: 24s", "! 60   within: 21s"}},
		{"never more than stated", seconds(5, 100, 6, 100, 11, 100), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines, err := patience{5 * time.Second, 10 * time.Second}.shorten(p, test.took)
			require.NoError(t, err)
			var got strings.Builder
			writeChanges(&got, "", p.lines, lines)
			want := strings.Join(test.want, "\n")
			assert.Equal(t, want, strings.TrimSuffix(got.String(), "\n"))
		})
	}
}

func TestJudge(t *testing.T) {
	zero, seven := 0, 7
	whole := &run{steps: []inlab.Step{{Line: 3, Status: "passed"}, {Line: 5, Status: "passed"}, {Line: 9, Title: "R", Status: "passed", ExitCode: &zero}}, failed: []*inlab.Step{{Line: 11}}}
	at := func(line int) []*inlab.Step { return []*inlab.Step{{Line: line}} }
	for _, test := range []struct {
		name  string
		marks string
		run   run
		want  outcome
		says  string
	}{
		{"a later expectation", "", run{exitCode: 1, failed: at(9), reason: "R"}, killed, "R"},
		{"the step itself", "", run{exitCode: 1, failed: at(5), reason: "R"}, alive, "no later step: R"},
		{"no step", "", run{exitCode: 1, reason: "R"}, alive, "no later step: R"},
		{"a bad playbook", "", run{exitCode: 2, reason: "R"}, alive, "a broken mutant: R"},
		{"a later step that could not be run", "", run{exitCode: 3, failed: at(9), reason: "R"}, alive, "a broken mutant: R"},
		{"a value that is not there", "", run{exitCode: 3, failed: at(7), reason: "there is no pod with the labels app=a"}, killed, "there is no pod with the labels app=a"},
		{"the step itself, which sets a value", "", run{exitCode: 3, failed: at(5), reason: "there is no pod"}, alive, "a broken mutant: there is no pod"},
		{"a step that fails without mutation", "", run{exitCode: 1, failed: at(11), reason: "R"}, alive, "no step but those that fail without mutation, too: R"},
		{"another one beside it", "", run{exitCode: 1, failed: append(at(11), at(9)...), reason: "R"}, killed, "R"},
		{"a deletion of what is not there", "", run{exitCode: 1, failed: at(13), reason: "R"}, killed, "R"},
		{"something that could not be put back", "", run{exitCode: 4, reason: "R"}, alive, "a broken mutant: R"},
		{"passed", "", run{}, alive, ""},
		{"the same without it", "M", run{steps: []inlab.Step{whole.steps[0], whole.steps[2]}}, changesNothing, ""},
		{"another status", "M", run{exitCode: 1, steps: []inlab.Step{{Line: 9, Status: "failed", ExitCode: &zero}}, reason: "why"}, alive, `it changes something: "R" gives another result without it. why`},
		{"another exit code", "M", run{steps: []inlab.Step{{Line: 9, Status: "passed", ExitCode: &seven}}}, alive, `it changes something: "R" gives another result without it. `},
		{"not put back", "M", run{exitCode: 4, steps: whole.steps[2:]}, alive, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &mutant{playbook: &playbook{name: "p", hash: "h", steps: []step{{line: 5, verb: "set"}, {line: 7, verb: "set"}, {line: 13, verb: "delete"}}}, step: &step{index: 2, line: 5, changesNothing: test.marks}}
			r := judge(m, &test.run, whole)
			assert.Equal(t, test.want, r.Outcome)
			assert.Equal(t, test.says, r.Message)
			assert.True(t, r.of(m))
			assert.Equal(t, test.name == "a deletion of what is not there", r.ByDeletion)
		})
	}
}

func TestResults(t *testing.T) {
	s := loadFile(t, "testdata/all.yaml")
	file := filepath.Join(t.TempDir(), "new", "results.json")
	rs, err := openResults(file)
	require.NoError(t, err)
	m, other := s.mutants[0], s.mutants[1]
	require.NoError(t, rs.put(m, judge(m, &run{exitCode: 3}, nil)))
	require.NoError(t, rs.put(other, judge(other, &run{}, nil)))
	require.NoError(t, rs.put(m, judge(m, &run{exitCode: 1, failed: []*inlab.Step{{Line: 99}}}, nil)))

	rs, err = openResults(file)
	require.NoError(t, err)
	require.Len(t, rs.all, 2, "a mutant has one result, the last")
	assert.Equal(t, killed, rs.find(m).Outcome)
	assert.Equal(t, alive, rs.find(other).Outcome)
	assert.Nil(t, rs.find(s.mutants[2]))

	rs.keep("all", s.mutants[:1])
	assert.Len(t, rs.all, 1)
	rs.keep("another", nil)
	assert.Len(t, rs.all, 1, "results of other playbooks stay")
	s.playbook.hash = "changed"
	assert.Nil(t, rs.find(m), "a playbook that was changed is run again")

	require.NoError(t, os.WriteFile(file, []byte("no JSON"), 0o600))
	_, err = openResults(file)
	require.ErrorContains(t, err, "read the results so far")
}

func TestSummary(t *testing.T) {
	m := result{At: "a.yaml:3", Playbook: "a", Without: "Service x", Outcome: alive, ExitCode: 1, EndedBy: &stepRef{Line: 2}, Message: "why"}
	good := &summary{name: "a", results: []*result{{Outcome: killed, Explained: true}, {At: "a.yaml:9", Outcome: changesNothing, Step: stepRef{Title: "It shows"}, ChangesNothing: "reason"}}}
	bad := &summary{name: "b", results: []*result{{Outcome: killed, Explained: true}, &m}}
	var b strings.Builder
	assert.True(t, printAll(&b, []*summary{good}))
	assert.False(t, printAll(new(strings.Builder), []*summary{{name: "c", missing: 1}, good}))
	b.Reset()
	assert.False(t, printAll(&b, []*summary{good, bad}))
	assert.Equal(t, `   mutants   killed   alive   change nothing   not run   playbook
         1        1       0                1         0   a
         2        1       1                0         0   b
         3        2       1                1         0   all
alive: a.yaml:3: a: without Service x, exit code 1, ended in line 2: why
changes nothing: a.yaml:9: It shows: reason
2 of 2 explanations name what was left out
`, b.String())
}

// A killed mutant's explanation is judged by whether it names what was left out.
func TestExplanations(t *testing.T) {
	cause := func(text string) []evidence.Finding { return []evidence.Finding{{Cause: text}} }
	assert.True(t, explains("ServiceEntry cnn", cause("No ServiceEntry has the host edition.cnn.com.")))
	assert.True(t, explains("the policy REGISTRY_ONLY", cause("The mesh lets requests pass: ConfigMap istio says so.")))
	assert.True(t, explains("the labels of namespace/default", cause("Pod a has no sidecar: namespace default has not the label.")))
	assert.True(t, explains("Role read", cause("ServiceAccount a may not list Secrets.")))
	assert.True(t, explains("the deletion of serviceentry/cnn", cause("ServiceEntry cnn registers edition.cnn.com.")))
	assert.True(t, explains("the deletion of deploy/curl, serviceaccount/curl", cause("Pod curl-1 has no sidecar.")))
	assert.False(t, explains("the deletion of serviceentry/cnn", cause("The deletion of something else is not known.")))
	assert.True(t, explains("the labels of namespace/kube-system", cause("NetworkPolicy a does not allow it; no namespace has the label kube-system=true.")))
	assert.False(t, explains("DestinationRule cnn", cause("Gateway x selects no pod.")))
	assert.False(t, explains("ServiceEntry cnn", []evidence.Finding{{Cause: "ServiceEntry", Unknown: true}}))
	assert.False(t, explains("ServiceEntry cnn", nil))
	var b strings.Builder
	printExplained(&b, []*result{{Outcome: killed, Explained: true}, {Outcome: killed, At: "a.yaml:1", Playbook: "a", Without: "Role x", Said: "other"}, {Outcome: alive}})
	assert.Equal(t, "1 of 2 explanations name what was left out\nnot named: a.yaml:1: a: without Role x: other\n", b.String())
}

// TestEnd has playbooks that end before their last step.
func TestEnd(t *testing.T) {
	p := &playbook{name: "p", lines: make([]string, 9), steps: []step{{line: 3}, {line: 5}, {line: 7}}}
	assert.Equal(t, 10, (&run{steps: []inlab.Step{{Status: "passed"}, {Status: "failed"}, {Status: "passed"}}}).end(p))
	assert.Equal(t, 7, (&run{steps: []inlab.Step{{Status: "passed"}, {Status: "failed"}, {Status: "skipped"}}}).end(p))
	assert.Equal(t, 5, (&run{steps: []inlab.Step{{Status: "failed"}}}).end(p))
	m := &mutant{playbook: p, step: &p.steps[2], without: "Service x", at: "p.yaml:8"}
	r := unreached(m, 7)
	assert.True(t, r.of(m))
	var b strings.Builder
	assert.True(t, printAll(&b, []*summary{{name: "p", results: []*result{r, {Outcome: killed, ByDeletion: true, Explained: true, At: "p.yaml:4", Playbook: "p", Without: "Service y"}}}}))
	assert.Equal(t, `   mutants   killed   alive   change nothing   not run   playbook
         1        1       0                0         0   p
         1        1       0                0         0   all
1 more are of steps that do not run without mutation, because an earlier step ends the playbook
1 of the killed ones are noticed by a deletion of what is not there alone
by a deletion alone: p.yaml:4: p: without Service y
1 of 1 explanations name what was left out
`, b.String())
}
