package shell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sortTool is sort with -n -r -u, by bytes, as in the locale C.
func sortTool(args []string) (Filter, error) {
	set, operands, err := options(args, "nru", "", map[string]byte{"numeric-sort": 'n', "reverse": 'r', "unique": 'u'})
	if err != nil {
		return nil, err
	}
	return func(in string) (string, string, int) {
		all := lines(in)
		compare := func(a, b string) int {
			if has(set, 'n') {
				if x, y := number(a), number(b); x != y {
					if x < y {
						return -1
					}
					return 1
				}
				if has(set, 'u') {
					return 0
				}
			}
			return strings.Compare(a, b)
		}
		slices.SortStableFunc(all, func(a, b string) int {
			if has(set, 'r') {
				a, b = b, a
			}
			return compare(a, b)
		})
		if has(set, 'u') {
			all = slices.CompactFunc(all, func(a, b string) bool { return compare(a, b) == 0 })
		}
		return unlines(all), "", 0
	}, noFiles(operands)
}

// number returns the number with which a line begins, 0 if there is none.
func number(line string) float64 {
	line = strings.TrimLeft(line, " \t")
	end := 0
	for end < len(line) && (line[end] >= '0' && line[end] <= '9' || line[end] == '.' || end == 0 && line[end] == '-') {
		end++
	}
	n, _ := strconv.ParseFloat(strings.TrimSuffix(line[:end], "."), 64)
	return n
}

// uniqTool is uniq with -c -d -u.
func uniqTool(args []string) (Filter, error) {
	set, operands, err := options(args, "cdu", "", map[string]byte{"count": 'c', "repeated": 'd', "unique": 'u'})
	if err != nil {
		return nil, err
	}
	return func(in string) (string, string, int) {
		var out []string
		all := lines(in)
		for i := 0; i < len(all); {
			j := i + 1
			for j < len(all) && all[j] == all[i] {
				j++
			}
			n := j - i
			line := all[i]
			if has(set, 'c') {
				line = fmt.Sprintf("%7d %s", n, line)
			}
			if !(has(set, 'd') && n == 1) && !(has(set, 'u') && n > 1) {
				out = append(out, line)
			}
			i = j
		}
		return unlines(out), "", 0
	}, noFiles(operands)
}
