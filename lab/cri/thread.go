package cri

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

// onThread runs f on a thread that ends with it. So f may join namespaces and give up
// privileges without an effect on any other goroutine. f must not start a goroutine
// that relies on them.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The process's first thread does not end before the process, and
			// /proc/self shows it. While this goroutine holds it, another goroutine
			// certainly gets another thread.
			defer runtime.UnlockOSThread()
			done <- onThread(f)
			return
		}
		done <- f() // the goroutine stays locked to the thread, so the thread ends with it
	}()
	return <-done
}

// setns joins the calling thread to a namespace that a file stands for.
func setns(file string, kind int) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), kind); err != nil {
		return fmt.Errorf("join %s: %w", file, err)
	}
	return nil
}

// handleIgnoredSignals gives each signal that the kernel says is ignored in this
// process a handler that drops it; [isolate] says why. It asks the kernel, because
// [signal.Ignored] knows only some signals. The signals that a C library uses between
// its threads cannot be handled: they are set to their default.
func handleIgnoredSignals() error {
	mask, err := ignoredSignals()
	if err != nil {
		return fmt.Errorf("look which signals are ignored: %w", err)
	}
	dropped := make(chan os.Signal, 1) // nobody reads from it: a send that would block is dropped
	for n := range 64 {
		switch {
		case mask&(1<<n) == 0:
		case n+1 == sigCancel || n+1 == sigSetxid:
			if err := starter.SetDefault(n + 1); err != nil {
				return err
			}
		default:
			signal.Notify(dropped, syscall.Signal(n+1))
		}
	}
	return nil
}

// The signals of glibc and musl that os/signal leaves alone.
// Source: Go's runtime/sigtab_linux_generic.go.
const sigCancel, sigSetxid = 32, 33

// ignoredSignals returns the signals that this process ignores; bit 0 is signal 1.
func ignoredSignals() (uint64, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if mask, ok := strings.CutPrefix(lines.Text(), "SigIgn:"); ok {
			return strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		}
	}
	return 0, errors.Join(lines.Err(), errors.New("/proc/self/status has no line SigIgn"))
}
