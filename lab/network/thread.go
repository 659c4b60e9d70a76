package network

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f on a thread that ends with it, whatever f did to it: a
// thread that was moved to another namespace must never run other goroutines.
// f starts no goroutine that depends on the namespace.
//
// It is never the process's first thread. That one cannot end, and it is what
// /proc/PID/ns/net shows to those who enter the process's namespaces.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			done <- onThread(f) // this thread is held meanwhile, so it gets another
			return
		}
		done <- f() // not unlocked: the thread ends with the goroutine
	}()
	return <-done
}
