package cluster

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"text/template"

	"github.com/egressplay/egressplay/lab/network"
	"github.com/egressplay/egressplay/lab/supervise"
)

// configs are the components' configuration files, as templates.
//
//go:embed configs
var configs embed.FS

// processes returns the [supervise.Process] of each component.
type processes struct {
	programs Programs
	folder   Folder
	keys     *credentials
}

// process returns the process of a part of egressplay-components. Each is restarted
// when it ends, as systemd or the kubelet would do on a real node.
func (p *processes) process(name string, ready func(context.Context) error, args ...string) supervise.Process {
	return supervise.Process{
		Name:    name,
		Path:    p.programs.Components,
		Args:    append([]string{name}, args...),
		Env:     append(os.Environ(), seldomCollected),
		Dir:     p.folder.State(),
		Log:     p.folder.Log(name),
		Ready:   ready,
		Restart: true,
	}
}

// seldomCollected makes Go's collector run half as often as by default, which
// saves a bring-up CPU time. No component gets a memory limit (GOMEMLIMIT): a process
// that keeps nearly as much as its limit collects garbage without end, on up to half of
// all CPUs, even if it is idle.
const seldomCollected = "GOGC=200"

// etcd keeps its data in the run folder and writes without waiting for the
// disk: a lab that ends leaves nothing to recover.
func (p *processes) etcd() supervise.Process {
	etcd := p.process(Etcd, dials("127.0.0.1:2379"))
	etcd.Path = p.programs.Etcd
	etcd.Args = []string{
		"--data-dir", p.folder.state("etcd"),
		"--listen-client-urls", etcdURL,
		"--advertise-client-urls", etcdURL,
		"--listen-peer-urls", "http://127.0.0.1:2380",
		"--unsafe-no-fsync",
		"--log-level", "warn",
	}
	return etcd
}

// apiServer has Go's default collector: it keeps about 200 MB, and would otherwise grow
// to three times as much.
func (p *processes) apiServer() supervise.Process {
	k := p.keys
	server := p.process(APIServer, get(k.client(), apiServer+"/readyz"),
		"--etcd-servers", etcdURL,
		"--bind-address", network.NodeIP,
		"--advertise-address", network.NodeIP,
		"--secure-port", apiPort,
		"--service-cluster-ip-range", network.ServiceCIDR,
		"--tls-cert-file", k.cert(apiServerFile),
		"--tls-private-key-file", k.key(apiServerFile),
		"--client-ca-file", k.path(caFile),
		"--kubelet-client-certificate", k.cert(kubeletUserFile),
		"--kubelet-client-key", k.key(kubeletUserFile),
		"--kubelet-certificate-authority", k.path(caFile),
		"--kubelet-preferred-address-types", "InternalIP",
		"--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file", k.path(accountPubFile),
		"--service-account-signing-key-file", k.path(accountKeyFile),
		"--authorization-mode", "Node,RBAC",
		"--enable-admission-plugins", "NodeRestriction",
		"--allow-privileged",
		"--profiling=false",
	)
	server.Env = os.Environ()
	return server
}

// apiServes returns a check whether the API server answers at all.
func (p *processes) apiServes() func(context.Context) error {
	return get(p.keys.client(), apiServer+"/version")
}

// controllerManager runs with raised limits of its API client: with its default of
// 20 requests a second, its controllers are 4 s late. Dropping
// --use-service-account-credentials is no alternative: the controller-manager's own
// user lacks the controllers' permissions.
func (p *processes) controllerManager() supervise.Process {
	k := p.keys
	return p.process(ControllerManager, p.healthz("10257"),
		"--kubeconfig", k.kubeconfig(ControllerManager),
		"--authentication-kubeconfig", k.kubeconfig(ControllerManager),
		"--authorization-kubeconfig", k.kubeconfig(ControllerManager),
		"--bind-address", "127.0.0.1",
		"--tls-cert-file", k.cert(loopbackFile),
		"--tls-private-key-file", k.key(loopbackFile),
		"--root-ca-file", k.path(caFile),
		"--cluster-signing-cert-file", k.path(caFile),
		"--cluster-signing-key-file", k.path(caKeyFile),
		"--service-account-private-key-file", k.path(accountKeyFile),
		"--use-service-account-credentials",
		"--flex-volume-plugin-dir", p.volumePlugins(), // it would make its default folder, in /usr
		"--kube-api-qps", "1000", "--kube-api-burst", "2000",
		"--leader-elect=false",
		"--profiling=false",
	)
}

func (p *processes) scheduler() supervise.Process {
	k := p.keys
	return p.process(Scheduler, p.healthz("10259"),
		"--kubeconfig", k.kubeconfig(Scheduler),
		"--authentication-kubeconfig", k.kubeconfig(Scheduler),
		"--authorization-kubeconfig", k.kubeconfig(Scheduler),
		"--bind-address", "127.0.0.1",
		"--tls-cert-file", k.cert(loopbackFile),
		"--tls-private-key-file", k.key(loopbackFile),
		"--kube-api-qps", "1000", "--kube-api-burst", "2000",
		"--leader-elect=false",
		"--profiling=false",
	)
}

func (p *processes) proxy() (supervise.Process, error) {
	config, err := p.config(Proxy)
	return p.process(Proxy, get(http.DefaultClient, "http://127.0.0.1:10256/livez"), "--config", config), err
}

func (p *processes) kubelet() (supervise.Process, error) {
	config, err := p.config(Kubelet)
	return p.process(Kubelet, get(http.DefaultClient, "http://127.0.0.1:10248/healthz"),
		"--config", config,
		"--kubeconfig", p.keys.kubeconfig(Kubelet),
		"--root-dir", p.kubeletRoot(),
		"--cert-dir", p.folder.state("kubelet-pki"),
		"--hostname-override", nodeName,
		"--node-ip", network.NodeIP,
	), err
}

func (p *processes) kubeletRoot() string { return p.folder.state("kubelet") }
func (p *processes) criSocket() string   { return p.folder.state("cri.sock") }

// volumePlugins returns a folder without volume plugins.
func (p *processes) volumePlugins() string { return p.folder.state("volume-plugins") }

// config writes the configuration file of a component from its template.
func (p *processes) config(name string) (path string, err error) {
	templates, err := template.ParseFS(configs, "configs/"+name+".yaml")
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = templates.Execute(&text, map[string]string{
		"ClientCA":   p.keys.path(caFile),
		"Cert":       p.keys.cert(kubeletFile),
		"DNS":        network.DNSIP,
		"Key":        p.keys.key(kubeletFile),
		"Kubeconfig": p.keys.kubeconfig(name),
		"Node":       nodeName,
		"NodeIP":     network.NodeIP,
		"PodCIDR":    network.PodCIDR,
		"PodLogs":    p.folder.state("pods"),
		"Plugins":    p.volumePlugins(),
		"Socket":     "unix://" + p.criSocket(),
	})
	if err != nil {
		return "", err
	}
	path = p.folder.state(name + ".yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// dials returns a check that succeeds once something listens at addr.
func dials(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// healthz returns a check that succeeds once a component that serves with the loopback
// certificate reports that it is healthy.
func (p *processes) healthz(port string) func(context.Context) error {
	client := p.keys.client()
	return get(client, "https://127.0.0.1:"+port+"/healthz")
}

// get returns a check that succeeds once url answers with 200. Its error has the
// answer, which lists what is not healthy yet.
func get(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		const shown = 2 << 10
		body, err := io.ReadAll(io.LimitReader(response.Body, shown))
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s: %s", url, response.Status, body)
		}
		return nil
	}
}
