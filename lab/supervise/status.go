package supervise

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// State is what a process is doing.
type State string

// The states of a process. One that is started again goes from Waiting to
// Starting; one that is not ends in Exited, as does every stopped one.
const (
	Starting State = "starting" // it runs, and is not ready yet
	Ready    State = "ready"
	Waiting  State = "waiting" // it has ended and will be started again
	Exited   State = "exited"
)

// Status is what is known of one process at one moment.
type Status struct {
	Name     string
	State    State
	Pid      int           // as this process counts; 0 when it does not run
	RSSBytes uint64        // resident memory; 0 when it does not run
	Restarts int           // how often it was started again
	Took     time.Duration // from its first start until it was ready; 0 when it never was
}

// RSS returns the resident memory of a process, in bytes, as proc(5) shows it
// in /proc/PID/status (VmRSS). The pid is one of this process's own /proc.
func RSS(pid int) (uint64, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("%s: no VmRSS, the process has ended", path)
}
