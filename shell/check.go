package shell

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A Problem is a place of a script that cannot run here, and why. Line and
// Column count from 1 within the script, a column being a byte.
type Problem struct {
	Line, Column int
	Msg          string
	Hint         string // "" when nothing useful can be said
}

func (p *Problem) Error() string { return p.Msg }

// Parse parses a script. more reports that the script is only the beginning of
// one, such as an open quote or a here-document without its end.
func Parse(text string) (file *syntax.File, more bool, problem *Problem) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err == nil {
		return file, false, nil
	}
	problem = &Problem{Line: 1, Column: 1, Msg: err.Error()}
	switch err := err.(type) {
	case syntax.ParseError:
		problem = &Problem{Line: int(err.Pos.Line()), Column: int(err.Pos.Col()), Msg: err.Text}
	case syntax.LangError:
		problem = &Problem{Line: int(err.Pos.Line()), Column: int(err.Pos.Col()), Msg: "this is no syntax of bash"}
	}
	return nil, syntax.IsIncomplete(err) || strings.HasPrefix(problem.Msg, openDocument), problem
}

// openDocument begins the parser's word for a here-document whose end does not come.
const openDocument = "unclosed here-document"

// MaxRounds is how often a loop may run.
const MaxRounds = 1000

// Check returns the problems of a script that cannot run here, in the order of their
// places. isProgram reports whether a program with a name exists besides [Tools].
func Check(file *syntax.File, isProgram func(name string) bool) []Problem {
	c := &checker{isProgram: isProgram}
	for _, stmt := range file.Stmts {
		c.stmt(stmt)
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return c.problems
}

type checker struct {
	isProgram func(string) bool
	problems  []Problem
	toNames   *syntax.Stmt // a command whose reader needs only the names of a certificate
}

// lastOf returns the last command of a pipe.
func lastOf(s *syntax.Stmt) *syntax.Stmt {
	for {
		b, ok := s.Cmd.(*syntax.BinaryCmd)
		if !ok || b.Op != syntax.Pipe {
			return s
		}
		s = b.Y
	}
}

func (c *checker) refuse(n syntax.Node, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{
		Line: int(n.Pos().Line()), Column: int(n.Pos().Col()), Msg: fmt.Sprintf(format, args...), Hint: hint,
	})
}

func (c *checker) stmt(s *syntax.Stmt) {
	switch {
	case s.Background:
		c.refuse(s, "", "a command in the background (&) is not run here")
	case s.Coprocess || s.Disown:
		c.refuse(s, "", "a coprocess is not run here")
	case s.Negated:
		c.refuse(s, "", "! is not run here")
	}
	for _, r := range s.Redirs {
		c.redirect(r)
	}
	switch cmd := s.Cmd.(type) {
	case *syntax.CallExpr:
		if len(cmd.Args) > 0 && cmd.Args[0].Lit() == "openssl" && c.toNames != s {
			c.refuse(s, "", `openssl is known here as openssl x509 -text -noout | grep "Subject Alternative Name" alone`)
			return
		}
		c.call(cmd)
	case *syntax.BinaryCmd:
		if cmd.Op != syntax.Pipe && cmd.Op != syntax.AndStmt {
			c.refuse(cmd.Y, "make each side a command of its own", "%s is not run here", cmd.Op)
		}
		if cmd.Op == syntax.Pipe && readsNames(cmd.Y) {
			c.toNames = lastOf(cmd.X)
		}
		c.stmt(cmd.X)
		c.stmt(cmd.Y)
	case *syntax.DeclClause:
		c.declaration(cmd)
	case *syntax.ForClause:
		c.loop(cmd)
	case nil:
		if len(s.Redirs) > 0 {
			c.refuse(s, "", "a redirection without a command")
		}
	default:
		c.refuse(s, "", "%s is not run here", constructOf(cmd))
	}
}

func constructOf(cmd syntax.Command) string {
	switch cmd := cmd.(type) {
	case *syntax.WhileClause:
		if cmd.Until {
			return "until, which has no bound,"
		}
		return "while, which has no bound,"
	case *syntax.IfClause:
		return "if"
	case *syntax.CaseClause:
		return "case"
	case *syntax.FuncDecl:
		return "a function"
	case *syntax.Subshell:
		return "a subshell in ( )"
	case *syntax.Block:
		return "a block in { }"
	case *syntax.TestClause:
		return "[[ ]]"
	case *syntax.ArithmCmd, *syntax.LetClause:
		return "arithmetic"
	case *syntax.TimeClause:
		return "time"
	}
	return "this"
}

// call judges a simple command.
func (c *checker) call(call *syntax.CallExpr) {
	for _, a := range call.Assigns {
		c.assign(a)
	}
	for _, w := range call.Args {
		c.word(w)
	}
	if len(call.Args) == 0 {
		return
	}
	if len(call.Assigns) > 0 {
		c.refuse(call, "set the variable in a command of its own", "a variable for one command alone is not set here")
	}
	name := call.Args[0].Lit()
	switch {
	case name == "":
		c.refuse(call.Args[0], "write the program's name", "the program's name is not known before the run")
		return
	case c.isProgram(name):
		return
	case Tools[name] == nil:
		c.refuse(call.Args[0], "", "%s is no program that is there: nothing of this machine is run", name)
		return
	}
	// The arguments of a tool can be judged as far as they are written out.
	var args []string
	for _, w := range call.Args[1:] {
		text, ok := literal(w)
		if !ok {
			return
		}
		args = append(args, text)
	}
	if _, err := Tools[name](args); err != nil {
		c.refuse(call.Args[0], "", "%s: %v", name, err)
	}
}

