package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// up brings an interface up.
func up(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set interface %s up: %w", name, err)
	}
	return nil
}

// addAddress adds an address to an interface. It returns no error if the interface has
// it already.
func addAddress(h *netlink.Handle, name string, prefix netip.Prefix, scope netlink.Scope) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := h.AddrReplace(link, &netlink.Addr{IPNet: ipNet(prefix), Scope: int(scope)}); err != nil {
		return fmt.Errorf("give interface %s the address %s: %w", name, prefix, err)
	}
	return nil
}

// deleteAddress removes an address from an interface. It returns no error if the
// interface does not have it.
func deleteAddress(h *netlink.Handle, name string, prefix netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := h.AddrDel(link, &netlink.Addr{IPNet: ipNet(prefix)}); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("take the address %s from interface %s: %w", prefix, name, err)
	}
	return nil
}

// deleteLink deletes an interface and with it its peer. It returns no error if the
// interface does not exist.
func deleteLink(h *netlink.Handle, name string) error {
	link, err := h.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := h.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete interface %s: %w", name, err)
	}
	return nil
}

// route is a route to dst. The zero value of another field means that it is not set.
type route struct {
	dst  netip.Prefix
	dev  string
	via  netip.Addr
	src  netip.Addr // the source address of packets that the node itself sends
	kind int        // unix.RTN_UNREACHABLE and so on; zero is unicast
}

// setRoute adds a route, or replaces the one to the same destination.
func setRoute(h *netlink.Handle, r route) error {
	nl := netlink.Route{Dst: ipNet(r.dst), Type: r.kind}
	if r.dev != "" {
		link, err := h.LinkByName(r.dev)
		if err != nil {
			return fmt.Errorf("find interface %s: %w", r.dev, err)
		}
		nl.LinkIndex = link.Attrs().Index
	}
	if r.via.IsValid() {
		nl.Gw = r.via.AsSlice()
	} else if r.dev != "" {
		nl.Scope = netlink.SCOPE_LINK
	}
	if r.src.IsValid() {
		nl.Src = r.src.AsSlice()
	}
	if err := h.RouteReplace(&nl); err != nil {
		return fmt.Errorf("set route to %s: %w", r.dst, err)
	}
	return nil
}

// host returns the prefix that has only addr.
func host(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// everywhere is the destination of a default route.
var everywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
