// Package networktest runs tests in namespaces of their own, in which they are root,
// whoever started them, and may make links and routes.
package networktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is set in the environment of the tests once they have namespaces of
// their own.
const inside = "EGRESSPLAY_NETWORKTEST_INSIDE"

// Main is the body of a TestMain. It runs the test binary again in a network
// and a mount namespace, and in a user namespace where it is not root. There mounts are
// private, and setUp runs before the tests. Main does not return.
func Main(m *testing.M, setUp func() error) {
	if os.Getenv(inside) == "" {
		os.Exit(runAgain())
	}
	// Debian keeps nft and iptables from an ordinary user's PATH.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err != nil {
		err = fmt.Errorf("make mounts private: %w", err)
	} else {
		err = setUp()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// runAgain runs this test binary in new namespaces and returns its exit code.
func runAgain() int {
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
