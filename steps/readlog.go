package steps

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// readers are programs that show files, or texts, and make no request.
var readers = []string{"awk", "cat", "cd", "cut", "echo", "egrep", "grep", "head", "jq", "ls", "more", "sed", "sort", "tac", "tail", "test", "uniq", "wc", "zcat"}

// onlyReads reports whether a command makes no request for certain: it is one of
// the readers, or a script of a shell that has nothing else.
func onlyReads(argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	if slices.Contains(readers, path.Base(argv[0])) {
		return true
	}
	script, ok := scriptOf(argv)
	if !ok {
		return false
	}
	file, _, problem := shell.Parse(script)
	if problem != nil {
		return false
	}
	only := true
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			only = only && slices.Contains(readers, path.Base(call.Args[0].Lit()))
		}
		return only
	})
	return only
}

// scriptOf returns the script of sh -c.
func scriptOf(argv []string) (string, bool) {
	if len(argv) == 3 && slices.Contains([]string{"sh", "bash", "ash"}, path.Base(argv[0])) && strings.HasPrefix(argv[1], "-") && strings.HasSuffix(argv[1], "c") {
		return argv[2], true
	}
	return "", false
}

var (
	logFile    = regexp.MustCompile(`(?i)(?:^|[\s'"=<(])(?:/[^\s'":]*log|[^\s'":/]*\.log\b)`)
	likeLog    = regexp.MustCompile(`(?i)log`)
	ofSquid    = regexp.MustCompile(`^(\d{9,11})\.(\d{3})\s+(\d+)\s`)
	ofISO      = regexp.MustCompile(`^\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)[.,](\d+)(Z|[+-]\d\d:?\d\d)`)
	ofCommon   = regexp.MustCompile(`\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]`)
	nameOfFile = regexp.MustCompile(`^==> .* <==$`)
)

// ReadsLog reports whether a command in a pod reads a log that stands in a file:
// such a log has lines of earlier requests.
func ReadsLog(argv []string) bool {
	text := strings.Join(argv, " ")
	return logFile.MatchString(text) || onlyReads(argv) && likeLog.MatchString(text)
}

// A logRead is what a command read of a log.
type logRead struct {
	text    string // without the lines from before
	older   int    // how many these are
	undated bool   // lines are left of which it is not known when they were written
}

// sinceOf leaves out of what a command read those lines of a log that are of
// requests from before since.
func sinceOf(argv []string, text string, since time.Time) logRead {
	isLog := ReadsLog(argv)
	if !isLog && !onlyReads(argv) {
		return logRead{text: text}
	}
	var r logRead
	var kept strings.Builder
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\r\n")
		switch older, known := isBefore(bare, since); {
		case known && older:
			r.older++
			continue
		case !known && isLog && strings.TrimSpace(bare) != "" && !nameOfFile.MatchString(bare):
			r.undated = true
		}
		kept.WriteString(line)
	}
	r.text = kept.String()
	return r
}

// isBefore reports whether a line of a log is of a request that began before since,
// as far as that is known.
func isBefore(line string, since time.Time) (before, known bool) {
	// The formats count thousandths of a second, and round them.
	exact := since.Truncate(time.Millisecond).Add(-time.Millisecond)
	if m := ofSquid.FindStringSubmatch(line); m != nil {
		seconds, err1 := strconv.ParseInt(m[1], 10, 64)
		thousandths, err2 := strconv.ParseInt(m[2], 10, 64)
		took, err3 := strconv.ParseInt(m[3], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return false, false
		}
		return time.UnixMilli(seconds*1000 + thousandths - took).Before(exact), true
	}
	if m := startOfRequest.FindStringSubmatch(line); m != nil {
		if at, err := time.Parse(time.RFC3339Nano, m[1]+m[2]); err == nil {
			return at.Before(exact), true
		}
	}
	if m := ofISO.FindStringSubmatch(line); m != nil {
		zone := m[4]
		if len(zone) == 5 {
			zone = zone[:3] + ":" + zone[3:]
		}
		if at, err := time.Parse(time.RFC3339Nano, fmt.Sprintf("%sT%s.%s%s", m[1], m[2], m[3], zone)); err == nil {
			return at.Before(exact), true
		}
	}
	if m := ofCommon.FindStringSubmatch(line); m != nil {
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[1])
		if second := since.Truncate(time.Second); err == nil && !at.Equal(second) {
			return at.Before(second), true
		}
	}
	return false, false
}
