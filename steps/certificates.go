package steps

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Certificates makes certificates and their keys, as the tutorials make them
// with openssl. Each becomes two variables in PEM, NAME_CRT and NAME_KEY.
type Certificates map[string]Certificate

// A Certificate is one to be made: of a certificate authority, or signed by
// one.
type Certificate struct {
	// CA reports whether it is a certificate authority, which signs itself.
	CA bool `yaml:"ca"`
	// Issuer is the name of the one that signs it.
	Issuer       string `yaml:"issuer"`
	CommonName   string `yaml:"commonName,required"`
	Organization string `yaml:"organization"`
	// DNSNames are the names that a server's certificate is good for.
	DNSNames []string `yaml:"dnsNames"`
}

var (
	_ runner.Action = (*Certificates)(nil)
	_ Definer       = (*Certificates)(nil)
	_ Validator     = (*Certificates)(nil)
)

// Defines implements [Definer].
func (c *Certificates) Defines() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(*c)) {
		names = append(names, name+"_CRT", name+"_KEY")
	}
	return names
}

// Validate implements [Validator].
func (c *Certificates) Validate() error {
	var errs []error
	if len(*c) == 0 {
		errs = append(errs, &runner.FieldError{Err: errors.New("no certificate to make"), Hint: "write NAME: {ca: true, commonName: ...}"})
	}
	for _, name := range slices.Sorted(maps.Keys(*c)) {
		cert := (*c)[name]
		issuer, known := (*c)[cert.Issuer]
		switch {
		case cert.CA && cert.Issuer != "":
			errs = append(errs, &runner.FieldError{Field: []string{name, "issuer"}, Err: errors.New("a certificate authority signs itself here")})
		case !cert.CA && cert.Issuer == "":
			errs = append(errs, &runner.FieldError{Field: []string{name}, Err: fmt.Errorf("the certificate %s has no issuer", name), Hint: "write issuer: NAME, or ca: true"})
		case !cert.CA && !known:
			errs = append(errs, &runner.FieldError{Field: []string{name, "issuer"}, Err: fmt.Errorf("there is no certificate %s in this step", cert.Issuer)})
		case !cert.CA && !issuer.CA:
			errs = append(errs, &runner.FieldError{Field: []string{name, "issuer"}, Err: fmt.Errorf("%s is no certificate authority", cert.Issuer)})
		}
	}
	return errors.Join(errs...)
}

// order returns the names so that an issuer comes before what it signs.
func (c *Certificates) order() []string {
	names := slices.Sorted(maps.Keys(*c))
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case (*c)[a].CA == (*c)[b].CA:
			return 0
		case (*c)[a].CA:
			return -1
		}
		return 1
	})
	return names
}

// Command implements [runner.Action]. It is what the tutorials do; the step
// itself runs no command.
func (c *Certificates) Command(*runner.Scope) string {
	var lines []string
	for _, name := range c.order() {
		cert := (*c)[name]
		subject := "/CN=" + cert.CommonName
		if cert.Organization != "" {
			subject = "/O=" + cert.Organization + subject
		}
		signed := ""
		if !cert.CA {
			signed = " -CA " + cert.Issuer + ".crt -CAkey " + cert.Issuer + ".key"
		}
		if len(cert.DNSNames) > 0 {
			signed += " -addext " + quote("subjectAltName=DNS:"+strings.Join(cert.DNSNames, ",DNS:"))
		}
		lines = append(lines, "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj "+quote(subject)+signed+" -keyout "+name+".key -out "+name+".crt")
	}
	for _, name := range c.order() {
		lines = append(lines, fmt.Sprintf(`export %s_CRT="$(cat %[1]s.crt)" %[1]s_KEY="$(cat %[1]s.key)"`, name))
	}
	return strings.Join(lines, "\n")
}

// Repeats implements [runner.Action].
func (c *Certificates) Repeats() bool { return false }

// Try implements [runner.Action].
func (c *Certificates) Try(_ context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	type pair struct {
		cert *x509.Certificate
		key  crypto.Signer
	}
	made := map[string]pair{}
	var text strings.Builder
	for _, name := range c.order() {
		wanted := (*c)[name]
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		template, err := wanted.template()
		if err != nil {
			return nil, err
		}
		issuer, signed := made[wanted.Issuer]
		if !signed {
			issuer = pair{template, key}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
		if err != nil {
			return nil, fmt.Errorf("make the certificate %s: %w", name, err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		made[name] = pair{cert, key}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		s.Set(name+"_CRT", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		s.SetSecret(name+"_KEY", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
		fmt.Fprintf(&text, "%s.crt: %s\n", name, cert.Subject)
	}
	return &evidence.Attempt{Text: text.String()}, nil
}

func (c Certificate) template() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: c.CommonName},
		DNSNames:     c.DNSNames,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(0, 1, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	if c.Organization != "" {
		t.Subject.Organization = []string{c.Organization}
	}
	if c.CA {
		t.IsCA, t.BasicConstraintsValid = true, true
		t.KeyUsage |= x509.KeyUsageCertSign
	} else {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	return t, nil
}
