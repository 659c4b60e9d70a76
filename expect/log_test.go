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
