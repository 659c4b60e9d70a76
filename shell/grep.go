package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// grepTool is grep with -A -B -C -c -E -e -F -h -i -m -n -o -q -v -w.
func grepTool(args []string) (Filter, error) {
	set, operands, err := options(args, "cEFGhinoqsvw", "ABCem", map[string]byte{
		"after-context": 'A', "before-context": 'B', "context": 'C', "color": 'h', "colour": 'h', "count": 'c', "extended-regexp": 'E',
		"fixed-strings": 'F', "ignore-case": 'i', "invert-match": 'v', "max-count": 'm', "only-matching": 'o', "quiet": 'q', "regexp": 'e', "word-regexp": 'w',
	})
	if err != nil {
		return nil, err
	}
	if !has(set, 'e') {
		if len(operands) == 0 {
			return nil, errors.New("there is no pattern")
		}
		set['e'], operands = operands[0], operands[1:]
	}
	if err := noFiles(operands); err != nil {
		return nil, err
	}
	syntax := basic
	switch {
	case has(set, 'F'):
		syntax = fixed
	case has(set, 'E'):
		syntax = extended
	}
	re, err := grepPattern(set['e'], syntax, has(set, 'i'), has(set, 'w'))
	if err != nil {
		return nil, err
	}
	g := &grep{re: re, invert: has(set, 'v'), only: has(set, 'o'), count: has(set, 'c'), quiet: has(set, 'q'), numbers: has(set, 'n'), most: -1}
	for letter, into := range map[byte][]*int{'A': {&g.after}, 'B': {&g.before}, 'C': {&g.after, &g.before}, 'm': {&g.most}} {
		if !has(set, letter) {
			continue
		}
		n, err := strconv.Atoi(set[letter])
		if err != nil || n < 0 {
			return nil, fmt.Errorf("-%c takes a number of lines, not %q", letter, set[letter])
		}
		for _, p := range into {
			*p = n
		}
	}
	return g.filter, nil
}

type grep struct {
	re                                  *regexp.Regexp
	invert, only, count, quiet, numbers bool
	after, before, most                 int
}

func (g *grep) filter(in string) (string, string, int) {
	all := lines(in)
	var out []string
	found, last := 0, -1 // last is the last line that was written
	put := func(i int, sep, text string) {
		if g.numbers {
			text = strconv.Itoa(i+1) + sep + text
		}
		out = append(out, text)
	}
	for i, line := range all {
		if g.re.MatchString(line) == g.invert || found == g.most {
			continue
		}
		found++
		switch {
		case g.count || g.quiet:
		case g.only:
			for _, m := range g.re.FindAllString(line, -1) {
				if m != "" && !g.invert {
					put(i, ":", m)
				}
			}
		default:
			from := max(i-g.before, last+1)
			if (g.after > 0 || g.before > 0) && last >= 0 && from > last+1 {
				out = append(out, "--")
			}
			for j := from; j < i; j++ {
				put(j, "-", all[j])
			}
			if i > last {
				put(i, ":", line)
			}
			last = max(last, i)
			for j := i + 1; j <= i+g.after && j < len(all) && g.re.MatchString(all[j]) == g.invert; j++ {
				put(j, "-", all[j])
				last = j
			}
		}
	}
	code := 0
	if found == 0 {
		code = 1
	}
	if g.count {
		return strconv.Itoa(found) + "\n", "", code
	}
	return unlines(out), "", code
}

// The syntaxes of patterns.
const (
	basic    = iota // POSIX basic regular expressions, with GNU's \+ \? \|
	extended        // POSIX extended regular expressions
	fixed           // plain texts
)

// grepPattern translates a pattern, or several on lines of their own, into RE2's
// syntax.
func grepPattern(pattern string, syntax int, fold, word bool) (*regexp.Regexp, error) {
	var parts []string
	for _, p := range strings.Split(pattern, "\n") {
		if syntax == fixed {
			parts = append(parts, regexp.QuoteMeta(p))
			continue
		}
		p, err := translate(p, syntax == extended)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	text := strings.Join(parts, "|")
	if word {
		text = `\b(?:` + text + `)\b`
	}
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q is not known here: %w", pattern, err)
	}
	re.Longest()
	return re, nil
}

