package steps

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/variables"
)

// Words is a command line split into its words as a POSIX shell would split
// it. No shell runs it: what only a shell could do is an error, and the text
// of a variable never becomes two words.
type Words []string

// UnmarshalText splits text.
func (w *Words) UnmarshalText(text []byte) error {
	words, err := splitWords(string(text))
	*w = words
	return err
}

// String returns a command line that a shell splits into the same words.
func (w Words) String() string {
	quoted := make([]string, len(w))
	for i, word := range w {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

// plain are the words that mean themselves to a shell, and to a reader.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote returns word as one word for a shell, which puts in the variables that stand
// for themselves.
func quote(word string) string {
	if variables.Stands(word) {
		return quoteParts(word)
	}
	if plain.MatchString(word) {
		return word
	}
	if strings.ContainsAny(word, "\n\t!") && // ! means something at a terminal even between double quotes
		strings.IndexFunc(word, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) < 0 {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" // not $'...', which is bash's
	}
	q, err := syntax.Quote(word, syntax.LangBash)
	if err != nil { // a NUL byte, which no argument can hold
		return fmt.Sprintf("%q", word)
	}
	return q
}

// quoteParts returns a word with variables in it between double quotes. What an
// interactive shell would replace even there is quoted apart.
func quoteParts(word string) string {
	parts := variables.Parts(word)
	var b strings.Builder
	apart := strings.Contains(word, "!")
	if !apart {
		b.WriteByte('"')
	}
	for i, part := range parts {
		switch {
		case part.Name != "" && apart:
			b.WriteString(`"$` + part.Name + `"`)
		case part.Name != "" && i+1 < len(parts) && continues(parts[i+1].Text):
			b.WriteString("${" + part.Name + "}")
		case part.Name != "":
			b.WriteString("$" + part.Name)
		case apart:
			b.WriteString(quote(part.Text))
		default:
			b.WriteString(inDouble.Replace(part.Text))
		}
	}
	if !apart {
		b.WriteByte('"')
	}
	return b.String()
}

// inDouble escapes what a shell would replace between double quotes.
var inDouble = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`)

// inDocument escapes what a shell would replace in a here-document.
var inDocument = strings.NewReplacer(`\`, `\\`, "`", "\\`", "$", `\$`)

// continues reports whether a text behind $NAME would be read as part of the name.
func continues(text string) bool {
	return text != "" && (text[0] == '_' || '0' <= text[0] && text[0] <= '9' || 'a' <= text[0]|0x20 && text[0]|0x20 <= 'z')
}

// withInput returns a command line that gets a text on its standard input, as a
// here-document. A shell puts in the variables that stand for themselves, and
// replaces nothing else.
func withInput(command, text string) string {
	if !strings.HasSuffix(text, "\n") { // which a here-document always ends with
		return "printf %s " + quote(text) + " | " + command
	}
	quotes := "'"
	if variables.Stands(text) {
		text, quotes = document(text), ""
	}
	end := "EOF"
	for lines := strings.Split(text, "\n"); slices.Contains(lines, end); {
		end += "_"
	}
	return command + " <<" + quotes + end + quotes + "\n" + text + end
}

// document returns the text of a here-document in which a shell puts in variables. A
// value of several lines, alone in a field of YAML, becomes a block of lines with
// the indentation of that field.
func document(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if m := severalAlone.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil && variables.StandsAlone(m[2]) {
			indent := strings.Repeat(" ", len(m[1])-len(strings.TrimLeft(m[1], " -"))+2)
			fmt.Fprintf(&b, "%s|\n$(printf '%%s\\n' \"$%s\" | sed 's/^/%s/')\n", inDocument.Replace(m[1]), variables.Parts(m[2])[0].Name, indent)
			continue
		}
		parts := variables.Parts(line)
		for i, part := range parts {
			switch {
			case part.Name != "" && i+1 < len(parts) && continues(parts[i+1].Text):
				b.WriteString("${" + part.Name + "}")
			case part.Name != "":
				b.WriteString("$" + part.Name)
			default:
				b.WriteString(inDocument.Replace(part.Text))
			}
		}
	}
	return b.String()
}

// severalAlone matches a line of YAML whose whole value is a variable with several lines.
var severalAlone = regexp.MustCompile(`^((?: *- )*(?: *)(?:[^ ][^:]*: )?)(` + variables.Stand(`[A-Za-z0-9_]+`, true) + `)$`)

func splitWords(text string) ([]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(text), "")
	if err != nil {
		if perr, ok := errors.AsType[syntax.ParseError](err); ok {
			return nil, &runner.FieldError{Line: int(perr.Pos.Line()), Err: errors.New(perr.Text)}
		}
		return nil, err
	}
	if len(file.Stmts) == 0 {
		return nil, errors.New("the command is empty")
	}
	stmt := file.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if len(file.Stmts) > 1 || !ok || stmt.Negated || stmt.Background || len(stmt.Redirs) > 0 {
		return nil, &runner.FieldError{
			Err:  errors.New("no shell runs the command, so it can have no pipe, redirection or second command"),
			Hint: `to run a shell in the pod, write: sh -c '...'`,
		}
	}
	if len(call.Assigns) > 0 {
		return nil, &runner.FieldError{
			Err:  fmt.Errorf("no shell runs the command, so %s= sets no variable", call.Assigns[0].Name.Value),
			Hint: "write: env NAME=VALUE COMMAND",
		}
	}
	words := make([]string, len(call.Args))
	for i, arg := range call.Args {
		if words[i], err = wordText(text, arg.Parts, false); err != nil {
			return nil, err
		}
	}
	return words, nil
}

// wordText returns what the parts of a word stand for. A dollar sign stays as
// it is: whether it begins a variable of the playbook is not the shell's rule.
func wordText(text string, parts []syntax.WordPart, quoted bool) (string, error) {
	var b strings.Builder
	for _, part := range parts {
		source := text[part.Pos().Offset():part.End().Offset()]
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(unescape(part.Value, quoted))
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			inner, err := wordText(text, part.Parts, true)
			if err != nil {
				return "", err
			}
			b.WriteString(inner)
		case *syntax.ParamExp:
			b.WriteString(source)
		default:
			return "", &runner.FieldError{
				Line: int(part.Pos().Line()),
				Err:  fmt.Errorf("no shell runs the command, so %s means nothing", source),
				Hint: `to run a shell in the pod, write: sh -c '...'`,
			}
		}
	}
	return b.String(), nil
}

// unescape removes the backslashes of a literal part of a word. An escaped
// dollar sign before a brace becomes $$, which keeps it from beginning a
// variable of the playbook.
func unescape(s string, quoted bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) || quoted && !strings.ContainsRune("$`\"\\\n", rune(s[i+1])) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case s[i] == '\n':
		case s[i] == '$' && i+1 < len(s) && s[i+1] == '{':
			b.WriteString("$$")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
