//go:build lab

package networkpolicy

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAddPod adds one pod to a node with 50 pods, ten policies and about ten rules
// for each pod.
func BenchmarkAddPod(b *testing.B) {
	l := newLab(b)
	l.namespace("shop", "")
	for i := range 10 {
		l.policy(fmt.Sprint("shop/", i), fmt.Sprintf(`
podSelector: {}
policyTypes: [Ingress, Egress]
ingress: [{from: [{podSelector: {}}], ports: [{port: %d}]}]
egress: [{to: [{podSelector: {}}], ports: [{port: %[1]d}]}]`, i+1))
	}
	for i := range 50 {
		l.bare(fmt.Sprint("shop/", i), "", `{}`)
	}
	again := l.pods["shop/0"].Pod
	again.ID = "one more"
	ip := netip.MustParseAddr("10.244.255.253")
	for b.Loop() {
		require.NoError(b, l.network.Controller.AddPod(b.Context(), again, ip))
		b.StopTimer()
		l.network.Controller.RemovePod(again.ID)
		l.settle()
		b.StartTimer()
	}
}
