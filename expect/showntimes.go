package expect

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// usage and faults are the two lines that GNU time writes, where busybox and bash
// write the three of POSIX.
var (
	usage  = regexp.MustCompile(`^([\d.]+)user ([\d.]+)system (?:(\d+):)?(\d+):([\d.]+)elapsed `)
	faults = regexp.MustCompile(`^\d+inputs\+\d+outputs \(.*pagefaults \d+swaps$`)
)

// showsTimes reports whether the tutorial shows the times of POSIX.
func (c *comparison) showsTimes() bool {
	return slices.ContainsFunc(c.page, func(l shownLine) bool { return timeLine.MatchString(strings.TrimSpace(l.text)) })
}

// timesOf returns the three lines of POSIX that the first of GNU time means.
func timesOf(m []string) []string {
	hours, _ := strconv.Atoi(m[3])
	minutes, _ := strconv.Atoi(m[4])
	return []string{fmt.Sprintf("real\t%dm%ss", 60*hours+minutes, m[5]), "user\t0m" + m[1] + "s", "sys\t0m" + m[2] + "s"}
}
