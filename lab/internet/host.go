// Package internet is the lab's internet: stand-ins for the hosts outside the
// mesh that Istio's egress tutorials call, each with a name, an address and a
// certificate of its own. It writes down what reaches them.
//
// Every host has its own certificate so that a client which checks the name
// notices when it was led to another host.
package internet

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Host is one stand-in.
type Host struct {
	// Names are its DNS names, in lower case. Its certificate is for these,
	// and the first is what it is called by in a [Record].
	//
	// "*.example.org" is every name beneath example.org, at any depth, that no
	// host has. A client that asks for such a name gets a certificate for it.
	Names []string

	// Absent are names that do not exist although a wildcard of the host covers
	// them, nor does what is beneath them.
	Absent []string

	// Addr is the address that its names have, and no other host.
	Addr netip.Addr

	// Also are addresses at which it answers too, though no name has them.
	Also []netip.Addr

	// AnyName lets it answer requests for names other than its own, as a
	// site that is reached under aliases does. Others answer these with 421.
	AnyName bool

	// Ports are its open ports. It refuses connections to others.
	Ports map[uint16]Port

	Certificate Certificate

	// ClientAuth says whether it asks a TLS client for a certificate. As it
	// cannot know who has issued that one, it verifies nothing but that the
	// client has the key: [tls.RequireAnyClientCert] or [tls.RequestClientCert].
	ClientAuth tls.ClientAuthType
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
//   - en., de. and www.wikipedia.org: one server, which tells them apart by the
//     Host header, for a gateway sends all of them to www's address ("Egress
//     using Wildcard Hosts"). It answers at two addresses more, those in the
//     Endpoints of "Kubernetes Services for Egress Traffic". wikipedia.org
//     itself leads to www, as the real one does.
//   - *.example.com and *.example.org: an echo. nx.example.org does not exist.
//   - beneath example.com, hosts with one thing that is special: mtls requires
//     a client certificate, those of expired, wrong-name and untrusted are
//     that, slow answers late, reset resets.
//
// A page is there for every path.
func DefaultHosts() []Host {
	bin := newHTTPBin()
	echo := http.HandlerFunc(echo)
	address := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, last}) }
	return []Host{
		{
			Names: []string{"edition.cnn.com"},
			Addr:  address(10),
			Ports: web(redirectToHTTPS("edition.cnn.com"), page("edition.cnn.com")),
		},
		{
			Names: []string{"www.google.com"},
			Addr:  address(11),
			Ports: web(page("www.google.com"), page("www.google.com")),
		},
		{
			Names: []string{"www.baidu.com"},
			Addr:  address(12),
			Ports: web(page("www.baidu.com"), page("www.baidu.com")),
		},
		{
			Names:   []string{"httpbin.org"},
			Addr:    address(13),
			AnyName: true,
			Ports:   web(bin, bin),
		},
		{
			Names: []string{"www.wikipedia.org", "en.wikipedia.org", "de.wikipedia.org", "wikipedia.org"},
			Addr:  address(14),
			Also:  []netip.Addr{netip.MustParseAddr("198.35.26.96"), netip.MustParseAddr("208.80.153.224")},
			Ports: web(byName{
				"en.wikipedia.org":  redirectToHTTPS("en.wikipedia.org"),
				"de.wikipedia.org":  redirectToHTTPS("de.wikipedia.org"),
				"www.wikipedia.org": redirectToHTTPS("www.wikipedia.org"),
				"wikipedia.org":     redirectToHTTPS("www.wikipedia.org"),
			}, byName{
				"en.wikipedia.org":  page("Wikipedia, the free encyclopedia"),
				"de.wikipedia.org":  page("Wikipedia – Die freie Enzyklopädie"),
				"www.wikipedia.org": page("Wikipedia"),
				"wikipedia.org":     redirectToHTTPS("www.wikipedia.org"),
			}),
		},
		{Names: []string{"*.example.com", "example.com"}, Addr: address(20), Ports: web(echo, echo), ClientAuth: tls.RequestClientCert},
		{Names: []string{"*.example.org", "example.org"}, Addr: address(21), Ports: web(echo, echo), ClientAuth: tls.RequestClientCert, Absent: []string{"nx.example.org"}},
		{Names: []string{"mtls.example.com"}, Addr: address(22), Ports: web(redirectToHTTPS("mtls.example.com"), echo), ClientAuth: tls.RequireAnyClientCert},
		{Names: []string{"expired.example.com"}, Addr: address(23), Ports: web(echo, echo), Certificate: Expired},
		{Names: []string{"wrong-name.example.com"}, Addr: address(24), Ports: web(echo, echo), Certificate: WrongName},
		{Names: []string{"untrusted.example.com"}, Addr: address(25), Ports: web(echo, echo), Certificate: Untrusted},
		{Names: []string{"slow.example.com"}, Addr: address(26), Ports: web(slow(echo), slow(echo))},
		{Names: []string{"reset.example.com"}, Addr: address(27), Ports: resetting()},
	}
}

