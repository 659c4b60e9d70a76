package shell

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// cutTool is cut with -d -f -s, and with -c.
func cutTool(args []string) (Filter, error) {
	set, operands, err := options(args, "s", "dfc", map[string]byte{"delimiter": 'd', "fields": 'f', "characters": 'c', "only-delimited": 's'})
	if err != nil {
		return nil, err
	}
	if err := noFiles(operands); err != nil {
		return nil, err
	}
	if has(set, 'f') == has(set, 'c') {
		return nil, errors.New("it takes one of -f and -c")
	}
	ranges, err := readRanges(set['f'] + set['c'])
	if err != nil {
		return nil, err
	}
	delimiter := "\t"
	if has(set, 'd') {
		if delimiter = set['d']; len(delimiter) != 1 {
			return nil, errors.New("-d takes one character")
		}
	}
	return func(in string) (string, string, int) {
		var out []string
		for _, line := range lines(in) {
			if has(set, 'c') {
				var b strings.Builder
				for i := range len(line) {
					if ranges.have(i + 1) {
						b.WriteByte(line[i])
					}
				}
				out = append(out, b.String())
				continue
			}
			fields := strings.Split(line, delimiter)
			if len(fields) == 1 {
				if !has(set, 's') {
					out = append(out, line)
				}
				continue
			}
			var kept []string
			for i, field := range fields {
				if ranges.have(i + 1) {
					kept = append(kept, field)
				}
			}
			out = append(out, strings.Join(kept, delimiter))
		}
		return unlines(out), "", 0
	}, nil
}

// ranges are pairs of first and last, 0 for no last.
type ranges [][2]int

func readRanges(list string) (ranges, error) {
	var all ranges
	for _, item := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(item, "-")
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		switch {
		case from == "" && isRange:
			a, errA = 1, nil
		case to == "" && isRange:
			b, errB = 0, nil
		case !isRange:
			b, errB = a, nil
		}
		if errA != nil || errB != nil || a < 1 || item == "-" {
			return nil, fmt.Errorf("%q is no list of fields", list)
		}
		all = append(all, [2]int{a, b})
	}
	return all, nil
}

func (r ranges) have(n int) bool {
	for _, one := range r {
		if n >= one[0] && (one[1] == 0 || n <= one[1]) {
			return true
		}
	}
	return false
}
