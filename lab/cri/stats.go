package cri

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// clockTick is the unit of CPU time in /proc: 1/100 s on every Linux
// architecture that Go runs on (proc(5), USER_HZ).
const clockTick = 10 * time.Millisecond

// usage is what the processes of one container have used.
type usage struct {
	cpu time.Duration
	rss uint64 // bytes
}

// usages reads /proc for what each container uses, by its pid namespace: there
// are no cgroups to ask. What a process used that has ended and that was not
// waited for by another of the container is lost.
func usages() (map[string]usage, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	byNamespace := map[string]usage{}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		ns, u, err := usageOf("/proc/" + e.Name())
		if err != nil {
			continue // it ended while we looked
		}
		sum := byNamespace[ns]
		byNamespace[ns] = usage{cpu: sum.cpu + u.cpu, rss: sum.rss + u.rss}
	}
	return byNamespace, nil
}

// usageOf reads one process: its pid namespace and what it uses.
func usageOf(proc string) (namespace string, u usage, err error) {
	if namespace, err = os.Readlink(proc + "/ns/pid"); err != nil {
		return "", usage{}, err
	}
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return "", usage{}, err
	}
	if u, err = parseStat(string(stat)); err != nil {
		return "", usage{}, fmt.Errorf("%s/stat: %w", proc, err)
	}
	return namespace, u, nil
}

// parseStat reads a line of /proc/PID/stat. The second field, the program's name
// in parentheses, may contain anything.
func parseStat(stat string) (usage, error) {
	_, rest, ok := cutLast(stat, ")")
	fields := strings.Fields(rest) // from the third field of proc(5) on
	if !ok || len(fields) < 22 {
		return usage{}, errors.New("too few fields")
	}
	var u usage
	for _, i := range []int{14, 15, 16, 17} { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(fields[i-3], 10, 64)
		if err != nil {
			return usage{}, err
		}
		u.cpu += time.Duration(ticks) * clockTick
	}
	pages, err := strconv.ParseUint(fields[24-3], 10, 64) // rss
	if err != nil {
		return usage{}, err
	}
	u.rss = pages * uint64(os.Getpagesize())
	return u, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// stats returns what a container uses; of one that does not run, only who it is.
// It needs Server.mu.
func (c *container) stats(all map[string]usage) *runtimeapi.ContainerStats {
	st := &runtimeapi.ContainerStats{Attributes: &runtimeapi.ContainerAttributes{
		Id: c.id, Metadata: c.config.Metadata, Labels: c.config.Labels, Annotations: c.config.Annotations,
	}}
	if c.pidfd < 0 {
		return st
	}
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.process.Pid))
	if err != nil {
		return st // it is just ending
	}
	u, now := all[namespace], time.Now().UnixNano()
	value := func(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }
	st.Cpu = &runtimeapi.CpuUsage{Timestamp: now, UsageCoreNanoSeconds: value(uint64(u.cpu))}
	st.Memory = &runtimeapi.MemoryUsage{Timestamp: now, WorkingSetBytes: value(u.rss), UsageBytes: value(u.rss), RssBytes: value(u.rss)}
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
