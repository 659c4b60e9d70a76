package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// awkTool is awk with -F and a program that prints fields of lines: [PATTERN] {print
// EXPRESSIONS}. A pattern is /REGEXP/ or NR and a comparison with a number; an
// expression is $N, $NF, $0, NR, NF or a text in quotes.
func awkTool(args []string) (Filter, error) {
	set, operands, err := options(args, "", "F", nil)
	if err != nil {
		return nil, err
	}
	if len(operands) == 0 {
		return nil, errors.New("it needs a program")
	}
	if err := noFiles(operands[1:]); err != nil {
		return nil, err
	}
	separator := set['F']
	if len(separator) > 1 || has(set, 'F') && (separator == "" || separator == " " || separator == "\\" || separator == "t") {
		return nil, errors.New("-F takes one character that is no blank")
	}
	a, err := readAwk(operands[0])
	if err != nil {
		return nil, err
	}
	a.separator = separator
	return a.run, nil
}

// awk is a program that prints fields of lines.
type awk struct {
	separator string // "" for blanks
	matches   func(line string, number int) bool
	printed   [][]awkValue // behind commas; each is joined without blanks
}

// An awkValue is a part of what is printed.
type awkValue struct {
	text  string // of a text in quotes
	field int    // of $N
	name  string // "text", "field", "NF", "NR" or "$NF"
}

var (
	awkProgram = regexp.MustCompile(`^\s*([^{}]*?)\s*(?:\{\s*print\b\s*([^{}]*?)\s*;?\s*\})?\s*$`)
	awkNumber  = regexp.MustCompile(`^NR\s*(==|!=|>=|<=|>|<)\s*(\d{1,9})$`)
	awkPart    = regexp.MustCompile(`^(?:"((?:[^"\\]|\\[nt"\\])*)"|\$(\d{1,4})\b|(\$NF|NF|NR)\b|(,))\s*`)
)

// readAwk reads a program.
func readAwk(program string) (*awk, error) {
	unknown := fmt.Errorf("the program %q is not known here: only [/REGEXP/ or NR==N] {print $N, ...} is", program)
	g := awkProgram.FindStringSubmatch(program)
	if g == nil || strings.TrimSpace(program) == "" {
		return nil, unknown
	}
	a := &awk{matches: func(string, int) bool { return true }}
	switch number := awkNumber.FindStringSubmatch(g[1]); {
	case g[1] == "":
	case number != nil:
		n, err := strconv.Atoi(number[2])
		if err != nil {
			return nil, err
		}
		a.matches = func(_ string, at int) bool { return compares(at, number[1], n) }
	case len(g[1]) > 2 && g[1][0] == '/' && strings.IndexByte(g[1][1:], '/') == len(g[1])-2:
		re, err := grepPattern(g[1][1:len(g[1])-1], extended, false, false)
		if err != nil {
			return nil, err
		}
		a.matches = func(line string, _ int) bool { return re.MatchString(line) }
	default:
		return nil, unknown
	}
	rest, one := g[2], []awkValue(nil)
	for rest != "" {
		part := awkPart.FindStringSubmatch(rest)
		if part == nil {
			return nil, unknown
		}
		rest = rest[len(part[0]):]
		switch {
		case part[4] != "" && (one == nil || rest == ""):
			return nil, unknown
		case part[4] != "":
			a.printed, one = append(a.printed, one), nil
		case part[3] != "":
			one = append(one, awkValue{name: part[3]})
		case part[2] != "":
			n, err := strconv.Atoi(part[2])
			if err != nil {
				return nil, err
			}
			one = append(one, awkValue{name: "field", field: n})
		default:
			one = append(one, awkValue{name: "text", text: strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`, `\\`, `\`).Replace(part[1])})
		}
	}
	if one == nil {
		one = []awkValue{{name: "field"}} // print alone prints the line
	}
	a.printed = append(a.printed, one)
	return a, nil
}

// compares reports whether a comparison of awk holds.
func compares(a int, how string, b int) bool {
	switch how {
	case "==":
		return a == b
	case "!=":
		return a != b
	case ">":
		return a > b
	case "<":
		return a < b
	case ">=":
		return a >= b
	}
	return a <= b
}

func (a *awk) run(in string) (string, string, int) {
	var out strings.Builder
	for i, line := range lines(in) {
		if !a.matches(line, i+1) {
			continue
		}
		fields := strings.Fields(line)
		switch {
		case a.separator != "" && line == "":
			fields = nil
		case a.separator != "":
			fields = strings.Split(line, a.separator)
		}
		for j, values := range a.printed {
			if j > 0 {
				out.WriteByte(' ')
			}
			for _, v := range values {
				out.WriteString(v.in(line, i+1, fields))
			}
		}
		out.WriteByte('\n')
	}
	return out.String(), "", 0
}

// in returns the value in a line.
func (v awkValue) in(line string, number int, fields []string) string {
	switch v.name {
	case "text":
		return v.text
	case "NR":
		return strconv.Itoa(number)
	case "NF":
		return strconv.Itoa(len(fields))
	case "$NF":
		if len(fields) == 0 {
			return line // $0
		}
		return fields[len(fields)-1]
	}
	switch {
	case v.field == 0:
		return line
	case v.field <= len(fields):
		return fields[v.field-1]
	}
	return ""
}
