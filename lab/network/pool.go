package network

import (
	"fmt"
	"net/netip"
)

// pool hands out the addresses from first to last, each in turn. A freed address is
// used again only after all others, so that a late packet to a pod that is gone does
// not reach a new pod.
type pool struct {
	first, last netip.Addr
	next        netip.Addr
	used        map[netip.Addr]bool
}

func newPool(first, last netip.Addr) *pool {
	return &pool{first: first, last: last, next: first, used: map[netip.Addr]bool{}}
}

func (p *pool) take() (netip.Addr, error) {
	start := p.next
	for {
		addr := p.next
		p.next = addr.Next()
		if addr == p.last {
			p.next = p.first
		}
		if !p.used[addr] {
			p.used[addr] = true
			return addr, nil
		}
		if p.next == start {
			return netip.Addr{}, fmt.Errorf("all addresses from %s to %s are in use: delete some pods", p.first, p.last)
		}
	}
}

func (p *pool) free(addr netip.Addr) { delete(p.used, addr) }
