package changes

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Holder returns who runs this process, such as "ann@laptop".
func Holder() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return name + "@" + host
}

// Process returns a unique name of this process among all processes of all machines,
// for [IsGone]; "" if the system does not provide one.
func Process() string {
	space := processSpace()
	started := processStarted(os.Getpid())
	if space == "" || started == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d/%s", space, os.Getpid(), started)
}

// IsGone reports whether a process has certainly ended: it was a process of this
// machine, and does not exist any more.
func IsGone(process string) bool {
	space, rest, ok := cutLast2(process)
	if !ok || space == "" || space != processSpace() {
		return false
	}
	pid, started, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(pid)
	return err == nil && processStarted(n) != started
}

// cutLast2 cuts "SPACE/PID/STARTED" behind the space.
func cutLast2(process string) (space, rest string, ok bool) {
	parts := strings.Split(process, "/")
	if len(parts) < 3 {
		return "", "", false
	}
	n := len(parts) - 2
	return strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/"), true
}

// processSpace returns the name of the space in which process numbers are unique: this
// start of the machine, and the namespace of its processes. It is "" on systems other
// than Linux.
func processSpace() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "," + strings.TrimSuffix(strings.TrimPrefix(space, "pid:["), "]")
}

// processStarted returns when a process began, in the system's own count; "" if the
// process does not exist, or is a zombie. Source: proc(5), fields 3 and 22 of
// /proc/PID/stat.
func processStarted(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may have blanks.
	_, rest, _ := strings.Cut(string(stat), ") ")
	for {
		_, more, again := strings.Cut(rest, ") ")
		if !again {
			break
		}
		rest = more
	}
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}
