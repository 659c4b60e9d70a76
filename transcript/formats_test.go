package transcript_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

// wholeRun has everything that a report can show: steps that passed, failed with
// their cause, could not be judged, were not checked or skipped; a secret that is
// hidden, texts that mean something to each format, a playbook that is skipped, and
// a change that could not be put back.
var wholeRun = func() []runner.Event {
	const evil = "<script>alert('1')</script> ``` | ]]> ::error::x\n::set-env name=A::b\n% &amp; \x1b[31m"
	info := origination
	info.File, info.Steps = "docs/tls-origination.yaml", 6
	info.Text = "A sidecar can speak TLS for its application, which then sends *plain* HTTP to `edition.cnn.com`.\n\nSee [the page](https://istio.io/latest/docs/) and [not this](javascript:alert(1))."
	info.Source = "https://istio.io/latest/docs/tasks/traffic-management/egress/egress-tls-origination/"
	at := func(line int) evidence.Position { return evidence.Position{File: info.File, Line: line, Column: 5} }
	stepAt := func(index, line int, kind, title, text string) runner.StepInfo {
		return runner.StepInfo{Index: index, Title: title, Text: text, Kind: kind, File: info.File, Line: line}
	}
	secret := stepAt(1, 9, "apply", "Make a Secret", "The gateway reads its certificate from it.")
	seen := stepAt(2, 20, "exec", "The request takes the sidecar's way", "")
	unjudged := stepAt(3, 30, "exec", "Nothing else arrives", "")
	wrong := stepAt(4, 40, "exec", `It goes by the <egress> gateway, at 100%: a|b`, "")
	broken := stepAt(5, 50, "wait", "A pod is there", "")
	never := stepAt(6, 60, "exec", "The last request", "")

	held := evidence.Verdict{Key: "expect.exitCode", At: at(22), Outcome: evidence.Held, Want: "0", Got: "0"}
	path := evidence.Verdict{Key: "expect.path", At: at(23), Outcome: evidence.Held, Want: "[sidecar, 'edition.cnn.com:443']", Got: "[sidecar, 'edition.cnn.com:443']"}
	unchecked := evidence.Verdict{Key: "expect.arrived", At: at(24), Outcome: evidence.NotChecked, Want: "[{tls: true}]", Why: "nobody records here what arrives"}
	again := evidence.Verdict{Key: "expect.log", At: at(33), Outcome: evidence.NotJudged, Want: "[]", Why: "the line of a later request has not come within 4s", Again: true}
	missed := evidence.Verdict{
		Key: "expect.log[0].status", At: at(43), Outcome: evidence.NotHeld, Want: "{equals: 200, absent: false}", Got: "503", Why: "held in none of 14 tries",
		Facts: []string{attempt().Lines[0].Text},
	}
	cause := evidence.Finding{
		Cause: "VirtualService direct-cnn in namespace default routes to a subset that no DestinationRule defines",
		Field: "spec.http[0].route[0].destination.subset", Next: "kubectl -n default get virtualservice direct-cnn -o yaml",
		Object: &evidence.Change{APIVersion: "networking.istio.io/v1", Kind: "VirtualService", Namespace: "default", Name: "direct-cnn"},
	}
	refused := attempt()
	refused.Ways = []evidence.Way{{
		Hops: []evidence.Hop{{Name: evidence.Sidecar, Pod: refused.Command.Pod}, {Name: "egressgateway", Pod: evidence.Pod{Name: "istio-egressgateway-1"}}},
		By:   "log", Ends: evidence.EndsRefused, Why: "flags UF", Address: "203.0.113.10:443", Lines: []int{0},
	}}
	unknown := attempt()
	unknown.Ways = []evidence.Way{{Hops: []evidence.Hop{{Name: evidence.Sidecar, Pod: unknown.Command.Pod}}, By: "counters", Unknown: "2 requests were sent on"}, {Direct: true, By: "the pod has no sidecar"}}

	end := func(s runner.StepInfo, status runner.Status, command, output string, p *runner.Problem, a *evidence.Attempt, verdicts ...evidence.Verdict) []runner.Event {
		if p != nil {
			p.Step = &s
			for _, v := range verdicts {
				if v.Outcome != evidence.Held {
					p.Verdicts = append(p.Verdicts, v)
				}
			}
		}
		return []runner.Event{
			{Kind: runner.StepStarted, Step: &s, Command: command},
			{Kind: runner.StepFinished, Step: &s, Command: command, Status: status, Took: 1208 * time.Millisecond, Attempts: 2, Output: output, Problem: p, Evidence: a, Verdicts: verdicts},
		}
	}
	problem := &runner.Problem{Text: "log[0].status: want {equals: 200, absent: false}, got 503", Hint: "is there a DestinationRule <for it>?"}
	failed := end(wrong, runner.Failed, curl, evil, problem, refused, held, missed)
	failed[1].Findings = []evidence.Finding{cause}
	gateway := runner.PlaybookInfo{Name: "egress-gateway", Title: "Egress Gateways", File: "built-in:egress-gateway.yaml", Topic: 3, Steps: 1}
	wait := runner.StepInfo{Index: 1, Title: "Wait for the egress gateway", Kind: "wait", File: gateway.File, Line: 5}
	all := concat(
		runner.Event{Kind: runner.RunStarted, Target: &target, Playbooks: []runner.PlaybookInfo{info, gateway}},
		runner.Event{Kind: runner.Note, Text: "an earlier run has left something: egressplay cleanup --list"},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: &info},
		end(secret, runner.Passed, "kubectl apply -f - <<'EOF'\nkind: Secret\nstringData:\n  password: (secret)\nEOF", "secret/client created", nil, nil),
		end(seen, runner.Passed, curl, redirected, nil, attempt(), held, path, unchecked),
		end(unjudged, runner.Errored, curl, strings.Repeat("line\n", 20), &runner.Problem{Text: "log: the line of a later request has not come within 4s"}, unknown, held, again),
		failed,
		end(broken, runner.Errored, "kubectl wait pod/a", "", &runner.Problem{Text: "get pods: the server does not answer\nconnection refused"}, nil),
		skipped(never),
		cleanup[0],
		runner.Event{
			Kind: runner.Undone, Status: runner.Errored, Undo: "serviceentry/edition-cnn-com in namespace default", Took: 10 * time.Second,
			Problem: &runner.Problem{Text: "delete serviceentry/edition-cnn-com: the object is still there after 10s\nits finalizers: example.com/hold"},
		},
		runner.Event{Kind: runner.Undone, Status: runner.Passed, Undo: "label istio-injection of namespace default", Back: "as they were", Took: 8 * time.Millisecond},
		runner.Event{Kind: runner.PlaybookFinished, Status: runner.Failed, Took: 33 * time.Second, Problem: problem, Left: []string{"serviceentry/edition-cnn-com in namespace default"}},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: &gateway},
		runner.Event{Kind: runner.StepFinished, Step: &wait, Status: runner.Skipped},
		runner.Event{Kind: runner.PlaybookFinished, Playbook: &gateway, Status: runner.Skipped, Problem: &runner.Problem{Text: "the cluster has no egress gateway"}},
		runner.Event{
			Kind: runner.RunFinished, Status: runner.Failed, Took: 34 * time.Second, Summary: &runner.Summary{Failed: 1, Skipped: 1, NotChecked: 1},
			Left: []string{"serviceentry/edition-cnn-com in namespace default"},
		},
	)
	for i := range all {
		all[i].Time = noon.Add(time.Duration(i) * 1500 * time.Millisecond)
		if all[i].Playbook == nil && all[i].Kind != runner.RunStarted && all[i].Kind != runner.RunFinished {
			all[i].Playbook = &info
		}
	}
	return all
}()

