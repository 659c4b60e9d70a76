package pki_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/egressplay/egressplay/lab/pki"
)

func newCA(t testing.TB, name string) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA(name)
	require.NoError(t, err)
	return ca
}

func TestIssueVerifies(t *testing.T) {
	ca, other := newCA(t, "lab"), newCA(t, "other")
	hour := time.Hour
	tests := []struct {
		name    string
		request pki.Request
		roots   *x509.CertPool
		dnsName string // or an IP address in brackets, as crypto/x509 wants it
		at      time.Time
		usage   x509.ExtKeyUsage
		fails   any // the error's type, nil when it verifies
	}{
		{name: "server by DNS name", request: pki.Request{DNSNames: []string{"edition.cnn.com"}}, dnsName: "edition.cnn.com"},
		{name: "name in upper case", request: pki.Request{DNSNames: []string{"edition.cnn.com"}}, dnsName: "EDITION.cnn.com"},
		{name: "server by wildcard", request: pki.Request{DNSNames: []string{"*.wikipedia.org"}}, dnsName: "de.wikipedia.org"},
		{name: "server by IP", request: pki.Request{CommonName: "kube-apiserver", IPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}}, dnsName: "[10.96.0.1]"},
		{name: "server by IPv6", request: pki.Request{IPs: []netip.Addr{netip.MustParseAddr("::1")}}, dnsName: "[::1]"},
		{name: "client", request: pki.Request{CommonName: "admin"}, usage: x509.ExtKeyUsageClientAuth},
		{name: "wrong name", request: pki.Request{DNSNames: []string{"edition.cnn.com"}}, dnsName: "www.google.com", fails: &x509.HostnameError{}},
		{name: "common name is no server name", request: pki.Request{CommonName: "edition.cnn.com"}, dnsName: "edition.cnn.com", fails: &x509.HostnameError{}},
		{name: "wildcard has no apex", request: pki.Request{DNSNames: []string{"*.wikipedia.org"}}, dnsName: "wikipedia.org", fails: &x509.HostnameError{}},
		{name: "wrong IP", request: pki.Request{IPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}}, dnsName: "[10.96.0.2]", fails: &x509.HostnameError{}},
		{name: "another CA", request: pki.Request{DNSNames: []string{"a.test"}}, roots: other.Pool(), dnsName: "a.test", fails: &x509.UnknownAuthorityError{}},
		{name: "clock a little behind", request: pki.Request{DNSNames: []string{"a.test"}}, dnsName: "a.test", at: time.Now().Add(-time.Minute)},
		{name: "expired", request: pki.Request{DNSNames: []string{"a.test"}, NotBefore: time.Now().Add(-2 * hour), NotAfter: time.Now().Add(-hour)}, dnsName: "a.test", fails: &x509.CertificateInvalidError{}},
		{name: "bounded", request: pki.Request{DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(hour)}, dnsName: "a.test", at: time.Now().Add(2 * hour), fails: &x509.CertificateInvalidError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pair, err := ca.Issue(tt.request)
			require.NoError(t, err)
			roots := tt.roots
			if roots == nil {
				roots = ca.Pool()
			}
			_, err = pair.Certificate().Verify(x509.VerifyOptions{
				Roots:       roots,
				DNSName:     tt.dnsName,
				CurrentTime: tt.at,
				KeyUsages:   []x509.ExtKeyUsage{tt.usage},
			})
			if tt.fails == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorAs(t, err, tt.fails)
		})
	}
}

func TestIssueSaysUserAndGroups(t *testing.T) {
	pair, err := newCA(t, "lab").Issue(pki.Request{CommonName: "system:node:lab", Organizations: []string{"system:nodes"}})
	require.NoError(t, err)
	assert.Equal(t, "system:node:lab", pair.Certificate().Subject.CommonName)
	assert.Equal(t, []string{"system:nodes"}, pair.Certificate().Subject.Organization)
	assert.False(t, pair.Certificate().IsCA)
}

func TestIssueRefuses(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name    string
		request pki.Request
		want    string
	}{
		{"nobody", pki.Request{Organizations: []string{"system:masters"}}, "neither a common name"},
		{"invalid address", pki.Request{CommonName: "a", IPs: []netip.Addr{{}}}, `"a": it has an invalid IP address`},
		{"ends before it begins", pki.Request{CommonName: "a", NotBefore: now, NotAfter: now.Add(-time.Hour)}, "before it begins"},
	}
	ca := newCA(t, "lab")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ca.Issue(tt.request)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestPEMHoldsTheSamePair(t *testing.T) {
	ca := newCA(t, "lab")
	_, err := tls.X509KeyPair(ca.CertPEM(), ca.KeyPEM())
	require.NoError(t, err)

	pair, err := ca.Issue(pki.Request{DNSNames: []string{"a.test"}})
	require.NoError(t, err)
	parsed, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	require.NoError(t, err)
	assert.Equal(t, pair.TLS().Certificate, parsed.Certificate)
}

// A pair works for a server and for a client: one handshake with certificates on both
// sides.
func TestMutualTLS(t *testing.T) {
	ca := newCA(t, "lab")
	server, err := ca.Issue(pki.Request{DNSNames: []string{"server.test"}})
	require.NoError(t, err)
	client, err := ca.Issue(pki.Request{CommonName: "client"})
	require.NoError(t, err)

	serverSide, clientSide := net.Pipe()
	s := tls.Server(serverSide, &tls.Config{Certificates: []tls.Certificate{server.TLS()}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert})
	c := tls.Client(clientSide, &tls.Config{Certificates: []tls.Certificate{client.TLS()}, RootCAs: ca.Pool(), ServerName: "server.test"})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	require.NoError(t, c.Handshake())
	require.NoError(t, <-done)
	assert.Equal(t, "client", s.ConnectionState().PeerCertificates[0].Subject.CommonName)
}

func TestServiceAccountKey(t *testing.T) {
	key, err := pki.NewServiceAccountKey()
	require.NoError(t, err)
	private, rest := pem.Decode(key.PrivatePEM)
	require.Empty(t, rest)
	parsed, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	require.NoError(t, err)
	public, rest := pem.Decode(key.PublicPEM)
	require.Empty(t, rest)
	half, err := x509.ParsePKIXPublicKey(public.Bytes)
	require.NoError(t, err)
	assert.True(t, parsed.(*ecdsa.PrivateKey).PublicKey.Equal(half))
}

// client-go reads the kubeconfig.
func TestKubeconfig(t *testing.T) {
	ca := newCA(t, "lab")
	pair, err := ca.Issue(pki.Request{CommonName: "admin", Organizations: []string{"system:masters"}})
	require.NoError(t, err)
	data := pki.Kubeconfig("https://127.0.0.1:6443", ca, pair)

	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	require.NoError(t, err)
	assert.Equal(t, "https://127.0.0.1:6443", config.Host)
	assert.Equal(t, ca.CertPEM(), config.CAData)
	assert.Equal(t, pair.CertPEM, config.CertData)
	assert.Equal(t, pair.KeyPEM, config.KeyData)
}

func BenchmarkIssue(b *testing.B) {
	ca := newCA(b, "lab")
	for b.Loop() {
		_, err := ca.Issue(pki.Request{DNSNames: []string{"a.test"}})
		require.NoError(b, err)
	}
}
