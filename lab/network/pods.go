package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// gatewayMAC is the hardware address of every pod's gateway.
var gatewayMAC = net.HardwareAddr{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}

// Pods makes and removes the networks of the pods of one node, the namespace
// of the process. A node has only one Pods. It is safe for concurrent use.
type Pods struct {
	dir string

	mu        sync.Mutex
	addresses *pool
	pods      map[string]*pod
}

// pod is the network of one pod.
type pod struct {
	ip   netip.Addr
	link string // the node's end
	path string // where the namespace is mounted

	mu sync.Mutex // held while the network is made or removed
}

// NewPods returns a Pods that keeps the pods' namespaces as mounts in dir, one for each
// pod, named after it. The folder is made with the first pod.
func NewPods(dir string) *Pods {
	return &Pods{
		dir:       dir,
		addresses: newPool(netip.MustParseAddr(firstPod), netip.MustParseAddr(lastPod)),
		pods:      map[string]*pod{},
	}
}

// Add makes a namespace for a pod, connects it to the node, and sets the
// sysctls (net.* only) in it. It returns the pod's address and where the
// namespace is mounted. If it fails, nothing is left, and the same pod may be added
// again. It returns an error for a pod that was added already.
//
// The node's end is named after the last two numbers of the pod's address:
// pod1-5 is that of 10.244.1.5.
func (p *Pods) Add(ctx context.Context, podID string, sysctls map[string]string) (netip.Addr, string, error) {
	fail := func(err error) (netip.Addr, string, error) {
		return netip.Addr{}, "", fmt.Errorf("make network of pod %s: %w", podID, err)
	}
	if err := ctx.Err(); err != nil {
		return fail(context.Cause(ctx))
	}
	for name := range sysctls {
		if _, err := sysctlPath(name); err != nil {
			return fail(err)
		}
	}
	pod, err := p.register(podID)
	if err != nil {
		return fail(err)
	}
	defer pod.mu.Unlock()
	if err := pod.connect(sysctls); err != nil {
		// What cannot be removed now stays registered for Remove to try again.
		return fail(errors.Join(err, p.remove(podID, pod)))
	}
	return pod.ip, pod.path, nil
}

// Remove removes the network of a pod, even if processes are left in it. It returns no
// error for a pod without a network.
func (p *Pods) Remove(_ context.Context, podID string) error {
	p.mu.Lock()
	pod := p.pods[podID]
	p.mu.Unlock()
	if pod == nil {
		return nil
	}
	pod.mu.Lock()
	defer pod.mu.Unlock()
	if err := p.remove(podID, pod); err != nil {
		return fmt.Errorf("remove network of pod %s: %w", podID, err)
	}
	return nil
}

// register takes an address for a new pod, and returns the pod locked.
func (p *Pods) register(podID string) (*pod, error) {
	if podID == "" || podID == "." || podID == ".." || filepath.Base(podID) != podID {
		return nil, fmt.Errorf("the pod's ID %q is no file name", podID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pods[podID] != nil {
		return nil, errors.New("it has one already")
	}
	ip, err := p.addresses.take()
	if err != nil {
		return nil, err
	}
	pod := &pod{ip: ip, link: linkName(ip), path: filepath.Join(p.dir, podID)}
	pod.mu.Lock()
	p.pods[podID] = pod
	return pod, nil
}

// remove disconnects a locked pod and frees its address.
func (p *Pods) remove(podID string, pod *pod) error {
	p.mu.Lock()
	gone := p.pods[podID] != pod // another Remove was faster
	p.mu.Unlock()
	if gone {
		return nil
	}
	if err := pod.disconnect(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pods, podID)
	p.addresses.free(pod.ip)
	return nil
}

func (p *pod) connect(sysctls map[string]string) error {
	ns, err := create(func(ns *Namespace, node, inside *netlink.Handle) error {
		if err := p.mount(); err != nil {
			return err
		}
		if err := p.join(ns, node, inside); err != nil {
			return err
		}
		// Last, because some are settings of eth0.
		for _, name := range slices.Sorted(maps.Keys(sysctls)) {
			if err := setSysctl(name, sysctls[name]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return ns.Close() // the mount keeps it
}

// mount mounts the calling thread's namespace at the pod's path.
func (p *pod) mount() error {
	if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(p.path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := unix.Mount(ownNamespace, p.path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount network namespace at %s: %w", p.path, err)
	}
	return nil
}

// join makes the link between the node and the pod, with addresses and routes.
func (p *pod) join(ns *Namespace, node, inside *netlink.Handle) error {
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: p.link, HardwareAddr: gatewayMAC},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(ns.file.Fd()),
	}
	if err := node.LinkAdd(veth); err != nil {
		return fmt.Errorf("make interface %s: %w", p.link, err)
	}
	via := netip.MustParseAddr(gateway)

	// With link scope, because the node must not use this as a source address.
	if err := addAddress(node, p.link, host(via), netlink.SCOPE_LINK); err != nil {
		return err
	}
	if err := up(node, p.link); err != nil {
		return err
	}
	// The source makes the kubelet's probes come from the node's address.
	if err := setRoute(node, route{dst: host(p.ip), dev: p.link, src: nodeIP}); err != nil {
		return err
	}

	if err := addAddress(inside, "eth0", host(p.ip), netlink.SCOPE_UNIVERSE); err != nil {
		return err
	}
	if err := up(inside, "eth0"); err != nil {
		return err
	}
	if err := setRoute(inside, route{dst: host(via), dev: "eth0"}); err != nil {
		return err
	}
	return setRoute(inside, route{dst: everywhere, dev: "eth0", via: via})
}

// disconnect removes what exists of the network, however far its set-up got.
func (p *pod) disconnect() error {
	// Delete the link by name: the kernel ends the namespace only some time after its
	// last process.
	node, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer node.Close()
	if err := deleteLink(node, p.link); err != nil {
		return err
	}
	// EINVAL: nothing is mounted there.
	if err := unix.Unmount(p.path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", p.path, err)
	}
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// linkName returns the name of the node's end of a pod's link. Addresses in use differ
// in their last two numbers, so the names differ too.
func linkName(ip netip.Addr) string {
	octets := ip.As4()
	return fmt.Sprintf("pod%d-%d", octets[2], octets[3])
}