// Pattern returns the RE2 pattern of these arguments of grep. It is not ok if grep
// would do more than find lines.
func Pattern(args []string) (string, bool) {
	set, operands, err := options(args, "cEFGhinoqsvw", "ABCem", nil)
	if err != nil {
		return "", false
	}
	for letter := range set {
		if !strings.ContainsRune("EFGie", rune(letter)) {
			return "", false
		}
	}
	filter, err := grepTool(args)
	if err != nil || filter == nil || !has(set, 'e') && len(operands) != 1 {
		return "", false
	}
	text := set['e']
	if !has(set, 'e') {
		text = operands[0]
	}
	kind := basic
	if has(set, 'F') {
		kind = fixed
	} else if has(set, 'E') {
		kind = extended
	}
	re, err := grepPattern(text, kind, has(set, 'i'), false)
	if err != nil {
		return "", false
	}
	return re.String(), true
}

// translate turns a POSIX regular expression into one of RE2.
func translate(p string, isExtended bool) (string, error) {
	var b strings.Builder
	special := func(c byte) bool { return strings.IndexByte("+?|(){}", c) >= 0 }
	atStart := true
	for i := 0; i < len(p); i++ {
		c := p[i]
		start := atStart
		atStart = false
		switch {
		case c == '\\' && i+1 < len(p):
			i++
			switch n := p[i]; {
			case '1' <= n && n <= '9':
				return "", fmt.Errorf("the pattern %q refers back to a group (\\%c), which is not known here", p, n)
			case special(n) && !isExtended:
				b.WriteByte(n)
				atStart = n == '(' || n == '|'
			case strings.IndexByte("wWsSbB", n) >= 0:
				b.WriteString(`\` + string(n))
			case n == '<' || n == '>':
				b.WriteString(`\b`)
			default:
				b.WriteString(regexp.QuoteMeta(string(n)))
			}
		case c == '[':
			end := bracket(p[i:])
			if end < 0 {
				return "", fmt.Errorf("the pattern %q has a [ without ]", p)
			}
			inner := p[i+1 : i+end]
			b.WriteByte('[')
			rest := strings.TrimPrefix(inner, "^")
			if rest != inner {
				b.WriteByte('^')
			}
			if strings.HasPrefix(rest, "]") {
				b.WriteString(`\]`)
				rest = rest[1:]
			}
			for j := 0; j < len(rest); j++ {
				switch {
				case strings.HasPrefix(rest[j:], "[:"):
					k := strings.Index(rest[j:], ":]")
					b.WriteString(rest[j : j+k+2])
					j += k + 1
				case rest[j] == '\\' || rest[j] == '[':
					b.WriteString(`\` + string(rest[j]))
				default:
					b.WriteByte(rest[j])
				}
			}
			b.WriteByte(']')
			i += end
		case c == '*' && start:
			b.WriteString(`\*`)
		case special(c) && !isExtended:
			b.WriteString(`\` + string(c))
		case c == '^' && !isExtended && !start:
			b.WriteString(`\^`)
		case c == '$' && !isExtended && i+1 < len(p) && !strings.HasPrefix(p[i+1:], `\)`) && !strings.HasPrefix(p[i+1:], `\|`):
			b.WriteString(`\$`)
		case c == '{' && (i+1 == len(p) || p[i+1] < '0' || p[i+1] > '9'):
			b.WriteString(`\{`)
		default:
			b.WriteByte(c)
			atStart = c == '^' || isExtended && (c == '(' || c == '|')
		}
	}
	return b.String(), nil
}

// bracket returns the end of the bracket expression at the beginning of p.
func bracket(p string) int {
	i := 1
	if i < len(p) && p[i] == '^' {
		i++
	}
	if i < len(p) && p[i] == ']' {
		i++
	}
	for ; i < len(p); i++ {
		if strings.HasPrefix(p[i:], "[:") {
			if k := strings.Index(p[i:], ":]"); k >= 0 {
				i += k + 1
				continue
			}
		}
		if p[i] == ']' {
			return i
		}
	}
	return -1
}
