package clustertest

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/cluster"
)

func TestFake(t *testing.T) {
	Run(t, func(*testing.T) cluster.Interface {
		f := NewFake()
		f.ExecFunc = runHere
		f.LogsFunc = func(_ context.Context, r cluster.LogRequest) (io.ReadCloser, error) {
			lines := []string{"hello first\n", "hello again\n"}
			if r.Tail > 0 {
				lines = lines[int64(len(lines))-r.Tail:]
			}
			for i := range lines {
				if r.Timestamps {
					lines[i] = "2026-11-24T12:59:37.123456789Z " + lines[i]
				}
			}
			return io.NopCloser(strings.NewReader(strings.Join(lines, ""))), nil
		}
		return f
	})
}

// runHere runs a command as a process of this machine.
func runHere(ctx context.Context, r cluster.ExecRequest) (cluster.ExecResult, error) {
	cmd := exec.CommandContext(ctx, r.Command[0], r.Command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.Stdin, r.Stdout, r.Stderr
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return cluster.ExecResult{Trusted: true}, err
	}
	code := exit.ExitCode()
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return cluster.ExecResult{ExitCode: code, Trusted: true}, nil
}

func TestFakeRecordsCalls(t *testing.T) {
	f := NewFake(ReadyPod("default", "a", map[string]string{"app": "a"}, "one", "two"))
	f.ExecFunc = func(context.Context, cluster.ExecRequest) (cluster.ExecResult, error) {
		return cluster.ExecResult{ExitCode: 35, Trusted: true}, nil
	}
	pod, err := f.Pod(t.Context(), cluster.PodQuery{Namespace: "default", Selector: "app=a", Container: "two"})
	require.NoError(t, err)
	assert.Equal(t, []string{"one", "two"}, pod.Containers)
	result, err := f.Exec(t.Context(), cluster.ExecRequest{Namespace: "default", Pod: "a", Container: "two", Command: []string{"curl"}})
	require.NoError(t, err)
	assert.Equal(t, 35, result.ExitCode)

	calls := f.Calls()
	require.Len(t, calls, 2)
	assert.Equal(t, "exec pod/a", calls[1].String())
	assert.Equal(t, []string{"curl"}, calls[1].Exec.Command)
}

func TestFakeFails(t *testing.T) {
	f := NewFake()
	down := &cluster.UnreachableError{Server: "https://x", Err: io.EOF}
	f.FailFunc = func(call Call) error {
		if call.Verb == "apply" {
			return down
		}
		return nil
	}
	before := f.State()
	_, err := f.Apply(t.Context(), Object("v1", "ConfigMap", "default", "a", nil), cluster.WriteOptions{})
	assert.ErrorIs(t, err, down)
	assert.Equal(t, before, f.State())
}

func TestFakeServesIstio(t *testing.T) {
	f := NewFake()
	for name, kind := range map[string]string{"se": "ServiceEntry", "vs": "VirtualService", "dr": "DestinationRule", "gateways.networking.istio.io": "Gateway"} {
		ref, err := f.Resolve(t.Context(), cluster.Ref{Kind: name}, "default")
		require.NoError(t, err)
		assert.Equal(t, kind, ref.Kind)
		assert.Equal(t, "networking.istio.io/v1", ref.APIVersion)
	}
	_, err := f.Apply(t.Context(), Object("networking.istio.io/v1alpha3", "ServiceEntry", "default", "a", nil), cluster.WriteOptions{})
	require.NoError(t, err)
	got, err := f.Get(t.Context(), cluster.Ref{Kind: "serviceentry", Namespace: "default", Name: "a"})
	require.NoError(t, err)
	assert.Equal(t, "networking.istio.io/v1", got.GetAPIVersion())

	_, err = f.Without("networking.istio.io").Get(t.Context(), cluster.Ref{Kind: "se", Namespace: "default", Name: "a"})
	assert.ErrorAs(t, err, new(*cluster.NoKindError))
}