func whole(events []runner.Event) *transcript.Report {
	r := transcript.NewReport(nil)
	for _, e := range events {
		r.Send(e)
	}
	return r
}

// in returns what a file in a format has in the end.
func in(format string, events []runner.Event) []byte {
	f := transcript.Formats[format]
	if f.Line == nil {
		return whole(events).In(f)
	}
	var b bytes.Buffer
	for _, e := range events {
		b.Write(f.Line(e))
	}
	return b.Bytes()
}

// The golden files are what each format makes of one run.
func TestFormats(t *testing.T) {
	extensions := map[string]string{"github": "github.txt", "html": "html", "json": "json", "jsonl": "jsonl", "junit": "junit.xml", "markdown": "md"}
	assert.ElementsMatch(t, transcript.FormatNames(), slices.Collect(maps.Keys(extensions)))
	for format, extension := range extensions {
		t.Run(format, func(t *testing.T) {
			golden(t, "whole."+extension, in(format, wholeRun))
			golden(t, "clusters."+extension, in(format, clustersRun))
		})
	}
	golden(t, "whole.summary.md", whole(wholeRun).Summary())
	golden(t, "clusters.summary.md", whole(clustersRun).Summary())
}

// A report of several clusters that was planned tells what was to run in each, also
// where a cluster repeats its playbooks or the run ends early.
func TestReportPlansEachCluster(t *testing.T) {
	type found struct {
		Playbooks []struct{ Name, Context, Status string }
	}
	read := func(r *transcript.Report) (all []string) {
		var doc found
		require.NoError(t, json.Unmarshal(r.In(transcript.Formats["json"]), &doc))
		for _, p := range doc.Playbooks {
			all = append(all, p.Context+" "+p.Name+" "+p.Status)
		}
		return all
	}
	r := transcript.NewReport([]*runner.Playbook{{Name: "p"}, {Name: "q"}}, "a", "b")
	assert.Equal(t, []string{"a p skipped", "a q skipped", "b p skipped", "b q skipped"}, read(r))
	for _, name := range []string{"p", "q", "p", "q"} {
		info := runner.PlaybookInfo{Name: name, Context: "a"}
		r.Send(runner.Event{Kind: runner.PlaybookStarted, Playbook: &info})
		r.Send(runner.Event{Kind: runner.PlaybookFinished, Playbook: &info, Status: runner.Passed})
	}
	r.Send(runner.Event{Kind: runner.PlaybookStarted, Playbook: &runner.PlaybookInfo{Name: "p", Context: "b"}})
	assert.Equal(t, []string{"a p passed", "a q passed", "a p passed", "a q passed", "b p error", "b q skipped"}, read(r))
}

