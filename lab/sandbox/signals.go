package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resetSignals sets every ignored signal back to its default. A shell starts
// its background jobs with SIGINT ignored, nohup with SIGHUP, and programs pass that on
// to whatever they start: Ctrl-C would do nothing in any pod. The package os/signal
// cannot undo what was inherited, so resetSignals calls the kernel.
func resetSignals() error {
	// struct kernel_sigaction of amd64 and arm64, whose first word is the
	// handler: 0 is the default, 1 is to ignore. The size of its mask is 8.
	type action struct{ handler, flags, restorer, mask uintptr }
	const ignore, maskSize = 1, 8
	for sig := uintptr(1); sig <= 64; sig++ {
		var old, standard action
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, 0, uintptr(unsafe.Pointer(&old)), maskSize, 0, 0); e != 0 {
			return fmt.Errorf("read the disposition of signal %d: %w", sig, e)
		}
		if old.handler != ignore {
			continue
		}
		if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&standard)), 0, maskSize, 0, 0); e != 0 {
			return fmt.Errorf("reset signal %d: %w", sig, e)
		}
	}
	return nil
}
