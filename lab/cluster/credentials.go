package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/egressplay/egressplay/lab/network"
	"github.com/egressplay/egressplay/lab/pki"
)

// credentials are the keys and certificates of one lab. They are made anew at each
// start, so a key that has leaked from one lab is of no use in another.
type credentials struct {
	cluster  *pki.CA // of the API server and its clients
	internet *pki.CA // of the stand-in internet's hosts; the only CA that pods trust
	admin    *pki.Pair
	dir      string // the folder where the components find theirs
}

// The files of dir.
const (
	caFile          = "ca.crt"
	caKeyFile       = "ca.key"
	apiServerFile   = "apiserver" // .crt, .key: serves the API
	kubeletUserFile = "apiserver-kubelet"
	kubeletFile     = "kubelet"  // serves the kubelet's API
	loopbackFile    = "loopback" // serves the health of the controllers and the scheduler
	accountKeyFile  = "serviceaccount.key"
	accountPubFile  = "serviceaccount.pub"
	trustBundleFile = "trust.crt" // the CA that pods trust
)

// makeCredentials makes all keys and certificates and writes them to dir, and writes
// the administrator's kubeconfig. server is the address by which the host reaches the
// API.
func makeCredentials(dir, kubeconfig, server string) (*credentials, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make credentials: %w", err)
	}
	c := &credentials{dir: dir}
	err := errors.Join(
		c.authorities(),
		c.servers(),
		c.clients(),
		c.accounts(),
		c.administrator(kubeconfig, server),
	)
	if err != nil {
		return nil, fmt.Errorf("make credentials: %w", err)
	}
	return c, nil
}

func (c *credentials) path(name string) string { return filepath.Join(c.dir, name) }
func (c *credentials) cert(name string) string { return c.path(name + ".crt") }
func (c *credentials) key(name string) string  { return c.path(name + ".key") }
func (c *credentials) kubeconfig(name string) string {
	return c.path(name + ".kubeconfig")
}

func (c *credentials) authorities() (err error) {
	if c.cluster, err = pki.NewCA("egressplay lab"); err != nil {
		return err
	}
	if c.internet, err = pki.NewCA("egressplay internet"); err != nil {
		return err
	}
	return errors.Join(
		c.write(caFile, c.cluster.CertPEM()),
		c.write(caKeyFile, c.cluster.KeyPEM()),
		os.WriteFile(c.path(trustBundleFile), c.internet.CertPEM(), 0o644), // the users of pods read it
	)
}

// servers makes the components' serving certificates. A component without one makes an
// RSA key at each start, which takes longer than all of ours.
func (c *credentials) servers() error {
	loopback, node := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(network.NodeIP)
	return errors.Join(
		c.issue(apiServerFile, pki.Request{
			CommonName: "kube-apiserver",
			DNSNames: []string{
				"kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local", "localhost",
			},
			IPs: []netip.Addr{loopback, node, netip.MustParseAddr(network.APIServerIP)},
		}),
		c.issue(kubeletFile, pki.Request{CommonName: "system:node:" + nodeName, DNSNames: []string{nodeName}, IPs: []netip.Addr{node}}),
		c.issue(loopbackFile, pki.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, IPs: []netip.Addr{loopback}}),
		c.issue(kubeletUserFile, pki.Request{CommonName: "kube-apiserver-kubelet-client", Organizations: []string{"system:masters"}}),
	)
}

// clients makes the kubeconfigs of the components, each with the user to which
// Kubernetes binds the component's role ("Using RBAC Authorization", Core component
// roles; "Using Node Authorization").
func (c *credentials) clients() error {
	var errs []error
	for name, r := range map[string]pki.Request{
		ControllerManager: {CommonName: "system:kube-controller-manager"},
		Scheduler:         {CommonName: "system:kube-scheduler"},
		Proxy:             {CommonName: "system:kube-proxy"},
		Kubelet:           {CommonName: "system:node:" + nodeName, Organizations: []string{"system:nodes"}},
	} {
		pair, err := c.cluster.Issue(r)
		if err != nil {
			return err
		}
		errs = append(errs, c.write(name+".kubeconfig", pki.Kubeconfig(apiServer, c.cluster, pair)))
	}
	return errors.Join(errs...)
}

func (c *credentials) accounts() error {
	key, err := pki.NewServiceAccountKey()
	if err != nil {
		return err
	}
	return errors.Join(c.write(accountKeyFile, key.PrivatePEM), c.write(accountPubFile, key.PublicPEM))
}

func (c *credentials) administrator(kubeconfig, server string) (err error) {
	c.admin, err = c.cluster.Issue(pki.Request{CommonName: "egressplay-admin", Organizations: []string{"system:masters"}})
	if err != nil {
		return err
	}
	return os.WriteFile(kubeconfig, pki.Kubeconfig(server, c.cluster, c.admin), 0o600)
}

func (c *credentials) issue(name string, r pki.Request) error {
	pair, err := c.cluster.Issue(r)
	if err != nil {
		return err
	}
	return errors.Join(c.write(name+".crt", pair.CertPEM), c.write(name+".key", pair.KeyPEM))
}

func (c *credentials) write(name string, content []byte) error {
	return os.WriteFile(c.path(name), content, 0o600)
}

// config returns the configuration of a client of the API, as the administrator.
func (c *credentials) config() *rest.Config {
	return &rest.Config{
		Host: apiServer,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.cluster.CertPEM(), CertData: c.admin.CertPEM, KeyData: c.admin.KeyPEM,
		},
		QPS: -1, // no limit
	}
}

// client returns an HTTP client that speaks to a component as the administrator.
func (c *credentials) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:      c.cluster.Pool(),
		Certificates: []tls.Certificate{c.admin.TLS()},
	}}}
}
