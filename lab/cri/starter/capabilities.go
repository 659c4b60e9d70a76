package starter

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Capabilities is a set of capabilities; bit n is capability n of capabilities(7).
type Capabilities uint64

// names are the names of the capabilities, without CAP_, by number.
var names = [...]string{
	unix.CAP_CHOWN: "CHOWN", unix.CAP_DAC_OVERRIDE: "DAC_OVERRIDE", unix.CAP_DAC_READ_SEARCH: "DAC_READ_SEARCH",
	unix.CAP_FOWNER: "FOWNER", unix.CAP_FSETID: "FSETID", unix.CAP_KILL: "KILL", unix.CAP_SETGID: "SETGID",
	unix.CAP_SETUID: "SETUID", unix.CAP_SETPCAP: "SETPCAP", unix.CAP_LINUX_IMMUTABLE: "LINUX_IMMUTABLE",
	unix.CAP_NET_BIND_SERVICE: "NET_BIND_SERVICE", unix.CAP_NET_BROADCAST: "NET_BROADCAST",
	unix.CAP_NET_ADMIN: "NET_ADMIN", unix.CAP_NET_RAW: "NET_RAW", unix.CAP_IPC_LOCK: "IPC_LOCK",
	unix.CAP_IPC_OWNER: "IPC_OWNER", unix.CAP_SYS_MODULE: "SYS_MODULE", unix.CAP_SYS_RAWIO: "SYS_RAWIO",
	unix.CAP_SYS_CHROOT: "SYS_CHROOT", unix.CAP_SYS_PTRACE: "SYS_PTRACE", unix.CAP_SYS_PACCT: "SYS_PACCT",
	unix.CAP_SYS_ADMIN: "SYS_ADMIN", unix.CAP_SYS_BOOT: "SYS_BOOT", unix.CAP_SYS_NICE: "SYS_NICE",
	unix.CAP_SYS_RESOURCE: "SYS_RESOURCE", unix.CAP_SYS_TIME: "SYS_TIME", unix.CAP_SYS_TTY_CONFIG: "SYS_TTY_CONFIG",
	unix.CAP_MKNOD: "MKNOD", unix.CAP_LEASE: "LEASE", unix.CAP_AUDIT_WRITE: "AUDIT_WRITE",
	unix.CAP_AUDIT_CONTROL: "AUDIT_CONTROL", unix.CAP_SETFCAP: "SETFCAP", unix.CAP_MAC_OVERRIDE: "MAC_OVERRIDE",
	unix.CAP_MAC_ADMIN: "MAC_ADMIN", unix.CAP_SYSLOG: "SYSLOG", unix.CAP_WAKE_ALARM: "WAKE_ALARM",
	unix.CAP_BLOCK_SUSPEND: "BLOCK_SUSPEND", unix.CAP_AUDIT_READ: "AUDIT_READ", unix.CAP_PERFMON: "PERFMON",
	unix.CAP_BPF: "BPF", unix.CAP_CHECKPOINT_RESTORE: "CHECKPOINT_RESTORE",
}

// CapabilitiesOf returns the set of the capabilities with these names, which must exist.
func CapabilitiesOf(list ...string) Capabilities {
	var set Capabilities
	for _, name := range list {
		set |= 1 << slices.Index(names[:], name)
	}
	return set
}

func (c Capabilities) has(n int) bool { return c&(1<<n) != 0 }

// String returns the names in the set, by number.
func (c Capabilities) String() string {
	list := make([]string, 0, bits.OnesCount64(uint64(c)))
	for n, name := range names {
		if c.has(n) {
			list = append(list, name)
		}
	}
	return strings.Join(list, ", ")
}

// Restrict limits the calling thread, and so the program that it executes or the child
// that it forks, to these capabilities. It takes none from a thread of uid 0 at once:
// that happens at the next exec.
func (c Capabilities) Restrict() error {
	for n := 0; n < 64; n++ {
		if c.has(n) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err == unix.EINVAL {
			break // the kernel knows no capability of this number, nor of a greater one
		} else if err != nil {
			return fmt.Errorf("drop capability %s: %w", Capabilities(1<<n), err)
		}
	}
	// Inheritable capabilities would come back at exec, and so would the ambient ones.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("clear the inheritable capabilities: %w", err)
	}
	return nil
}

// Capability returns the set with the one capability of a name, without CAP_ and in
// capitals; ok is false for an unknown name.
func Capability(name string) (set Capabilities, ok bool) {
	n := slices.Index(names[:], name)
	if n < 0 {
		return 0, false
	}
	return 1 << n, true
}
