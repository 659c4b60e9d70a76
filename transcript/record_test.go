package transcript_test

import (
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// The events below are those of runs of the TLS origination tutorial, shortened.

var (
	target = runner.Target{
		Name: "default", Lab: true, Describe: `lab "default", which was running`,
		Versions: map[string]string{"egressplay": "0.1.0", "kubernetes": "v1.36.3", "istio": "1.31-dev", "envoy": "1.40.0"},
	}
	origination = runner.PlaybookInfo{
		Name: "tls-origination", Title: "Egress TLS Origination", File: "built-in:tls-origination.yaml", Topic: 2, Steps: 5,
	}
)

func step(index, line int, kind, title string) runner.StepInfo {
	return runner.StepInfo{Index: index, Title: title, Kind: kind, File: "tls-origination.yaml", Line: line}
}

var (
	label   = step(1, 9, "label", "Let Istio put a sidecar into the pods of the namespace")
	set     = step(2, 12, "set", "Set SOURCE_POD to the sample's pod")
	apply   = step(3, 16, "apply", "Register edition.cnn.com")
	request = step(4, 52, "exec", "An HTTP request is redirected to HTTPS")
	headers = step(5, 60, "exec", "httpbin.org sees the headers of the sidecar")
)

const manifest = `kubectl apply -f - <<EOF
apiVersion: networking.istio.io/v1alpha3
kind: ServiceEntry
metadata:
  name: edition-cnn-com
spec:
  hosts:
  - edition.cnn.com
  ports:
  - number: 80
    name: http-port
    protocol: HTTP
  resolution: DNS
EOF`

const curl = `kubectl exec "$SOURCE_POD" -c sleep -- curl -sL -o /dev/null -D - http://edition.cnn.com/politics`

const redirected = `HTTP/1.1 301 Moved Permanently
location: https://edition.cnn.com/politics
date: Tue, 02 Jan 2024 03:04:05 GMT
server: envoy
content-length: 0

HTTP/2 200
content-type: text/html; charset=utf-8
content-length: 4711

`

const httpbin = `{
  "headers": {
    "Accept": ["*/*"],
    "Host": ["httpbin.org"],
    "User-Agent": ["curl/8.14.1"],
    "X-B3-Sampled": ["1"],
    "X-B3-Spanid": ["5b6a4c3d2e1f0a9b"],
    "X-B3-Traceid": ["d1c2b3a495867768594a3b2c1d0e0f1a"],
    "X-Envoy-Decorator-Operation": ["httpbin.org:80/*"],
    "X-Envoy-Peer-Metadata-Id": ["sidecar~10.244.1.7~sleep-5577c64d7c-8rkzq.default~default.svc.cluster.local"]
  }
}
`

func passed(s runner.StepInfo, command, output string, took time.Duration, attempts int) []runner.Event {
	return []runner.Event{
		{Kind: runner.StepStarted, Step: &s, Command: command},
		{Kind: runner.StepFinished, Step: &s, Command: command, Status: runner.Passed, Took: took, Attempts: attempts, Output: output},
	}
}

// proved adds to the last event what a request's pass rests on.
func proved(events []runner.Event, a *evidence.Attempt, verdicts ...evidence.Verdict) []runner.Event {
	e := &events[len(events)-1]
	e.Evidence, e.Verdicts = a, verdicts
	return events
}

func skipped(s runner.StepInfo) runner.Event {
	return runner.Event{Kind: runner.StepFinished, Step: &s, Status: runner.Skipped}
}

func undone(what, back string, took time.Duration) runner.Event {
	return runner.Event{Kind: runner.Undone, Playbook: &origination, Undo: what, Back: back, Took: took}
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// attempt is what is known of a request that went by the sidecar to
// edition.cnn.com, which recorded it, while another process called httpbin.org.
func attempt() *evidence.Attempt {
	zero := 0
	pod := evidence.Pod{Namespace: "default", Name: "sleep-5577c64d7c-8rkzq", IP: "10.244.1.7", Container: "sleep", Sidecar: true}
	a := &evidence.Attempt{
		Started: noon, Ended: noon.Add(208 * time.Millisecond),
		Command: &evidence.Command{
			Argv: []string{"curl", "-sL", "-o", "/dev/null", "-D", "-", "http://edition.cnn.com/politics"}, Pod: pod, ExitCode: &zero,
			Stdout: redirected, Elapsed: 190 * time.Millisecond, Curl: &evidence.Curl{HeadsShown: true},
		},
		Responses: []evidence.Response{{Proto: "HTTP/2", Status: 200}},
		Transfers: []evidence.Transfer{{
			URL: "http://edition.cnn.com/politics", Status: 200, Proto: "HTTP/1.1", Connects: 1,
			Local: "10.244.1.7:40000", Remote: "203.0.113.10:80", Elapsed: 190 * time.Millisecond,
		}},
		Proxies: []evidence.Proxy{{Name: evidence.Sidecar, Pod: pod, Log: evidence.Log{Read: true, Complete: true}, Counted: true}},
		Lines: []evidence.Line{
			{
				Proxy: evidence.Sidecar, Pod: pod.Name, Text: `[2026-11-24T12:00:00.010Z] "GET /politics HTTP/1.1" 200 ...`, Start: noon.Add(10 * time.Millisecond), Duration: 150 * time.Millisecond,
				Method: "GET", Path: "/politics", Protocol: "HTTP/1.1", Status: 200, Authority: "edition.cnn.com", UpstreamHost: "203.0.113.10:443", Cluster: "outbound|443||edition.cnn.com",
				UpstreamLocal: "10.244.1.7:38742", DownstreamLocal: "203.0.113.10:80", DownstreamRemote: "10.244.1.7:40000", Route: "default",
			},
			{Proxy: evidence.Sidecar, Pod: pod.Name, Text: "another's line", Start: noon.Add(20 * time.Millisecond), DownstreamRemote: "10.244.1.7:41000", DownstreamLocal: "203.0.113.13:80"},
		},
		Counters: []evidence.Counter{{Proxy: evidence.Sidecar, Pod: pod.Name, Cluster: "outbound|443||edition.cnn.com", Host: "203.0.113.10:443", Name: "rq_total", Value: 3, Grew: 1}},
		Arrivals: &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{{
			Time: noon.Add(30 * time.Millisecond), Site: "edition.cnn.com", Owner: "edition.cnn.com", Host: "edition.cnn.com", TLS: true, SNI: "edition.cnn.com", ALPN: "h2", Protocol: "HTTP/2.0",
			Method: "GET", Path: "/politics", Status: 200, Remote: "10.244.1.7:38742", Local: "203.0.113.10:443",
		}}},
	}
	evidence.Join(a)
	return a
}

// at is a place in the recorded playbook.
func at(line int) evidence.Position {
	return evidence.Position{File: "tls-origination.yaml", Line: line, Column: 5}
}

// problem is that of a step.
func problem(s runner.StepInfo, text, hint string, verdicts ...evidence.Verdict) *runner.Problem {
	return &runner.Problem{Text: text, Hint: hint, Verdicts: verdicts, Step: &s}
}

func concat(parts ...any) []runner.Event {
	var all []runner.Event
	for _, p := range parts {
		switch p := p.(type) {
		case runner.Event:
			all = append(all, p)
		case []runner.Event:
			all = append(all, p...)
		}
	}
	return all
}

var (
	begin = concat(
		runner.Event{Kind: runner.RunStarted, Target: &target, Playbooks: []runner.PlaybookInfo{origination}},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: &origination},
		passed(label, "kubectl label namespace default istio-injection=enabled", "namespace/default labeled", 12*time.Millisecond, 1),
		passed(set, `export SOURCE_POD=$(kubectl get pod -l app=sleep -o jsonpath={.items..metadata.name})`, "SOURCE_POD=sleep-5577c64d7c-8rkzq", 2340*time.Millisecond, 6),
		passed(apply, manifest, "serviceentry.networking.istio.io/edition-cnn-com created\n", 31*time.Millisecond, 1),
	)
	cleanup = []runner.Event{
		{Kind: runner.CleanupStarted, Playbook: &origination, Left: []string{"serviceentry/edition-cnn-com in namespace default", "label istio-injection of namespace default"}},
		undone("serviceentry/edition-cnn-com in namespace default", "deleted", 17*time.Millisecond),
		undone("label istio-injection of namespace default", "as they were", 8*time.Millisecond),
	}
)

