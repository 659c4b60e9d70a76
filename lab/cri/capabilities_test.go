package cri

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

func TestPodCaps(t *testing.T) {
	for _, tt := range []struct {
		name      string
		add, drop []string
		want      starter.Capabilities
	}{
		{"default", nil, nil, 0xa80425fb},
		{"drop all", nil, []string{"ALL"}, 0},
		{"drop all, add", []string{"net_admin"}, []string{"all"}, starter.CapabilitiesOf("NET_ADMIN")},
		{"drop wins over add", []string{"NET_ADMIN"}, []string{"CAP_NET_ADMIN"}, defaultCaps},
		{"add all", []string{"ALL"}, nil, grantableCaps},
		{"add all, drop one", []string{"ALL"}, []string{"CHOWN"}, grantableCaps &^ starter.CapabilitiesOf("CHOWN")},
	} {
		got, err := podCaps(&runtimeapi.Capability{AddCapabilities: tt.add, DropCapabilities: tt.drop})
		require.NoError(t, err, tt.name)
		assert.Equal(t, tt.want.String(), got.String(), tt.name)
	}
	_, err := podCaps(&runtimeapi.Capability{AddCapabilities: []string{"SYS_TIME"}})
	assert.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = podCaps(&runtimeapi.Capability{DropCapabilities: []string{"SYS_TIME"}})
	assert.NoError(t, err, "what no pod has can be dropped")
	_, err = podCaps(&runtimeapi.Capability{AddCapabilities: []string{"FLY"}})
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = podCaps(&runtimeapi.Capability{AddAmbientCapabilities: []string{"CHOWN"}})
	assert.Equal(t, codes.Unimplemented, status.Code(err))
}
