package curl

import (
	"fmt"
	"strings"
)

// An argument is one option of a command line with its value. A URL is an
// argument as well: curl reads it as the value of --url.
type argument struct {
	name  string // the option's full name, such as "write-out"
	off   bool   // it was written as --no-NAME
	value string

	// word is the index of the word that holds the value, which begins at the
	// byte at of that word.
	word, at int
}

// arguments reads the words after the word curl as curl reads them
// (src/tool_getparam.c, parse_args and getparameter). The error says where curl would
// stop, or what is not known here. The earlier arguments are returned with it.
func arguments(words []string) ([]argument, error) {
	var args []argument
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--":
			for j := i + 1; j < len(words); j++ {
				args = append(args, argument{name: "url", value: words[j], word: j})
			}
			return args, nil
		case strings.HasPrefix(word, "--"):
			arg, separate, err := longArgument(word, i)
			if err == nil && separate {
				i++
				err = arg.takeWord(words, i)
			}
			if err != nil {
				return args, err
			}
			args = append(args, arg)
		case strings.HasPrefix(word, "-"):
			cluster, separate, err := shortArguments(word, i)
			args = append(args, cluster...)
			if err == nil && separate {
				i++
				err = args[len(args)-1].takeWord(words, i)
			}
			if err != nil {
				return args, err
			}
		default:
			args = append(args, argument{name: "url", value: word, word: i})
		}
	}
	return args, nil
}

// takeWord takes the next word as the argument's value.
func (a *argument) takeWord(words []string, i int) error {
	if i >= len(words) {
		return fmt.Errorf("the option --%s of curl has no value", a.name)
	}
	a.value, a.word, a.at = words[i], i, 0
	return nil
}

// longArgument reads --NAME, --no-NAME, --expand-NAME or, as curl takes it
// since 8.16, --NAME=VALUE. separate reports whether the value is the next
// word.
func longArgument(word string, at int) (arg argument, separate bool, err error) {
	name := word[len("--"):]
	off := strings.HasPrefix(name, "no-")
	if off {
		name = name[len("no-"):]
	} else {
		name = strings.TrimPrefix(name, "expand-")
	}
	name, value, attached := strings.Cut(name, "=")
	kind, err := longOption(name)
	if err != nil {
		return argument{}, false, err
	}
	if off && kind.valued {
		return argument{}, false, fmt.Errorf("curl has no option --no-%s", kind.name)
	}
	arg = argument{name: kind.name, off: off, value: value, word: at, at: len(word) - len(value)}
	return arg, kind.valued && !attached, nil
}

// shortArguments reads a word such as -sSL or -ofile. separate reports whether
// the value of the last one is the next word.
func shortArguments(word string, at int) (args []argument, separate bool, err error) {
	if word == "-" {
		return nil, false, fmt.Errorf("curl has no option -")
	}
	for j := 1; j < len(word); j++ {
		kind, ok := byLetter[word[j]]
		if !ok {
			return args, false, fmt.Errorf("the option -%c of curl is not known here", word[j])
		}
		// -N stands for --no-buffer.
		arg := argument{name: kind.name, off: word[j] == 'N', word: at, at: j + 1}
		if kind.valued {
			arg.value = word[j+1:]
			return append(args, arg), arg.value == "", nil
		}
		args = append(args, arg)
	}
	return args, false, nil
}
