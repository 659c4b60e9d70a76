package cri

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/proc"
)

// usages returns what each container uses, by its pid namespace. It reads /proc,
// because there are no cgroups. The usage of an ended process counts only if another
// process of the container has waited for it.
func usages() (map[string]proc.Usage, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	byNamespace := map[string]proc.Usage{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		ns, err := pidNamespace(pid)
		if err != nil {
			continue // it ended in the meantime
		}
		u, err := proc.Of(pid)
		if err != nil {
			continue
		}
		byNamespace[ns] = byNamespace[ns].Plus(u)
	}
	return byNamespace, nil
}

// pidNamespace names the pid namespace of a process.
func pidNamespace(pid int) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
}

// stats returns what a container uses; for one that does not run, only its attributes.
// It needs Server.mu.
func (c *container) stats(all map[string]proc.Usage) *runtimeapi.ContainerStats {
	st := &runtimeapi.ContainerStats{Attributes: &runtimeapi.ContainerAttributes{
		Id: c.id, Metadata: c.config.Metadata, Labels: c.config.Labels, Annotations: c.config.Annotations,
	}}
	if c.pidfd < 0 {
		return st
	}
	namespace, err := pidNamespace(c.process.Pid)
	if err != nil {
		return st // it is just ending
	}
	u, now := all[namespace], time.Now().UnixNano()
	value := func(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }
	st.Cpu = &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: value(uint64(u.CPU))}
	st.Memory = &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: value(u.RSS), UsageBytes: value(u.RSS), RssBytes: value(u.RSS)}
	return st
}

// ContainerStats implements the RuntimeService.
func (s *Server) ContainerStats(_ context.Context, r *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	c, err := s.findContainer(r.ContainerId)
	if err != nil {
		return nil, err
	}
	all, err := usages()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &runtimeapi.ContainerStatsResponse{Stats: c.stats(all)}, nil
}

// ListContainerStats implements the RuntimeService.
func (s *Server) ListContainerStats(_ context.Context, r *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	all, err := usages()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := r.GetFilter()
	list := &runtimeapi.ListContainerStatsResponse{}
	for _, c := range s.containers {
		if f.GetId() != "" && f.GetId() != c.id ||
			f.GetPodSandboxId() != "" && f.GetPodSandboxId() != c.sandbox.id ||
			!selects(f.GetLabelSelector(), c.config.Labels) {
			continue
		}
		list.Stats = append(list.Stats, c.stats(all))
	}
	return list, nil
}
