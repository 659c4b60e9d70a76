package cri

import (
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

var (
	// defaultCaps are the capabilities of a container whose pod does not change them
	// (containerd pkg/oci/spec.go, defaultUnixCaps).
	defaultCaps = starter.CapabilitiesOf("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
		"SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")

	// grantableCaps are the capabilities that a pod may add: those that act within its
	// own namespaces. The others would act on the machine if the lab runs as root.
	grantableCaps = defaultCaps | starter.CapabilitiesOf("NET_ADMIN", "NET_BROADCAST", "IPC_LOCK", "IPC_OWNER", "SYS_PTRACE",
		"SYS_NICE", "SYS_RESOURCE", "LEASE")
)

// podCaps returns the capabilities of a container: the default ones, with what
// the pod adds and drops. ALL means every capability that a pod may have; ALL is
// dropped before others are added by name, as in containerd.
func podCaps(c *runtimeapi.Capability) (starter.Capabilities, error) {
	if len(c.GetAddAmbientCapabilities()) > 0 {
		return 0, unimplemented("ambient capabilities (%s) are not given", strings.Join(c.AddAmbientCapabilities, ", "))
	}
	add, addAll, err := parseCaps(c.GetAddCapabilities())
	if err != nil {
		return 0, err
	}
	drop, dropAll, err := parseCaps(c.GetDropCapabilities())
	if err != nil {
		return 0, err
	}
	if refused := add &^ grantableCaps; refused != 0 {
		return 0, unimplemented("capability %s is not given, because it acts on the machine and not only on the pod; a pod may have: %s",
			refused, grantableCaps)
	}
	set := defaultCaps
	if addAll {
		set = grantableCaps
	}
	if dropAll {
		set = 0
	}
	return (set | add) &^ drop, nil
}

// parseCaps reads names of capabilities, with or without CAP_, in any case.
func parseCaps(names []string) (set starter.Capabilities, all bool, err error) {
	for _, name := range names {
		name := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		if name == "ALL" {
			all = true
			continue
		}
		one, ok := starter.Capability(name)
		if !ok {
			return 0, false, invalid("unknown capability %q", name)
		}
		set |= one
	}
	return set, all, nil
}
