// Package internet is the lab's internet: stand-ins for the hosts outside the
// mesh that Istio's egress tutorials call, each with a name, an address and a
// certificate of its own. It records what reaches them.
//
// Every host has its own certificate, so a client that checks the name notices if it
// was led to another host.
package internet

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
)

// Host is one stand-in.
type Host struct {
	// Names are its DNS names, in lower case. Its certificate is for these, and the
	// first one is its name in a [Record].
	//
	// "*.example.org" covers every name below example.org, at any depth, that no host
	// has. A client that asks for such a name gets a certificate for it.
	Names []string

	// Absent are names that do not exist although a wildcard of the host covers them.
	// No name below them exists either.
	Absent []string

	// Alias is the name of which its names are aliases, in the DNS. Such a host has
	// nothing else: the host with the name Alias answers, with a certificate for the
	// alias.
	Alias string

	// Addrs are the addresses of its names. No other host has them.
	Addrs []netip.Addr

	// Also are further addresses at which it answers, though no name has them.
	Also []netip.Addr

	// AnyName lets it answer requests for names other than its own, as a site that is
	// reached under aliases does. Other hosts answer such requests with 421.
	AnyName bool

	// Ports are its open ports. It refuses connections to others.
	Ports map[uint16]Port

	Certificate Certificate

	// ClientAuth says whether it asks a TLS client for a certificate:
	// [tls.RequireAnyClientCert] or [tls.RequestClientCert]. It cannot know the issuer
	// of that certificate, so it only verifies that the client has the key.
	ClientAuth tls.ClientAuthType
}

// DefaultHosts are the hosts of every lab. They have what the tutorials look at, and
// otherwise as little as possible:
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
// A host with a page has one for every path.
func DefaultHosts() []Host {
	bin := newHTTPBin()
	echo := http.HandlerFunc(echo)
	address := func(last byte) []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, last})} }
	return []Host{
		{
			Names: []string{"edition.cnn.com"},
			Addrs: address(10),
			Ports: web(redirectToHTTPS("edition.cnn.com"), page("edition.cnn.com")),
		},
		{
			Names: []string{"www.google.com"},
			Addrs: address(11),
			Ports: web(page("www.google.com"), page("www.google.com")),
		},
		{
			Names: []string{"www.baidu.com"},
			Addrs: address(12),
			Ports: web(page("www.baidu.com"), page("www.baidu.com")),
		},
		{
			Names:   []string{"httpbin.org"},
			Addrs:   address(13),
			AnyName: true,
			Ports:   web(bin, bin),
		},
		{
			Names: []string{"www.wikipedia.org", "en.wikipedia.org", "de.wikipedia.org", "wikipedia.org"},
			Addrs: address(14),
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
		{Names: []string{"*.example.com", "example.com"}, Addrs: address(20), Ports: web(echo, echo), ClientAuth: tls.RequestClientCert},
		{Names: []string{"*.example.org", "example.org"}, Addrs: address(21), Ports: web(echo, echo), ClientAuth: tls.RequestClientCert, Absent: []string{"nx.example.org"}},
		{Names: []string{"mtls.example.com"}, Addrs: address(22), Ports: web(redirectToHTTPS("mtls.example.com"), echo), ClientAuth: tls.RequireAnyClientCert},
		{Names: []string{"expired.example.com"}, Addrs: address(23), Ports: web(echo, echo), Certificate: Expired},
		{Names: []string{"wrong-name.example.com"}, Addrs: address(24), Ports: web(echo, echo), Certificate: WrongName},
		{Names: []string{"untrusted.example.com"}, Addrs: address(25), Ports: web(echo, echo), Certificate: Untrusted},
		{Names: []string{"slow.example.com"}, Addrs: address(26), Ports: web(slow(echo), slow(echo))},
		{Names: []string{"reset.example.com"}, Addrs: address(27), Ports: resetting()},
	}
}

// Addresses returns the addresses of all hosts, which the namespace in which they
// listen must have.
func Addresses(hosts []Host) []netip.Addr { return addresses(pointers(hosts)) }

func addresses(hosts []*Host) (addrs []netip.Addr) {
	for _, host := range hosts {
		addrs = append(addrs, host.addrs()...)
	}
	return addrs
}

// pointers returns pointers to hosts. A host is identified by its pointer.
func pointers(hosts []Host) []*Host {
	list := make([]*Host, len(hosts))
	for i := range hosts {
		list[i] = &hosts[i]
	}
	return list
}

func (h *Host) addrs() []netip.Addr { return slices.Concat(h.Addrs, h.Also) }