func (c *checker) assign(a *syntax.Assign) {
	switch {
	case a.Append, a.Index != nil, a.Array != nil:
		c.refuse(a, "", "an array, or +=, is not run here")
	case a.Name == nil:
		c.refuse(a, "", "the name of the variable is not known before the run")
	case a.Value != nil:
		c.word(a.Value)
	}
}

func (c *checker) declaration(d *syntax.DeclClause) {
	if d.Variant.Value != "export" {
		c.refuse(d, "", "%s is not run here", d.Variant.Value)
		return
	}
	for _, a := range d.Args {
		c.assign(a)
	}
}

// loop judges a for, which must run over words that are written out.
func (c *checker) loop(f *syntax.ForClause) {
	words, ok := f.Loop.(*syntax.WordIter)
	if !ok || f.Select {
		c.refuse(f, "write for NAME in WORDS", "only a loop over words is run here")
		return
	}
	rounds := 0
	for _, w := range words.Items {
		n, known := roundsOf(w)
		if _, _, _, is := sequence(w); !is {
			c.word(w)
		}
		if !known {
			c.refuse(w, "write the words out, or {1..10}, or $(seq 10)", "how often the loop runs is not known before the run")
		}
		rounds += n
	}
	if rounds > MaxRounds {
		c.refuse(f, "", "the loop runs %d times, and at most %d are allowed", rounds, MaxRounds)
	}
	for _, s := range f.Do {
		c.stmt(s)
	}
}

func (c *checker) redirect(r *syntax.Redirect) {
	if r.N != nil && r.N.Value != "1" && r.N.Value != "2" {
		c.refuse(r, "", "only 1 and 2 can be redirected here")
		return
	}
	switch r.Op {
	case syntax.Hdoc, syntax.DashHdoc:
		c.parts(r.Hdoc.Parts)
	case syntax.RdrOut, syntax.RdrAll, syntax.AppOut, syntax.AppAll:
		if r.Word.Lit() != "/dev/null" {
			c.refuse(r, "", "a file cannot be written here, only /dev/null")
		}
	case syntax.DplOut:
		if r.Word.Lit() != "1" || r.N == nil || r.N.Value != "2" {
			c.refuse(r, "", "only 2>&1 is known here")
		}
	default:
		c.refuse(r, "", "the redirection %s is not run here", r.Op)
	}
}

func (c *checker) word(w *syntax.Word) {
	if lit, ok := w.Parts[0].(*syntax.Lit); ok && strings.HasPrefix(lit.Value, "~") {
		c.refuse(w, "", "~ names a folder of this machine, and none is there here")
	}
	c.parts(w.Parts)
}

func (c *checker) parts(parts []syntax.WordPart) {
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			if strings.ContainsAny(part.Value, "“”‘’") {
				c.curly(part)
			}
		case *syntax.SglQuoted:
		case *syntax.DblQuoted:
			c.parts(part.Parts)
		case *syntax.ParamExp:
			if !isPlain(part) {
				c.refuse(part, "write $NAME or ${NAME}", "only plain variables are known here")
			}
		case *syntax.CmdSubst:
			if part.TempFile || part.ReplyVar {
				c.refuse(part, "", "this form of ${ } is not run here")
			}
			for _, s := range part.Stmts {
				c.stmt(s)
			}
		case *syntax.ProcSubst:
			c.refuse(part, "", "a process substitution %s ) is not run here", part.Op)
		case *syntax.ArithmExp:
			c.refuse(part, "", "arithmetic is not run here")
		default:
			c.refuse(part, "", "a pattern of this form is not run here")
		}
	}
}

// curly refuses a typographic quote outside of quotes, because the author means a quote
// of the shell.
func (c *checker) curly(lit *syntax.Lit) {
	i := strings.IndexAny(lit.Value, "“”‘’")
	c.problems = append(c.problems, Problem{
		Line: int(lit.Pos().Line()), Column: int(lit.Pos().Col()) + i,
		Msg: fmt.Sprintf("%c is no quote to a shell", []rune(lit.Value[i:])[0]), Hint: `write " or '`,
	})
}

// isPlain reports whether p is $NAME or ${NAME}.
func isPlain(p *syntax.ParamExp) bool {
	return !p.Excl && !p.Length && !p.Width && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Names == 0 &&
		p.Exp == nil && p.NestedParam == nil && p.Param != nil && syntax.ValidName(p.Param.Value)
}

// literal returns a word whose text is known before the run.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	ok := true
	var walk func(parts []syntax.WordPart, quoted bool)
	walk = func(parts []syntax.WordPart, quoted bool) {
		for _, part := range parts {
			switch part := part.(type) {
			case *syntax.Lit:
				b.WriteString(Unescape(part.Value, quoted))
			case *syntax.SglQuoted:
				ok = ok && !part.Dollar
				b.WriteString(part.Value)
			case *syntax.DblQuoted:
				walk(part.Parts, true)
			default:
				ok = false
			}
		}
	}
	walk(w.Parts, false)
	return b.String(), ok
}

// Unescape removes the backslashes of a literal part of a word, as a shell does; quoted
// says that the part is in double quotes.
func Unescape(s string, quoted bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) || quoted && !strings.ContainsRune("$`\"\\\n", rune(s[i+1])) {
			b.WriteByte(s[i])
			continue
		}
		if i++; s[i] != '\n' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
