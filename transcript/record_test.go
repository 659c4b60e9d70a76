package transcript_test

import (
	"errors"
	"strings"
	"time"

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
	zero := 0
	return []runner.Event{
		{Kind: runner.StepStarted, Step: s, Command: command},
		{
			Kind: runner.StepFinished, Step: s, Command: command, Status: runner.Passed, Took: took,
			Attempts: attempts, ExitCode: &zero, Output: output,
		},
	}
}

func skipped(s runner.StepInfo) runner.Event {
	return runner.Event{Kind: runner.StepFinished, Step: s, Status: runner.Skipped}
}

func undone(what, back string, took time.Duration) runner.Event {
	return runner.Event{Kind: runner.Undone, Playbook: origination, Undo: what, Back: back, Took: took}
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
		runner.Event{Kind: runner.RunStarted, Target: target, Playbooks: []runner.PlaybookInfo{origination}},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: origination},
		passed(label, "kubectl label namespace default istio-injection=enabled", "namespace/default labeled", 12*time.Millisecond, 1),
		passed(set, `export SOURCE_POD=$(kubectl get pod -l app=sleep -o jsonpath={.items..metadata.name})`, "SOURCE_POD=sleep-5577c64d7c-8rkzq", 2340*time.Millisecond, 6),
		passed(apply, manifest, "serviceentry.networking.istio.io/edition-cnn-com created\n", 31*time.Millisecond, 1),
	)
	cleanup = []runner.Event{
		{Kind: runner.CleanupStarted, Playbook: origination, Left: []string{"serviceentry/edition-cnn-com in namespace default", "label istio-injection of namespace default"}},
		undone("serviceentry/edition-cnn-com in namespace default", "deleted", 17*time.Millisecond),
		undone("label istio-injection of namespace default", "as they were", 8*time.Millisecond),
	}
)

// passedRun is a run in which every step passes.
var passedRun = concat(begin,
	passed(request, curl, redirected, 208*time.Millisecond, 1),
	passed(headers, `kubectl exec "$SOURCE_POD" -c sleep -- curl -s http://httpbin.org/headers`, httpbin, 64*time.Second, 2),
	cleanup,
	runner.Event{Kind: runner.PlaybookFinished, Playbook: origination, Status: runner.Passed, Took: 67 * time.Second},
	runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 67 * time.Second, Summary: runner.Summary{Passed: 1}},
)

// failedRun is a run in which an expectation does not hold, of two playbooks.
var failedRun = func() []runner.Event {
	mismatches := runner.Mismatches{
		{What: "responses", Want: "HTTP/1.1 200", Got: "HTTP/1.1 301\nHTTP/2 200"},
		{What: "header location of response 1", Want: "none", Got: `"https://edition.cnn.com/politics"`},
	}
	zero := 0
	failure := &runner.StepError{
		Step: request, Mismatches: mismatches, Attempts: 14, Took: 30012 * time.Millisecond, Err: mismatches,
		Hint: "the sidecar does not originate TLS: is there a DestinationRule for the host?",
	}
	finished := runner.Event{
		Kind: runner.StepFinished, Step: request, Command: curl, Status: runner.Failed, Took: 30012 * time.Millisecond,
		Attempts: 14, ExitCode: &zero, Output: redirected, Err: failure,
	}
	gateway := runner.PlaybookInfo{Name: "egress-gateway", Title: "Egress Gateways", File: "my/egress-gateway.yaml", Topic: 3, Steps: 2}
	return concat(begin,
		runner.Event{Kind: runner.StepStarted, Step: request, Command: curl},
		runner.Event{Kind: runner.Attempt, Step: request, Attempts: 1, Err: mismatches},
		finished,
		skipped(headers),
		cleanup,
		runner.Event{Kind: runner.PlaybookFinished, Playbook: origination, Status: runner.Failed, Took: 33 * time.Second, Err: failure},
		runner.Event{Kind: runner.PlaybookStarted, Playbook: gateway},
		runner.Event{Kind: runner.StepFinished, Step: step(1, 5, "wait", "Wait for the egress gateway"), Status: runner.Skipped},
		runner.Event{Kind: runner.PlaybookFinished, Playbook: gateway, Status: runner.Skipped, Err: errors.New("the cluster has no egress gateway")},
		runner.Event{Kind: runner.RunFinished, Status: runner.Failed, Took: 34 * time.Second, Summary: runner.Summary{Failed: 1, Skipped: 1}},
	)
}()

