//go:build lab

package networkpolicy

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/egressplay/egressplay/lab/network"
	"github.com/egressplay/egressplay/lab/network/networktest"
)

// Hosts of the internet.
const standIn, otherStandIn = "203.0.113.10", "203.0.113.11"

func TestMain(m *testing.M) { networktest.Main(m, setUpNode) }

// setUpNode makes the node and its internet; on both there are servers on
// TCP 80, 443 and 8443.
func setUpNode() error {
	ctx := context.Background()
	if err := network.SetUpNode(ctx); err != nil {
		return err
	}
	internet, err := network.NewInternet(ctx, []netip.Addr{netip.MustParseAddr(standIn), netip.MustParseAddr(otherStandIn)})
	if err != nil {
		return err
	}
	for _, port := range []string{":80", ":443", ":8443"} {
		for _, listen := range []func(network, addr string) (net.Listener, error){net.Listen, internet.Listen} {
			listener, err := listen("tcp", port)
			if err != nil {
				return err
			}
			go echo(listener)
		}
	}
	return nil
}
