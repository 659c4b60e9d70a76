package starter

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// defaultSignals sets every signal to its default and unblocks all, on this
// thread. The Go runtime's own handlers end at exec, but a signal that was ignored when
// this program began would be ignored in the container too.
func defaultSignals() error {
	for n := 1; n <= 64; n++ {
		if n == int(unix.SIGKILL) || n == int(unix.SIGSTOP) {
			continue
		}
		if err := SetDefault(n); err != nil {
			return err
		}
	}
	return EmptySignalMask()
}

// SetDefault sets a signal to its default in this process.
func SetDefault(signal int) error {
	var byDefault struct { // the kernel's sigaction, larger than any architecture needs
		handler, flags, restorer, mask uintptr
	}
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0); errno != 0 {
		return fmt.Errorf("set signal %d to its default: %w", signal, errno)
	}
	return nil
}

// EmptySignalMask unblocks every signal for this thread and for what it forks.
func EmptySignalMask() error {
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return fmt.Errorf("unblock signals: %w", err)
	}
	return nil
}
