package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// clock tells the time.
var clock = time.Now

// later matches the values of -d that are supported: now, or a time from now on.
var later = regexp.MustCompile(`^(?:now|(?:now ?)?\+? ?(\d+) ?(second|sec|minute|min|hour|day)s?( ago)?)$`)

// dateTool is date with -u, -d and +FORMAT, in UTC.
func dateTool(args []string) (Filter, error) {
	set, operands, err := options(args, "u", "d", map[string]byte{"utc": 'u', "universal": 'u', "date": 'd'})
	if err != nil {
		return nil, err
	}
	format := "+%a %b %e %H:%M:%S UTC %Y"
	switch {
	case len(operands) > 1 || len(operands) == 1 && !strings.HasPrefix(operands[0], "+"):
		return nil, errors.New("it takes +FORMAT")
	case len(operands) == 1:
		format = operands[0]
	}
	shift := time.Duration(0)
	if has(set, 'd') {
		g := later.FindStringSubmatch(strings.TrimSpace(set['d']))
		if g == nil {
			return nil, fmt.Errorf("-d %q is not known here: write +N seconds, minutes, hours or days", set['d'])
		}
		n, _ := strconv.Atoi("0" + g[1])
		shift = time.Duration(n) * map[string]time.Duration{"": 0, "second": time.Second, "sec": time.Second, "minute": time.Minute, "min": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[g[2]]
		if g[3] != "" {
			shift = -shift
		}
	}
	if _, err := dateText(format[1:], time.Time{}); err != nil {
		return nil, err
	}
	return func(string) (string, string, int) {
		text, _ := dateText(format[1:], clock().UTC().Add(shift))
		return text + "\n", "", 0
	}, nil
}

// dateParts are the supported parts of a format, in Go's notation.
var dateParts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'j': "002", 'Z': "UTC", 'z': "-0700",
}

// dateText returns a time in a format of date.
func dateText(format string, t time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		if i++; i == len(format) {
			return "", errors.New("a % ends the format")
		}
		switch part, known := dateParts[format[i]]; {
		case format[i] == 's':
			fmt.Fprint(&b, t.Unix())
		case format[i] == 'N':
			fmt.Fprintf(&b, "%09d", t.Nanosecond())
		case format[i] == '%':
			b.WriteByte('%')
		case known:
			b.WriteString(t.Format(part))
		default:
			return "", fmt.Errorf("%%%c is not known here", format[i])
		}
	}
	return b.String(), nil
}