// No format says that a playbook has passed of which a part was run, without saying
// which part.
func TestFormatsOfAPart(t *testing.T) {
	for name := range transcript.Formats {
		if name != "github" { // it has only what did not pass
			assert.Contains(t, string(in(name, partRun)), "step 4 of 5", name)
		}
	}
	assert.Contains(t, string(whole(partRun).Summary()), "step 4 of 5")
}

// Every document is whole after every event, and of every other run.
func TestFormatsOfEveryRun(t *testing.T) {
	for name := range transcript.Formats {
		for _, events := range [][]runner.Event{nil, passedRun, failedRun, interruptedRun, leftRun, keptRun, flakyRun, hostileRun, clustersRun} {
			text := string(in(name, events))
			assert.False(t, strings.ContainsAny(text, "\x1b\r\x07\u009b\u202e"), "%s has a control character", name)
		}
		for n := range wholeRun {
			in(name, wholeRun[:n])
		}
	}
}

// Every line of jsonl is an event.
func TestJSONLines(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(string(in("jsonl", wholeRun)), "\n"), "\n")
	require.Len(t, lines, len(wholeRun))
	for i, line := range lines {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		var e runner.Event
		require.NoError(t, dec.Decode(&e), line)
		assert.Equal(t, wholeRun[i].Kind, e.Kind)
		assert.Equal(t, wholeRun[i].Status, e.Status)
	}
}

// What was wanted and what came is there as data.
func TestValues(t *testing.T) {
	var doc struct {
		Playbooks []struct {
			Steps []struct {
				Verdicts []struct{ Key, Want, Got, WantValue, GotValue any }
			}
		}
	}
	require.NoError(t, json.Unmarshal(in("json", wholeRun), &doc))
	v := doc.Playbooks[0].Steps[1].Verdicts
	assert.Equal(t, 0.0, v[0].WantValue)
	assert.Equal(t, []any{"sidecar", "edition.cnn.com:443"}, v[1].GotValue)
	assert.Equal(t, "[sidecar, 'edition.cnn.com:443']", v[1].Got)
	assert.Equal(t, map[string]any{"equals": 200.0, "absent": false}, doc.Playbooks[0].Steps[3].Verdicts[1].WantValue)
}

