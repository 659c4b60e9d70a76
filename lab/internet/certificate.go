package internet

import (
	"crypto/tls"
	"slices"
	"time"

	"github.com/egressplay/egressplay/lab/pki"
)

// Certificate is a kind of certificate that a host shows.
type Certificate string

const (
	Valid     Certificate = ""           // issued by [Config].CA, for the host's names
	Expired   Certificate = "expired"    // since yesterday
	WrongName Certificate = "wrong-name" // for another name
	Untrusted Certificate = "untrusted"  // issued by a CA that nobody knows
)

// anotherName is the name in a [WrongName] certificate. No host has it.
const anotherName = "another-name.example.com"

// issue makes a certificate of the host's kind.
func (c Certificate) issue(ca *pki.CA, names []string) (*tls.Certificate, error) {
	request := pki.Request{CommonName: names[0], DNSNames: names}
	switch c {
	case Expired:
		now := time.Now()
		request.NotBefore, request.NotAfter = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	case WrongName:
		request = pki.Request{CommonName: anotherName, DNSNames: []string{anotherName}}
	case Untrusted:
		var err error
		if ca, err = pki.NewCA("a CA that nobody knows"); err != nil {
			return nil, err
		}
	}
	pair, err := ca.Issue(request)
	if err != nil {
		return nil, err
	}
	certificate := pair.TLS()
	return &certificate, nil
}

// tlsConfig serves the host's one certificate, whatever name the client asks for. Only
// an alias of the host and a name under its wildcard get a certificate of their own: a
// client would not accept *.example.org for a.b.example.org.
func (h *Host) tlsConfig(port Port, certificate *tls.Certificate, ca *pki.CA, directory *directory) *tls.Config {
	config := &tls.Config{
		Certificates: []tls.Certificate{*certificate},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := nameIn(hello.ServerName)
			if slices.Contains(h.Names, name) || directory.now().serving(name) != h {
				return certificate, nil
			}
			return h.Certificate.issue(ca, []string{name})
		},
		ClientAuth: h.ClientAuth,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			hello.Conn.(*connection).hello(hello)
			return nil, nil // the configuration as it is
		},
	}
	if port.HTTP != nil { // other ports accept whatever protocol a client offers
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	return config
}

// clientCertificate returns the subject and the issuer of the certificate that the
// client has presented.
func clientCertificate(state *tls.ConnectionState) (subject, issuer string) {
	if len(state.PeerCertificates) == 0 {
		return "", ""
	}
	leaf := state.PeerCertificates[0]
	return leaf.Subject.String(), leaf.Issuer.String()
}
