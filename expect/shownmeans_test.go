package expect

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/evidence"
)

// meanings returns what a page's output comes to that does not hold.
func meanings(page, real string, stages ...evidence.Stage) (all []evidence.Meaning) {
	vs := (&Shown{Text: page}).Judge(&evidence.Attempt{Shell: &evidence.Shell{Text: real, Stages: stages}})
	for _, v := range vs {
		all = append(all, v.Means...)
	}
	return all
}

// curled is a curl in a pod that got responses.
func curled(code int, statuses ...int) evidence.Stage {
	a := &evidence.Attempt{Command: &evidence.Command{Pod: evidence.Pod{Name: "curl-1", Container: "curl"}}}
	for _, s := range statuses {
		a.Responses = append(a.Responses, evidence.Response{Status: s})
	}
	return evidence.Stage{Argv: []string{"kubectl", "exec", "curl-1"}, Exec: true, Code: code, Pod: a.Command.Pod, Request: a}
}

// logged is a look at the log of a pod's proxy, after a request of another stage.
func logged(pod string, request evidence.Stage) evidence.Stage {
	return evidence.Stage{Argv: []string{"kubectl", "logs", pod}, Log: true, Pod: evidence.Pod{Name: pod, Container: "istio-proxy"}, Request: request.Request}
}

func grepped(code int) evidence.Stage {
	return evidence.Stage{Argv: []string{"grep", "x"}, Behind: true, Code: code}
}

// What differs is a claim about the command that it is of.
func TestWhatADifferenceMeans(t *testing.T) {
	const (
		ok, unavailable = "HTTP/1.1 200 OK\n", "HTTP/1.1 503 Service Unavailable\n"
		exit35          = "command terminated with exit code 35\n"
		entry           = `[2024-01-01T00:00:00.000Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 1 2 3 "-" "curl/8" "0a1b2c3d-0000-4000-8000-000000000001" "a.example" "1.2.3.4:80" outbound|80||a.example 10.0.0.1:1 1.2.3.4:80 10.0.0.1:2 - default` + "\n"
		passed          = `[2024-01-01T00:00:00.000Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 1 2 3 "-" "curl/8" "0a1b2c3d-0000-4000-8000-000000000001" "a.example" "1.2.3.4:80" PassthroughCluster 10.0.0.1:1 1.2.3.4:80 10.0.0.1:2 - allow_any` + "\n"
	)
	claim := func(stage int, key, want, got string) []evidence.Meaning {
		return []evidence.Meaning{{Stage: stage, Key: "expect." + key, Want: want, Got: got}}
	}
	for name, test := range map[string]struct {
		page, real string
		stages     []evidence.Stage
		want       []evidence.Meaning
	}{
		"an exit code that is not shown":      {"", "", []evidence.Stage{curled(35)}, claim(0, "exitCode", "0", "35")},
		"the exit code did not come":          {exit35, "", []evidence.Stage{curled(0, 200)}, claim(0, "exitCode", "35", "0")},
		"that of the second of two":           {exit35 + exit35, exit35, []evidence.Stage{curled(35), curled(0, 200)}, claim(1, "exitCode", "35", "0")},
		"one of two, and nobody knows which":  {exit35, "", []evidence.Stage{curled(0, 200), curled(0, 200)}, nil},
		"a status":                            {ok, unavailable, []evidence.Stage{curled(0, 503)}, claim(0, "responses[0].status", "200", "503")},
		"the second status of a request":      {ok + ok, ok + unavailable, []evidence.Stage{curled(0, 200, 503)}, claim(0, "responses[1].status", "200", "503")},
		"the status of the second of two":     {ok + ok, ok + unavailable, []evidence.Stage{curled(0, 200), grepped(0), curled(0, 503), grepped(0)}, claim(2, "responses[0].status", "200", "503")},
		"of a request that printed no status": {ok + ok, ok + unavailable, []evidence.Stage{curled(0, 200), curled(0, 200, 503)}, nil},
		"a status alone":                      {"200\n", "504\n", []evidence.Stage{curled(0, 504)}, claim(0, "status", "200", "504")},
		"a text":                              {"hello\n", "bye\n", []evidence.Stage{curled(0, 200)}, claim(0, "stdout", "hello", "bye")},
		"a text of one of two":                {"hello\n", "bye\n", []evidence.Stage{curled(0, 200), curled(0, 200)}, nil},
		"a time":                              {"real 0m5.0s\n", "real 0m1.0s\n", []evidence.Stage{curled(0, 200)}, claim(0, "elapsed", "real 0m5.0s", "real 0m1.0s")},
		"the sidecar's upstream":              {entry, passed, []evidence.Stage{logged("curl-1", curled(0, 200))}, claim(0, "log[0].cluster", "outbound|80||a.example", "PassthroughCluster")},
		"no entry of the sidecar":             {entry, "", []evidence.Stage{logged("curl-1", curled(0, 200))}, claim(0, "log", "e", "no more")},
		"no entry of a gateway":               {entry, "", []evidence.Stage{logged("gateway-1", curled(0, 200))}, claim(0, "path", "gateway/gateway-1", "a way past it")},
		"another entry of a gateway":          {entry, passed, []evidence.Stage{logged("gateway-1", curled(0, 200))}, claim(0, "stdout", "e", "p")},
		"a table":                             {"NAME READY\n", "NAME\n", []evidence.Stage{{Argv: []string{"kubectl", "get", "pod"}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := meanings(test.page, test.real, test.stages...)
			for i := range got { // lines are quoted as they are
				switch got[i].Want {
				case scalar(entry[:len(entry)-1]):
					got[i].Want = "e"
				}
				if got[i].Got == scalar(passed[:len(passed)-1]) {
					got[i].Got = "p"
				}
			}
			assert.Equal(t, test.want, got)
		})
	}
	assert.Empty(t, meanings(ok, ok, curled(0, 200)), "what holds")

	// grep that finds nothing, in what a command in a pod printed and in nothing of one.
	assert.Contains(t, meanings("", "", curled(0, 200), grepped(1)), evidence.Meaning{Stage: 0, Key: "expect.stdout", Want: "a line that grep finds", Got: "none"})
	assert.Empty(t, meanings("", "", evidence.Stage{Argv: []string{"kubectl", "get", "pod"}}, grepped(1)))
}
