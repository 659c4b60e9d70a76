package pki

import (
	"encoding/base64"
	"fmt"
)

// ContextName is the name of the cluster, the user and the context in each
// kubeconfig.
const ContextName = "egressplay"

// Kubeconfig returns a kubeconfig file with one context, its current one, that connects
// to server ("https://HOST:PORT"), trusts ca and authenticates as the user of pair.
// Keys and certificates are embedded, so the file works from any folder; it holds a
// private key, so write it with mode 0600.
func Kubeconfig(server string, ca *CA, pair *Pair) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %[2]s
    server: %[3]s
  name: %[1]s
contexts:
- context:
    cluster: %[1]s
    user: %[1]s
  name: %[1]s
current-context: %[1]s
kind: Config
users:
- name: %[1]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`, ContextName, encode(ca.CertPEM()), server, encode(pair.CertPEM), encode(pair.KeyPEM))
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
