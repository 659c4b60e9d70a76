package pki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Request describes a certificate.
//
// Kubernetes reads CommonName as the user and Organizations as its groups
// ("Authenticating" in the Kubernetes documentation, X.509 client
// certificates). Clients check a server only by DNSNames and IPs; they ignore its
// CommonName.
type Request struct {
	CommonName    string
	Organizations []string
	DNSNames      []string // may begin with "*."
	IPs           []netip.Addr

	// NotBefore and NotAfter are the bounds of the certificate's validity. The zero
	// values mean a little before now, and as long as the CA. Both may lie in the past,
	// for a certificate that has expired.
	NotBefore, NotAfter time.Time
}

// Pair is a certificate and its private key.
type Pair struct {
	CertPEM []byte // one CERTIFICATE block, the root not included
	KeyPEM  []byte // PKCS #8, one PRIVATE KEY block

	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Issue makes a new key and signs a certificate for it, for use by servers and by
// clients. It returns an error if the request names nobody, or ends before it begins.
func (ca *CA) Issue(r Request) (*Pair, error) {
	name := r.name()
	if name == "" {
		return nil, fmt.Errorf("issue certificate: the request has neither a common name, a DNS name nor an IP address")
	}
	notBefore, notAfter := r.NotBefore, r.NotAfter
	if notAfter.IsZero() {
		notAfter = ca.cert.NotAfter
	}
	if notBefore.IsZero() {
		notBefore = time.Now().Add(-clockSkew)
	}
	if !notBefore.Before(notAfter) {
		return nil, fmt.Errorf("issue certificate for %q: it would end at %v, before it begins at %v", name, notAfter, notBefore)
	}
	ips := make([]net.IP, 0, len(r.IPs))
	for _, ip := range r.IPs {
		if !ip.IsValid() {
			return nil, fmt.Errorf("issue certificate for %q: it has an invalid IP address", name)
		}
		ips = append(ips, ip.AsSlice())
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %q: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: r.CommonName, Organization: r.Organizations},
		DNSNames:              r.DNSNames,
		IPAddresses:           ips,
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %q: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %q: %w", name, err)
	}
	return &Pair{CertPEM: certificatePEM(der), KeyPEM: keyPEM, cert: cert, key: key}, nil
}

// Certificate returns the parsed certificate. It must not be changed.
func (p *Pair) Certificate() *x509.Certificate { return p.cert }

// TLS returns the pair for crypto/tls.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.cert.Raw}, PrivateKey: p.key, Leaf: p.cert}
}

// name returns the name of the certificate in errors.
func (r Request) name() string {
	switch {
	case r.CommonName != "":
		return r.CommonName
	case len(r.DNSNames) > 0:
		return r.DNSNames[0]
	case len(r.IPs) > 0:
		return r.IPs[0].String()
	}
	return ""
}
