package shell

import (
	"fmt"
	"strings"
)

// wcTool is wc with -l -w -c.
func wcTool(args []string) (Filter, error) {
	set, operands, err := options(args, "lwc", "", map[string]byte{"lines": 'l', "words": 'w', "bytes": 'c'})
	if err != nil {
		return nil, err
	}
	return func(in string) (string, string, int) {
		counts := []struct {
			letter byte
			n      int
		}{{'l', strings.Count(in, "\n")}, {'w', len(strings.Fields(in))}, {'c', len(in)}}
		var out []string
		for _, c := range counts {
			if len(set) == 0 || has(set, c.letter) {
				out = append(out, fmt.Sprint(c.n))
			}
		}
		if len(out) == 1 {
			return out[0] + "\n", "", 0
		}
		for i := range out {
			out[i] = fmt.Sprintf("%7s", out[i])
		}
		return strings.Join(out, " ") + "\n", "", 0
	}, noFiles(operands)
}
