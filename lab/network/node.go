package network

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// SetUpNode makes the namespace of the caller the node: its loopback is up
// and has [NodeIP], services are reached from that address, and it forwards.
// It may be called again. [NewInternet] then adds the way out.
//
// The route to the Services is for the node's own connections. Without a route, the
// kernel would reject them before kube-proxy's rules send them to a pod. Packets from a
// pod meet these rules before they are routed.
func SetUpNode(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("set up the node's network: %w", context.Cause(ctx))
	}
	if err := setUpNode(); err != nil {
		return fmt.Errorf("set up the node's network: %w", err)
	}
	return nil
}

func setUpNode() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	if err := up(h, "lo"); err != nil {
		return err
	}
	if err := addAddress(h, "lo", host(nodeIP), netlink.SCOPE_UNIVERSE); err != nil {
		return err
	}
	if err := setRoute(h, route{dst: netip.MustParsePrefix(ServiceCIDR), dev: "lo", src: nodeIP}); err != nil {
		return err
	}
	return setSysctl("net.ipv4.ip_forward", "1")
}
