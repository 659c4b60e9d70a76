package shell

import (
	"fmt"
	"strings"
)

// A Filter reads a text and returns what the tool writes and its exit code.
type Filter func(stdin string) (stdout, stderr string, code int)

// A Tool reads its arguments. The error names what is not supported.
type Tool func(args []string) (Filter, error)

// Tools has all tools. Each does what the GNU tool of its name does, for the options
// that it supports, and reads no file. Keep it sorted.
var Tools = map[string]Tool{
	"awk":     awkTool,
	"base64":  base64Tool,
	"cat":     catTool,
	"cut":     cutTool,
	"date":    dateTool,
	"echo":    echoTool,
	"grep":    grepTool,
	"head":    headTool,
	"jq":      jqTool,
	"openssl": opensslTool,
	"sed":     sedTool,
	"sort":    sortTool,
	"tail":    tailTool,
	"tr":      trTool,
	"true":    trueTool,
	"uniq":    uniqTool,
	"wc":      wcTool,
}

// options splits arguments into options and operands as getopt does. takes are the
// one-letter options with a value, flags those without; long maps the long options to
// these letters.
func options(args []string, flags, takes string, long map[string]byte) (set map[byte]string, operands []string, err error) {
	set = map[byte]string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return set, append(operands, args[i+1:]...), nil
		case strings.HasPrefix(arg, "--"):
			name, value, has := strings.Cut(arg[2:], "=")
			letter, known := long[name]
			if !known {
				return nil, nil, fmt.Errorf("the option --%s is not known here", name)
			}
			if strings.IndexByte(takes, letter) >= 0 && !has {
				if i++; i >= len(args) {
					return nil, nil, fmt.Errorf("the option --%s has no value", name)
				}
				value = args[i]
			}
			set[letter] = value
		case len(arg) > 1 && arg[0] == '-':
			for j := 1; j < len(arg); j++ {
				letter := arg[j]
				switch {
				case strings.IndexByte(takes, letter) >= 0:
					value := arg[j+1:]
					if value == "" {
						if i++; i >= len(args) {
							return nil, nil, fmt.Errorf("the option -%c has no value", letter)
						}
						value = args[i]
					}
					if _, twice := set[letter]; twice && letter == 'e' {
						value = set[letter] + "\n" + value
					}
					set[letter] = value
					j = len(arg)
				case strings.IndexByte(flags, letter) >= 0:
					set[letter] = ""
				default:
					return nil, nil, fmt.Errorf("the option -%c is not known here", letter)
				}
			}
		default:
			operands = append(operands, arg)
		}
	}
	return set, operands, nil
}

// noFiles refuses operands, which most tools take as files.
func noFiles(operands []string) error {
	for _, o := range operands {
		if o != "-" {
			return fmt.Errorf("it reads no file, and %s is one", o)
		}
	}
	return nil
}

// lines splits a text into its lines, without their line feeds.
func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// unlines is the reverse of lines.
func unlines(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "\n") + "\n"
}

func has(set map[byte]string, letter byte) bool {
	_, ok := set[letter]
	return ok
}
