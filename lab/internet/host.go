// Package internet is the lab's internet: stand-ins for the hosts outside the
// mesh that Istio's egress tutorials call, each with a name, an address and a
// certificate of its own. It writes down what reaches them.
//
// Every host has its own certificate so that a client which checks the name
// notices when it was led to another host.
package internet

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Host is one stand-in.
type Host struct {
	// Names are its DNS names, in lower case. Its certificate is for these,
	// and the first is what it is called by in a [Record].
	Names []string

	// Addr is the address that its names have, and no other host.
	Addr netip.Addr

	// AnyName lets it answer requests for names other than its own, as a
	// site that is reached under aliases does. Others answer these with 421.
	AnyName bool

	HTTP  http.Handler // answers on port 80; nil leaves it closed
	HTTPS http.Handler // answers on port 443, by TLS; nil leaves it closed
}

// DefaultHosts are the hosts of every lab. They show what the tutorials look
// at, and otherwise as little as possible:
//
//   - httpbin.org: the same on 80 and 443, under any name, as a Service of
//     type ExternalName leads to it ("Kubernetes Services for Egress Traffic").
//   - edition.cnn.com: on 80 a redirect to https, with path and query; on 443
//     a page, never a redirect ("Egress TLS Origination").
//   - www.google.com and www.baidu.com: a page on 80 and on 443. Both of the
//     real ones answer a plain request that looks like curl's with a page.
//
// A page is there for every path.
func DefaultHosts() []Host {
	bin := newHTTPBin()
	return []Host{
		{
			Names: []string{"edition.cnn.com"},
			Addr:  netip.MustParseAddr("203.0.113.10"),
			HTTP:  redirectToHTTPS("edition.cnn.com"),
			HTTPS: page("edition.cnn.com"),
		},
		{
			Names: []string{"www.google.com"},
			Addr:  netip.MustParseAddr("203.0.113.11"),
			HTTP:  page("www.google.com"),
			HTTPS: page("www.google.com"),
		},
		{
			Names: []string{"www.baidu.com"},
			Addr:  netip.MustParseAddr("203.0.113.12"),
			HTTP:  page("www.baidu.com"),
			HTTPS: page("www.baidu.com"),
		},
		{
			Names:   []string{"httpbin.org"},
			Addr:    netip.MustParseAddr("203.0.113.13"),
			AnyName: true,
			HTTP:    bin,
			HTTPS:   bin,
		},
	}
}

// Addresses are the addresses of all hosts: those that the namespace in which
// they listen must have.
func Addresses(hosts []Host) []netip.Addr {
	addrs := make([]netip.Addr, len(hosts))
	for i, host := range hosts {
		addrs[i] = host.Addr
	}
	return addrs
}

// HostsFile is the names of all hosts in the format of /etc/hosts, which is
// that of CoreDNS's plugin hosts. A name that is not in it does not exist.
func HostsFile(hosts []Host) string {
	var file strings.Builder
	for _, host := range hosts {
		fmt.Fprintf(&file, "%s %s\n", host.Addr, strings.Join(host.Names, " "))
	}
	return file.String()
}

// check finds what would make hosts answer for one another, or not at all.
func check(hosts []Host) error {
	names, addrs := map[string]bool{}, map[netip.Addr]bool{}
	for _, host := range hosts {
		if len(host.Names) == 0 {
			return fmt.Errorf("the host at %s has no name", host.Addr)
		}
		for _, name := range host.Names {
			if names[name] {
				return fmt.Errorf("there are two hosts with the name %s", name)
			}
			names[name] = true
		}
		if !host.Addr.IsValid() {
			return fmt.Errorf("host %s has no address", host.Names[0])
		}
		if addrs[host.Addr] {
			return fmt.Errorf("host %s has an address that another has too: %s", host.Names[0], host.Addr)
		}
		addrs[host.Addr] = true
	}
	return nil
}