// junit is what junit-10.xsd of jenkinsci/xunit-plugin allows: for each element its
// attributes, true for those that must be there, and the elements in it. GitLab
// reads a part of that.
var junit = map[string]struct {
	attributes map[string]bool
	children   []string
	text       bool
}{
	"testsuites": {map[string]bool{"name": false, "time": false, "tests": false, "failures": false, "errors": false}, []string{"testsuite"}, false},
	"testsuite": {map[string]bool{
		"name": true, "tests": true, "failures": true, "errors": true, "group": false, "time": false, "skipped": false,
		"timestamp": false, "hostname": false, "id": false, "package": false, "file": false, "log": false, "url": false,
	}, []string{"testsuite", "properties", "testcase", "system-out", "system-err"}, false},
	"properties": {nil, []string{"property"}, false},
	"property":   {map[string]bool{"name": true, "value": true}, nil, false},
	"testcase":   {map[string]bool{"name": true, "time": false, "classname": false, "group": false}, []string{"skipped", "error", "failure", "system-out", "system-err"}, false},
	"skipped":    {map[string]bool{"type": false, "message": false}, nil, true},
	"error":      {map[string]bool{"type": false, "message": false}, nil, true},
	"failure":    {map[string]bool{"type": false, "message": false}, nil, true},
	"system-out": {nil, nil, true},
	"system-err": {nil, nil, true},
}