// passedRun is a run in which every step passes, as far as it was checked.
var passedRun = concat(begin,
	proved(passed(request, curl, redirected, 208*time.Millisecond, 1), attempt(),
		evidence.Verdict{Key: "expect.exitCode", At: at(52), Outcome: evidence.Held, Want: "0", Got: "0"},
		evidence.Verdict{Key: "expect.path", At: at(55), Outcome: evidence.Held, Want: "[sidecar, 'edition.cnn.com:443']", Got: "[sidecar, 'edition.cnn.com:443']"},
		evidence.Verdict{Key: "expect.arrived", At: at(56), Outcome: evidence.NotChecked, Want: "[{tls: true}]", Why: "nobody records here what arrives"},
	),
	passed(headers, `kubectl exec "$SOURCE_POD" -c sleep -- curl -s http://httpbin.org/headers`, httpbin, 64*time.Second, 2),
	cleanup,
	runner.Event{Kind: runner.PlaybookFinished, Playbook: &origination, Status: runner.Passed, Took: 67 * time.Second},
	runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 67 * time.Second, Summary: &runner.Summary{Passed: 1, NotChecked: 1}},
)

// failedRun is a run in which an expectation does not hold, of two playbooks.
var failedRun = func() []runner.Event {
	verdicts := []evidence.Verdict{
		{Key: "expect.responses", At: at(54), Outcome: evidence.NotHeld, Want: "[{status: 200, proto: HTTP/1.1}]", Got: "[{status: 301, proto: HTTP/1.1}, {status: 200, proto: HTTP/2}]"},
		{
			Key: "expect.path", At: at(55), Outcome: evidence.NotHeld, Want: "[sidecar, egressgateway, 'edition.cnn.com:443']", Got: "[sidecar, 'edition.cnn.com:443']",
			Why: "held in 2 of 14 tries, at most 1 in a row", Facts: []string{attempt().Lines[0].Text},
		},
		{Key: "expect.log", At: at(56), Outcome: evidence.NotJudged, Why: "the line of a later request has not come within 4s", Again: true},
	}
	failure := problem(request, evidence.Verdicts(verdicts).String(), "the sidecar does not originate TLS: is there a DestinationRule for the host?", verdicts...)
	finished := runner.Event{
		Kind: runner.StepFinished, Step: &request, Command: curl, Status: runner.Failed, Took: 30012 * time.Millisecond,
		Attempts: 14, Output: redirected, Evidence: attempt(), Problem: failure,
		Verdicts: append([]evidence.Verdict{{Key: "expect.exitCode", At: at(52), Outcome: evidence.Held, Want: "0", Got: "0"}}, verdicts...),
	}
	wait := step(1, 5, "wait", "Wait for the egress gateway")
	gateway := runner.PlaybookInfo{Name: "egress-gateway", Title: "Egress Gateways", File: "my/egress-gateway.yaml", Topic: 3, Steps: 2}
	return concat(begin,
		runner.Event{Kind: runner.StepStarted, Step: &request, Command: curl},
		runner.Event{Kind: runner.Attempt, Step: &request, Attempts: 1, Problem: failure},
		finished,
		skipped(headers),
		cleanup,
		runner.Event{Kind: runner.PlaybookFinished, Playbook: &origination, Status: runner.Failed, Took: 33 * time.Second, Problem: failure},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: &gateway},
		runner.Event{Kind: runner.StepFinished, Step: &wait, Status: runner.Skipped},
		runner.Event{Kind: runner.PlaybookFinished, Playbook: &gateway, Status: runner.Skipped, Problem: &runner.Problem{Text: "the cluster has no egress gateway"}},
		runner.Event{Kind: runner.RunFinished, Status: runner.Failed, Took: 34 * time.Second, Summary: &runner.Summary{Failed: 1, Skipped: 1}},
	)
}()

