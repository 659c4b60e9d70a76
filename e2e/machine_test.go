//go:build lab

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A running is a process of the machine.
type running struct {
	pid, parent int
	argv        []string
}

// processes returns all processes of the machine.
func processes(t *testing.T) map[int]running {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	all := map[int]running{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// What cannot be read has ended meanwhile.
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// The name, in brackets, may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, err := strconv.Atoi(fields[1])
		require.NoError(t, err, "%s", stat)
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		all[pid] = running{pid, parent, strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")}
	}
	return all
}

// inside returns the processes of a lab, whose first one is given.
func inside(t *testing.T, first int) map[int]running {
	t.Helper()
	all := processes(t)
	in := map[int]running{}
	for pid, p := range all {
		for at := pid; at > 1; at = all[at].parent {
			if at == first {
				in[pid] = p
				break
			}
		}
	}
	return in
}

// naming returns the processes whose command or environment has a text, but for
// this one.
func naming(t *testing.T, text string) []running {
	t.Helper()
	var found []running
	for pid, p := range processes(t) {
		// That of another user cannot be read, and is not ours.
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if pid != os.Getpid() && (strings.Contains(strings.Join(p.argv, " "), text) || bytes.Contains(env, []byte(text))) {
			found = append(found, p)
		}
	}
	return found
}

// A machine is what a lab could leave on it.
type machine struct {
	mounts, interfaces []string
}

func lookAtMachine(t *testing.T) machine {
	t.Helper()
	var m machine
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		m.mounts = append(m.mounts, strings.Join(strings.Fields(line)[2:5], " "))
	}
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		m.interfaces = append(m.interfaces, i.Name)
	}
	return m
}

// A trace is what is known of a lab of a test's own while it runs.
type trace struct {
	dir    string
	before machine
	pids   map[int]running
}

// traceLab looks at the machine before a lab is started in dir.
func traceLab(t *testing.T, dir string) *trace {
	t.Helper()
	return &trace{dir: dir, before: lookAtMachine(t), pids: map[int]running{}}
}

// look remembers the processes that the lab has now, those of pods included,
// and says how many it knows.
func (tr *trace) look(t *testing.T) int {
	t.Helper()
	for _, p := range naming(t, tr.dir) {
		maps.Copy(tr.pids, inside(t, p.pid))
	}
	return len(tr.pids)
}

// has reports whether a part of the lab has been seen.
func (tr *trace) has(part string) bool {
	for _, p := range tr.pids {
		if len(p.argv) > 1 && p.argv[1] == part {
			return true
		}
	}
	return false
}

// gone asserts that nothing is left: no process, mount, interface or file.
func (tr *trace) gone(t *testing.T) {
	t.Helper()
	now := processes(t)
	for pid, p := range tr.pids {
		if same, ok := now[pid]; ok && slices.Equal(same.argv, p.argv) {
			assert.Fail(t, "a process is left", "%d: %s", pid, strings.Join(p.argv, " "))
		}
	}
	assert.Empty(t, naming(t, tr.dir), "processes that name the run folder")
	assert.Equal(t, tr.before, lookAtMachine(t), "the machine's mounts and interfaces")
	entries, err := os.ReadDir(tr.dir)
	require.NoError(t, err)
	for _, e := range entries {
		assert.Fail(t, "something is left in the run folder", "%s", e.Name())
	}
}