// interruptedRun is a run that is stopped in its fourth step.
var interruptedRun = func() []runner.Event {
	failure := &runner.StepError{Step: request, Attempts: 3, Took: 700 * time.Millisecond, Err: runner.ErrInterrupted}
	return concat(begin,
		runner.Event{Kind: runner.StepStarted, Step: request, Command: curl},
		runner.Event{
			Kind: runner.StepFinished, Step: request, Command: curl, Status: runner.Errored,
			Took: 700 * time.Millisecond, Attempts: 3, Err: failure,
		},
		skipped(headers),
		cleanup,
		runner.Event{Kind: runner.PlaybookFinished, Playbook: origination, Status: runner.Errored, Took: 3 * time.Second, Err: failure},
		runner.Event{Kind: runner.RunFinished, Status: runner.Errored, Took: 3 * time.Second, Summary: runner.Summary{Error: 1}},
	)
}()

// leftRun is a run that passes and leaves something that it could not put back.
var leftRun = concat(begin,
	cleanup[0],
	runner.Event{
		Kind: runner.Undone, Playbook: origination, Undo: "serviceentry/edition-cnn-com in namespace default", Took: 10 * time.Second,
		Err: errors.New("delete serviceentry/edition-cnn-com: the object is still there after 10s\nits finalizers: example.com/hold"),
	},
	cleanup[2],
	runner.Event{
		Kind: runner.PlaybookFinished, Playbook: origination, Status: runner.Passed, Took: 12 * time.Second,
		Left: []string{"serviceentry/edition-cnn-com in namespace default"},
	},
	runner.Event{
		Kind: runner.RunFinished, Status: runner.Passed, Took: 12 * time.Second, Summary: runner.Summary{Passed: 1},
		Left: []string{"serviceentry/edition-cnn-com in namespace default"},
	},
)

// keptRun leaves what it changed because it was asked to.
var keptRun = concat(begin,
	runner.Event{Kind: runner.CleanupStarted, Playbook: origination},
	runner.Event{
		Kind: runner.PlaybookFinished, Playbook: origination, Status: runner.Passed, Took: 2 * time.Second,
		Left: []string{"serviceentry/edition-cnn-com in namespace default", "label istio-injection of namespace default"},
	},
	runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 2 * time.Second, Summary: runner.Summary{Passed: 1}},
)

// slowRun waits in some of its steps.
var slowRun = concat(begin,
	runner.Event{Kind: runner.StepStarted, Step: request, Command: curl},
	runner.Event{Kind: runner.Attempt, Step: request, Attempts: 1, Err: &runner.Mismatch{What: "status", Want: "200", Got: "301"}},
	runner.Event{Kind: runner.Attempt, Step: request, Attempts: 2, Err: &runner.Mismatch{What: "status", Want: "200", Got: "503"}},
	runner.Event{Kind: runner.StepFinished, Step: request, Command: curl, Status: runner.Passed, Took: 2 * time.Second, Attempts: 3},
	runner.Event{Kind: runner.PlaybookFinished, Playbook: origination, Status: runner.Passed, Took: 5 * time.Second},
	runner.Event{Kind: runner.RunFinished, Status: runner.Passed, Took: 5 * time.Second, Summary: runner.Summary{Passed: 1}},
)

// hostileRun has texts that try to reach the terminal of the reader.
var hostileRun = concat(
	runner.Event{
		Kind: runner.RunStarted, Target: runner.Target{Describe: "the cluster of context \"a\x1b]0;b\a\""},
		Playbooks: []runner.PlaybookInfo{{File: "a\x1b[31m\r.yaml"}},
	},
	runner.Event{Kind: runner.PlaybookStarted, Playbook: runner.PlaybookInfo{Title: "\x1b[2JAll\nfine\u202e", File: "a\x1b[31m\r.yaml", Steps: 1}},
	runner.Event{
		Kind: runner.StepFinished, Step: runner.StepInfo{Index: 1, Title: "a\rb\x9b1m\tc", File: "a\x1b[31m.yaml", Line: 3},
		Command: "echo \x1b[1m", Status: runner.Failed, Attempts: 1,
		Err: &runner.StepError{
			Step:       runner.StepInfo{Index: 1, Title: "x", File: "a\x1b[31m.yaml", Line: 3},
			Mismatches: runner.Mismatches{{What: "\x1b[Astdout", Want: "\x1b[1mx", Got: "\a" + strings.Repeat("y", 3)}},
			Hint:       "do \x1b[5mthis",
			Err:        errors.New("\x1b[A"),
		},
	},
	runner.Event{Kind: runner.Undone, Undo: "\x1b[1mlabel", Err: errors.New("\x1b[1mno")},
	runner.Event{Kind: runner.PlaybookFinished, Status: runner.Failed, Left: []string{"\x1b[1mlabel"}, Err: errors.New("\x1b[1mno")},
	runner.Event{Kind: runner.RunFinished, Status: runner.Failed, Summary: runner.Summary{Failed: 1}},
)
