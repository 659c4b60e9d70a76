package main

import (
	"fmt"
	"runtime"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	"golang.org/x/sys/unix"
	cadvisor "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
)

// machine stands in for cAdvisor: it gives the kubelet the size of the machine, but not
// the usage of containers.
type machine struct {
	*cadvisor.Fake
	node string
}

// MachineInfo returns the machine's CPUs and memory for the scheduler. istiod's
// GOMAXPROCS comes from here, too.
func (m machine) MachineInfo() (*cadvisorapi.MachineInfo, error) {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return nil, fmt.Errorf("size of the memory: %w", err)
	}
	return &cadvisorapi.MachineInfo{
		NumCores:       runtime.NumCPU(),
		MemoryCapacity: uint64(s.Totalram) * uint64(s.Unit),
		InstanceID:     cadvisorapi.InstanceID(m.node),
	}, nil
}

// VersionInfo returns what `kubectl get nodes -o wide` shows about the machine.
func (m machine) VersionInfo() (*cadvisorapi.VersionInfo, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("version of the kernel: %w", err)
	}
	return &cadvisorapi.VersionInfo{
		KernelVersion:      unix.ByteSliceToString(u.Release[:]),
		ContainerOsVersion: "egressplay lab",
	}, nil
}
