package cluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Manager is the field manager under which the API server records what we set.
const Manager = "egressplay"

// Options say which cluster a [Client] is for.
type Options struct {
	// Kubeconfig is a file; "" means the files that kubectl reads, and then Context
	// must be set.
	Kubeconfig string
	// Context is the name of a context; "" means the current one of the file
	// that Kubeconfig names.
	Context string
	// UserAgent is the client's name, "egressplay" if empty.
	UserAgent string
}

// A Client is a real cluster. It may be used by several goroutines.
type Client struct {
	name      string // the context's
	namespace string
	config    *rest.Config
	http      *http.Client

	dynamic dynamic.Interface
	rest    rest.Interface // for requests that the dynamic client cannot make; paths are from the root
	kinds   *kinds
	clock   *clock

	upgrader      http.RoundTripper // HTTP/1.1 only, because an HTTP/2 connection cannot be upgraded
	webSocketOnly atomic.Bool       // SPDY was refused once
}

var _ Interface = (*Client)(nil)

// New returns a client for the cluster that o names. It does not connect; see
// [Client.Check]. The current context is used only if the caller names its file. An
// error about a context lists the existing ones.
func New(o Options) (*Client, error) {
	raw, name, file, err := o.load()
	if err != nil {
		return nil, err
	}
	loaded := clientcmd.NewNonInteractiveClientConfig(*raw, name, &clientcmd.ConfigOverrides{}, nil)
	config, err := loaded.ClientConfig()
	if err != nil {
		return nil, &KubeconfigError{fmt.Sprintf("context %q in %s: %v", name, file, err), nil}
	}
	namespace, _, err := loaded.Namespace()
	if err != nil {
		return nil, &KubeconfigError{fmt.Sprintf("context %q in %s: %v", name, file, err), nil}
	}
	config.UserAgent = cmp.Or(o.UserAgent, "egressplay")
	return newClient(name, namespace, config)
}

// A KubeconfigError reports that a kubeconfig does not have the cluster that is named, or
// cannot be read.
type KubeconfigError struct {
	msg string
	// Contexts are the names of the contexts that it has, nil if they do not matter.
	Contexts []string
}

func (e *KubeconfigError) Error() string { return e.msg }

// WriteKubeconfig writes a kubeconfig to a file that only its user can read. It has
// only the chosen context, as its current one, with this namespace.
func (o Options) WriteKubeconfig(path, namespace string) error {
	raw, name, _, err := o.load()
	if err != nil {
		return err
	}
	raw.CurrentContext = name
	if err := clientcmdapi.MinifyConfig(raw); err != nil {
		return err
	}
	raw.Contexts[name].Namespace = namespace
	return clientcmd.WriteToFile(*raw, path)
}

// load reads the kubeconfig, and returns the name of the chosen context and the place
// where it was looked for.
func (o Options) load() (raw *clientcmdapi.Config, name, file string, err error) {
	if o.Kubeconfig == "" && o.Context == "" {
		return nil, "", "", &KubeconfigError{"no cluster is named: give a context, a kubeconfig file, or both", nil}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	rules.WarnIfAllMissing = false
	raw, err = rules.Load()
	if err != nil {
		return nil, "", "", &KubeconfigError{fmt.Sprintf("read kubeconfig: %v", err), nil}
	}

	file = cmp.Or(o.Kubeconfig, strings.Join(rules.GetLoadingPrecedence(), ", "))
	contexts := slices.Sorted(maps.Keys(raw.Contexts))
	has := cmp.Or(strings.Join(contexts, ", "), "none")
	name = cmp.Or(o.Context, raw.CurrentContext)
	if name == "" {
		return nil, "", "", &KubeconfigError{fmt.Sprintf("%s has no current context: name one; it has: %s", file, has), contexts}
	}
	if raw.Contexts[name] == nil {
		return nil, "", "", &KubeconfigError{fmt.Sprintf("no context %q in %s; it has: %s", name, file, has), contexts}
	}
	return raw, name, file, nil
}

func newClient(name, namespace string, config *rest.Config) (*Client, error) {
	config.QPS = -1 // no limit: the server has its own
	config.WarningHandlerWithContext = warnings{}

	seen := new(clock)
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return &clockReader{rt, seen} })

	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	upgrader, err := upgradeTransport(config)
	if err != nil {
		return nil, err
	}
	return &Client{
		name:      name,
		namespace: namespace,
		config:    config,
		http:      client,
		dynamic:   dyn,
		rest:      disco.RESTClient(),
		kinds:     &kinds{server: disco},
		clock:     seen,
		upgrader:  upgrader,
	}, nil
}

// upgradeTransport returns a transport for requests that are upgraded. The credentials
// are read once. A later connection resumes the TLS session of an earlier one, which
// saves both sides the signatures of a handshake.
func upgradeTransport(config *rest.Config) (http.RoundTripper, error) {
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	if tlsConfig != nil {
		tlsConfig.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
	}
	if config.Proxy != nil {
		t.Proxy = config.Proxy
	}
	if config.Dial != nil {
		t.DialContext = config.Dial
	}
	return rest.HTTPWrappersForConfig(config, t)
}

// Server returns the URL of the API server.
func (c *Client) Server() string { return c.config.Host }

// Context returns the name of the kubeconfig's context.
func (c *Client) Context() string { return c.name }

// Namespace returns the namespace that the context names, "default" if it names none.
func (c *Client) Namespace() string { return c.namespace }

// Check asks the server for its version, such as "v1.36.3". The error is an
// [*UnreachableError] if the server does not answer.
func (c *Client) Check(ctx context.Context) (serverVersion string, err error) {
	body, err := c.rest.Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return "", c.explain(ctx, err)
	}
	info, err := decode[version.Info](body)
	if err != nil {
		return "", fmt.Errorf("%s does not answer as a Kubernetes API server: %w", c.Server(), err)
	}
	return info.GitVersion, nil
}

// LabName returns the name and version of the lab that serves the cluster, as
// its ConfigMap egressplay-lab in namespace kube-public says. isLab is false if there
// is no such ConfigMap, or we may not read it.
func (c *Client) LabName(ctx context.Context) (name, version string, isLab bool, err error) {
	var cm corev1.ConfigMap
	err = c.rest.Get().AbsPath("/api/v1/namespaces/kube-public/configmaps/egressplay-lab").Do(ctx).Into(&cm)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, c.explain(ctx, err)
	}
	return cm.Data["name"], cm.Data["version"], true, nil
}
