package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/internet"
	"github.com/egressplay/egressplay/lab/istio"
	"github.com/egressplay/egressplay/lab/network"
	"github.com/egressplay/egressplay/lab/networkpolicy"
	"github.com/egressplay/egressplay/lab/supervise"
)

// bringUpTimeout is how long a lab may take to get ready. A small machine reads its
// programs from a slow disk.
const bringUpTimeout = 3 * time.Minute

// The steps of a bring-up that are shown besides the components.
const (
	charts     = "istio charts" // rendered
	objects    = "objects"      // applied
	injection  = "injection"    // a pod that asks for a sidecar would get one
	validation = "validation"   // istiod judges each object of Istio's
)

// bringUp starts everything in the order that the package's documentation shows, and
// returns once the lab is ready.
func (l *lab) bringUp(ctx context.Context) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bringUpTimeout, fmt.Errorf("the lab was not ready within %v", bringUpTimeout))
	defer cancel()
	p := &processes{programs: l.Programs, folder: l.Folder, keys: l.keys}
	for _, process := range []supervise.Process{p.etcd(), p.apiServer()} {
		if err := l.start(process); err != nil {
			return err
		}
	}

	group, ctx := errgroup.WithContext(ctx)
	rendered := make(chan []*unstructured.Unstructured, 1)
	group.Go(func() error {
		return l.step(charts, func() error {
			list, err := render(ctx, l.Programs.Istiod, l.Folder.Log("istio-manifest"))
			rendered <- list
			return err
		})
	})
	group.Go(func() error { return l.ready(ctx, Etcd) })
	group.Go(func() error { return l.awaitPolicies(ctx) })
	group.Go(func() error {
		// The API server serves an administrator and a node more than a second before
		// it is ready: some of its checks look once a second only.
		if err := retry(ctx, p.apiServes()); err != nil {
			return err
		}
		group.Go(func() error { return l.startKubelet(ctx, p) })
		group.Go(func() error { return l.install(ctx, rendered) })
		if err := l.ready(ctx, APIServer); err != nil {
			return err
		}
		l.api.Load().ready.Store(true)
		return l.startRest(ctx, p)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	l.up.Store(true)
	l.events.add(Event{Ready: true, Kubeconfig: l.Folder.Kubeconfig()})
	return nil
}

// prepare makes what everything else needs: the network, the keys, the CRI
// server, the internet. What it starts runs until ctx ends.
func (l *lab) prepare(ctx context.Context) error {
	if err := l.makeFolders(); err != nil {
		return err
	}
	if err := network.SetUpNode(ctx); err != nil {
		return err
	}
	var err error
	l.keys, err = makeCredentials(l.Folder.state("pki"), l.Folder.Kubeconfig(), "https://"+l.API.Addr().String())
	if err != nil {
		return err
	}
	client, err := newAPI(l.keys)
	if err != nil {
		return err
	}
	l.api.Store(client)
	if l.policies, err = newNetworkPolicy(l.Folder, l.keys); err != nil {
		return err
	}
	l.keep(ctx, NetworkPolicy, func() error { return l.enforcePolicies(ctx) })
	l.keep(ctx, "relay", func() error {
		return relay(ctx, l.API, net.JoinHostPort(network.NodeIP, apiPort))
	})
	return errors.Join(l.step(Internet, func() error { return l.connect(ctx) }), l.serveCRI(ctx))
}

// makeFolders makes the folders of the run folder, and hides one file. State is in
// memory and mounted in the lab only. It goes with the lab, however that ends, and so
// do keys, and files of the pods' users, which an ordinary user could not delete.
func (l *lab) makeFolders() error {
	for _, dir := range []string{l.Folder.Logs(), l.Folder.State()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := unix.Mount("tmpfs", l.Folder.State(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711"); err != nil {
		return fmt.Errorf("mount %s: %w", l.Folder.State(), err)
	}
	// The kubelet looks there for processes that the kernel killed for lack of memory,
	// and does not start if it may not read it: as root without the capability SYSLOG,
	// which a lab drops.
	const kernelMessages = "/dev/kmsg"
	if err := unix.Mount("/dev/null", kernelMessages, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("hide %s: %w", kernelMessages, err)
	}
	return nil
}

// maxRecords is the largest size in bytes of each of the two files that record what
// reached the internet. Each claim about arrivals reads both as a whole.
const maxRecords = 8 << 20

// connect makes the stand-in internet.
func (l *lab) connect(ctx context.Context) error {
	ns, err := network.NewInternet(ctx, internet.Addresses(l.Hosts))
	if err != nil {
		return err
	}
	records, err := supervise.OpenLog(l.Folder.Records(), maxRecords)
	if err != nil {
		return err
	}
	served := internet.New(internet.Config{
		Hosts:      l.Hosts,
		CA:         l.keys.internet,
		Network:    ns,
		NameServer: net.JoinHostPort(network.NameServerIP, "53"),
		Record:     records,
	})
	l.keep(ctx, Internet, func() error { return served.Serve(ctx) })
	l.internet.Store(served)
	return nil
}

func (l *lab) serveCRI(ctx context.Context) error {
	bootstrap := l.Folder.state("envoy_bootstrap.json")
	if err := os.WriteFile(bootstrap, istio.Bootstrap, 0o644); err != nil {
		return err
	}
	p := &processes{folder: l.Folder}
	server, err := cri.New(cri.Config{
		Socket:      p.criSocket(),
		Root:        l.Folder.state("containers"),
		StreamAddr:  "127.0.0.1:0",
		Images:      l.Programs.images(bootstrap),
		Starter:     l.Starter,
		Network:     networkpolicy.Network{Pods: network.NewPods("/run/netns"), Controller: l.policies},
		TrustBundle: l.keys.path(trustBundleFile),
		Volumes:     p.kubeletRoot(),
		Log:         slog.Default(),
	})
	if err != nil {
		return err
	}
	l.cri.Store(server)
	l.keep(ctx, "CRI server", func() error { return server.Serve(ctx) })
	return nil
}

func (l *lab) startKubelet(ctx context.Context, p *processes) error {
	kubelet, err := p.kubelet()
	if err != nil {
		return err
	}
	if err := l.start(kubelet); err != nil {
		return err
	}
	return l.ready(ctx, Kubelet)
}

// startRest starts the components that need a ready API server, and waits for it: the
// API server makes their roles last. Without those they would be refused, and try again
// only after a while.
func (l *lab) startRest(ctx context.Context, p *processes) error {
	proxy, err := p.proxy()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, process := range []supervise.Process{p.controllerManager(), p.scheduler(), proxy} {
		if err := l.start(process); err != nil {
			return err
		}
		group.Go(func() error { return l.ready(ctx, process.Name) })
	}
	return group.Wait()
}

// install applies the objects of the mesh and the lab, and waits until they work.
func (l *lab) install(ctx context.Context, rendered <-chan []*unstructured.Unstructured) error {
	list, err := own(l.Name, l.Version, l.Hosts)
	if err != nil {
		return err
	}
	list = append(list, <-rendered...)
	gateway, list := split(list, isGateway)
	api := l.api.Load()
	if err := l.step(objects, func() error { return api.applyAll(ctx, list) }); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.awaitMesh(ctx, gateway) })
	group.Go(func() error {
		return l.step(GatewayAPI, func() error { return l.installGatewayAPI(ctx) })
	})
	return group.Wait()
}

// awaitMesh waits until istiod serves, and then for the egress gateway.
func (l *lab) awaitMesh(ctx context.Context, gateway []*unstructured.Unstructured) error {
	api := l.api.Load()
	group, awaiting := errgroup.WithContext(ctx)
	group.Go(func() error { return l.awaitWorkload(awaiting, coredns) })
	group.Go(func() error {
		if err := l.awaitWorkload(awaiting, istiod); err != nil {
			return err
		}
		return l.step(injection, func() error { return api.awaitInjection(awaiting) })
	})
	if err := group.Wait(); err != nil {
		return err
	}
	group, ctx = errgroup.WithContext(ctx)
	group.Go(func() error {
		return l.step(validation, func() error { return api.awaitValidation(ctx) })
	})
	group.Go(func() error {
		// A gateway that starts before istiod's name resolves and istiod answers waits
		// seconds before it tries again.
		if err := api.applyAll(ctx, gateway); err != nil {
			return err
		}
		return l.awaitWorkload(ctx, egressGateway)
	})
	return group.Wait()
}

func (l *lab) awaitWorkload(ctx context.Context, w workload) error {
	return l.step(w.component, func() error { return l.api.Load().awaitAvailable(ctx, w.namespace, w.component) })
}

// start starts a process and reports that as an event.
func (l *lab) start(p supervise.Process) error {
	l.events.add(Event{Component: p.Name, State: string(supervise.Starting)})
	return l.supervisor.Start(p)
}

// ready waits until a process is ready and reports that as an event.
func (l *lab) ready(ctx context.Context, name string) error {
	if err := l.supervisor.WaitReady(ctx, name); err != nil {
		return err
	}
	l.events.add(Event{Component: name, State: string(supervise.Ready)})
	return nil
}

// step runs do, which is no process, and reports its beginning and its end as events.
func (l *lab) step(name string, do func() error) error {
	l.events.add(Event{Component: name, State: string(supervise.Starting)})
	if err := do(); err != nil {
		return err
	}
	l.events.add(Event{Component: name, State: string(supervise.Ready)})
	return nil
}
