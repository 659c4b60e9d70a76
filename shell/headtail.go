package shell

import (
	"fmt"
	"strconv"
	"strings"
)

// Lines returns how many lines these arguments of head or tail request, and whether
// they request nothing else.
func Lines(args []string) (int, bool) {
	n, err := count(args)
	return n, err == nil
}

// count reads -n N, -N, --lines=N; 10 without.
func count(args []string) (int, error) {
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0][1] >= '0' && args[0][1] <= '9' {
		args = append([]string{"-n", args[0][1:]}, args[1:]...)
	}
	set, operands, err := options(args, "q", "n", map[string]byte{"lines": 'n'})
	if err != nil {
		return 0, err
	}
	if err := noFiles(operands); err != nil {
		return 0, err
	}
	if !has(set, 'n') {
		return 10, nil
	}
	n, err := strconv.Atoi(set['n'])
	if err != nil || n < 0 || strings.HasPrefix(set['n'], "+") {
		return 0, fmt.Errorf("-n takes a number of lines, not %q", set['n'])
	}
	return n, nil
}

// headTool is head with -n, or with -c.
func headTool(args []string) (Filter, error) {
	if n, is, err := firstBytes(args); is {
		return func(in string) (string, string, int) { return in[:min(n, len(in))], "", 0 }, err
	}
	n, err := count(args)
	return func(in string) (string, string, int) {
		at := 0
		for range n {
			i := strings.IndexByte(in[at:], '\n')
			if i < 0 {
				return in, "", 0
			}
			at += i + 1
		}
		return in[:at], "", 0
	}, err
}

// firstBytes reads -c N and --bytes=N. is reports whether the arguments are one of these.
func firstBytes(args []string) (n int, is bool, err error) {
	set, operands, err := options(args, "", "c", map[string]byte{"bytes": 'c'})
	if err != nil || !has(set, 'c') {
		return 0, false, nil
	}
	if n, err = strconv.Atoi(set['c']); err != nil || n < 0 || strings.HasPrefix(set['c'], "+") {
		return 0, true, fmt.Errorf("-c takes a number of bytes, not %q", set['c'])
	}
	return n, true, noFiles(operands)
}

// fromLine reads -n +N and --lines=+N. is reports whether the arguments are one of these.
func fromLine(args []string) (n int, is bool, err error) {
	set, operands, err := options(args, "", "n", map[string]byte{"lines": 'n'})
	if err != nil || !strings.HasPrefix(set['n'], "+") {
		return 0, false, nil
	}
	if n, err = strconv.Atoi(set['n'][1:]); err != nil || n < 0 {
		return 0, true, fmt.Errorf("-n takes a number of lines, not %q", set['n'])
	}
	return n, true, noFiles(operands)
}

// tailTool is tail with -n, also from a line on.
func tailTool(args []string) (Filter, error) {
	if n, is, err := fromLine(args); is {
		return func(in string) (string, string, int) {
			for range max(n, 1) - 1 {
				i := strings.IndexByte(in, '\n')
				if i < 0 {
					return "", "", 0
				}
				in = in[i+1:]
			}
			return in, "", 0
		}, err
	}
	n, err := count(args)
	return func(in string) (string, string, int) {
		at := len(strings.TrimSuffix(in, "\n"))
		for range n {
			if at = strings.LastIndexByte(in[:max(at, 0)], '\n'); at < 0 {
				return in, "", 0
			}
		}
		if n == 0 {
			return "", "", 0
		}
		return in[at+1:], "", 0
	}, err
}
