package expect_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

func TestALogThatBreaksOffIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want runner.Status
	}{
		{"whole", nil, runner.Passed},
		{"broken off", io.ErrUnexpectedEOF, runner.Passed},
		{"not allowed", errors.New("forbidden"), runner.Errored},
	} {
		for _, key := range []string{"log: [{cluster: outbound|80||httpbin.org}]", `path: [sidecar, "httpbin.org:80"]`} {
			t.Run(c.name+" "+key[:4], func(t *testing.T) {
				w := newWay(t, "accessLogFile: /dev/stdout\n")
				fails := c.err
				w.LogsFunc = func(context.Context, cluster.LogRequest) (io.ReadCloser, error) {
					if err := fails; err != nil {
						fails = nil
						return io.NopCloser(iotest.ErrReader(err)), nil
					}
					return io.NopCloser(strings.NewReader(w.line(direct()))), nil
				}
				status, problem := runOnce(t, w, key)
				assert.Equal(t, c.want, status, "%v", problem)
			})
		}
	}
}

// runOnce runs a playbook of one request in the pod curl-1 with an
// expectation, and returns how it ended, and why.
func runOnce(t *testing.T, c cluster.Interface, expectation string) (runner.Status, *runner.Problem) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`apiVersion: egressplay/v1
kind: Playbook
name: p
steps:
- title: A request
  exec: {in: curl-1, container: curl, command: "curl -s http://httpbin.org/headers"}
  expect:
    `+expectation+"\n"), 0o600))
	ps, err := playbooks.Load([]string{file}, playbooks.Options{})
	require.NoError(t, err)
	m := &mesh.Mesh{Cluster: c, Namespace: "istio-system", Workloads: "default"}
	defer m.Close()
	var last outcomes
	r := &runner.Runner{
		Cluster: c, Namespace: "default", IstioNamespace: "istio-system", Sink: &last,
		Collectors: []runner.Collector{&mesh.Witness{Mesh: m}},
	}
	status := r.Run(t.Context(), ps).Summary.Status()
	if last.problem == nil {
		last.problem = new(runner.Problem)
	}
	return status, last.problem
}

// outcomes are why the last step ended as it did.
type outcomes struct{ problem *runner.Problem }

func (o *outcomes) Send(e runner.Event) {
	if e.Kind == runner.StepFinished {
		o.problem = e.Problem
	}
}

// The absence of a line counts only once the line of a later request has come and
// the log still has everything that was written in between.
func TestThatThereIsNoLine(t *testing.T) {
	for _, c := range []struct {
		name    string
		begins  time.Duration // the log, from now on
		clock   time.Duration // how far the node's is ahead
		line    bool          // before that of the later request
		later   bool          // the line of a later request comes
		want    runner.Status
		because string
	}{
		{"none", -time.Minute, 0, false, true, runner.Passed, ""},
		{"none, by another clock", 50 * time.Minute, time.Hour, false, true, runner.Passed, ""},
		{"one", -time.Minute, 0, true, true, runner.Failed, "the sidecar's access log has a line of it"},
		{"one, by another clock", 50 * time.Minute, time.Hour, true, true, runner.Failed, "the sidecar's access log has a line of it"},
		{"the log was rotated meanwhile", time.Second, 0, false, true, runner.Errored, "its log was rotated"},
		{"rotated, by a clock that is late", -time.Minute, -time.Hour, false, true, runner.Errored, "its log was rotated"},
		{"the later line does not come", -time.Minute, 0, false, false, runner.Errored, "the line of a later request has not come"},
	} {
		for _, expectation := range []string{"log: []", "path: [direct]"} {
			t.Run(c.name+" "+expectation[:4], func(t *testing.T) {
				w := newWay(t, "accessLogFile: /dev/stdout\n")
				w.clock = c.clock
				w.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
					if r.Timestamps {
						return io.NopCloser(strings.NewReader(time.Now().Add(c.begins).Format(time.RFC3339Nano) + " begins\n")), nil
					}
					text := ""
					if c.line {
						text = w.line(direct())
					}
					if c.later {
						text += w.laterLine()
					}
					return io.NopCloser(strings.NewReader(text)), nil
				}
				status, problem := runOnce(t, w, expectation+"\n  within: 1ms")
				assert.Equal(t, c.want, status, "%v", problem)
				because := c.because
				if expectation == "log: []" && c.want == runner.Failed {
					because = "want [], got [{method: GET, path: /headers"
				}
				assert.Contains(t, problem.Text, because)
			})
		}
	}
}
