//go:build lab

package networkpolicy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/egressplay/egressplay/lab/network"
	"golang.org/x/sys/unix"
)

// inside is set in the environment of the tests once they have namespaces of
// their own.
const inside = "EGRESSPLAY_NETWORKPOLICY_TEST_INSIDE"

// Hosts of the internet.
const standIn, otherStandIn = "203.0.113.10", "203.0.113.11"

func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(runInNamespaces())
	}
	// Debian keeps nft and iptables from an ordinary user's PATH.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if err := setUpNode(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runInNamespaces runs this test binary again in new namespaces, where it is
// root whoever started it, and returns its exit code.
func runInNamespaces() int {
	runtime.LockOSThread() // Pdeathsig is sent when the starting thread ends
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests need namespaces of their own:", err)
		return 1
	}
	return 0
}

// setUpNode makes the node and its internet; on both there are servers on
// TCP 80, 443 and 8443.
func setUpNode() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	ctx := context.Background()
	if err := network.SetUpNode(ctx); err != nil {
		return err
	}
	internet, err := network.NewInternet(ctx, []netip.Addr{netip.MustParseAddr(standIn), netip.MustParseAddr(otherStandIn)})
	if err != nil {
		return err
	}
	for _, port := range []string{":80", ":443", ":8443"} {
		for _, listen := range []func(network, addr string) (net.Listener, error){net.Listen, internet.Listen} {
			listener, err := listen("tcp", port)
			if err != nil {
				return err
			}
			go echo(listener)
		}
	}
	return nil
}
