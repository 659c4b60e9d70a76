package shell

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// catTool is cat of its standard input.
func catTool(args []string) (Filter, error) {
	_, operands, err := options(args, "", "", nil)
	if err != nil {
		return nil, err
	}
	return func(in string) (string, string, int) { return in, "", 0 }, noFiles(operands)
}

// trueTool is true.
func trueTool([]string) (Filter, error) {
	return func(string) (string, string, int) { return "", "", 0 }, nil
}

// echoTool is the echo of bash, with -n and -e.
func echoTool(args []string) (Filter, error) {
	feed, escapes := "\n", false
	for len(args) > 0 && (args[0] == "-n" || args[0] == "-e" || args[0] == "-ne" || args[0] == "-en" || args[0] == "-E") {
		if strings.Contains(args[0], "n") {
			feed = ""
		}
		escapes = escapes || strings.Contains(args[0], "e")
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if escapes {
		text = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t").Replace(text)
		if strings.Contains(text, `\`) && strings.Contains(strings.Join(args, " "), `\c`) {
			return nil, errors.New(`\c is not known here`)
		}
	}
	return func(string) (string, string, int) { return text + feed, "", 0 }, nil
}

// base64Tool is base64 with -d and -w.
func base64Tool(args []string) (Filter, error) {
	set, operands, err := options(args, "dDi", "w", map[string]byte{"decode": 'd', "wrap": 'w'})
	if err != nil {
		return nil, err
	}
	if err := noFiles(operands); err != nil {
		return nil, err
	}
	width := 76
	if has(set, 'w') {
		if width, err = strconv.Atoi(set['w']); err != nil || width < 0 {
			return nil, errors.New("-w takes a number")
		}
	}
	if has(set, 'd') || has(set, 'D') {
		return func(in string) (string, string, int) {
			data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(in, "\n", ""))
			if err != nil {
				return string(data), "base64: invalid input\n", 1
			}
			return string(data), "", 0
		}, nil
	}
	return func(in string) (string, string, int) {
		text := base64.StdEncoding.EncodeToString([]byte(in))
		if width == 0 {
			return text, "", 0
		}
		var out []string
		for len(text) > width {
			out = append(out, text[:width])
			text = text[width:]
		}
		if text != "" {
			out = append(out, text)
		}
		return unlines(out), "", 0
	}, nil
}