// interruptedRun is a run that is stopped in its fourth step.
var interruptedRun = func() []runner.Event {
	failure := problem(request, runner.ErrInterrupted.Error(), "")
	failure.Interrupted = true
	return concat(begin,
		runner.Event{Kind: runner.StepStarted, Step: &request, Command: curl},
		runner.Event{
			Kind: runner.StepFinished, Step: &request, Command: curl, Status: runner.Errored,
			Took: 700 * time.Millisecond, Attempts: 3, Problem: failure,
		},
		skipped(headers),
		cleanup,
		runner.Event{Kind: runner.PlaybookFinished, Playbook: &origination, Status: runner.Errored, Took: 3 * time.Second, Problem: failure},
		runner.Event{Kind: runner.RunFinished, Status: runner.Errored, Took: 3 * time.Second, Summary: &runner.Summary{Error: 1}},
	)
}()

// leftRun is a run that passes and leaves something that it could not put back.
var leftRun = concat(begin,
	cleanup[0],
	runner.Event{
		Kind: runner.Undone, Playbook: &origination, Undo: "serviceentry/edition-cnn-com in namespace default", Took: 10 * time.Second,
		Problem: &runner.Problem{Text: "delete serviceentry/edition-cnn-com: the object is still there after 10s\nits finalizers: example.com/hold"},
	},
	cleanup[2],
	runner.Event{
		Kind: runner.PlaybookFinished, Playbook: &origination, Status: runner.Passed, Took: 12 * time.Second,
		Left: []string{"serviceentry/edition-cnn-com in namespace default"},
	},
	runner.Event{
		Kind: runner.RunFinished, Status: runner.Passed, Took: 12 * time.Second, Summary: &runner.Summary{Passed: 1},
		Left: []string{"serviceentry/edition-cnn-com in namespace default"},
	},
)

