// Package proc reads the CPU time and the memory of processes from /proc.
package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc: 1/100 s on every Linux
// architecture that Go runs on (proc(5), USER_HZ).
const clockTick = 10 * time.Millisecond

// Usage is what a process uses.
type Usage struct {
	CPU time.Duration // since its start, including the children that it has waited for
	RSS uint64        // resident memory, in bytes; 0 if it has ended
}

// Plus returns the sum of two usages.
func (u Usage) Plus(v Usage) Usage { return Usage{u.CPU + v.CPU, u.RSS + v.RSS} }

// Of returns what a process uses. The pid is that of this process's /proc.
func Of(pid int) (Usage, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return Usage{}, err
	}
	u, err := parseStat(string(text))
	if err != nil {
		return Usage{}, fmt.Errorf("%s: %w", path, err)
	}
	return u, nil
}

// parseStat reads a line of /proc/PID/stat. The second field, the program's name
// in parentheses, may contain anything.
func parseStat(stat string) (Usage, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:]) // from the third field of proc(5) on
	if len(fields) < 22 {
		return Usage{}, errors.New("too few fields")
	}
	var u Usage
	for _, i := range []int{14, 15, 16, 17} { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(fields[i-3], 10, 64)
		if err != nil {
			return Usage{}, err
		}
		u.CPU += time.Duration(ticks) * clockTick
	}
	pages, err := strconv.ParseUint(fields[24-3], 10, 64) // rss
	if err != nil {
		return Usage{}, err
	}
	u.RSS = pages * uint64(os.Getpagesize())
	return u, nil
}
