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

// headTool is head with -n.
func headTool(args []string) (Filter, error) {
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

// tailTool is tail with -n.
func tailTool(args []string) (Filter, error) {
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
