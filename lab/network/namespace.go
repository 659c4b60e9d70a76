package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ownNamespace is the network namespace of the calling thread.
const ownNamespace = "/proc/thread-self/ns/net"

// Namespace is a network namespace. It lives until it is closed and no
// process, socket or mount uses it any more.
type Namespace struct {
	file *os.File
}

// OpenNamespace opens the namespace that is mounted at path.
func OpenNamespace(path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	return &Namespace{file: file}, nil
}

// create makes a namespace, brings its loopback up, and calls setUp on a thread inside
// for the rest. node and inside are netlink handles in the caller's namespace and in
// the new one. If setUp fails, nothing is left of the namespace.
func create(setUp func(ns *Namespace, node, inside *netlink.Handle) error) (*Namespace, error) {
	var ns *Namespace
	err := onThread(func() error {
		node, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer node.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink in the new network namespace: %w", err)
		}
		defer inside.Close()
		if err := up(inside, "lo"); err != nil {
			return err
		}
		ns, err = OpenNamespace(ownNamespace)
		if err != nil {
			return err
		}
		return setUp(ns, node, inside)
	})
	if err != nil {
		if ns != nil {
			ns.file.Close()
		}
		return nil, err
	}
	return ns, nil
}

// Do runs f on a thread inside the namespace and returns its error. A socket stays in
// the namespace in which it was made, a goroutine does not. So f must start no
// goroutine, and do nothing for which the net package starts one, such as resolving a
// name.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.file.Name(), err)
		}
		return f()
	})
}

// Listen listens inside the namespace, on tcp, tcp4 or tcp6. The host in addr
// is an IP address, or empty for all. The listener works from any goroutine.
func (n *Namespace) Listen(network, addr string) (listener net.Listener, err error) {
	err = n.listen(addr, func() error {
		var config net.ListenConfig
		config.SetMultipathTCP(false) // without Multipath TCP, whatever the client offers
		listener, err = config.Listen(context.Background(), network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return listener, nil
}

// ListenPacket is like [Namespace.Listen], on udp, udp4 or udp6.
func (n *Namespace) ListenPacket(network, addr string) (conn net.PacketConn, err error) {
	err = n.listen(addr, func() error {
		conn, err = net.ListenPacket(network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// listen runs do inside the namespace. It refuses an addr with a name that would have
// to be resolved.
func (n *Namespace) listen(addr string, do func() error) error {
	host, _, err := net.SplitHostPort(addr)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return fmt.Errorf("listen in network namespace: %w", err)
	}
	return n.Do(do)
}

// Dial connects to addr from inside the namespace. The host in addr is an IP
// address: Go resolves names in goroutines outside the namespace.
func (n *Namespace) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, fmt.Errorf("dial in network namespace: %w", err)
	}
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Close closes the namespace's file.
func (n *Namespace) Close() error { return n.file.Close() }

// Dial connects to addr, an IP address and a port, from inside the namespace
// that is mounted at path.
func Dial(ctx context.Context, path, network, addr string) (net.Conn, error) {
	ns, err := OpenNamespace(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return ns.Dial(ctx, network, addr)
}
