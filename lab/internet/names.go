package internet

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
)

// directory has the hosts of all names at the moment.
type directory struct{ hosts atomic.Pointer[hostsByName] }

// set replaces the hosts.
func (d *directory) set(hosts []*Host) error {
	byName, err := index(hosts)
	if err == nil {
		d.hosts.Store(&byName)
	}
	return err
}

func (d *directory) now() hostsByName { return *d.hosts.Load() }

// wildcard is the beginning of a host's name that stands for many names.
const wildcard = "*."

// hostsByName maps a DNS name to its host. The key "*.example.org" covers all names
// below example.org. A name that does not exist has no host.
type hostsByName map[string]*Host

// find returns the host that a name means: the one that has it, or else the one with
// the closest wildcard above it; nil if there is none.
func (hosts hostsByName) find(name string) *Host {
	if host, there := hosts[name]; there {
		return host
	}
	for {
		_, parent, more := strings.Cut(name, ".")
		if !more {
			return nil
		}
		if host, there := hosts[wildcard+parent]; there {
			return host
		}
		name = parent
	}
}

func isWildcard(name string) bool { return strings.HasPrefix(name, wildcard) }

// serving returns the host that answers requests for a name: the one that the name
// means, or to which its aliases lead; nil if there is none.
func (hosts hostsByName) serving(name string) *Host {
	host := hosts.find(name)
	for range maxAliases {
		if host == nil || host.Alias == "" {
			return host
		}
		host = hosts.find(host.Alias)
	}
	return nil
}

// resolve returns what the DNS has for a name: the chain of aliases from it, and the
// addresses at the end. The chain may end at a name that does not exist.
func (hosts hostsByName) resolve(name string) (aliases []string, addrs []netip.Addr, exists bool) {
	host := hosts.find(name)
	for host != nil && host.Alias != "" && len(aliases) < maxAliases {
		aliases = append(aliases, host.Alias)
		host = hosts.find(host.Alias)
	}
	if host == nil {
		return aliases, nil, false
	}
	return aliases, host.Addrs, true
}

// longestName is how many characters a name may have in the DNS.
const longestName = 253

// The forms of a host's names, in lower case; see [Host].
var (
	label    = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	nameRule = regexp.MustCompile(`^(\*\.)?` + label + `(\.` + label + `)+$`)
)

// index returns the host of each name. It returns an error if hosts would answer for
// one another, or not at all.
func index(hosts []*Host) (hostsByName, error) {
	byName, addrs := hostsByName{}, map[netip.Addr]bool{}
	for _, host := range hosts {
		if len(host.Names) == 0 {
			return nil, fmt.Errorf("a host has no name, its addresses are %v", host.addrs())
		}
		for _, name := range host.Names {
			if !nameRule.MatchString(name) || len(name) > longestName {
				return nil, fmt.Errorf("%q is no name of a host: want one such as www.example.net or *.example.net, in lower case", name)
			}
			if _, there := byName[name]; there {
				return nil, fmt.Errorf("there are two hosts with the name %s", name)
			}
			byName[name] = host
		}
		for _, name := range host.Absent {
			byName[name], byName[wildcard+name] = nil, nil
		}
		if len(host.Addrs) == 0 && host.Alias == "" {
			return nil, fmt.Errorf("host %s has no address", host.Names[0])
		}
		for _, addr := range host.addrs() {
			if addrs[addr] {
				return nil, fmt.Errorf("host %s has an address that another has too: %s", host.Names[0], addr)
			}
			addrs[addr] = true
		}
	}
	return byName, nil
}
