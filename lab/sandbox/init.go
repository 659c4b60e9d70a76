package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// beInit runs as pid 1 of a lab: it starts the lab proper as its only child, reaps
// every orphan, passes signals on, and returns the lab's exit code when the lab ends.
func beInit(s settings) int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)

	heard := make([]byte, len(wordGo))
	if n, err := unix.Read(s.Control, heard); err != nil || n == 0 {
		return complain(errors.Join(errors.New("the process that started this lab is gone"), err))
	}
	lab, err := startLab(s)
	if err != nil {
		return complain(err)
	}
	for fd := 3; fd <= s.Control; fd++ {
		unix.Close(fd) // the lab has these files, the control socket among them
	}
	go func() {
		for sig := range signals {
			unix.Kill(lab, sig.(unix.Signal)) // the loop below notices a lab that is gone
		}
	}()
	return reap(lab)
}

// startLab starts this program again, in the same namespaces: its ids are mapped by
// now, so it runs as root in them, with every capability.
func startLab(s settings) (pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	files := make([]uintptr, s.Control+1)
	for fd := range files {
		files[fd] = uintptr(fd)
	}
	// Capabilities belong to a thread, and the child inherits those of the thread that
	// starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := dropMachineCapabilities(); err != nil {
		return 0, err
	}
	pid, err = syscall.ForkExec(self, os.Args, &syscall.ProcAttr{Env: os.Environ(), Files: files})
	if err != nil {
		return 0, fmt.Errorf("start the lab in its namespaces: %w", err)
	}
	return pid, nil
}

// reap waits for every child, and returns the exit code of the lab.
func reap(lab int) int {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return complain(fmt.Errorf("wait for the lab: %w", err))
		case pid != lab:
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "lab's first process:", err)
	return 1
}

// machineCapabilities act on the machine as a whole, whatever the namespaces:
// its clock, modules, devices, logs, security modules, any file by its handle.
// A lab of an ordinary user never has them; a lab of root drops them, so that no pod
// can have them either.
var machineCapabilities = []uintptr{
	unix.CAP_AUDIT_CONTROL, unix.CAP_AUDIT_READ, unix.CAP_BLOCK_SUSPEND, unix.CAP_DAC_READ_SEARCH,
	unix.CAP_LINUX_IMMUTABLE, unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_MKNOD, unix.CAP_SYSLOG,
	unix.CAP_SYS_BOOT, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_TIME, unix.CAP_WAKE_ALARM,
}

// dropMachineCapabilities removes machineCapabilities from the bounding set of the
// calling thread, and so from the programs that it executes.
func dropMachineCapabilities() error {
	for _, c := range machineCapabilities {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		// Without CAP_SETPCAP this is the init of an ordinary user's lab, which was
		// executed before its ids were mapped and has no capabilities.
		if errors.Is(err, unix.EPERM) {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: this kernel has no such capability
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}
