package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// internetLink is the node's end of the link to the internet.
const internetLink = "internet"

// NewInternet makes the namespace of the stand-in hosts, gives it their addresses
// (IPv4, from any range but the lab's own), and makes it the node's route to everything
// else. Call [SetUpNode] first. A client that connects to an address without a stand-in
// gets "no route to host". It gets it at once, unless it has had it five times within a
// few seconds.
//
// The link goes with the namespace, once the namespace, its listeners and its
// connections are closed.
func NewInternet(ctx context.Context, addrs []netip.Addr) (*Namespace, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("make the internet: %w", context.Cause(ctx))
	}
	for _, addr := range addrs {
		if !addr.Is4() {
			return nil, fmt.Errorf("make the internet: %s is no IPv4 address", addr)
		}
	}
	ns, err := create(func(ns *Namespace, node, inside *netlink.Handle) error {
		veth := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: internetLink},
			PeerName:      "eth0",
			PeerNamespace: netlink.NsFd(ns.file.Fd()),
		}
		if err := node.LinkAdd(veth); err != nil {
			return fmt.Errorf("make interface %s: %w", internetLink, err)
		}
		err := connectInternet(node, inside, addrs)
		if err != nil {
			// Delete it here, because the kernel ends a namespace only some time later.
			err = errors.Join(err, deleteLink(node, internetLink))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make the internet: %w", err)
	}
	return ns, nil
}

// connectInternet gives both ends of the link their addresses and routes.
func connectInternet(node, inside *netlink.Handle, addrs []netip.Addr) error {
	near, far := netip.MustParseAddr(nodeEnd), netip.MustParseAddr(internetEnd)
	const bits = 30 // the network of the two ends, without a stand-in

	if err := addAddress(inside, "eth0", netip.PrefixFrom(far, bits), netlink.SCOPE_UNIVERSE); err != nil {
		return err
	}
	for _, addr := range addrs {
		if err := addAddress(inside, "lo", host(addr), netlink.SCOPE_UNIVERSE); err != nil {
			return err
		}
	}
	if err := up(inside, "eth0"); err != nil {
		return err
	}
	if err := setRoute(inside, route{dst: netip.MustParsePrefix(PodCIDR), dev: "eth0", via: near}); err != nil {
		return err
	}
	if err := setRoute(inside, route{dst: everywhere, kind: unix.RTN_UNREACHABLE}); err != nil {
		return err
	}
	// Only a router reports that there is no route. It does so five times at once to
	// each sender, then once a second, when the sender's kernel tries again; the other
	// rate limit would halve that.
	if err := setSysctl("net.ipv4.ip_forward", "1"); err != nil {
		return err
	}
	if err := setSysctl("net.ipv4.icmp_ratelimit", "0"); err != nil {
		return err
	}

	if err := addAddress(node, internetLink, netip.PrefixFrom(near, bits), netlink.SCOPE_UNIVERSE); err != nil {
		return err
	}
	if err := up(node, internetLink); err != nil {
		return err
	}
	return setRoute(node, route{dst: everywhere, dev: internetLink, via: far, src: nodeIP})
}

// AddAddress adds an address to the namespace, as [NewInternet] adds those of the
// stand-ins.
func (n *Namespace) AddAddress(addr netip.Addr) error {
	return n.changeAddress(addr, func(inside *netlink.Handle) error {
		return addAddress(inside, "lo", host(addr), netlink.SCOPE_UNIVERSE)
	})
}

// DeleteAddress removes an address. It returns no error if the namespace does not have
// it.
func (n *Namespace) DeleteAddress(addr netip.Addr) error {
	return n.changeAddress(addr, func(inside *netlink.Handle) error {
		return deleteAddress(inside, "lo", host(addr))
	})
}

func (n *Namespace) changeAddress(addr netip.Addr, change func(inside *netlink.Handle) error) error {
	if !addr.Is4() {
		return fmt.Errorf("%s is no IPv4 address", addr)
	}
	return n.Do(func() error {
		inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer inside.Close()
		return change(inside)
	})
}