// Addresses are the addresses of all hosts: those that the namespace in which
// they listen must have.
func Addresses(hosts []Host) []netip.Addr {
	var addrs []netip.Addr
	for _, host := range hosts {
		addrs = append(addrs, host.addrs()...)
	}
	return addrs
}

func (h *Host) addrs() []netip.Addr { return append([]netip.Addr{h.Addr}, h.Also...) }

// wildcard is how the name of a Host begins that stands for many.
const wildcard = "*."

// hostsByName is what a name means: the host that has it; by "*.example.org" the
// one that has those beneath. A name that does not exist has no host.
type hostsByName map[string]*Host

// find returns the host that a name means: the one that has it, or else the one
// with the closest wildcard above it; nil when there is none.
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

// names are as they are in the DNS, in lower case; see [Host].
var (
	label    = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	nameRule = regexp.MustCompile(`^(\*\.)?` + label + `(\.` + label + `)+$`)
)

// index tells what each name means. Its error is what would make hosts answer
// for one another, or not at all.
func index(hosts []Host) (hostsByName, error) {
	byName, addrs := hostsByName{}, map[netip.Addr]bool{}
	for i := range hosts {
		host := &hosts[i]
		if len(host.Names) == 0 {
			return nil, fmt.Errorf("the host at %s has no name", host.Addr)
		}
		for _, name := range host.Names {
			if !nameRule.MatchString(name) {
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
		for _, addr := range host.addrs() {
			if !addr.IsValid() {
				return nil, fmt.Errorf("host %s has no address", host.Names[0])
			}
			if addrs[addr] {
				return nil, fmt.Errorf("host %s has an address that another has too: %s", host.Names[0], addr)
			}
			addrs[addr] = true
		}
	}
	return byName, nil
}

// HostsFile is the names of all hosts in the format of /etc/hosts, which is
// that of CoreDNS's plugin hosts, but for the wildcards.
func HostsFile(hosts []Host) string {
	var file strings.Builder
	for _, host := range hosts {
		names := slices.DeleteFunc(slices.Clone(host.Names), isWildcard)
		if len(names) > 0 {
			fmt.Fprintf(&file, "%s %s\n", host.Addr, strings.Join(names, " "))
		}
	}
	return file.String()
}

func isWildcard(name string) bool { return strings.HasPrefix(name, wildcard) }

// Wildcards are lines of a Corefile, for CoreDNS's plugin template, which answer
// for the names that are not in [HostsFile]: those beneath a wildcard have its
// host's address, and others do not exist.
func Wildcards(hosts []Host) string {
	type zone struct {
		name string
		addr netip.Addr // none: the name and what is beneath it do not exist
	}
	var zones []zone
	for _, host := range hosts {
		for _, name := range host.Absent {
			zones = append(zones, zone{name: name})
		}
		for _, name := range host.Names {
			if isWildcard(name) {
				zones = append(zones, zone{strings.TrimPrefix(name, wildcard), host.Addr})
			}
		}
	}
	// The first that matches answers: the closest, which has the most labels.
	slices.SortStableFunc(zones, func(a, b zone) int { return strings.Count(b.name, ".") - strings.Count(a.name, ".") })
	var lines strings.Builder
	for _, z := range zones {
		if !z.addr.IsValid() {
			fmt.Fprintf(&lines, "template ANY ANY %s {\n  rcode NXDOMAIN\n}\n", z.name)
			continue
		}
		beneath := "match " + `\.` + regexp.QuoteMeta(z.name) + `\.$`
		fmt.Fprintf(&lines, "template IN A %s {\n  %s\n  answer \"{{.Name}} 60 IN A %s\"\n  fallthrough\n}\n", z.name, beneath, z.addr)
		// It has no address of another kind, which is not to say that it does not exist.
		fmt.Fprintf(&lines, "template IN ANY %s {\n  %s\n  rcode NOERROR\n  fallthrough\n}\n", z.name, beneath)
	}
	lines.WriteString("template ANY ANY {\n  rcode NXDOMAIN\n}\n")
	return lines.String()
}