// keptRun leaves what it changed because it was asked to.
var keptRun = concat(begin,
	runner.Event{Kind: runner.CleanupStarted, Playbook: &origination},
	runner.Event{
		Kind: runner.PlaybookFinished, Playbook: &origination, Status: runner.Passed, Took: 2 * time.Second,
		Left: []string{"serviceentry/edition-cnn-com in namespace default", "label istio-injection of namespace default"},
	},
	runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 2 * time.Second, Summary: &runner.Summary{Passed: 1}},
)

// slowRun waits in some of its steps.
var slowRun = concat(begin,
	runner.Event{Kind: runner.StepStarted, Step: &request, Command: curl},
	runner.Event{Kind: runner.Attempt, Step: &request, Attempts: 1, Problem: &runner.Problem{Text: "status: want 200, got 301"}},
	runner.Event{Kind: runner.Attempt, Step: &request, Attempts: 2, Problem: &runner.Problem{Text: "status: want 200, got 503"}},
	runner.Event{Kind: runner.StepFinished, Step: &request, Command: curl, Status: runner.Passed, Took: 2 * time.Second, Attempts: 3},
	runner.Event{Kind: runner.PlaybookFinished, Playbook: &origination, Status: runner.Passed, Took: 5 * time.Second},
	runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 5 * time.Second, Summary: &runner.Summary{Passed: 1}},
)

