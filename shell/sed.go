package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// sedTool is sed with only s/PATTERN/TEXT/FLAGS, the flags being g, i and I, and
// with -E, -r and -e.
func sedTool(args []string) (Filter, error) {
	set, operands, err := options(args, "Er", "e", map[string]byte{"regexp-extended": 'E', "expression": 'e'})
	if err != nil {
		return nil, err
	}
	if !has(set, 'e') {
		if len(operands) == 0 {
			return nil, errors.New("there is no script")
		}
		set['e'], operands = operands[0], operands[1:]
	}
	if err := noFiles(operands); err != nil {
		return nil, err
	}
	var all []*substitution
	for _, script := range strings.Split(set['e'], "\n") {
		s, err := readSubstitution(script, has(set, 'E') || has(set, 'r'))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return func(in string) (string, string, int) {
		out := lines(in)
		for i := range out {
			for _, s := range all {
				out[i] = s.apply(out[i])
			}
		}
		text := unlines(out)
		if !strings.HasSuffix(in, "\n") {
			text = strings.TrimSuffix(text, "\n")
		}
		return text, "", 0
	}, nil
}

type substitution struct {
	re     *regexp.Regexp
	with   []string // texts and groups in turn: a group is "\x00" and its digit
	global bool
}

func readSubstitution(script string, isExtended bool) (*substitution, error) {
	script = strings.TrimSpace(script)
	if len(script) < 4 || script[0] != 's' {
		return nil, fmt.Errorf("only s/PATTERN/TEXT/ is known here, not %q", script)
	}
	delimiter := script[1]
	parts := []string{""}
	for i := 2; i < len(script); i++ {
		last := len(parts) - 1
		switch {
		case script[i] == '\\' && i+1 < len(script) && script[i+1] == delimiter:
			i++
			parts[last] += string(delimiter)
		case script[i] == '\\' && i+1 < len(script):
			parts[last] += script[i : i+2]
			i++
		case script[i] == delimiter:
			parts = append(parts, "")
		default:
			parts[last] += string(script[i])
		}
	}
	if len(parts) != 3 {
		return nil, fmt.Errorf("only s/PATTERN/TEXT/ is known here, not %q", script)
	}
	s := &substitution{}
	fold := false
	for _, flag := range parts[2] {
		switch flag {
		case 'g':
			s.global = true
		case 'i', 'I':
			fold = true
		default:
			return nil, fmt.Errorf("the flag %c of s is not known here", flag)
		}
	}
	syntax := basic
	if isExtended {
		syntax = extended
	}
	var err error
	if s.re, err = grepPattern(parts[0], syntax, fold, false); err != nil {
		return nil, err
	}
	return s, s.readText(parts[1])
}

func (s *substitution) readText(text string) error {
	literal := ""
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '&':
			s.with, literal = append(s.with, literal, "\x000"), ""
		case text[i] == '\\' && i+1 < len(text):
			i++
			switch c := text[i]; {
			case '1' <= c && c <= '9':
				if int(c-'0') > s.re.NumSubexp() {
					return fmt.Errorf("the pattern has no group \\%c", c)
				}
				s.with, literal = append(s.with, literal, "\x00"+string(c)), ""
			case c == 'n':
				literal += "\n"
			case c == '&' || c == '\\' || c == '/':
				literal += string(c)
			default:
				return fmt.Errorf(`\%c is not known here`, c)
			}
		default:
			literal += string(text[i])
		}
	}
	s.with = append(s.with, literal)
	return nil
}

func (s *substitution) apply(line string) string {
	limit := 1
	if s.global {
		limit = -1
	}
	var b strings.Builder
	at := 0
	for _, m := range s.re.FindAllStringSubmatchIndex(line, limit) {
		b.WriteString(line[at:m[0]])
		for _, part := range s.with {
			group, isGroup := strings.CutPrefix(part, "\x00")
			if !isGroup {
				b.WriteString(part)
			} else if g := int(group[0] - '0'); m[2*g] >= 0 {
				b.WriteString(line[m[2*g]:m[2*g+1]])
			}
		}
		at = m[1]
	}
	return b.String() + line[at:]
}
