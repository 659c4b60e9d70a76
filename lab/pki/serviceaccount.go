package pki

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// ServiceAccountKey signs and checks the tokens of service accounts. The API server
// needs both halves (--service-account-signing-key-file and
// --service-account-key-file), kube-controller-manager the private one.
type ServiceAccountKey struct {
	PrivatePEM []byte // PKCS #8, one PRIVATE KEY block
	PublicPEM  []byte // PKIX, one PUBLIC KEY block
}

// NewServiceAccountKey makes a new key.
func NewServiceAccountKey() (*ServiceAccountKey, error) {
	key, private, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make service-account key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("make service-account key: encode public key: %w", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return &ServiceAccountKey{PrivatePEM: private, PublicPEM: public}, nil
}
