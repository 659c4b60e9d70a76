package expect_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/runner"
)

const wayOut = `[2026-11-24T12:59:37.629Z] "GET /headers HTTP/1.1" 200 - via_upstream - "-" 0 67 3 2 "-" "curl/8.9" "id" "httpbin.org" "203.0.113.13:80" outbound|80||httpbin.org 10.244.1.6:38742 203.0.113.13:80 10.244.1.6:40000 - default
`

// report puts in what curl says of a transfer.
var report = strings.NewReplacer("%{exitcode}", "0", "%{response_code}", "200", "%{num_redirects}", "0",
	"%{http_version}", "1.1", "%{local_ip}", "10.244.1.6", "%{local_port}", "40000", "%{time_total}", "0.003")

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
				fake := clustertest.NewFake(clustertest.ReadyPod("default", "curl-1", nil, "curl", mesh.Sidecar))
				fake.ExecFunc = func(_ context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
					_, format, _ := strings.Cut(r.Command[len(r.Command)-1], "%{stderr}")
					_, err := report.WriteString(r.Stderr, format)
					require.NoError(t, err)
					return cluster.ExecResult{Trusted: true}, nil
				}
				fails := c.err
				fake.LogsFunc = func(context.Context, cluster.LogRequest) (io.ReadCloser, error) {
					if err := fails; err != nil {
						fails = nil
						return io.NopCloser(iotest.ErrReader(err)), nil
					}
					return io.NopCloser(strings.NewReader(wayOut)), nil
				}
				status, err := runOnce(t, fake, key)
				assert.Equal(t, c.want, status, "%v", err)
			})
		}
	}
}

// runOnce runs a playbook of one request in the pod curl-1 with an
// expectation, and returns how it ended, and why.
func runOnce(t *testing.T, c cluster.Interface, expectation string) (runner.Status, error) {
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
	var last outcome
	r := &runner.Runner{Cluster: c, Namespace: "default", IstioNamespace: "istio-system", Sink: &last}
	status := r.Run(t.Context(), ps).Summary.Status()
	return status, last.err
}

// An outcome is why the last step ended as it did.
type outcome struct{ err error }

func (o *outcome) Send(e runner.Event) {
	if e.Kind == runner.StepFinished {
		o.err = e.Err
	}
}

// That there is no line counts only once that of a later request has come, and
// the log still has what was written meanwhile.
func TestThatThereIsNoLine(t *testing.T) {
	later := func(at time.Time) string {
		return `[` + at.UTC().Format("2006-01-02T15:04:05.000Z") + `] "GET /version HTTP/1.1" 200 - via_upstream - "-" 0 67 3 2 "-" "curl/8.9" "id" "kubernetes" "10.96.0.1:443" PassthroughCluster 10.244.1.6:38743 10.96.0.1:443 10.244.1.6:40001 - default` + "\n"
	}
	for _, c := range []struct {
		name    string
		begins  time.Duration // the log, from now on
		clock   time.Duration // how far the node's is ahead
		line    string        // before that of the later request
		want    runner.Status
		because string
	}{
		{"none", -time.Minute, 0, "", runner.Passed, ""},
		{"none, by another clock", 50 * time.Minute, time.Hour, "", runner.Passed, ""},
		{"one", -time.Minute, 0, wayOut, runner.Failed, "want no line of this request, got 1"},
		{"the log was rotated meanwhile", time.Second, 0, "", runner.Errored, "its log was rotated"},
		{"rotated, by a clock that is late", -time.Minute, -time.Hour, "", runner.Errored, "its log was rotated"},
	} {
		for _, expectation := range []string{"log: []", "path: [direct]"} {
			t.Run(c.name+" "+expectation[:4], func(t *testing.T) {
				w := newWay(t, "accessLogFile: /dev/stdout\n")
				request := w.ExecFunc
				w.ExecFunc = func(ctx context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
					if r.Command[len(r.Command)-1] == "https://kubernetes.default.svc/version" {
						fmt.Fprint(r.Stdout, "10.244.1.6 40001")
						return cluster.ExecResult{Trusted: true}, nil
					}
					return request(ctx, r)
				}
				w.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
					if r.Timestamps {
						return io.NopCloser(strings.NewReader(time.Now().Add(c.begins).Format(time.RFC3339Nano) + " begins\n")), nil
					}
					return io.NopCloser(strings.NewReader(c.line + later(time.Now().Add(c.clock)))), nil
				}
				status, err := runOnce(t, w, expectation+"\n  within: 1ms")
				assert.Equal(t, c.want, status, "%v", err)
				if c.because != "" {
					assert.ErrorContains(t, err, c.because)
				}
			})
		}
	}
}
