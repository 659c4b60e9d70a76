package network

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread that ends with f: a thread that was moved to another
// namespace must never run other goroutines. f must not start a goroutine that depends
// on the namespace.
//
// It is never the process's first thread. That one cannot end, and /proc/PID/ns/net
// shows its namespaces to those who enter them.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			done <- onThread(f) // this thread stays locked, so it gets another one
			return
		}
		done <- f() // the goroutine stays locked to the thread, so the thread ends with it
	}()
	return <-done
}
