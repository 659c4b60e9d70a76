package shell

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOpensslNames compares the names with those that OpenSSL 3.0 prints for such a
// certificate.
func TestOpensslNames(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	spiffe, err := url.Parse("spiffe://cluster.local/ns/a/sa/b")
	require.NoError(t, err)
	filter, err := opensslTool([]string{"x509", "-text", "-noout"})
	require.NoError(t, err)
	made := func(c *x509.Certificate) string {
		c.SerialNumber, c.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		require.NoError(t, err)
		out, _, code := filter(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		require.Zero(t, code)
		return out
	}
	assert.Equal(t, "            X509v3 Subject Alternative Name: critical\n                URI:spiffe://cluster.local/ns/a/sa/b\n", made(&x509.Certificate{URIs: []*url.URL{spiffe}}))
	several := &x509.Certificate{DNSNames: []string{"a.example", "*.b.example"}, EmailAddresses: []string{"c@example.com"}, IPAddresses: []net.IP{{192, 0, 2, 1}, net.ParseIP("2001:db8::a1")}}
	several.Subject.CommonName = "a"
	assert.Equal(t, "            X509v3 Subject Alternative Name: \n                DNS:a.example, DNS:*.b.example, email:c@example.com, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:A1\n", made(several))
	none := new(x509.Certificate)
	none.Subject.CommonName = "a"
	assert.Empty(t, made(none))
	_, stderr, code := filter("no certificate")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "Could not read certificate")
}

func TestOpensslIsReadForNamesAlone(t *testing.T) {
	for script, ok := range map[string]bool{
		`echo x | openssl x509 -text -noout | grep 'Subject Alternative Name' -A 1`: true,
		`echo x | openssl x509 -noout -text | grep "Subject Alternative Name"`:      true,
		`echo x | openssl x509 -text -noout | grep 'Subject Alternative Name' -A 2`: false,
		`echo x | openssl x509 -text -noout | grep Issuer`:                          false,
		`echo x | openssl x509 -text -noout`:                                        false,
		`openssl genrsa`:                                                            false,
	} {
		file, _, problem := Parse(script)
		require.Nil(t, problem)
		assert.Equal(t, ok, len(Check(file, func(string) bool { return false })) == 0, script)
	}
}
