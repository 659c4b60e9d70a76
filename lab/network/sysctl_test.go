package network

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSysctlPath(t *testing.T) {
	tests := []struct{ name, path string }{
		{"net.ipv4.ip_unprivileged_port_start", "/proc/sys/net/ipv4/ip_unprivileged_port_start"},
		{"net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_forward"},
		{"net.ipv4.conf.eth0/1.forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"},
		{"net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"},
		{"kernel.hostname", ""},
		{"vm.overcommit_memory", ""},
		{"network.x", ""},
		{"net", ""},
		{"", ""},
		{"net/../kernel/hostname", ""},
		{"net.//.kernel.hostname", ""}, // slashes stand for the dots of ".."
		{"net..kernel", ""},
		{"/proc/sys/net/ipv4/ip_forward", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, err := sysctlPath(tt.name)
			if tt.path == "" {
				require.ErrorContains(t, err, "only net.* can be set in a lab")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.path, path)
		})
	}
}
