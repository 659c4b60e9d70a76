package network

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Add refuses bad arguments before it touches the kernel.
func TestAddRefuses(t *testing.T) {
	interrupted := errors.New("interrupted")
	done, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted)
	tests := []struct {
		name    string
		ctx     context.Context
		podID   string
		sysctls map[string]string
		want    string
	}{
		{"no ID", t.Context(), "", nil, `the pod's ID "" is no file name`},
		{"a path", t.Context(), "../x", nil, `the pod's ID "../x" is no file name`},
		{"a folder", t.Context(), "..", nil, "is no file name"},
		{"a sysctl of the machine", t.Context(), "a", map[string]string{"kernel.hostname": "x"}, "only net.* can be set in a lab"},
		{"cancelled", done, "a", nil, "interrupted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pods := NewPods(t.TempDir())
			_, _, err := pods.Add(tt.ctx, tt.podID, tt.sysctls)
			require.ErrorContains(t, err, tt.want)
			assert.Empty(t, pods.pods)
			assert.Empty(t, pods.addresses.used)
		})
	}
}

func TestRemoveUnknownPod(t *testing.T) {
	require.NoError(t, NewPods(t.TempDir()).Remove(t.Context(), "a"))
}

func TestLinkName(t *testing.T) {
	assert.Equal(t, "pod1-5", linkName(netip.MustParseAddr("10.244.1.5")))
	assert.Equal(t, "pod255-254", linkName(netip.MustParseAddr(lastPod)))
}
