// Package pki makes every key and certificate of a lab, in process.
//
// All keys are ECDSA on the curve P-256. One takes well under a millisecond; RSA keys
// would take seconds of a lab's start.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"time"
)

const (
	// clockSkew is how far in the past a certificate begins, for a client
	// whose clock is a little behind.
	clockSkew = 5 * time.Minute

	// caLifetime is how long a CA is valid. Its certificates are valid as long, unless
	// the request says otherwise.
	caLifetime = 10 * 365 * 24 * time.Hour
)

// CA is a self-signed certificate authority that lives in memory. It is safe
// for concurrent use.
type CA struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	certPEM []byte
	keyPEM  []byte
}

// NewCA makes a new key and a root certificate for it, valid for ten years
// from a little before now.
func NewCA(commonName string) (*CA, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make CA %q: %w", commonName, err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make CA %q: %w", commonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make CA %q: %w", commonName, err)
	}
	return &CA{cert: cert, key: key, certPEM: certificatePEM(der), keyPEM: keyPEM}, nil
}

// CertPEM returns the root certificate, one CERTIFICATE block.
func (ca *CA) CertPEM() []byte { return ca.certPEM }

// KeyPEM returns the root's private key in PKCS #8, one PRIVATE KEY block. A program
// that signs certificates itself needs it, such as kube-controller-manager
// (--cluster-signing-key-file).
func (ca *CA) KeyPEM() []byte { return ca.keyPEM }

// Pool returns a new pool with only this CA.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	block, err := privateKeyPEM(key)
	if err != nil {
		return nil, nil, err
	}
	return key, block, nil
}

func privateKeyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
