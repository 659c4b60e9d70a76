package curl

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shells are the programs that run a script behind -c.
var shells = []string{"ash", "bash", "dash", "ksh", "sh"}

// readShell reads a shell's command line. Its script is seen through where it
// is one command that only names words.
func (c *Command) readShell(words []string) (ch changes, ok bool) {
	at, prints := scriptAt(words)
	if at < 0 {
		return changes{}, false
	}
	script := words[at]
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil || !runsCurl(script, file) {
		return changes{}, false
	}
	cmd, err := onlyCommand(file)
	switch {
	case prints:
		c.Unreported = "its shell prints each command that it runs"
		return changes{}, true
	case err != nil:
		c.Unreported = err.Error()
		return changes{}, true
	}
	for _, assignment := range cmd.variables {
		c.takeVariable(assignment)
	}
	inner, ok := c.read(cmd.words)
	return changes{replace: map[int]string{at: cmd.change(script, inner)}}, ok
}

// scriptAt returns the index of the script behind -c, -1 where there is none,
// and whether the shell prints each command that it runs.
func scriptAt(words []string) (at int, prints bool) {
	isScript := false
	for i := 1; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "--" && i+1 < len(words) && isScript:
			return i + 1, prints
		case !strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "+"):
			if !isScript {
				return -1, false
			}
			return i, prints
		case strings.HasPrefix(word, "--"): // bash: --norc, --rcfile FILE
			if strings.HasSuffix(word, "file") {
				i++
			}
		default:
			isScript = isScript || strings.Contains(word, "c")
			prints = prints || strings.ContainsAny(word, "xv")
			if strings.HasSuffix(word, "o") {
				i++
			}
		}
	}
	return -1, false
}

// runsCurl reports whether one of a script's commands is curl, or may run it.
func runsCurl(script string, file *syntax.File) bool {
	found := false
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return !found
		}
		name := path.Base(call.Args[0].Lit())
		_, isPrefix := prefixes[name]
		if isPrefix || slices.Contains(shells, name) || slices.Contains(builtins, name) {
			found = found || mentionsCurl.MatchString(script[call.Pos().Offset():call.End().Offset()])
		}
		found = found || name == "curl"
		return !found
	})
	return found
}

// builtins are the commands of a shell that run the command behind them.
var builtins = []string{"command", "exec"}

// A scriptCommand is the one command of a script.
type scriptCommand struct {
	words     []string // what each word stands for
	places    []place  // where each word is in the script
	variables []string // NAME=VALUE in front
}

type place struct{ start, end int }

// onlyCommand returns the command of a script that has one. The error says
// what else there is.
func onlyCommand(file *syntax.File) (*scriptCommand, error) {
	if len(file.Stmts) != 1 {
		return nil, errors.New("its shell runs other commands, too")
	}
	stmt := file.Stmts[0]
	if timed, ok := stmt.Cmd.(*syntax.TimeClause); ok && timed.Stmt != nil && !stmt.Negated && !stmt.Background && len(stmt.Redirs) == 0 {
		stmt = timed.Stmt // which passes on what the command prints, and its exit code
	}
	call, isCall := stmt.Cmd.(*syntax.CallExpr)
	binary, isBinary := stmt.Cmd.(*syntax.BinaryCmd)
	switch {
	case isBinary && (binary.Op == syntax.Pipe || binary.Op == syntax.PipeAll):
		return nil, errors.New("its output goes through a pipe")
	case !isCall:
		return nil, errors.New("its shell runs other commands, too")
	case stmt.Negated || stmt.Background || stmt.Coprocess:
		return nil, errors.New("its shell hides its exit code")
	}
	for _, r := range stmt.Redirs {
		input := r.Op == syntax.RdrIn
		messages := (r.Op == syntax.RdrOut || r.Op == syntax.AppOut) && r.N != nil && r.N.Value == "2"
		if !input && !messages {
			return nil, errors.New("its shell redirects its output")
		}
	}
	cmd := &scriptCommand{}
	for _, assign := range call.Assigns {
		var value string
		if assign.Value != nil {
			var err error
			if value, err = literal(assign.Value.Parts, false); err != nil {
				return nil, err
			}
		}
		cmd.variables = append(cmd.variables, assign.Name.Value+"="+value)
	}
	for _, arg := range call.Args {
		word, err := literal(arg.Parts, false)
		if err != nil {
			return nil, err
		}
		cmd.words = append(cmd.words, word)
		cmd.places = append(cmd.places, place{int(arg.Pos().Offset()), int(arg.End().Offset())})
	}
	for len(cmd.words) > 1 && slices.Contains(builtins, cmd.words[0]) {
		cmd.words, cmd.places = cmd.words[1:], cmd.places[1:]
	}
	return cmd, nil
}

// literal returns what the parts of a word stand for. What only a shell could
// work out is an error.
func literal(parts []syntax.WordPart, quoted bool) (string, error) {
	var b strings.Builder
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			if !quoted && isPattern(part.Value) {
				return "", fmt.Errorf("its shell may make other words of %s", part.Value)
			}
			b.WriteString(unescape(part.Value, quoted))
		case *syntax.SglQuoted:
			if part.Dollar {
				return "", errors.New("its shell reads $'...'")
			}
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			inner, err := literal(part.Parts, true)
			if err != nil {
				return "", err
			}
			b.WriteString(inner)
		default:
			return "", errors.New("its shell puts in a variable or the output of a command")
		}
	}
	return b.String(), nil
}

// isPattern reports whether a shell may make other words of an unquoted one.
// In a URL, *, ? and [ stand for themselves: no file has such a name.
func isPattern(s string) bool {
	return strings.HasPrefix(s, "~") || strings.Contains(s, "{") ||
		strings.ContainsAny(s, "*?[") && !strings.Contains(s, "://")
}

// unescape removes the backslashes of a literal part of a word.
func unescape(s string, quoted bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (!quoted || strings.IndexByte("$`\"\\\n", s[i+1]) >= 0) {
			if i++; s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// change returns the script with its words changed.
func (cmd *scriptCommand) change(script string, ch changes) string {
	for i := len(cmd.words) - 1; i >= 0; i-- { // from the end, so that places stay
		p := cmd.places[i]
		if i+1 == ch.at {
			for _, word := range slices.Backward(ch.insert) {
				script = script[:p.end] + " " + quote(word) + script[p.end:]
			}
		}
		if word, ok := ch.replace[i]; ok {
			script = script[:p.start] + quote(word) + script[p.end:]
		}
	}
	return script
}

// quote returns word as one word of a shell's script.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
