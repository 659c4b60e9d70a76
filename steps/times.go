package steps

import "regexp"

// timesOf matches what time writes behind all output of its command: the three lines
// of busybox and of bash, or the two of GNU time.
var timesOf = regexp.MustCompile(`\n?(?:real\s+[\dm .]+s\s*\nuser\s+[\dm .]+s\s*\nsys\s+[\dm .]+s\s*\n?|[\d.]+user [\d.]+system [\d:.]+elapsed [^\n]*\n[^\n]*pagefaults \d+swaps\n?)$`)

// cutTimes cuts off what time has written at the end of a command's standard error.
func cutTimes(stderr string) (rest, times string) {
	m := timesOf.FindStringIndex(stderr)
	if m == nil {
		return stderr, ""
	}
	return stderr[:m[0]], stderr[m[0]:]
}