// flakyRun is a run of three rounds, in one of which a step fails.
var flakyRun = func() []runner.Event {
	failure := problem(request, "status: want 200, got 503", "", evidence.Verdict{Key: "expect.status", At: at(53), Outcome: evidence.NotHeld, Want: "200", Got: "503"})
	var infos []runner.PlaybookInfo
	for round := range 3 {
		info := origination
		info.Round = round + 1
		infos = append(infos, info)
	}
	all := []runner.Event{{Kind: runner.RunStarted, Target: &target, Playbooks: infos}}
	for i := range infos {
		finished := runner.Event{Kind: runner.StepFinished, Step: &request, Command: curl, Status: runner.Passed, Took: time.Second, Attempts: 1}
		ended := runner.Event{Kind: runner.PlaybookFinished, Status: runner.Passed, Took: time.Second}
		if i == 1 {
			finished.Status, finished.Problem = runner.Failed, failure
			ended.Status, ended.Problem = runner.Failed, failure
		}
		all = append(all, runner.Event{Kind: runner.PlaybookStarted}, runner.Event{Kind: runner.StepStarted, Step: &request, Command: curl}, finished, ended)
		for j := len(all) - 4; j < len(all); j++ {
			all[j].Playbook = &infos[i]
		}
	}
	return append(all, runner.Event{Kind: runner.RunFinished, Status: runner.Failed, Took: 3 * time.Second, Summary: &runner.Summary{Passed: 2, Failed: 1}})
}()

// clustersRun is a run of one playbook in two clusters. In the second a step fails, and
// a change could not be put back.
var clustersRun = func() []runner.Event {
	only, info := request, origination
	only.Index, info.Steps = 1, 1
	failure := problem(only, "status: want 200, got 503", "", evidence.Verdict{Key: "expect.status", At: at(53), Outcome: evidence.NotHeld, Want: "200", Got: "503"})
	targets := []runner.Target{
		{Name: "default", Context: "lab", Lab: true, Describe: `lab "default" (context "lab")`, Versions: map[string]string{"egressplay": "0.1.0", "kubernetes": "v1.36.3", "istio": "1.31-dev"}},
		{Name: "kind|<b>", Context: "kind|<b>", Describe: `the cluster of context "kind|<b>" (https://127.0.0.1:6443)`, Versions: map[string]string{"egressplay": "0.1.0", "kubernetes": "v1.35.0"}},
	}
	infos := []runner.PlaybookInfo{info, info}
	all := []runner.Event{{Kind: runner.RunStarted, Targets: targets, Playbooks: infos}}
	for i := range infos {
		infos[i].Context = targets[i].Context
		finished := runner.Event{Kind: runner.StepFinished, Step: &only, Command: curl, Status: runner.Passed, Took: time.Second, Attempts: 1}
		ended := runner.Event{Kind: runner.PlaybookFinished, Status: runner.Passed, Took: time.Second}
		back := undone("label istio-injection of namespace default", "as they were", 8*time.Millisecond)
		back.Status = runner.Passed
		if i == 1 {
			finished.Status, finished.Problem = runner.Failed, failure
			ended.Status, ended.Problem, ended.Left = runner.Failed, failure, []string{back.Undo}
			back.Status, back.Back, back.Problem = runner.Errored, "", &runner.Problem{Text: "the server does not answer"}
		}
		all = append(all, runner.Event{Kind: runner.ClusterStarted, Target: &targets[i]}, runner.Event{Kind: runner.Note, Text: "no Lease may be made here"})
		for _, e := range []runner.Event{{Kind: runner.PlaybookStarted}, {Kind: runner.StepStarted, Step: &only, Command: curl}, finished, cleanup[0], back, ended} {
			e.Playbook = &infos[i]
			all = append(all, e)
		}
	}
	all = append(all, runner.Event{
		Kind: runner.RunFinished, Status: runner.Failed, Took: 3 * time.Second, Summary: &runner.Summary{Passed: 1, Failed: 1},
		Left: []string{`label istio-injection of namespace default, in context "kind|<b>"`},
	})
	for i := range all {
		all[i].Time = noon.Add(time.Duration(i) * 100 * time.Millisecond)
	}
	return all
}()

