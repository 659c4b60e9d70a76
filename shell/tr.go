package shell

import (
	"errors"
	"fmt"
	"strings"
)

// trTool is tr with two sets of characters, or with -d and one: characters, ranges such
// as a-z, [:upper:] and [:lower:], and the escapes \n, \t and \\.
func trTool(args []string) (Filter, error) {
	set, operands, err := options(args, "d", "", map[string]byte{"delete": 'd'})
	if err != nil {
		return nil, err
	}
	want := 2
	if has(set, 'd') {
		want = 1
	}
	if len(operands) != want {
		return nil, errors.New("it takes two sets of characters, or -d and one")
	}
	from, err := characters(operands[0])
	if err != nil {
		return nil, err
	}
	var to string
	if want == 2 {
		if to, err = characters(operands[1]); err != nil {
			return nil, err
		}
		if to == "" {
			return nil, errors.New("the second set has no character")
		}
	}
	return func(in string) (string, string, int) {
		out := make([]byte, 0, len(in))
		for i := range len(in) {
			at := strings.LastIndexByte(from, in[i])
			switch {
			case at < 0:
				out = append(out, in[i])
			case want == 2:
				out = append(out, to[min(at, len(to)-1)])
			}
		}
		return string(out), "", 0
	}, nil
}

// characters returns the characters of a set of tr.
func characters(set string) (string, error) {
	set = strings.NewReplacer("[:upper:]", "A-Z", "[:lower:]", "a-z").Replace(set)
	if strings.Contains(set, "[") {
		return "", fmt.Errorf("the set %q is not known here: write its characters, or a range such as a-z", set)
	}
	var all []byte
	isRange := false
	for i := 0; i < len(set); i++ {
		c := set[i]
		switch {
		case c >= 0x80:
			return "", fmt.Errorf("the set %q has a character that is not ASCII", set)
		case c == '\\' && i+1 < len(set):
			i++
			at := strings.IndexByte(`nt\`, set[i])
			if at < 0 {
				return "", fmt.Errorf("\\%c is not known here", set[i])
			}
			c = "\n\t\\"[at]
		case c == '-' && len(all) > 0 && i+1 < len(set) && !isRange:
			isRange = true
			continue
		}
		if !isRange {
			all = append(all, c)
			continue
		}
		isRange = false
		first := all[len(all)-1]
		if c < first {
			return "", fmt.Errorf("the range %c-%c goes backwards", first, c)
		}
		for n := int(first) + 1; n <= int(c); n++ {
			all = append(all, byte(n))
		}
	}
	return string(all), nil
}
