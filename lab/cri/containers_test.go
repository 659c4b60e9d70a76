package cri

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestCommand(t *testing.T) {
	image := &Image{Names: []string{"x"}, Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}}
	for _, tt := range []struct{ command, args, want []string }{
		{nil, nil, []string{"entry", "cmd"}},
		{nil, []string{"a"}, []string{"entry", "a"}},
		{[]string{"c"}, nil, []string{"c"}},
		{[]string{"c"}, []string{"a"}, []string{"c", "a"}},
	} {
		c := &container{
			config: &runtimeapi.ContainerConfig{Command: tt.command, Args: tt.args}, image: image,
			sandbox: &sandbox{config: &runtimeapi.PodSandboxConfig{}},
		}
		sp, err := (&Server{}).specOf(c)
		require.NoError(t, err)
		assert.Equal(t, tt.want, sp.Args)
	}
	c := &container{config: &runtimeapi.ContainerConfig{Image: &runtimeapi.ImageSpec{Image: "example.com/x:1"}}, image: &Image{Names: []string{"x"}}, sandbox: &sandbox{config: &runtimeapi.PodSandboxConfig{}}}
	_, err := (&Server{}).specOf(c)
	assert.ErrorContains(t, err, "neither the pod nor the image example.com/x:1 says what to run")
}

func TestSignalNumber(t *testing.T) {
	for sig, want := range map[runtimeapi.Signal]syscall.Signal{
		runtimeapi.Signal_SIGTERM: 15, runtimeapi.Signal_SIGQUIT: 3, runtimeapi.Signal_SIGUSR1: 10, runtimeapi.Signal_SIGCLD: 17,
		runtimeapi.Signal_SIGIOT: 6, runtimeapi.Signal_SIGPOLL: 29, runtimeapi.Signal_SIGRTMIN: 34, runtimeapi.Signal_SIGRTMINPLUS3: 37,
		runtimeapi.Signal_SIGRTMAXMINUS1: 63, runtimeapi.Signal_SIGRTMAX: 64,
	} {
		assert.Equal(t, want, signalNumber(sig), sig.String())
	}
	for n, name := range runtimeapi.Signal_name {
		if n > 0 {
			assert.NotZero(t, signalNumber(runtimeapi.Signal(n)), name)
		}
	}
}

func TestOutcome(t *testing.T) {
	assert.NoError(t, outcome([]byte("r")))
	assert.NoError(t, outcome([]byte("pr")))
	assert.EqualError(t, outcome([]byte("preexec: no")), "exec: no")
	assert.EqualError(t, outcome([]byte("eperm")), "perm")
	assert.ErrorIs(t, outcome(nil), errStarterDied)
	assert.ErrorIs(t, outcome([]byte("p")), errStarterDied)
}