// hostileRun has texts that try to reach the terminal of the reader.
var hostileRun = func() []runner.Event {
	const evil = "\x1b[1ma\rb\u202e\x9b1m"
	bad := runner.StepInfo{Index: 1, Title: "a\rb\x9b1m\tc", File: "a\x1b[31m.yaml", Line: 3}
	good := runner.StepInfo{Index: 2, Title: "x", File: "a\x1b[31m.yaml", Line: 9}
	info := runner.PlaybookInfo{Title: "\x1b[2JAll\nfine\u202e", File: "a\x1b[31m\r.yaml", Steps: 2}
	a := &evidence.Attempt{
		Command:   &evidence.Command{},
		Transfers: []evidence.Transfer{{Local: evil, Remote: evil, Proto: evil, Status: 200}},
		Ways:      []evidence.Way{{By: "log", Hops: []evidence.Hop{{Name: evil}}, Ends: evil, Why: evil, Address: evil}},
		Lines:     []evidence.Line{{Proxy: evidence.Sidecar, By: evidence.ByRequest, Text: evil, Method: evil, Path: evil, Cluster: evil}},
		Unread:    []evidence.Unread{{Proxy: evil, Text: evil}},
		Arrivals:  &evidence.Arrivals{Recorded: true, All: []evidence.Arrival{{Ours: true, By: "time", Method: evil, Path: evil, Host: evil, Remote: evil}}},
	}
	return []runner.Event{
		{
			Kind: runner.RunStarted, Target: &runner.Target{Describe: "the cluster of context \"a\x1b]0;b\a\""},
			Playbooks: []runner.PlaybookInfo{{File: "a\x1b[31m\r.yaml"}},
		},
		{Kind: runner.PlaybookStarted, Playbook: &info},
		{
			Kind: runner.StepFinished, Playbook: &info, Step: &good, Command: "echo " + evil, Status: runner.Passed, Attempts: 1, Output: evil, Evidence: a,
			Verdicts: evidence.Verdicts{{Key: "expect.arrived", Outcome: evidence.NotChecked, Why: evil}, {Key: evil, Outcome: evidence.Held, Want: evil}},
		},
		{
			Kind: runner.StepFinished, Playbook: &info, Step: &bad, Command: "echo \x1b[1m", Status: runner.Failed, Attempts: 1, Evidence: a,
			Problem: &runner.Problem{
				Step: &bad, Text: "\x1b[A", Hint: "do \x1b[5mthis",
				Verdicts: evidence.Verdicts{
					{What: "\x1b[Astdout", Outcome: evidence.NotHeld, Want: "\x1b[1mx", Got: "\a" + strings.Repeat("y", 3), Why: evil, Facts: []string{evil}},
					{Key: "expect.log", Outcome: evidence.NotJudged, Why: evil},
				},
			},
		},
		{Kind: runner.Note, Playbook: &info, Text: evil},
		{Kind: runner.Undone, Playbook: &info, Undo: "\x1b[1mlabel", Problem: &runner.Problem{Text: "\x1b[1mno"}},
		{Kind: runner.PlaybookFinished, Playbook: &info, Status: runner.Failed, Left: []string{"\x1b[1mlabel"}, Problem: &runner.Problem{Text: "\x1b[1mno"}},
		{Kind: runner.RunFinished, Status: runner.Failed, Summary: &runner.Summary{Failed: 1}},
	}
}()

// partRun is a run of a part of a playbook.
var partRun = func() []runner.Event {
	info, needed, out := origination, set, headers
	info.Part = "step 4 of 5"
	needed.Choice, out.Choice = runner.Needed, runner.LeftOut
	left := skipped(out)
	left.Problem = &runner.Problem{Text: string(runner.LeftOut)}
	all := concat(
		runner.Event{Kind: runner.RunStarted, Target: &target, Playbooks: []runner.PlaybookInfo{info}},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: &info},
		passed(needed, "export SOURCE_POD=sleep-1", "SOURCE_POD=sleep-1", time.Second, 1),
		passed(request, curl, redirected, time.Second, 1),
		left,
		runner.Event{Kind: runner.PlaybookFinished, Playbook: &info, Status: runner.Passed, Took: 2 * time.Second},
		runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 2 * time.Second, Summary: &runner.Summary{Passed: 1}},
	)
	return all
}()