// checkJUnit reports what of a document the schema does not allow.
func checkJUnit(doc []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var open []string
	seconds := regexp.MustCompile(`^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$`)
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			allowed := []string{"testsuites"}
			if len(open) > 0 {
				allowed = junit[open[len(open)-1]].children
			}
			if !slices.Contains(allowed, name) {
				return fmt.Errorf("%s in %v", name, open)
			}
			open = append(open, name)
			given := map[string]string{}
			for _, a := range token.Attr {
				if _, known := junit[name].attributes[a.Name.Local]; !known {
					return fmt.Errorf("%s has an attribute %s", name, a.Name.Local)
				}
				given[a.Name.Local] = a.Value
			}
			for attribute, required := range junit[name].attributes {
				if _, is := given[attribute]; required && !is {
					return fmt.Errorf("%s has no %s", name, attribute)
				}
			}
			if time, is := given["time"]; is && strings.HasPrefix(name, "testsuite") && !seconds.MatchString(time) {
				return fmt.Errorf("%s has the time %q", name, time)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && !junit[open[len(open)-1]].text && strings.TrimSpace(string(token)) != "" {
				return fmt.Errorf("%s has text", open[len(open)-1])
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	for _, events := range [][]runner.Event{nil, passedRun, failedRun, interruptedRun, leftRun, keptRun, flakyRun, hostileRun, wholeRun, clustersRun} {
		assert.NoError(t, checkJUnit(in("junit", events)))
	}
	var doc struct {
		Suites []struct {
			Cases []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(in("junit", wholeRun), &doc))
	require.Len(t, doc.Suites, 2)
	var kinds []string
	for _, c := range doc.Suites[0].Cases {
		switch {
		case c.Failure != nil:
			kinds = append(kinds, "failure")
		case c.Error != nil:
			kinds = append(kinds, "error")
		case c.Skipped != nil:
			kinds = append(kinds, "skipped")
		default:
			kinds = append(kinds, "passed")
		}
	}
	assert.Equal(t, []string{"passed", "passed", "error", "failure", "error", "skipped", "error"}, kinds, "the last one is what was not put back")
	assert.Contains(t, *doc.Suites[0].Cases[3].Failure, "cause: VirtualService direct-cnn")

	for _, bad := range []string{
		`<testsuites><testcase name="a"/></testsuites>`,
		`<testsuites><testsuite name="a" tests="1" failures="0"/></testsuites>`,
		`<testsuites><testsuite name="a" tests="1" failures="0" errors="0"><testcase name="a" file="b"/></testsuite></testsuites>`,
		`<testsuites><testsuite name="a" tests="1" failures="0" errors="0" time="1s"/></testsuites>`,
		`<testsuites>a</testsuites>`, `<testsuites>`,
	} {
		assert.Error(t, checkJUnit([]byte(bad)), "the check finds what is not allowed: %s", bad)
	}
}

// A run that did not begin has a case that says so: no report is empty.
func TestJUnitOfARunThatDidNotBegin(t *testing.T) {
	r := transcript.NewReport([]*runner.Playbook{{Name: "a", Title: "A", File: "a.yaml"}})
	r.Fail(errors.New("no cluster"))
	doc := r.In(transcript.Formats["junit"])
	assert.NoError(t, checkJUnit(doc))
	assert.Contains(t, string(doc), `errors="1"`)
	assert.Contains(t, string(doc), "no cluster")
}

// The page is well-formed, loads nothing, runs nothing, and shows each step and each
// way.
func TestHTML(t *testing.T) {
	for _, events := range [][]runner.Event{nil, passedRun, failedRun, interruptedRun, leftRun, keptRun, flakyRun, hostileRun, wholeRun, clustersRun} {
		checkHTML(t, in("html", events))
	}
	count := checkHTML(t, in("html", wholeRun))
	assert.Equal(t, 4, count["svg"], "one for each request")
	assert.Equal(t, 1, count["details"], "a long output is folded")
	assert.Equal(t, 2, count["a"], "the page that it follows, and the one good link of its text")
}

// checkHTML asserts what holds for each page, and counts its elements.
func checkHTML(t *testing.T, page []byte) map[string]int {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(page))
	count := map[string]int{}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		require.NoError(t, err, "%s", page)
		start, is := token.(xml.StartElement)
		if !is {
			continue
		}
		name := start.Name.Local
		count[name]++
		assert.NotContains(t, []string{"script", "img", "link", "iframe", "object", "embed", "base", "form", "use", "image", "foreignObject"}, name)
		for _, a := range start.Attr {
			assert.False(t, strings.HasPrefix(a.Name.Local, "on"), a.Name.Local)
			assert.NotEqual(t, "src", a.Name.Local)
			if a.Name.Local == "href" {
				assert.Equal(t, "a", name)
				assert.True(t, strings.HasPrefix(a.Value, "https://"), a.Value)
			}
			if name == "svg" && a.Name.Local == "width" {
				assert.Equal(t, "320", a.Value, "it fits on 360 pixels")
			}
		}
	}
}

// A workflow command is one line that begins with ::, and nothing that a pod has
// written becomes one.
func TestGitHub(t *testing.T) {
	for _, events := range [][]runner.Event{failedRun, hostileRun, wholeRun, clustersRun} {
		for line := range strings.Lines(string(in("github", events))) {
			assert.Regexp(t, `^::(error|warning|notice)( |::)`, line)
		}
	}
	text := string(in("github", wholeRun))
	assert.Contains(t, text, "::warning file=docs/tls-origination.yaml,line=24,col=5,title=The request takes the sidecar's way::not checked here: arrived")
	assert.Contains(t, text, "::error file=docs/tls-origination.yaml,line=43,col=5,title=It goes by the <egress> gateway%2C at 100%25%3A a|b::log[0].status: want")
	assert.Contains(t, text, "::notice title=Egress Gateways::built-in:egress-gateway.yaml: skipped: the cluster has no egress gateway")
}

// Mistakes of a playbook are annotated where they are.
func TestMistakes(t *testing.T) {
	r := transcript.NewReport([]*runner.Playbook{{Name: "a", File: "a.yaml"}})
	r.Fail(errors.New("a.yaml:3:1: unknown key"), transcript.Mistake{At: evidence.Position{File: "a.yaml", Line: 3, Column: 1}, Text: "unknown key", Hint: "did you mean it?"})
	assert.Equal(t, "::error file=a.yaml,line=3,col=1::unknown key%0Ahint: did you mean it?\n", string(r.In(transcript.Formats["github"])))
	assert.Contains(t, string(r.In(asJSON)), `"mistakes"`)
}

func TestNearestFormat(t *testing.T) {
	assert.Equal(t, "junit", transcript.NearestFormat("junt"))
	assert.Equal(t, "", transcript.NearestFormat("pdf"))
}
